"""Every page walked in a real browser, on a small file and on the demo's: what is shown and saved equals plain SQL."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import duckdb
import pyarrow.parquet as pq
import pytest

from genome_pipeline.dashboard.app import PAGES
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.published.reader import LATEST_CHECKS
from genome_pipeline_tests.browser.watched import Watched, serve
from genome_pipeline_tests.support.published_file import SNAPSHOTS, build_published_file

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LATEST = "(SELECT max(as_of) FROM customer_genome_history)"
PREVIOUS = f"(SELECT max(as_of) FROM customer_genome_history WHERE as_of < {LATEST})"
MATURED = f"(SELECT max(as_of) FROM model_performance_history WHERE matured_as_of <= {LATEST})"


@pytest.fixture(scope="module")
def sql(walked_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(walked_path), read_only=True) as connection:
        yield connection


def _rows(sql: duckdb.DuckDBPyConnection, query: str, *values: Any) -> list[tuple[Any, ...]]:
    return sql.execute(query, list(values)).fetchall()


def _saved(walk: Watched, title: str) -> list[list[str]]:
    """The rows that a chart saves as CSV."""
    panel = walk.tab.locator(".panel").filter(has=walk.tab.locator("h2").get_by_text(title))
    with walk.tab.expect_download() as download:
        panel.locator(".chart-csv").click()
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def _shown(walk: Watched, panel: str) -> list[list[str]]:
    """The cells of the table of a panel, in the order of the page."""
    table = walk.tab.locator(f"{panel} table")
    return [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]


def _agree(saved: list[list[str]], expected: list[tuple[Any, ...]]) -> None:
    """Texts and whole numbers are the same, other numbers as far as they are written."""
    assert len(expected) > 0
    assert len(saved) == len(expected)
    for cells, row in zip(saved, expected, strict=True):
        for cell, value in zip(cells, row, strict=True):
            if value is None:
                assert cell == ""
            elif isinstance(value, str | date):
                assert cell == str(value)
            else:
                assert float(cell) == pytest.approx(float(value), rel=1e-9)


def _currency(sql: duckdb.DuckDBPyConnection) -> str:
    return str(
        _rows(sql, "SELECT parameters ->> 'currency' FROM pipeline_runs ORDER BY published_at DESC LIMIT 1")[0][0]
    )


def _top_customer(sql: duckdb.DuckDBPyConnection) -> str:
    query = (
        "SELECT customer_id FROM customer_genome ORDER BY revenue_at_stake_amount DESC NULLS LAST, customer_id LIMIT 1"
    )
    return str(_rows(sql, query)[0][0])


def test_overview(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    walk.open("/")
    (facts,) = _rows(
        sql,
        "SELECT count(*), count(*) FILTER (recent_purchase_day_count > 0), sum(recent_spend_amount),"
        " sum(expected_spend), sum(revenue_at_stake_amount) FILTER (risk_band IN ('medium', 'high')),"
        " avg(confidence) FROM customer_genome",
    )
    names = ("customers", "active", "recent-revenue", "expected-spend", "revenue-at-risk", "confidence")
    assert [walk.text(f"#kpi-{name}") for name in names] == [
        *(formats.integer(count) for count in facts[:2]),
        *(formats.compact_money(amount, _currency(sql)) for amount in facts[2:5]),
        formats.decimal(facts[5]),
    ]
    moved = [row[1:] for row in _shown(walk, ".moved") if row[0] == "segment"]
    expected = _rows(
        sql,
        f"""
        SELECT coalesce(arg_max(segment_name, as_of) FILTER (as_of = {LATEST}), max(segment_name)),
            count(*) FILTER (as_of = {PREVIOUS}) AS before, count(*) FILTER (as_of = {LATEST}) AS now
        FROM customer_genome_history WHERE as_of IN ({LATEST}, {PREVIOUS}) GROUP BY segment_id HAVING before <> now
        ORDER BY abs(now - before) DESC, segment_id LIMIT 4
        """,
    )
    assert moved == [
        [name, formats.integer(before), formats.integer(now), f"{now - before:+,d}".replace("-", formats.MINUS)]
        for name, before, now in expected
    ]
    _agree(
        [row[:4] for row in _saved(walk, "Segment mix over time")],
        _rows(
            sql,
            "SELECT as_of, segment_id, any_value(segment_name), count(*) FROM customer_genome_history"
            " GROUP BY as_of, segment_id ORDER BY as_of, segment_id",
        ),
    )
    _agree(
        _saved(walk, "Customers known and active at each snapshot"),
        _rows(
            sql,
            "SELECT as_of, count(*), count(*) FILTER (recent_purchase_day_count > 0) FROM customer_genome_history"
            " GROUP BY as_of ORDER BY as_of",
        ),
    )


def test_segments(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    (since,) = _rows(sql, "SELECT min(as_of)::VARCHAR FROM customer_genome_history")[0]
    walk.open(f"/segments?since={since}&gene=order_count")
    # A gene that cannot be chosen is as if none had been; the other choice stands.
    assert walk.tab.input_value("input[id*=gene]") == "Spend so far"
    expected = _rows(
        sql,
        "SELECT segment_id, any_value(segment_name), count(*), sum(expected_spend), avg(churn_probability),"
        " avg(confidence) FROM customer_genome GROUP BY segment_id",
    )
    currency = _currency(sql)
    assert sorted((row[0], row[1], *row[5:]) for row in _shown(walk, ".segment-table")) == sorted(
        (
            f"{number} · {name}",
            formats.integer(count),
            formats.money(spend, currency),
            formats.percent(churn),
            formats.decimal(confidence),
        )
        for number, name, count, spend, churn, confidence in expected
    )
    _agree(
        sorted(row[:5] for row in _saved(walk, "Where customers moved since")),
        sorted(
            _rows(
                sql,
                f"""
                SELECT coalesce(earlier.segment_id, 0)::VARCHAR, coalesce(any_value(earlier.segment_name),
                    'New customers'), later.segment_id::VARCHAR, any_value(later.segment_name), count(*)
                FROM customer_genome AS later
                LEFT JOIN customer_genome_history AS earlier
                    ON earlier.customer_id = later.customer_id AND earlier.as_of = '{since}'
                GROUP BY earlier.segment_id, later.segment_id
                """,
            )
        ),
    )
    walk.open("/segments?gene=t_days")
    assert walk.tab.input_value("input[id*=gene]") == "Customer age"
    levels = ", ".join(f"quantile_cont(t_days::DOUBLE, {level})" for level in (0.05, 0.25, 0.5, 0.75, 0.95))
    _agree(
        _saved(walk, "Customer age: how it is spread in each segment"),
        _rows(
            sql,
            f"SELECT segment_id, any_value(segment_name), count(t_days), {levels} FROM customer_genome"
            " GROUP BY segment_id ORDER BY segment_id",
        ),
    )


def test_value(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    walk.open("/value")
    ((total,),) = _rows(sql, "SELECT sum(expected_spend) FROM customer_genome")
    assert walk.text("#kpi-expected-spend") == formats.compact_money(total, _currency(sql))
    tenths = [list(map(float, row)) for row in _saved(walk, "Who was expected to bring the value")]
    assert [row[0] for row in tenths] == [float(tenth) for tenth in range(10, 0, -1)]
    (sums,) = _rows(
        sql,
        f"SELECT count(*), sum(expected_spend), sum(naive_expected_spend), sum(actual_spend)"
        f" FROM prediction_outcomes_history WHERE as_of = {MATURED} AND expected_spend IS NOT NULL",
    )
    assert [sum(column) for column in zip(*tenths, strict=True)][1:] == pytest.approx([float(value) for value in sums])
    drivers = _saved(walk, "What moves expected spend most")
    _agree(
        [row[1:] for row in drivers],
        _rows(
            sql,
            """
            SELECT sum(abs(contribution)) / everyone, count(*) FILTER (contribution > 0) / everyone,
                count(*) FILTER (contribution < 0) / everyone
            FROM customer_drivers, (SELECT count(DISTINCT customer_id) AS everyone FROM customer_drivers
                WHERE prediction = 'expected_spend')
            WHERE prediction = 'expected_spend' AND driver <> 'average_customer'
            GROUP BY driver, everyone ORDER BY 1 DESC, driver
            """,
        ),
    )


def test_risk(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    walk.open("/risk?cutoff=40&by=segment_name")
    assert walk.tab.get_attribute("[role=slider]", "aria-valuenow") == "40"
    assert walk.tab.input_value("input[id*='\"by\"']") == "Segment"
    (now,) = _rows(
        sql, "SELECT count(*), sum(revenue_at_stake_amount) FROM customer_genome WHERE churn_probability >= 0.4"
    )
    (then,) = _rows(
        sql,
        "SELECT avg(has_churned::INT) FILTER (churn_probability >= 0.4), count(*) FILTER"
        " (has_churned AND churn_probability >= 0.4) / count(*) FILTER (has_churned)"
        f" FROM prediction_outcomes_history WHERE as_of = {MATURED} AND churn_probability IS NOT NULL",
    )
    assert [walk.text(f"#kpi-cutoff-{name}") for name in ("customers", "loss", "precision", "recall")] == [
        formats.integer(now[0]),
        formats.compact_money(now[1], _currency(sql)),
        *(formats.percent(share) for share in then),
    ]
    stacked = _saved(walk, "Customers by churn probability")
    counted: dict[str, int] = {}
    for _, name, count, _ in stacked:
        counted[name] = counted.get(name, 0) + int(count)
    assert counted == dict(
        _rows(
            sql,
            "SELECT segment_name, count(*) FROM customer_genome WHERE churn_probability IS NOT NULL GROUP BY 1",
        )
    )
    walk.tab.click("#to-audience")
    walk.tab.wait_for_selector("#audience-count")
    assert walk.text("#audience-count") == formats.integer(now[0])


def test_customer(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    customer_id, currency = _top_customer(sql), _currency(sql)
    walk.open(f"/customer?customer_id={quote(customer_id)}")
    (genome,) = _rows(
        sql,
        "SELECT expected_spend, expected_orders, churn_probability, confidence, confidence_band, action, segment_name"
        " FROM customer_genome WHERE customer_id = ?",
        customer_id,
    )
    assert walk.text("#card-expected_spend") == walk.text("#why-expected_spend") == formats.money(genome[0], currency)
    assert walk.text("#card-expected_orders") == formats.decimal(genome[1])
    assert walk.text("#card-churn_probability") == walk.text("#why-churn_probability") == formats.percent(genome[2])
    assert walk.tab.is_visible(f"h2:text-is('Confidence {formats.decimal(genome[3])}: {genome[4]}')")
    assert genome[5] in walk.text(".notice-action:not(.publish-notice)")
    assert genome[6] in walk.text(".identity")
    for panel, query in (
        (".neighbors", "SELECT neighbor_customer_id, similarity FROM customer_neighbors"),
        (".matured-neighbors", "SELECT neighbor_customer_id, similarity FROM matured_neighbors"),
    ):
        found = _rows(sql, f"{query} WHERE customer_id = ? ORDER BY neighbor_rank", customer_id)
        assert [row[1:3] for row in _shown(walk, panel)] == [
            [neighbor, formats.decimal(similarity, 3)] for neighbor, similarity in found
        ]
    _agree(
        _saved(walk, "Purchases by"),
        # A month without a line is a bar of nothing.
        _rows(
            sql,
            "WITH own AS (SELECT * FROM customer_activity WHERE customer_id = ?),"
            " months AS (SELECT DISTINCT period_start_date FROM customer_activity"
            " WHERE period_start_date >= (SELECT min(period_start_date) FROM own))"
            " SELECT period_start_date, coalesce(purchase_day_count, 0), coalesce(order_count, 0),"
            " coalesce(gross_amount, 0), coalesce(return_amount, 0) FROM months LEFT JOIN own USING (period_start_date)"
            " ORDER BY period_start_date",
            customer_id,
        ),
    )


def test_proof(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    walk.open("/proof")
    experiments = _rows(
        sql,
        "SELECT experiment_id, outcome_name, verdict, effect, treated_count, control_count FROM experiment_verdicts"
        " JOIN (SELECT experiment_id, started_at FROM experiments) USING (experiment_id)"
        " ORDER BY as_of DESC, started_at DESC, experiment_id",
    )
    if not experiments:
        assert "genome experiment plan RULE" in walk.text("main")
        return
    shown = _shown(walk, ".experiments")
    assert [row[0].split("\n")[0] for row in shown] == [row[0] for row in experiments]
    assert [row[1].split(" ", 1)[1] for row in shown] == [row[2] for row in experiments]
    assert [row[6] for row in shown] == [
        f"{formats.integer(treated)} treated\n{formats.integer(controls)} left alone"
        for *_, treated, controls in experiments
    ]
    for outcome, times in (("orders", 100), ("spend", 1)):
        expected = [
            (name, times * effect)
            for name, about, _, effect, *_ in experiments
            if about == outcome and effect is not None
        ]
        if expected:
            _agree([[row[0], row[2]] for row in _saved(walk, f"What acting brought: {outcome}")], expected)
    name = experiments[-1][0]
    walk.tab.click(f".experiments a:text-is('{name}')")
    walk.tab.wait_for_selector(f"h2:text-is('Experiment {name}')")
    looks = _rows(
        sql,
        "SELECT as_of, effect * 100, effect_lower * 100, effect_upper * 100 FROM experiment_results_history"
        " WHERE experiment_id = ? AND outcome_name = 'orders' ORDER BY as_of",
        name,
    )
    _agree([row[1:5] for row in _saved(walk, "Orders, look by look")], looks)


def test_similar(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    ids = [
        row[0]
        for row in _rows(
            sql, "SELECT customer_id FROM customer_genome WHERE expected_spend > 0 ORDER BY customer_id LIMIT 3"
        )
    ]
    walk.open("/similar?" + urlencode([("id", customer_id) for customer_id in ids]))
    assert walk.tab.input_value("#similar-ids") == "\n".join(ids)
    shown = {row[0]: row[1:] for row in _shown(walk, ".side-by-side")}
    for name, column, written in (
        ("Expected spend", "expected_spend", lambda value: formats.money(value, _currency(sql))),
        ("Churn probability", "churn_probability", formats.percent),
        ("Orders", "order_count", formats.integer),
    ):
        found = _rows(
            sql, f"SELECT {column} FROM customer_genome WHERE customer_id IN (?, ?, ?) ORDER BY customer_id", *ids
        )
        assert shown[name] == [written(value) for (value,) in found]
    alike = _shown(walk, ".lookalikes")
    assert len(alike) == 20
    assert not {row[0] for row in alike} & set(ids)
    expected = dict(_rows(sql, "SELECT customer_id, expected_spend FROM customer_genome"))
    assert [row[3] for row in alike] == [formats.money(expected[row[0]], _currency(sql)) for row in alike]


def test_confidence(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    walk.open("/confidence?target=orders")
    assert walk.tab.input_value("input[id*=target]") == "Orders"
    coverage = dict(
        _rows(
            sql,
            "SELECT target, metric_value FROM model_performance_history WHERE metric = 'coverage'"
            f" AND predictor = 'model' AND slice_name = 'all' AND as_of = {MATURED}",
        )
    )
    ((mean,),) = _rows(sql, "SELECT avg(confidence) FROM customer_genome")
    assert walk.text("#kpi-mean-confidence") == formats.decimal(mean)
    assert "orders" in coverage
    for target, share in coverage.items():
        assert walk.text(f"#kpi-coverage-{target}") == formats.percent(share)
    _agree(
        [row[:3] for row in _saved(walk, "Do the intervals hold, segment by segment?")],
        _rows(
            sql,
            "SELECT slice_value, customer_count, metric_value FROM model_performance_history WHERE metric = 'coverage'"
            f" AND target = 'orders' AND predictor = 'model' AND slice_name = 'segment' AND as_of = {MATURED}"
            " ORDER BY slice_value",
        ),
    )
    _agree(
        _saved(walk, "Width of the intervals of expected orders"),
        _rows(
            sql,
            "SELECT as_of, avg(expected_orders_upper - expected_orders_lower) FROM customer_genome_history"
            " GROUP BY as_of ORDER BY as_of",
        ),
    )


def test_audience_exports_are_the_filtered_rows(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    columns = "customer_id,segment_name,expected_spend,churn_probability,last_order_date"
    search = (
        f"where=churn_probability:ge:0.2&where=days_since_last_order:le:90&sort=expected_spend:desc&columns={columns}"
    )
    expected = _rows(
        sql,
        f"SELECT {columns} FROM customer_genome WHERE churn_probability >= 0.2 AND days_since_last_order <= 90"
        " ORDER BY expected_spend DESC, customer_id LIMIT 25",
    )
    walk.open(f"/audience?{search}")
    # The field is left as by hand, and the link follows it.
    walk.tab.fill("#audience-first", "25")
    walk.tab.press("#audience-first", "Tab")
    walk.tab.wait_for_url("**first=25*")
    walk.wait_for("document.querySelector('#audience-count')?.innerText === '25'")
    link = walk.tab.url.removeprefix(walk.address)
    walk.open("/")
    walk.open(link)
    assert walk.tab.input_value("#audience-first") == "25"
    assert walk.text("#audience-count") == "25"
    with walk.tab.expect_download() as download:
        walk.tab.click("text=Export CSV")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("# ")][-1] == "# customers: 25"
    rows = list(csv.reader([line for line in lines if not line.startswith("# ")]))
    assert rows[0] == columns.split(",")
    _agree(rows[1:], expected)
    with walk.tab.expect_download() as download:
        walk.tab.click("text=Export Parquet")
    saved = pq.read_table(download.value.path())
    assert list(zip(*saved.to_pydict().values(), strict=True)) == expected
    walk.tab.wait_for_selector("#audience-grid .customer-link")
    first = walk.tab.locator("#audience-grid .ag-row[row-index='0'] .customer-link").inner_text()
    assert first == expected[0][0]


def test_data_quality(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    reasons = _rows(
        sql,
        "SELECT reason, sum(row_count)::BIGINT, sum(amount_sum) FROM quarantine_reasons GROUP BY 1 ORDER BY 2 DESC, 1",
    )
    ((chosen,),) = _rows(sql, "SELECT max(reason) FROM quarantine_samples")
    walk.open(f"/data-quality?reason={chosen}&baseline=training")
    (facts,) = _rows(
        sql,
        "SELECT parameters ->> 'raw_row_count', parameters ->> 'validated_row_count', parameters ->>"
        " 'quarantined_row_count' FROM pipeline_runs ORDER BY published_at DESC LIMIT 1",
    )
    names = ("raw-rows", "validated-rows", "quarantined-rows")
    assert [walk.text(f"#kpi-{name}") for name in names] == [formats.integer(int(fact)) for fact in facts]
    (checked,) = _rows(
        sql,
        f"SELECT count(*) FILTER (is_passed), count(*) FROM ({LATEST_CHECKS})",
    )
    assert walk.text("#kpi-checks-passed") == f"{formats.integer(checked[0])} of {formats.integer(checked[1])}"
    _agree(_saved(walk, "Rows set aside, by reason"), reasons)
    assert walk.tab.input_value("input[id*=reason]") == chosen
    samples = _rows(sql, "SELECT count(*) FROM quarantine_samples WHERE reason = ?", chosen)[0][0]
    assert len(_shown(walk, ".quarantine-samples")) == samples > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 820])
def test_axe_finds_nothing_serious_on_any_page(
    browser: Any, walked_address: str, sql: duckdb.DuckDBPyConnection, scheme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    walk = Watched(browser, walked_address, scheme)
    walk.tab.set_viewport_size({"width": width, "height": 900})
    customer_id = quote(_top_customer(sql))
    found = []
    for path in (*PAGES, f"/customer?customer_id={customer_id}", f"/similar?id={customer_id}"):
        walk.open(path)
        for grid in walk.tab.locator(".ag-root-wrapper").all():
            grid.scroll_into_view_if_needed()
            grid.locator(".ag-header-cell").first.wait_for(state="visible")
        assert walk.tab.evaluate("document.documentElement.scrollWidth") <= width, path
        found += [
            f"{path}: {violation['id']}: {violation['nodes'][0]['html'][:200]}"
            for violation in axe.run(walk.tab).response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]
    assert found == []
    assert walk.problems == []
    walk.close()


class _Counted:
    """Clicks and choices of somebody who starts at Overview; reading costs nothing."""

    def __init__(self, walk: Watched) -> None:
        self.walk = walk
        self.count = 0
        walk.open("/")

    def click(self, selector: str) -> None:
        self.count += 1
        self.walk.tab.click(selector)

    def write(self, selector: str, text: str) -> None:
        self.count += 1
        self.walk.tab.fill(selector, text)
        self.walk.tab.press(selector, "Tab")


def test_who_are_the_100_most_valuable_customers_likely_to_leave_and_why(
    walk: Watched, sql: duckdb.DuckDBPyConnection
) -> None:
    expected = _rows(
        sql,
        "SELECT customer_id, action_reason FROM customer_genome WHERE risk_band IN ('medium', 'high')"
        " ORDER BY revenue_at_stake_amount DESC NULLS LAST, customer_id LIMIT 100",
    )
    counted = _Counted(walk)
    counted.click("#to-customers-at-risk")
    walk.tab.wait_for_selector("#audience-first")
    counted.write("#audience-first", "100")
    walk.wait_for("n => document.querySelector('#audience-count')?.innerText === n", str(len(expected)))
    first = "#audience-grid .ag-row[row-index='0']"
    walk.wait_for(f'id => document.querySelector("{first} .customer-link")?.innerText === id', expected[0][0])
    # The reason of each stands in the list, ...
    walk.tab.locator("#audience-grid .ag-body-viewport").evaluate("grid => grid.scrollIntoView()")
    walk.tab.locator("#audience-grid .ag-center-cols-viewport").evaluate("grid => grid.scrollLeft = 5000")
    walk.tab.wait_for_selector(f"{first} [col-id=action_reason]")
    assert walk.text(f"{first} [col-id=action_reason]") == expected[0][1]
    # ... and what adds up to the probability on the customer's card.
    counted.click(f"{first} .customer-link")
    walk.tab.wait_for_selector("#why-churn_probability")
    assert walk.text("#customer-name") == expected[0][0]
    assert counted.count <= 4


def test_what_changed_in_segments_since_last_month(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    ((previous,),) = _rows(sql, f"SELECT {PREVIOUS}")
    counted = _Counted(walk)
    assert walk.tab.is_visible(f"h2:text('What moved most since {formats.day(previous)}')")
    counted.click("text=See where customers moved")
    walk.tab.wait_for_selector(f"h2:text('Where customers moved since {formats.day(previous)}')")
    moved = _rows(
        sql,
        f"""
        SELECT earlier.segment_name || '\n→ ' || later.segment_name, count(*)
        FROM customer_genome AS later JOIN customer_genome_history AS earlier USING (customer_id)
        WHERE earlier.as_of = {PREVIOUS} AND earlier.segment_id <> later.segment_id
        GROUP BY ALL ORDER BY 2 DESC LIMIT 1
        """,
    )
    largest = _shown(walk, ".panel:has(h2:text-is('Largest movements'))")[0]
    assert largest[:2] == [moved[0][0], formats.integer(moved[0][1])]
    assert counted.count <= 4


def test_can_the_prediction_of_a_customer_be_trusted(walk: Watched, sql: duckdb.DuckDBPyConnection) -> None:
    customer_id = _top_customer(sql)
    confidence, band = _rows(
        sql, "SELECT confidence, confidence_band FROM customer_genome WHERE customer_id = ?", customer_id
    )[0]
    counted = _Counted(walk)
    counted.click("nav a[href='/customer']")
    walk.tab.wait_for_selector("#customer-search")
    counted.count += 1
    walk.tab.fill("#customer-search", customer_id)
    counted.click(f"[role=option]:has-text('{customer_id}') >> nth=0")
    walk.tab.wait_for_selector(f"h2:text-is('Confidence {formats.decimal(confidence)}: {band}')")
    # Its parts, what earlier predictions for the customer came to, and what became of those who were alike.
    assert walk.tab.is_visible("h2:text('days after each snapshot')")
    assert walk.tab.is_visible("h2:text-is('What became of customers who were like this')")
    assert counted.count <= 4


def test_fifty_publishes_in_a_row_under_an_open_session(
    browser: Any, tmp_path: Path, published_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genome_pipeline.dashboard.shell.frame._WATCH_MILLISECONDS", 1_000)
    earlier = build_published_file(tmp_path / "earlier.duckdb", customer_count=200, as_of=SNAPSHOTS[2])
    path = tmp_path / "genome.duckdb"
    shutil.copy(earlier, path)
    pages = list(PAGES)
    for address in serve(path):
        watched = Watched(browser, address)
        watched.open("/")
        for turn in range(50):
            building = tmp_path / "building.duckdb"
            shutil.copy((published_path, earlier)[turn % 2], building)
            os.replace(building, path)
            if turn % 5 == 0:
                watched.tab.wait_for_selector("#publish-notice", state="visible")
                watched.tab.click("#show-publish")
                watched.tab.wait_for_selector("#publish-notice", state="hidden")
            elif turn % 5 == 2:
                watched.tab.click(f"nav a[href='{pages[turn % len(pages)]}']")
            watched.tab.wait_for_timeout(60)
        shutil.copy(published_path, tmp_path / "last.duckdb")
        os.replace(tmp_path / "last.duckdb", path)
        watched.tab.wait_for_selector("#publish-notice", state="visible")
        watched.open("/")
        assert watched.text("#kpi-customers") == "300"
        assert not watched.tab.is_visible("#publish-notice")
        assert watched.problems == []
        watched.close()
