"""The Dagster UI as `genome ui` serves it, in a real browser: it works, and nobody else can use it."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest

from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.dagster_server import DagsterServer, environment, serving
from genome_pipeline_tests.support.pipelines import shop

_ASK = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"


def genome_ui(config: Path) -> AbstractContextManager[DagsterServer]:
    """`genome ui` on a free port, until it is left."""
    command = ["genome", "ui", "--config", str(config)]
    return serving(command, config.parent, environment(), config.with_name("ui.log"))


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterServer]:
    with genome_ui(shop(tmp_path_factory.mktemp("ui"))) as server:
        yield server


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
    tab.on("websocket", lambda opened: sockets.append(opened))  # noqa: PLW0108
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


_RUNS = "{ runsOrError(limit: 100) { ... on Runs { results { runId status } } } }"
_UNFINISHED = {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}


class Walker:
    """Somebody who clicks in the UI, and waits for what comes of it."""

    def __init__(self, browser: Any, server: DagsterServer) -> None:
        self.tab = browser.new_page(viewport={"width": 1600, "height": 1000})
        self.tab.set_default_timeout(180_000)
        self._server = server
        self._seen = {run_id for run_id, _ in self._runs()}

    def open(self, path: str) -> None:
        self.tab.goto(f"{self._server.address}{path}")

    def click(self, text: str) -> None:
        """Click the last button of this text: a dialog's comes after the page's."""
        self.tab.locator(f"button:has-text('{text}')").last.click()

    def choose(self, beside: str, text: str) -> None:
        """Choose in the menu whose arrow is beside a button."""
        self.tab.locator(f"button:has-text('{beside}')").first.wait_for()
        box = self.tab.locator(f"button:has-text('{beside}')").first.bounding_box()
        self.tab.mouse.click(box["x"] + box["width"] + 12, box["y"] + box["height"] / 2)
        self.tab.locator(f"text={text}").first.click()

    def refresh_last_month(self) -> None:
        self.open("/locations/genome_pipeline.definitions/jobs/refresh")
        self.click("Materialize all")
        self.tab.get_by_role("button", name="Latest").click()
        self.click("Launch")

    def publish(self) -> None:
        self.open("/assets/published_genome")
        self.click("Materialize")

    def cancel(self, run_id: str) -> None:
        self.open(f"/runs/{run_id}")
        self.click("Terminate")
        self.tab.locator("[class*=dialog] button:has-text('Terminate')").last.click()
        self._outcome(run_id)
        self.open(f"/runs/{run_id}")

    def started(self) -> str:
        """The id of the run that was asked for, when it has begun."""
        deadline = time.monotonic() + 300
        while not (new := [run_id for run_id, status in self._runs() if run_id not in self._seen]):
            assert time.monotonic() < deadline, "no run was launched"
            time.sleep(0.5)
        self._seen.update(new)
        return new[0]

    def ended(self) -> str:
        """How the run that was asked for ended; its page is open then."""
        run_id = self.started()
        status = self._outcome(run_id)
        self.open(f"/runs/{run_id}")
        return status

    def _outcome(self, run_id: str) -> str:
        deadline = time.monotonic() + 900
        while (status := dict(self._runs())[run_id]) in _UNFINISHED:
            assert time.monotonic() < deadline, status
            time.sleep(0.5)
        return status

    def _runs(self) -> list[tuple[str, str]]:
        return [(run["runId"], run["status"]) for run in self._server.ask(_RUNS)["runsOrError"]["results"]]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_whatever_is_clicked_nothing_refused_is_published(early_shop: Path, browser: Any, tmp_path: Path) -> None:
    settings = load_settings(early_shop)
    log = tmp_path / "log.csv"
    header, *lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = ["," + line.split(",", 1)[1] if line.split(",")[2].startswith("2020-07") else line for line in lines]
    log.write_text(header + "".join(lines), encoding="utf-8")
    published = settings.published_path.read_bytes()
    with genome_ui(early_shop) as server:
        walk = Walker(browser, server)
        walk.refresh_last_month()
        assert walk.ended() == "FAILURE"
        walk.publish()
        assert walk.ended() == "FAILURE"
        walk.tab.wait_for_selector("text=say force: true")
        walk.refresh_last_month()
        walk.cancel(walk.started())
        walk.choose("Re-execute", "From failure")
        assert walk.ended() == "FAILURE"
        walk.publish()
        assert walk.ended() == "FAILURE"
        assert settings.published_path.read_bytes() == published

        walk.open("/assets/published_genome")
        walk.choose("Materialize", "Open launchpad")
        walk.tab.wait_for_selector("text=force: false")
        walk.tab.mouse.click(600, 300)
        walk.tab.keyboard.press("Control+a")
        walk.tab.keyboard.insert_text("ops: {published_genome: {config: {force: true}}}")
        walk.click("Materialize")
        assert walk.ended() == "SUCCESS"
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        ((forced_past,),) = connection.execute(
            "SELECT arg_max(forced_past, published_at) FROM pipeline_runs"
        ).fetchall()
    assert forced_past.startswith("check quarantined_share of quarantined_transactions of 2020-07-01 failed")
