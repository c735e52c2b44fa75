"""``genome mcp``: an assistant's questions on the published file, over standard input and output."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from types import FrameType

from genome_pipeline.dashboard.audit import AuditLog
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.versions import PublishedFile
from genome_pipeline.settings import Settings


def serve(settings: Settings) -> None:
    """Answer until the client closes standard input.

    Raises :class:`ConfigError` where the extra is not installed, and where single customers are to be told and the
    audit log cannot be written.
    """
    try:
        import mcp  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(
            "`genome mcp` needs an extra that is not installed: pip install 'genome-pipeline[mcp]'"
        ) from None
    from genome_pipeline.ask.server import genome_server

    seen = _recording(AuditLog.of(settings)) if settings.mcp.single_customers else None
    with closing(PublishedFile(settings.published_path)) as file:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _ending(file))
        genome_server(file, seen).run()


def _recording(log: AuditLog) -> Callable[[str, Sequence[str]], None]:
    log.prepare()

    def seen(tool: str, customer_ids: Sequence[str]) -> None:
        try:
            log.record("mcp", customer_ids, tool=tool)
        except OSError as error:
            raise ConfigError(
                f"no single customer is told, as the audit log cannot be written ({error.strerror})"
            ) from None

    return seen


def _ending(file: PublishedFile) -> Callable[[int, FrameType | None], None]:
    def end(number: int, _frame: FrameType | None) -> None:
        file.close()
        # At once: a thread waits for the next line of standard input, and the interpreter would wait for that thread.
        os._exit(128 + number)

    return end
