"""Who may look: on loopback whoever is at the machine, elsewhere those who know the password or the token.

Headers forbid scripts that are not the dashboard's own, frames, and the passing on of URLs, which name customers; what
goes wrong is logged without the values it went wrong with. What anyone is shown, and who was not let in, stands in the
audit log.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import math
import re
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import flask
from dash.exceptions import DependencyException
from markupsafe import escape
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from genome_pipeline.dashboard.audit import AuditLog
from genome_pipeline.dashboard.server import MOST_BODY_BYTES
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import DashboardSettings

SESSION_SECONDS = 12 * 3600
"""How long a login lasts."""

GUESSES, SECONDS_A_GUESS = 5, 30.0
"""Wrong secrets that are looked at in a row, from all visitors together, and after how long one more is."""

_LOGGER = logging.getLogger(__name__)
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_OPEN_PATHS = ("/login", "/assets/genome.css", "/assets/favicon.svg")
# A page of this dashboard. Browsers leave out tabs and line breaks: "/<tab>/elsewhere" would be "//elsewhere".
_OWN_PAGE = re.compile(r"/(?![/\\])[!-~]*")
_LONGEST_ADDRESS = 100
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
        return any(hmac.compare_digest(given.encode(errors="replace"), secret.encode()) for secret in known)


class Guesses:
    """How many wrong secrets may still be tried: :data:`GUESSES`, and one more every :data:`SECONDS_A_GUESS`.

    Counted for all visitors together, as whoever guesses may come from many addresses. A right one costs nothing, and
    gives nothing back either: else a script that comes often would pay for the guesses of others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(GUESSES)
        self._counted_at = clock()

    def check(self, is_right: Callable[[], bool]) -> bool | None:
        """Whether the secret is right; None where it was not looked at, as too many were wrong."""
        with self._lock:  # many at once must not be looked at before the first of them counts
            now = self._clock()
            self._left = min(self._left + (now - self._counted_at) / SECONDS_A_GUESS, GUESSES)
            self._counted_at = now
            if self._left < 1:
                return None
            found = is_right()
            self._left -= not found
            return found

    @property
    def seconds_to_wait(self) -> int:
        """Until one more is looked at."""
        return max(math.ceil((1 - self._left) * SECONDS_A_GUESS - (self._clock() - self._counted_at)), 0)


class Sessions:
    """Who has logged in and not out again. They end with the server, so that no key need be kept anywhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}

    def begin(self) -> str:
        """The name of a new session."""
        now = self._clock()
        self._ends = {name: end for name, end in self._ends.items() if end > now}
        name = secrets.token_hex(8)
        self._ends[name] = now + SESSION_SECONDS
        return name

    def holds(self, name: str | None) -> bool:
        """Whether the session has begun, and not ended."""
        return name is not None and self._ends.get(name, 0) > self._clock()

    def end(self, name: str | None) -> None:
        """End it, wherever its cookie has been copied to."""
        self._ends.pop(name or "", None)


class Visits:
    """Records in the audit log what the visitor of the present request does, or is shown."""

    def __init__(self, log: AuditLog | None) -> None:
        self._log = log

    def record(self, event: str, customers: Collection[str] = (), **facts: Any) -> None:
        """See :meth:`genome_pipeline.dashboard.audit.AuditLog.record`; adds who it is, and from which address."""
        if self._log is None or not flask.has_request_context():
            return
        request = flask.request
        # Anyone can write it; a proxy's is as good as the proxy.
        forwarded = "".join(filter(str.isprintable, request.headers.get("X-Forwarded-For", "")[:_LONGEST_ADDRESS]))
        who = {"who": flask.g.get("who"), "address": request.remote_addr, "forwarded_for": forwarded}
        try:
            self._log.record(event, customers, **who, **facts)
        except OSError as error:
            # The disk is full, say: pages that are read go on, the log of the server says why they are not recorded.
            log_failure(error)


def is_loopback(host: str) -> bool:
    """Whether the name or address is of this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def protect(server: flask.Flask, access: Access, script_hashes: Sequence[str], visits: Visits) -> None:
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
    server.config["MAX_CONTENT_LENGTH"] = MOST_BODY_BYTES
    if access.is_open:
        # Another name for this machine would be a page elsewhere that reads it through the visitor's browser.
        server.config["TRUSTED_HOSTS"] = list(_LOOPBACK_NAMES)
        server.before_request(lambda: setattr(flask.g, "who", "this machine"))
    else:
        _ask(server, access, visits)


