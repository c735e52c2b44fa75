"""The dashboard in a real browser: every page, no error, nothing asked of any other host, numbers equal to SQL."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.security import Access
from genome_pipeline_tests.browser.watched import Watched, serve
from genome_pipeline_tests.support.published_file import (
    ABSTAINED_ID,
    HOSTILE_ID,
    PROVEN_EXPERIMENT,
    RUNNING_EXPERIMENT,
    SNAPSHOTS,
    build_published_file,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_PATHS = (
    "/",
    "/segments",
    f"/segments?since={SNAPSHOTS[0]}&gene=t_days",
    "/cohorts",
    f"/cohorts?cohort=2017-03-01&as_of={SNAPSHOTS[0]}",
    "/value",
    "/risk",
    "/risk?cutoff=20&by=segment_name",
    "/confidence",
    "/confidence?target=orders",
    "/data-quality?reason=missing_customer&baseline=training",
    f"/value?as_of={SNAPSHOTS[0]}",
    f"/risk?as_of={SNAPSHOTS[0]}",
    f"/confidence?as_of={SNAPSHOTS[0]}",
    "/customer",
    "/customer?customer_id=C0010",
    f"/customer?customer_id={ABSTAINED_ID}",
    f"/customer?customer_id={quote(HOSTILE_ID)}",
    "/customer?customer_id=nobody",
    "/similar",
    f"/similar?id=C0010&id={quote(HOSTILE_ID)}",
    "/audience",
    f"/audience?where=customer_id:eq:{quote(HOSTILE_ID)}&where=nothing:eq:1",
    "/audience?rule=activate",
    "/audience?rule=left_alone",
    "/proof",
    f"/proof?experiment={PROVEN_EXPERIMENT}",
    f"/proof?as_of={SNAPSHOTS[0]}",
    "/data-quality",
    f"/?as_of={SNAPSHOTS[0]}",
    f"/segments?as_of={SNAPSHOTS[0]}",
    "/?as_of=2031-01-01",
    "/nowhere",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_opens_without_error_or_outside_request(browser: Any, address: str, scheme: str) -> None:
    watched = Watched(browser, address, scheme)
    for path in _PATHS:
        watched.open(path)
        assert watched.problems == [], path
    assert watched.tab.evaluate("document.documentElement.dataset.mantineColorScheme") == scheme
    watched.close()


def test_headline_numbers_equal_sql(watched: Watched, published_path: Path) -> None:
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


def test_a_card_shows_the_prediction_of_the_file(watched: Watched, published_path: Path) -> None:
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_pages_of_results(browser: Any, address: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    watched = Watched(browser, address, scheme)
    found = []
    for path in _PATHS:
        watched.open(path)
        # A grid draws its cells once it has been in view.
        for grid in watched.tab.locator(".ag-root-wrapper").all():
            grid.scroll_into_view_if_needed()
            grid.locator(".ag-header-cell").first.wait_for(state="visible")
        violations = axe.run(watched.tab).response["violations"]
        found += [
            f"{path}: {violation['id']}: {violation['nodes'][0]['html'][:200]}"
            for violation in violations
            if violation["impact"] in ("serious", "critical")
        ]
    watched.close()
    assert found == []


def _one(path: Path, query: str, *values: Any) -> tuple[Any, ...]:
    with duckdb.connect(str(path), read_only=True) as connection:
        row = connection.execute(query, list(values)).fetchone()
    assert row is not None
    return row


def test_value_equals_sql(watched: Watched, published_path: Path) -> None:
    total, top = _one(
        published_path,
        "SELECT sum(expected_spend), sum(expected_spend) FILTER"
        " (expected_spend > (SELECT quantile_disc(expected_spend, 0.9) FROM customer_genome)) FROM customer_genome",
    )
    watched.open("/value")
    assert watched.text("#kpi-expected-spend") == formats.compact_money(total, "USD")
    assert watched.text("#kpi-top-tenth-share") == formats.percent(top / total)
    assert watched.problems == []


def test_risk_equals_sql_at_every_cutoff_and_links_to_the_audience(watched: Watched, published_path: Path) -> None:
    watched.open("/risk?cutoff=30")
    # The slider moves by keyboard, keeps the focus, and the link follows it.
    watched.tab.focus("[role=slider]")
    watched.tab.keyboard.press("ArrowRight")
    watched.tab.wait_for_url("**/risk?cutoff=31")
    watched.tab.wait_for_selector("h2:text('at least 31%')")
    watched.tab.wait_for_function("document.activeElement.getAttribute('role') === 'slider'")
    count, loss = _one(
        published_path,
        "SELECT count(*), sum(revenue_at_stake_amount) FROM customer_genome WHERE churn_probability >= 0.31",
    )
    precision, recall = _one(
        published_path,
        "SELECT avg(has_churned::INT) FILTER (churn_probability >= 0.31), count(*) FILTER"
        " (has_churned AND churn_probability >= 0.31) / count(*) FILTER (has_churned)"
        " FROM prediction_outcomes WHERE churn_probability IS NOT NULL",
    )
    shown = [watched.text(f"#kpi-cutoff-{name}") for name in ("customers", "loss", "precision", "recall")]
    assert shown == [
        formats.integer(count),
        formats.compact_money(loss, "USD"),
        formats.percent(precision),
        formats.percent(recall),
    ]
    assert watched.tab.get_attribute("#to-audience", "href") == "/audience?where=churn_probability%3Age%3A0.31"
    watched.tab.go_back()
    watched.tab.wait_for_selector("h2:text('at least 30%')")
    assert watched.problems == []


def test_confidence_equals_sql(watched: Watched, published_path: Path) -> None:
    confidence, coverage = _one(
        published_path,
        "SELECT (SELECT avg(confidence) FROM customer_genome), metric_value FROM model_performance"
        " WHERE target = 'orders' AND metric = 'coverage' AND slice_name = 'all' AND predictor = 'model'",
    )
    watched.open("/confidence")
    assert watched.text("#kpi-mean-confidence") == formats.decimal(confidence)
    assert watched.text("#kpi-coverage-orders") == formats.percent(coverage)


def test_a_choice_stands_in_the_url_and_is_restored(watched: Watched) -> None:
    watched.open("/segments")
    # In the middle of the window, where a list has room to open.
    watched.tab.locator("input[id*=since]").evaluate("chooser => chooser.scrollIntoView({block: 'center'})")
    watched.tab.click("input[id*=since]")
    watched.tab.click("[role=option]:visible:has-text('1 Oct 2017')")
    watched.tab.wait_for_url(f"**/segments?since={SNAPSHOTS[0]}")
    watched.tab.wait_for_selector("h2:text('Where customers moved since 1 Oct 2017')")
    watched.open(f"/segments?gene=t_days&since={SNAPSHOTS[1]}")
    assert watched.tab.input_value("input[id*=gene]") == "Customer age"
    assert watched.tab.is_visible("h2:text('Where customers moved since 1 Nov 2017')")
    assert watched.problems == []


def test_an_experiment_is_chosen_by_keyboard_from_the_audience_it_tests_on(watched: Watched) -> None:
    watched.open("/audience?rule=activate")
    watched.tab.focus(f"a[href='/proof?experiment={RUNNING_EXPERIMENT}']")
    watched.tab.keyboard.press("Enter")
    watched.tab.wait_for_selector(f"h2:text-is('Experiment {RUNNING_EXPERIMENT}')")
    watched.tab.focus(f".experiments a[href='/proof?experiment={PROVEN_EXPERIMENT}']")
    watched.tab.keyboard.press("Enter")
    watched.tab.wait_for_url(f"**/proof?experiment={PROVEN_EXPERIMENT}")
    watched.tab.wait_for_selector(f"h2:text-is('Experiment {PROVEN_EXPERIMENT}')")
    # A command is selected whole, to be copied.
    watched.tab.click(".experiment .command")
    selected = watched.tab.evaluate("getSelection().toString()")
    assert selected == f"genome experiment show {PROVEN_EXPERIMENT} --to treated.csv"
    assert watched.problems == []


def test_the_data_of_a_chart_opens_as_a_table_and_is_saved_as_csv(watched: Watched, published_path: Path) -> None:
    watched.open("/segments")
    chart = watched.tab.locator(".panel:has(h2:text-is('Share of customers beside share of spend'))")
    chart.locator("summary").click()
    chart.locator("tbody tr").first.wait_for()
    with duckdb.connect(str(published_path), read_only=True) as connection:
        rows = connection.execute(
            "SELECT segment_name, customer_count FROM segment_profiles ORDER BY spend_share DESC"
        ).fetchall()
    cells = [row.locator("td").all_inner_texts()[:2] for row in chart.locator("tbody tr").all()]
    assert cells == [[name, formats.integer(count)] for name, count in rows]
    with watched.tab.expect_download() as download:
        chart.locator(".chart-csv").click()
    assert download.value.suggested_filename == "share-of-customers-beside-share-of-spend.csv"
    saved = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:2] for line in saved[1:]] == [[name, str(count)] for name, count in rows]
    assert watched.problems == []


def test_the_url_follows_every_choice_and_restores_it(watched: Watched) -> None:
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
    watched.wait_for("document.querySelector('#customer-name')?.innerText === 'C0011'")
    watched.tab.go_back()
    watched.wait_for("document.querySelector('#customer-name')?.innerText === 'C0010'")
    watched.tab.click("#snapshot")
    watched.tab.click("[role=option]:has-text('Latest')")
    watched.tab.wait_for_url("**/customer?customer_id=C0010")
    assert watched.problems == []


def test_the_colour_scheme_is_switched_and_remembered(watched: Watched) -> None:
    watched.open("/")
    # The page is drawn again in the other colours.
    with watched.tab.expect_event("requestfinished", lambda request: "_dash-update-component" in request.url):
        watched.tab.click("#theme-toggle")
    watched.wait_for("document.documentElement.dataset.mantineColorScheme === 'dark'")
    watched.open("/segments")
    assert watched.tab.evaluate("document.documentElement.dataset.mantineColorScheme") == "dark"
    assert watched.problems == []


def test_the_first_snapshot_is_shown_as_soon_as_it_is_published(
    browser: Any, tmp_path: Path, published_path: Path
) -> None:
    path = tmp_path / "genome.duckdb"
    for address in serve(path):
        watched = Watched(browser, address)
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
    watched = Watched(browser, path.as_uri())
    watched.tab.goto(path.as_uri())
    watched.wait_for(
        "[...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.querySelector('.main-svg')).length > 8"
    )
    assert watched.problems == []
    watched.close()


def _grid_ids(watched: Watched) -> list[str]:
    watched.tab.wait_for_selector("#audience-grid .ag-pinned-left-cols-container .customer-link")
    cells = watched.tab.query_selector_all("#audience-grid .ag-pinned-left-cols-container .ag-row")
    by_row = {int(cell.get_attribute("row-index")): cell.inner_text() for cell in cells}
    return [by_row[row] for row in sorted(by_row)]


def _wait_for_first(watched: Watched, customer_id: str) -> None:
    watched.wait_for(
        "id => document.querySelector('#audience-grid .ag-pinned-left-cols-container [row-index=\"0\"]')?.innerText"
        " === id",
        arg=customer_id,
    )


def test_who_is_about_to_buy_a_category_takes_two_clicks(watched: Watched, published_path: Path) -> None:
    with duckdb.connect(str(published_path), read_only=True) as connection:
        expected = connection.execute(
            "SELECT customer_id, category_probability FROM customer_next_category WHERE category = '<b>PASTRY</b>'"
            " ORDER BY round(category_probability, 6) DESC NULLS LAST, customer_id"
        ).fetchall()
    watched.open("/audience?sort=spend_amount:asc&columns=customer_id,spend_amount")
    watched.tab.click("#audience-buys")
    watched.tab.click("[role=option] >> text=PASTRY")
    watched.tab.wait_for_url("**/audience?buys=%3Cb%3EPASTRY%3C%2Fb%3E")
    watched.wait_for("n => document.querySelector('#audience-count').innerText === n", arg=str(len(expected)))
    watched.tab.wait_for_selector("#audience-grid [row-index='0'] [col-id=category_probability] >> text=%")
    first = watched.text("#audience-grid .ag-pinned-left-cols-container [row-index='0']")
    assert first == expected[0][0]
    watched.tab.click("#audience-chips .chip")
    watched.tab.wait_for_url("**/audience")
    assert watched.problems == []


def test_an_audience_is_chosen_sorted_kept_and_exported(watched: Watched, published_path: Path) -> None:
    with duckdb.connect(str(published_path), read_only=True) as connection:
        risky = "FROM customer_genome WHERE churn_probability >= 0.5"
        by_stake = connection.execute(
            f"SELECT customer_id {risky} ORDER BY revenue_at_stake_amount DESC NULLS LAST, customer_id"
        ).fetchall()
        by_spend = connection.execute(f"SELECT customer_id {risky} ORDER BY spend_amount DESC, customer_id").fetchall()
    watched.open("/audience?columns=customer_id,spend_amount,churn_probability")
    watched.tab.fill("#audience-filter-value", "0.5")
    watched.tab.click("#audience-filter-add")
    watched.tab.wait_for_url("**/audience?*where=churn_probability%3Age%3A0.5")
    _wait_for_first(watched, by_stake[0][0])
    assert watched.text("#audience-count") == str(len(by_stake))
    shown = _grid_ids(watched)
    assert shown == [row[0] for row in by_stake[: len(shown)]]
    watched.tab.click("#audience-grid .ag-header-cell[col-id=spend_amount]")
    watched.tab.wait_for_url("**/audience?*sort=spend_amount%3Adesc")
    _wait_for_first(watched, by_spend[0][0])
    watched.tab.wait_for_selector(".exports a[href*='sort=spend_amount']")
    watched.tab.fill("#audience-top", "10")
    watched.tab.press("#audience-top", "Tab")
    watched.wait_for("n => document.querySelector('#audience-count').innerText === n", arg=str(-(-len(by_spend) // 10)))
    watched.tab.fill("#audience-view-name", "worth a call")
    watched.tab.click("#audience-view-save")
    link = watched.tab.url.removeprefix(watched.address)
    with watched.tab.expect_download() as download:
        watched.tab.click("text=Export CSV")
    lines = [line for line in download.value.path().read_text().splitlines() if not line.startswith("# ")]
    expected = [row[0] for row in by_spend[: -(-len(by_spend) // 10)]]
    assert [line.split(",")[0].strip('"') for line in lines[1:]] == expected
    # The link restores it, and so does the view that was kept.
    watched.open(link)
    assert _grid_ids(watched) == expected
    watched.open("/audience")
    watched.tab.click("#audience-view-choice")
    watched.tab.get_by_role("option", name="worth a call", exact=True).click()
    watched.wait_for("n => document.querySelector('#audience-count').innerText === n", arg=str(len(expected)))
    watched.tab.click("#audience-grid .customer-link >> nth=0")
    watched.tab.wait_for_selector("#customer-name")
    assert watched.text("#customer-name") == expected[0]
    watched.tab.go_back()
    _wait_for_first(watched, expected[0])
    assert watched.problems == []


def test_a_saved_view_keeps_no_customer(watched: Watched) -> None:
    watched.open("/audience?where=customer_id%3Aeq%3Asomebody&where=spend_amount%3Age%3A1")
    watched.tab.fill("#audience-view-name", "big spenders")
    watched.tab.click("#audience-view-save")
    watched.wait_for("() => (localStorage.getItem('saved-views') || '').includes('spend_amount')")
    assert "somebody" not in watched.tab.evaluate("localStorage.getItem('saved-views')")


def test_the_grid_fetches_what_is_scrolled_to(watched: Watched, published_path: Path) -> None:
    with duckdb.connect(str(published_path), read_only=True) as connection:
        last = connection.execute("SELECT max(customer_id) FROM customer_genome").fetchone()
    assert last is not None
    watched.open("/audience?sort=customer_id:asc")
    watched.tab.wait_for_selector("#audience-grid .customer-link")
    watched.tab.evaluate("document.querySelector('#audience-grid .ag-body-viewport').scrollTop = 1e6")
    watched.tab.wait_for_selector(f"#audience-grid .customer-link >> text='{last[0]}'")
    assert watched.problems == []


def test_ids_that_are_pasted_find_their_lookalikes(watched: Watched) -> None:
    watched.open("/similar")
    watched.tab.fill("#similar-ids", f"C0010\n C0011 \n\n{HOSTILE_ID}")
    watched.tab.click("#similar-find")
    watched.tab.wait_for_selector(".lookalikes tbody tr")
    assert len(watched.tab.query_selector_all(".lookalikes tbody tr")) == 20
    assert watched.text(".side-by-side thead").split() == ["C0010", "C0011", HOSTILE_ID]
    watched.tab.reload()
    watched.tab.wait_for_selector(".lookalikes tbody tr")
    assert watched.tab.input_value("#similar-ids") == f"C0010\nC0011\n{HOSTILE_ID}"
    assert watched.problems == []


def test_a_publish_during_the_session_is_announced_and_shown(
    browser: Any, tmp_path: Path, published_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genome_pipeline.dashboard.shell.frame._WATCH_MILLISECONDS", 1_000)
    path = build_published_file(tmp_path / "genome.duckdb", customer_count=200, as_of=SNAPSHOTS[2])
    for address in serve(path):
        watched = Watched(browser, address)
        watched.open("/")
        assert watched.text("#kpi-customers") == "200"
        assert not watched.tab.is_visible("#publish-notice")
        shutil.copy(published_path, tmp_path / "newer.duckdb")
        os.replace(tmp_path / "newer.duckdb", path)
        watched.tab.click("#show-publish")
        watched.wait_for("document.querySelector('#kpi-customers').innerText === '300'")
        watched.tab.wait_for_selector("#publish-notice", state="hidden")
        assert watched.problems == []
        watched.close()


def test_a_password_opens_the_dashboard(browser: Any, published_path: Path) -> None:
    for address in serve(published_path, Access(password="correct horse battery")):
        watched = Watched(browser, address)
        watched.tab.goto(f"{address}/segments")
        watched.tab.fill("#secret", "correct horse battery")
        watched.tab.click("button")
        watched.tab.wait_for_selector("main .page")
        assert watched.text("h1") == "Segments"
        assert watched.problems == []
        watched.tab.wait_for_selector("#page h1")
        watched.tab.get_by_role("button", name="Log out").click()
        watched.tab.wait_for_selector("#secret")
        assert watched.problems == []
        watched.close()


def test_a_session_that_has_ended_leads_to_the_login_and_back(browser: Any, published_path: Path) -> None:
    for address in serve(published_path, Access(password="correct horse battery")):
        watched = Watched(browser, address)
        watched.tab.goto(f"{address}/segments")
        watched.tab.fill("#secret", "correct horse battery")
        watched.tab.click("button")
        watched.tab.wait_for_selector("#page h1")
        watched.context.clear_cookies()
        watched.tab.click("nav a[href='/risk']")
        watched.tab.wait_for_selector("#secret")
        watched.tab.fill("#secret", "correct horse battery")
        watched.tab.click("button")
        watched.tab.wait_for_selector("#page h1")
        assert watched.text("#page h1") == "Risk"
        watched.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, address: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    watched = Watched(browser, address, scheme)
    for path in ("/customer?customer_id=C0010", "/similar?id=C0010&id=C0011", "/audience?rule=win_back", "/audience"):
        watched.open(path)
        if path.startswith("/audience"):
            watched.tab.wait_for_selector("#audience-grid .ag-row")
        found = axe.Axe().run(watched.tab).response["violations"]
        serious = [
            (violation["id"], [node["html"][:160] for node in violation["nodes"]])
            for violation in found
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == [], path
    watched.close()
