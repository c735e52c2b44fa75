"""Alerts about runs: by a command, a webhook or mail, each only if it is configured."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import subprocess
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from typing import Any

from genome_pipeline.errors import ConfigError
from genome_pipeline.published.webhook import post
from genome_pipeline.settings import AlertSettings

WEBHOOK_VARIABLE = "GENOME_ALERT_WEBHOOK"
"""URL (https) that takes ``{"text": …}`` as Slack, Mattermost and Teams do. It is a secret, so never in the config."""

SMTP_PASSWORD_VARIABLE = "GENOME_SMTP_PASSWORD"  # noqa: S105
"""Password of ``alerts.smtp_user``."""

_TIMEOUT_SECONDS = 30
_MOST_WARNINGS = 20
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_NO_SECRETS = ("GENOME_HOME", "GENOME_CONFIG")
_SECRETS = ("GENOME_", "DAGSTER_POSTGRES_URL", "PGPASSWORD")
"""Variables with these prefixes are not passed to the command, except the two above, which hold no secret."""


def send_alert(alerts: AlertSettings, subject: str, text: str) -> None:
    """Send an alert in every way that is configured.

    Raises :class:`ConfigError` naming the ways that failed, after all were tried.
    """
    ways: dict[str, Callable[[], None]] = {}
    if alerts.command:
        ways["alerts.command"] = lambda: _run(alerts.command, f"{subject}\n{text}\n")
    if webhook := os.environ.get(WEBHOOK_VARIABLE):
        ways[WEBHOOK_VARIABLE] = lambda: _post(webhook, f"{subject}\n{text}")
    if alerts.mail_to:
        ways["alerts.mail_to"] = lambda: _mail(alerts, subject, text)
    failures = []
    for name, tell in ways.items():
        try:
            tell()
        except ConfigError as error:
            failures.append(f"{name} ({error})")
        except (OSError, ValueError, subprocess.SubprocessError, smtplib.SMTPException) as error:
            # The message of the exception may contain the address, which is a secret.
            failures.append(f"{name} ({type(error).__name__})")
    if failures:
        raise ConfigError(
            f"the alert was not taken by {' and '.join(failures)}: correct it in [alerts] or its variable"
        )


def digest(failed_checks: Sequence[Mapping[str, Any]], forced_past: str | None) -> str | None:
    """What a person should know about a publication: its warnings, one per line; None if there are none."""
    lines = [f"published by force, although {forced_past}"] if forced_past else []
    lines += [f"{row['table_name']}: {row['observed']}" for row in failed_checks[:_MOST_WARNINGS]]
    if len(failed_checks) > _MOST_WARNINGS:
        lines.append(f"and {len(failed_checks) - _MOST_WARNINGS:,} more warnings")
    return "\n".join(lines) or None


def _run(command: tuple[str, ...], text: str) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name in _NO_SECRETS or not name.startswith(_SECRETS)
    }
    subprocess.run(command, input=text, text=True, check=True, timeout=_TIMEOUT_SECONDS, env=environment)  # noqa: S603


def _post(url: str, text: str) -> None:
    post(url, json.dumps({"text": text}).encode(), {})


def _mail(alerts: AlertSettings, subject: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, alerts.mail_from, alerts.mail_to
    message.set_content(text)
    with smtplib.SMTP(alerts.smtp_host, alerts.smtp_port, timeout=_TIMEOUT_SECONDS) as server:
        if alerts.smtp_user or alerts.smtp_host not in _THIS_MACHINE:
            server.starttls(context=ssl.create_default_context())
        if alerts.smtp_user:
            server.login(alerts.smtp_user, os.environ.get(SMTP_PASSWORD_VARIABLE, ""))
        server.send_message(message)
