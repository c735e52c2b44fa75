"""What commands tell others after their work: alerts, and the webhooks of audiences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from genome_pipeline.command.console import interrupted_by
from genome_pipeline.command.invocation import new_console
from genome_pipeline.errors import ConfigError

if TYPE_CHECKING:
    from genome_pipeline.settings import Settings


def alert(settings: Settings, subject: str, text: str) -> None:
    """Send an alert; an alert that cannot be sent does not change the command's result."""
    from genome_pipeline.orchestration.alerts import send_alert

    try:
        send_alert(settings.alerts, subject, text)
    except ConfigError as error:
        _tell(error)


@contextmanager
def alerting(settings: Settings, command: str) -> Iterator[None]:
    """Send an alert about an error in the block, unless somebody interrupted it."""
    try:
        yield
    except Exception as error:
        if interrupted_by() is None:
            from genome_pipeline.orchestration.failures import sendable

            alert(settings, f"Customer Genome: {command} failed", sendable(error))
        raise


def tell_of_warnings(settings: Settings, summary: dict[str, Any]) -> None:
    """Send an alert of what was published with warnings, or by force, where warnings are asked for."""
    from genome_pipeline.orchestration.alerts import digest

    found = digest(summary["failed_checks"], summary["forced_past"])
    if settings.alerts.warnings and found:
        alert(settings, f"Customer Genome: published as of {summary['as_of']} with warnings", found)


def tell_webhooks(settings: Settings) -> None:
    """Send what has changed in audiences, after a publication; what is not taken is told of, and sent by the next."""
    if not settings.audiences.webhooks:
        return
    from genome_pipeline.published.delivery import send_changes

    try:
        send_changes(settings)
    except ConfigError as error:
        _tell(error)
        alert(settings, "Customer Genome: audiences were not sent", str(error))


def _tell(error: ConfigError) -> None:
    new_console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"genome: {error}")
