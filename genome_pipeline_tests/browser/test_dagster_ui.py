"""The Dagster UI as `genome ui` serves it, in a real browser: it works, and nobody else can use it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from genome_pipeline_tests.dagster_server import BIN, DagsterServer, environment
from genome_pipeline_tests.pipelines import shop

_ASK = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterServer]:
    folder = tmp_path_factory.mktemp("ui")
    config = shop(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (folder / "ui.log").open("w")
    process = subprocess.Popen(
        [BIN / "genome", "ui", "--config", str(config), "--port", str(port)],
        cwd=folder,
        env=environment(),
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    server = DagsterServer(f"http://127.0.0.1:{port}", process.pid)
    try:
        deadline = time.monotonic() + 600
        while not _has_loaded(server):
            assert process.poll() is None, (folder / "ui.log").read_text()
            assert time.monotonic() < deadline, (folder / "ui.log").read_text()
            time.sleep(1)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def _has_loaded(server: DagsterServer) -> bool:
    try:
        return bool(server.ask(_ASK)["repositoriesOrError"].get("nodes"))
    except (urllib.error.URLError, ConnectionError):
        return False


def status(address: str, body: bytes | None = None, **headers: str) -> int:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, given), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_who_is_elsewhere_is_refused(ui: DagsterServer) -> None:
    asked = json.dumps({"query": _ASK}).encode()
    assert status(f"{ui.address}/graphql", asked, Content_Type="application/json") == 200
    assert status(f"{ui.address}/graphql?query={quote(_ASK)}") == 405
    assert status(f"{ui.address}/graphql", asked, Content_Type="application/json", Host="evil.example") == 400
    assert status(f"{ui.address}/graphql", asked, Content_Type="application/json", Origin="http://evil.example") == 403


@pytest.fixture
def elsewhere(ui: DagsterServer) -> Iterator[str]:
    """A page of another site, which tries to use the UI: by a request, a websocket and a frame."""
    page = f"""<!DOCTYPE html><title>waiting</title><iframe id="frame" src="{ui.address}/"></iframe><script>
        const found = {{}};
        const tell = (name, what) => {{ found[name] = what; if (Object.keys(found).length === 2)
            document.title = JSON.stringify(found); }};
        fetch("{ui.address}/graphql", {{method: "POST", mode: "no-cors", headers: {{"Content-Type": "text/plain"}},
            body: "{{}}"}}).then(() => tell("request", "sent"), () => tell("request", "failed"));
        const socket = new WebSocket("{ui.address.replace("http", "ws")}/graphql", "graphql-ws");
        socket.onopen = () => tell("socket", "open");
        socket.onerror = () => tell("socket", "refused");
        </script>""".encode()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_it_works_in_a_browser_and_another_site_cannot_use_it(
    ui: DagsterServer, browser: Any, elsewhere: str, tmp_path: Path
) -> None:
    tab = browser.new_page()
    tab.set_default_timeout(180_000)
    sockets: list[Any] = []
    refused: list[str] = []
    tab.on("websocket", sockets.append)
    tab.on("response", lambda response: refused.append(response.url) if response.status in (400, 403, 405) else None)
    tab.goto(f"{ui.address}/asset-groups")
    tab.wait_for_selector("text=Global asset lineage")
    tab.goto(f"{ui.address}/runs")
    deadline = time.monotonic() + 120
    while not sockets and time.monotonic() < deadline:
        tab.wait_for_timeout(500)
    assert sockets, "no subscription was opened"
    tab.wait_for_timeout(2000)
    assert not sockets[0].is_closed()
    assert refused == []
    tab.screenshot(path=tmp_path / "ui.png")

    tab.goto(elsewhere)
    tab.wait_for_function("document.title !== 'waiting'")
    assert json.loads(tab.title())["socket"] == "refused"
    assert f"{ui.address}/graphql" in refused
    framed = tab.frames[1]
    assert "customer" not in (framed.content() if framed.url.startswith(ui.address) else "")
    tab.close()
