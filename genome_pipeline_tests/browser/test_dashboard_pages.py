"""The dashboard in a real browser: every page, no error, nothing asked of any other host, numbers equal to SQL."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from werkzeug.serving import make_server

from genome_pipeline.dashboard import formats
from genome_pipeline.dashboard.app import create_app
from genome_pipeline_tests.dashboard.published_file import ABSTAINED_ID, HOSTILE_ID, SNAPSHOTS, build_published_file

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATHS = (
    "/",
    "/segments",
    "/customer",
    "/customer?customer_id=C0010",
    f"/customer?customer_id={ABSTAINED_ID}",
    f"/customer?customer_id={quote(HOSTILE_ID)}",
    "/customer?customer_id=nobody",
    "/data-quality",
    f"/?as_of={SNAPSHOTS[0]}",
    f"/segments?as_of={SNAPSHOTS[0]}",
    "/?as_of=2031-01-01",
    "/nowhere",
)


@pytest.fixture(scope="module")
def published_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_published_file(tmp_path_factory.mktemp("published") / "genome.duckdb")


def _serve(path: Path) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, create_app(path).server, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def address(published_path: Path) -> Iterator[str]:
    yield from _serve(published_path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable, args=_CHROMIUM_ARGUMENTS)
        yield launched
        launched.close()


class _Watched:
    """A tab that remembers whatever went wrong in it."""

    def __init__(self, browser: Any, address: str, scheme: str = "light") -> None:
        self.address = address
        self.problems: list[str] = []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        if address.startswith("http"):
            self.context.add_cookies([{"name": "color_scheme", "value": scheme, "url": address}])
        self.tab = self.context.new_page()
        self.tab.on("console", lambda message: self._note(message.type in ("error", "warning"), message.text))
        self.tab.on("pageerror", lambda error: self._note(True, f"error: {error}"))
        self.tab.on("dialog", lambda dialog: self._note(True, f"dialog: {dialog.message}"))
        self.tab.on("requestfailed", lambda request: self._note(True, f"failed: {request.url}"))
        self.tab.on(
            "response", lambda response: self._note(response.status >= 400, f"{response.status} {response.url}")
        )
        self.tab.on(
            "request", lambda request: self._note(self._is_foreign(request.url), f"off loopback: {request.url}")
        )

    def _is_foreign(self, url: str) -> bool:
        return not url.startswith((self.address, "data:", "blob:"))

    def _note(self, is_problem: bool, text: str) -> None:
        if is_problem:
            self.problems.append(text)

    def open(self, path: str) -> None:
        self.tab.goto(self.address + path)
        self.tab.wait_for_selector("main .page, main .empty")
        self.tab.wait_for_load_state("networkidle")
        # A figure is drawn once its axes or its flow are there.
        self.tab.wait_for_function(
            "[...document.querySelectorAll('.js-plotly-plot')].every(plot => plot.querySelector('.main-svg'))"
        )

    def text(self, selector: str) -> str:
        return str(self.tab.inner_text(selector))

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def watched(browser: Any, address: str) -> Iterator[_Watched]:
    tab = _Watched(browser, address)
    yield tab
    tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_opens_without_error_or_outside_request(browser: Any, address: str, scheme: str) -> None:
    watched = _Watched(browser, address, scheme)
    for path in _PATHS:
        watched.open(path)
        assert watched.problems == [], path
    assert watched.tab.evaluate("document.documentElement.dataset.mantineColorScheme") == scheme
    watched.close()


def test_headline_numbers_equal_sql(watched: _Watched, published_path: Path) -> None:
    with duckdb.connect(str(published_path), read_only=True) as connection:
        row = connection.execute(
            """
            SELECT count(*), count(*) FILTER (recent_purchase_day_count > 0), sum(recent_spend_amount),
                sum(expected_spend), sum(revenue_at_stake_amount) FILTER (risk_band <> 'low'), avg(confidence)
            FROM customer_genome
            """
        ).fetchone()
    assert row is not None
    watched.open("/")
    shown = [
        watched.text(f"#kpi-{name}")
        for name in ("customers", "active", "recent-revenue", "expected-spend", "revenue-at-risk", "confidence")
    ]
    assert shown == [
        formats.integer(row[0]),
        formats.integer(row[1]),
        *[formats.compact_money(amount, "USD") for amount in row[2:5]],
        formats.decimal(row[5]),
    ]
    assert watched.text("#kpi-checks") == "4 of 5"


def test_a_card_shows_the_prediction_of_the_file(watched: _Watched, published_path: Path) -> None:
    with duckdb.connect(str(published_path), read_only=True) as connection:
        row = connection.execute(
            "SELECT expected_spend, churn_probability FROM customer_genome WHERE customer_id = 'C0010'"
        ).fetchone()
    assert row is not None
    watched.open("/customer?customer_id=C0010")
    assert watched.text("#card-expected_spend") == formats.money(row[0], "USD")
    assert watched.text("#card-churn_probability") == formats.percent(row[1])
    # What is said to add up to them does.
    assert watched.text("#why-expected_spend") == formats.money(row[0], "USD")
    assert watched.text("#why-churn_probability") == formats.percent(row[1])


def test_the_url_follows_every_choice_and_restores_it(watched: _Watched) -> None:
    watched.open("/")
    watched.tab.click("#snapshot")
    watched.tab.click("[role=option]:has-text('1 Nov 2017') >> nth=0")
    watched.tab.wait_for_url(f"**/?as_of={SNAPSHOTS[1]}")
    watched.tab.click(f"nav a[href='/customer?as_of={SNAPSHOTS[1]}']")
    watched.tab.wait_for_url(f"**/customer?as_of={SNAPSHOTS[1]}")
    watched.tab.wait_for_selector("#customer-search")
    watched.tab.fill("#customer-search", "c001")
    watched.tab.click("[role=option]:has-text('C0010')")
    watched.tab.wait_for_url(f"**/customer?as_of={SNAPSHOTS[1]}&customer_id=C0010")
    watched.tab.wait_for_selector("#customer-name")
    assert watched.text("#customer-name") == "C0010"
    watched.tab.click(".neighbors a >> nth=0")
    watched.tab.wait_for_function("document.querySelector('#customer-name')?.innerText === 'C0011'")
    watched.tab.go_back()
    watched.tab.wait_for_function("document.querySelector('#customer-name')?.innerText === 'C0010'")
    watched.tab.click("#snapshot")
    watched.tab.click("[role=option]:has-text('Latest')")
    watched.tab.wait_for_url("**/customer?customer_id=C0010")
    assert watched.problems == []


def test_the_colour_scheme_is_switched_and_remembered(watched: _Watched) -> None:
    watched.open("/")
    # The page is drawn again in the other colours.
    with watched.tab.expect_event("requestfinished", lambda request: "_dash-update-component" in request.url):
        watched.tab.click("#theme-toggle")
    watched.tab.wait_for_function("document.documentElement.dataset.mantineColorScheme === 'dark'")
    watched.open("/segments")
    assert watched.tab.evaluate("document.documentElement.dataset.mantineColorScheme") == "dark"
    assert watched.problems == []


def test_the_first_snapshot_is_shown_as_soon_as_it_is_published(
    browser: Any, tmp_path: Path, published_path: Path
) -> None:
    path = tmp_path / "genome.duckdb"
    for address in _serve(path):
        watched = _Watched(browser, address)
        watched.open("/")
        assert "Nothing has been published yet" in watched.text("main")
        shutil.copy(published_path, path)
        watched.open("/")
        assert watched.text("#kpi-customers") == "300"
        assert watched.problems == []
        watched.close()


def test_the_report_opens_from_disk_and_asks_for_nothing(browser: Any, tmp_path: Path, published_path: Path) -> None:
    from genome_pipeline.dashboard.report import write_report

    path = write_report(published_path, tmp_path / "report.html")
    watched = _Watched(browser, path.as_uri())
    watched.tab.goto(path.as_uri())
    watched.tab.wait_for_function(
        "[...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.querySelector('.main-svg')).length > 8"
    )
    assert watched.problems == []
    watched.close()
