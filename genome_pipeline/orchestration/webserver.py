"""Dagster's own webserver behind a guard: other web pages cannot use a visitor's browser to reach it.

Dagster serves any client, under any host name, and accepts mutations from links and other sites. The guard admits only
requests under the machine's own names, or those of ``ui.hosts``, that come from the UI's own pages. It does not
authenticate users: that is the task of a proxy in front.

``python -m genome_pipeline.orchestration.webserver`` takes the options of ``dagster-webserver``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from dagster import SupersessionWarning

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.internals import dev_module, webserver_module
from genome_pipeline.privacy import keep_to_owner
from genome_pipeline.settings import load_settings_or_demo

_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = ((b"x-frame-options", b"DENY"), (b"content-security-policy", b"frame-ancestors 'none'"))

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Guard:
    """An ASGI application that refuses requests another application must not receive, and passes on the rest.

    ``hosts`` are the names, beside the machine's own, under which it can be reached.
    """

    def __init__(self, app: App, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = _OWN_NAMES | {host.lower() for host in hosts}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request or a websocket."""
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, _unframed(send) if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            status, sentence = refusal
            headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": sentence.encode()})

    def _refusal(self, scope: Message) -> tuple[int, str] | None:
        """Status and sentence of the refusal, if the request is not one of the UI's own."""
        headers: dict[str, str] = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host, method = headers.get("host", "").lower(), scope.get("method", "GET")
        if _name_of(host) not in self._hosts:
            return 400, "This is not a name of this server: reach it as localhost, or list the name in ui.hosts.\n"
        is_html = "text/html" in headers.get("accept", "")
        if scope["type"] == "http" and method == "GET" and scope["path"].endswith("/graphql") and not is_html:
            return 405, "Links change and ask nothing here: send GraphQL by POST.\n"
        is_link = scope["type"] == "http" and method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        is_elsewhere = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if (is_elsewhere and not is_link) or (
            "origin" in headers and urlsplit(headers["origin"]).netloc.lower() != host
        ):
            return 403, "This came from another site: open the UI's own address.\n"
        return None


def _name_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _unframed(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return with_headers


def serve_with_daemon(options: Sequence[str]) -> None:
    """Do what ``dagster dev`` does, but with the guarded webserver, until it is stopped."""
    dev = dev_module()
    opened = dev.open_ipc_subprocess

    def open_guarded(parts: list[str], **keywords: Any) -> Any:
        return opened([__name__ if part == "dagster_webserver" else part for part in parts], **keywords)

    _replace(dev, "open_ipc_subprocess", open_guarded)
    with warnings.catch_warnings():
        # Dagster would recommend its own command instead, which has no guard.
        warnings.simplefilter("ignore", SupersessionWarning)
        dev.dev_command([*options], standalone_mode=False)


def main() -> None:
    """Run ``dagster-webserver``, guarded."""
    keep_to_owner()
    cli = webserver_module()
    create = cli.create_app_from_workspace_process_context
    try:
        hosts = load_settings_or_demo().ui.hosts
    except ConfigError as error:
        sys.exit(f"genome: {error}")
    _replace(
        cli, "create_app_from_workspace_process_context", lambda *args, **named: Guard(create(*args, **named), hosts)
    )
    cli.main()


def _replace(module: Any, name: str, value: Any) -> None:
    """Replace a part of Dagster, which has no hook for code in front of its webserver."""
    setattr(module, name, value)


if __name__ == "__main__":
    main()