def _ask(server: flask.Flask, access: Access, visits: Visits) -> None:
    server.secret_key = secrets.token_bytes(32)
    server.config.update(
        SESSION_COOKIE_NAME="genome_session",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    # A proxy in front says whether the visitor's side of it is encrypted.
    server.wsgi_app = ProxyFix(server.wsgi_app, x_for=0, x_proto=1)  # type: ignore[method-assign]
    login = _Login(access, visits)
    server.before_request(login.let_in)
    server.add_url_rule("/login", "log_in", login.log_in, methods=["GET", "POST"])
    server.add_url_rule("/logout", "log_out", login.log_out, methods=["POST"])


class _Login:
    """Who is let in, by session or by token; and the form at which a session begins."""

    def __init__(self, access: Access, visits: Visits) -> None:
        self._access = access
        self._visits = visits
        self._sessions = Sessions()
        # The form's and the token's apart: a script with an old token must not keep people out.
        self._form_guesses, self._token_guesses = Guesses(), Guesses()

    def let_in(self) -> Response | None:
        """None for a request that is let in, else the answer to it."""
        request = flask.request
        bearer = request.authorization
        session = flask.session.get("name")
        if request.path in _OPEN_PATHS:
            return None
        if self._sessions.holds(session):
            flask.g.who = f"session {session}"
            return None
        if bearer is not None and bearer.type == "bearer":
            found = self._token_guesses.check(lambda: self._access.knows(bearer.token or ""))
            if found:
                flask.g.who = "token"
                return None
            said, status, headers = self._refused(self._token_guesses, found is False, "token")
            return flask.Response(said, status, headers, mimetype="text/plain")
        if bearer is not None or request.method != "GET" or request.path.startswith("/_"):
            return flask.Response("Log in first: open the dashboard's own address.", 401, mimetype="text/plain")
        return flask.redirect(flask.url_for("log_in", next=request.full_path.rstrip("?")))

    def log_in(self) -> Response:
        """The form; and, for the right secret, the way to the page asked for."""
        target = flask.request.args.get("next", "/")
        if not _OWN_PAGE.fullmatch(target):
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
        given = flask.request.form.get("secret", "")
        found = self._form_guesses.check(lambda: self._access.knows(given))
        if found:
            flask.session["name"] = name = self._sessions.begin()
            flask.g.who = f"session {name}"
            self._visits.record("log_in")
            return flask.redirect(target)
        said, status, headers = self._refused(self._form_guesses, found is False, "password")
        return flask.Response(_login_page(said, target), status, headers)

    def log_out(self) -> Response:
        """End the session."""
        self._visits.record("log_out")
        self._sessions.end(flask.session.pop("name", None))
        return flask.redirect(flask.url_for("log_in"))

    def _refused(self, guesses: Guesses, is_checked: bool, what: str) -> tuple[str, int, dict[str, str]]:
        """Sentence, status and headers for a secret that was wrong, or was not looked at."""
        if is_checked:
            self._visits.record("wrong_secret", secret=what)
            _LOGGER.warning("a wrong %s was given from %s", what, flask.request.remote_addr)
            return "That is not the password, nor the token.", 401, {}
        wait = guesses.seconds_to_wait
        return (
            f"Too many wrong secrets were tried lately: this one was not looked at. Try again in {wait} seconds.",
            429,
            {"Retry-After": str(wait)},
        )


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
    if isinstance(error, DependencyException):
        return NotFound()  # a script that Dash does not have: nothing failed
    log_failure(error)
    return flask.Response("Something went wrong; the log says where. Open the page again.", 500, mimetype="text/plain")
