"""The guard before Dagster's webserver."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from genome_pipeline.orchestration.webserver import Guard, Message


async def _everyone_in(scope: Message, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def asked(method: str, path: str, kind: str = "http", **headers: str) -> list[Message]:
    """What the guard sends back; headers are named with underscores."""
    sent: list[Message] = []
    given = {"host": "localhost:3000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(_everyone_in, ["genome.example.com"])(scope, receive, send))
    return sent


def status(method: str, path: str, **headers: str) -> int:
    return int(asked(method, path, **headers)[0]["status"])


HERE = {"origin": "http://localhost:3000", "sec_fetch_site": "same-origin"}
ELSEWHERE = {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}


@pytest.mark.parametrize(
    "host", ["localhost:3000", "127.0.0.1:3000", "[::1]:3000", "genome.example.com", "GENOME.example.com"]
)
def test_it_answers_to_its_own_names(host: str) -> None:
    assert status("GET", "/", host=host) == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:3000", "", "[", "10.0.0.1"])
def test_it_answers_to_no_other_name(host: str) -> None:
    assert status("GET", "/", host=host) == 400
    assert status("POST", "/graphql", host=host) == 400


def test_a_link_changes_nothing() -> None:
    assert status("GET", "/graphql") == 405
    assert status("GET", "/prefix/graphql") == 405
    assert status("GET", "/graphql", accept="text/html") == 200  # the playground, which runs nothing


def test_another_site_changes_nothing() -> None:
    assert status("POST", "/graphql", **HERE) == 200
    assert status("POST", "/graphql", content_type="application/json") == 200  # a program, not a browser
    assert status("POST", "/graphql", **ELSEWHERE) == 403
    assert status("POST", "/graphql", origin="null") == 403
    assert status("POST", "/graphql", origin="http://localhost:8050", sec_fetch_site="same-site") == 403
    assert (
        status("POST", "/report_asset_materialization/a", sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 403
    )
    assert status("POST", "/graphql", host="genome.example.com", origin="https://genome.example.com") == 200


def test_a_link_elsewhere_may_lead_to_a_page() -> None:
    assert status("GET", "/runs/1", sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200
    assert status("GET", "/download_debug/1", sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403


def test_subscriptions_are_for_its_own_pages() -> None:
    assert asked("GET", "/graphql", "websocket", origin="http://localhost:3000") == [{"type": "websocket.accept"}]
    for origin in ("https://evil.example", "http://localhost:8050", "null"):
        assert asked("GET", "/graphql", "websocket", origin=origin) == [{"type": "websocket.close", "code": 1008}]


def test_no_page_is_framed() -> None:
    for path in ("/", "/graphql"):
        headers = asked("GET", path)[0]["headers"]
        assert (b"x-frame-options", b"DENY") in headers
        assert (b"content-security-policy", b"frame-ancestors 'none'") in headers
