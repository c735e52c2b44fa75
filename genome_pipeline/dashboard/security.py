"""Who may look: on loopback whoever is at the machine, elsewhere those who know the password or the token.

Headers forbid scripts that are not the dashboard's own, frames, and the passing on of URLs, which name customers; what
goes wrong is logged without the values it went wrong with.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import flask
from markupsafe import escape
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import DashboardSettings

_LOGGER = logging.getLogger(__name__)
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_OPEN_PATHS = ("/login", "/assets/genome.css", "/assets/favicon.svg")
_WRONG_SECRET_SECONDS = 1.0
_FOR_ALL = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class Access:
    """The password and the token that let someone in; without any, only this machine is served."""

    password: str | None = None
    token: str | None = None

    @classmethod
    def to(cls, host: str, settings: DashboardSettings) -> Access:
        """Access where the dashboard listens on ``host``.

        Raises :class:`ConfigError` where others than this machine could reach it, and nothing is asked of them.
        """
        password, token = (
            secret.get_secret_value() if secret else None for secret in (settings.password, settings.token)
        )
        if not (password or token or is_loopback(host)):
            raise ConfigError(
                f"--host {host} lets others than this machine in: set GENOME_DASHBOARD__PASSWORD or"
                " GENOME_DASHBOARD__TOKEN, or leave --host out"
            )
        return cls(password, token)

    @property
    def is_open(self) -> bool:
        """Whether nothing is asked."""
        return not (self.password or self.token)

    def knows(self, given: str) -> bool:
        """Whether ``given`` is the password or the token."""
        known = [secret for secret in (self.password, self.token) if secret]
        return any(hmac.compare_digest(given.encode(), secret.encode()) for secret in known)


def is_loopback(host: str) -> bool:
    """Whether the name or address is of this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def protect(server: flask.Flask, access: Access, script_hashes: Sequence[str]) -> None:
    """Put headers on every answer of ``server``, let in whom ``access`` knows, and keep failures from telling values.

    ``script_hashes`` are of the scripts that stand in the page itself.
    """
    policy = "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' {' '.join(script_hashes)}",
            # Mantine, Plotly and AG Grid set styles on elements.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )

    def add_headers(response: flask.Response) -> flask.Response:
        response.headers.update(_FOR_ALL | {"Content-Security-Policy": policy})
        if not flask.request.path.startswith(("/assets/", "/_dash-component-suites/")):
            response.headers["Cache-Control"] = "no-store"
        return response

    server.after_request(add_headers)
    server.register_error_handler(Exception, _failed)
    if access.is_open:
        # Another name for this machine would be a page elsewhere that reads it through the visitor's browser.
        server.config["TRUSTED_HOSTS"] = list(_LOOPBACK_NAMES)
    else:
        _ask(server, access)


def _ask(server: flask.Flask, access: Access) -> None:
    # Sessions end with the server, so that its key need not be kept anywhere.
    server.secret_key = secrets.token_bytes(32)
    server.config.update(
        SESSION_COOKIE_NAME="genome_session",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    # A proxy in front says whether the visitor's side of it is encrypted.
    server.wsgi_app = ProxyFix(server.wsgi_app, x_for=0, x_proto=1)  # type: ignore[method-assign]

    def let_in() -> Response | None:
        request = flask.request
        bearer = request.authorization
        if request.path in _OPEN_PATHS or flask.session.get("is_in"):
            return None
        if bearer is not None and bearer.type == "bearer" and access.knows(bearer.token or ""):
            return None
        if bearer is not None or request.method != "GET" or request.path.startswith("/_"):
            return flask.Response("Log in first: open the dashboard's own address.", 401, mimetype="text/plain")
        return flask.redirect(flask.url_for("log_in", next=request.full_path.rstrip("?")))

    def log_in() -> Response:
        target = flask.request.args.get("next", "/")
        if not target.startswith("/") or target.startswith(("//", "/\\")):
            target = "/"
        if not (flask.request.is_secure or is_loopback(flask.request.host.rsplit(":", 1)[0])):
            return flask.Response(
                _login_page(
                    "This address is not encrypted, so that a password would be open to read on its way. Put a proxy"
                    " with HTTPS in front of the dashboard, or reach it through an SSH tunnel.",
                    target=None,
                ),
                400,
            )
        if flask.request.method == "GET":
            return flask.Response(_login_page("", target))
        if access.knows(flask.request.form.get("secret", "")):
            flask.session["is_in"] = True
            return flask.redirect(target)
        time.sleep(_WRONG_SECRET_SECONDS)
        return flask.Response(_login_page("That is not the password, nor the token.", target), 401)

    server.before_request(let_in)
    server.add_url_rule("/login", "log_in", log_in, methods=["GET", "POST"])


def _login_page(problem: str, target: str | None) -> str:
    form = (
        f'<form method="post" action="{escape(flask.url_for("log_in", next=target))}">'
        '<label for="secret">Password or token</label>'
        '<input id="secret" name="secret" type="password" autocomplete="current-password" required autofocus>'
        "<button>Open the dashboard</button></form>"
        if target is not None
        else ""
    )
    said = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Log in \u00b7 Customer Genome</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/assets/genome.css"><link rel="icon" href="/assets/favicon.svg"></head>'
        f'<body><main class="login"><h1>Customer Genome</h1>{said}{form}</main></body></html>'
    )


def log_failure(error: BaseException) -> None:
    """Log what failed and where, without its message: that may hold a value, such as a customer id."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _LOGGER.error("%s in\n%s", type(error).__name__, frames)


def _failed(error: Exception) -> HTTPException | Response:
    if isinstance(error, HTTPException):
        return error
    log_failure(error)
    return flask.Response("Something went wrong; the log says where. Open the page again.", 500, mimetype="text/plain")
