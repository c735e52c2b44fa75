"""Telling someone that a run failed: by a command, a webhook or mail, each only where it is configured."""

from __future__ import annotations

import json
import os
import smtplib
import subprocess
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage

from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import AlertSettings

WEBHOOK_VARIABLE = "GENOME_ALERT_WEBHOOK"
"""URL that takes ``{"text": …}`` as Slack, Mattermost and Teams do. It is a secret, so it is never in the config."""

SMTP_PASSWORD_VARIABLE = "GENOME_SMTP_PASSWORD"  # noqa: S105
"""Password of ``alerts.smtp_user``."""

_TIMEOUT_SECONDS = 30


def send_alert(alerts: AlertSettings, subject: str, text: str) -> None:
    """Tell of a failure by every way that is configured.

    Raises :class:`ConfigError` naming those that did not work, after all were tried.
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
        except (OSError, ValueError, subprocess.SubprocessError, smtplib.SMTPException) as error:
            # The words of the exception may hold the address, which is a secret.
            failures.append(f"{name} ({type(error).__name__})")
    if failures:
        raise ConfigError(
            f"the alert was not taken by {' and '.join(failures)}: correct it in [alerts] or its variable"
        )


def _run(command: tuple[str, ...], text: str) -> None:
    subprocess.run(command, input=text, text=True, check=True, timeout=_TIMEOUT_SECONDS)  # noqa: S603


def _post(url: str, text: str) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError(url)
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS).close()  # noqa: S310


def _mail(alerts: AlertSettings, subject: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, alerts.mail_from, alerts.mail_to
    message.set_content(text)
    with smtplib.SMTP(alerts.smtp_host, alerts.smtp_port, timeout=_TIMEOUT_SECONDS) as server:
        if alerts.smtp_user:
            server.starttls()
            server.login(alerts.smtp_user, os.environ.get(SMTP_PASSWORD_VARIABLE, ""))
        server.send_message(message)
