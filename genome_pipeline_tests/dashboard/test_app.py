from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pandas as pd
import plotly.utils
import pytest

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.dashboard.app import PAGES, create_app, prepare, render
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.formats import MINUS
from genome_pipeline.dashboard.pages.overview.page import year_before
from genome_pipeline.dashboard.report import build_report
from genome_pipeline.published.versions import PublishedFile
from genome_pipeline_tests.dashboard.published_file import ABSTAINED_ID, HOSTILE_ID, SNAPSHOTS, build_published_file


def _show(path: Path, pathname: str, search: str = "", scheme: str = "light") -> tuple[str, str]:
    """A page as the JSON the browser gets, and its window title."""
    content, navigation, tools, title = render(PublishedFile(path), pathname, search, scheme)
    return json.dumps([content, navigation, tools], cls=plotly.utils.PlotlyJSONEncoder, ensure_ascii=False), title


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("pathname", PAGES)
def test_every_page_renders_at_the_latest_and_the_first_snapshot(
    published_path: Path, pathname: str, scheme: str
) -> None:
    for search in ("", f"?as_of={SNAPSHOTS[0]}"):
        page, title = _show(published_path, pathname, search, scheme)
        assert title == PAGES[pathname].TITLE
        assert "Synthetic shop" in page


@pytest.mark.parametrize("pathname", PAGES)
def test_every_page_says_what_to_do_while_nothing_is_published(tmp_path: Path, pathname: str) -> None:
    page, title = _show(tmp_path / "genome.duckdb", pathname)
    assert title == "No snapshot yet"
    assert "genome run" in page


def test_a_provisional_snapshot_is_marked_wherever_it_is_named(tmp_path: Path, published_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    shutil.copy(published_path, path)
    latest = SNAPSHOTS[-1]
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE customer_genome_history SET is_provisional = true WHERE as_of = ?", [latest])
        connection.execute("UPDATE pipeline_runs SET published_at = TIMESTAMP '2017-12-25 06:30:00'")
    page, _ = _show(path, "/")
    assert f"Latest: {formats.day(latest)} (provisional)" in page
    assert f"{formats.day(latest)} (provisional), 7 days of its period to come when published" in page
    assert '"id": "provisional"' in page
    # Another snapshot of the same file is none, and only the list names the provisional one.
    page, _ = _show(path, "/segments", f"?as_of={SNAPSHOTS[0]}")
    assert '"id": "provisional"' not in page
    assert page.count("(provisional)") == 2
    client = create_app(path).server.test_client()
    assert client.get("/export/audience.csv").text.startswith(f"# snapshot: {latest} (provisional)")
    assert client.get(f"/export/audience.csv?as_of={SNAPSHOTS[0]}").text.startswith(f"# snapshot: {SNAPSHOTS[0]}\n")
    with PublishedFile(path).connect() as opened:
        report, earlier = build_report(opened), build_report(opened, SNAPSHOTS[0])
    assert f"{formats.day(latest)} (provisional)</h1>" in report
    assert COLUMNS["is_provisional"].description in report
    assert "(provisional)" not in earlier


def test_an_unreadable_file_is_a_friendly_page(tmp_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    path.write_text("not a database")
    page, title = _show(path, "/")
    assert title == "Unreadable file"
    assert "genome run" in page


def test_a_file_of_another_schema_is_a_friendly_page(tmp_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE pipeline_runs (run_id VARCHAR)")
    page, title = _show(path, "/")
    assert title == "Another version"
    assert "genome run" in page


def test_a_file_with_one_snapshot_renders_on_every_page(tmp_path: Path) -> None:
    path = build_published_file(tmp_path / "genome.duckdb", customer_count=30, as_of=SNAPSHOTS[0])
    for pathname, page in PAGES.items():
        assert _show(path, pathname)[1] == page.TITLE
    assert "This is the first snapshot" in _show(path, "/")[0]


def test_an_unknown_page_and_an_unknown_snapshot_are_said_to_be_so(published_path: Path) -> None:
    assert "There is no such page" in _show(published_path, "/nowhere")[0]
    assert "There is no snapshot of" in _show(published_path, "/", "?as_of=2031-01-01")[0]
    assert "There is no snapshot of" in _show(published_path, "/", "?as_of=<b>")[0]


@pytest.mark.parametrize(
    "search", ["?path=/&as_of=", "?customer_id=' OR 1=1 --", "?%00=%00", "?as_of[]=1&parameters=x"]
)
def test_any_parameters_are_survived(published_path: Path, search: str) -> None:
    for pathname, page in PAGES.items():
        assert _show(published_path, pathname, search)[1] == page.TITLE


def test_the_card_of_a_customer_shows_everything_known(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", "?customer_id=C0010")
    for text in ("Expected spend, next 28 days", "80% interval", "Recommended: ", "Genome fingerprint", "C0011"):
        assert text in page


def test_the_card_says_why_and_what_changed(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", "?customer_id=C0010")
    assert "Why: churn probability" in page
    assert "Why: expected spend" in page
    assert page.count("bought <b>lately</b>") == 2
    assert page.count(f"{MINUS}3.0 points") == 1
    assert page.count(f"{MINUS}$0.03") == 1
    assert f"{MINUS}2.0 points" in page
    first, _ = _show(published_path, "/customer", f"?customer_id=C0010&as_of={SNAPSHOTS[0]}")
    assert "Why: churn probability" in first
    assert f"{MINUS}3.0 points" not in first
    assert "Why: " not in _show(published_path, "/customer", f"?customer_id={ABSTAINED_ID}")[0].replace(
        "Why: fewer", ""
    )


def test_a_customer_without_prediction_is_told_why(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", f"?customer_id={ABSTAINED_ID}")
    assert "No prediction" in page
    assert "fewer than two purchase days" in page


def test_an_unknown_customer_is_a_friendly_page_with_somewhere_to_go(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", "?customer_id=nobody")
    assert "No such customer" in page
    assert "Where most is at stake" in page


def test_a_hostile_id_is_text_and_its_link_is_encoded(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", f"?customer_id={quote(HOSTILE_ID)}")
    assert HOSTILE_ID in page
    for word in ("dangerously_allow_html", "DangerouslySetInnerHTML", "dangerously_allow_code"):
        assert word not in page


def test_links_keep_the_snapshot(published_path: Path) -> None:
    page, _ = _show(published_path, "/customer", f"?customer_id=C0010&as_of={SNAPSHOTS[1]}")
    assert f'"href": "/customer?as_of={SNAPSHOTS[1]}&customer_id=C0011"' in page
    assert f'"href": "/segments?as_of={SNAPSHOTS[1]}"' in page


def test_the_search_looks_at_the_snapshot_of_the_url(published_path: Path) -> None:
    response = (
        create_app(published_path)
        .server.test_client()
        .post(
            "/_dash-update-component",
            json={
                "output": "customer-search.data",
                "outputs": {"id": "customer-search", "property": "data"},
                "inputs": [{"id": "customer-search", "property": "searchValue", "value": "c000"}],
                "state": [{"id": "url", "property": "search", "value": "?as_of=2017-11-01"}],
                "changedPropIds": ["customer-search.searchValue"],
            },
        )
    )
    found = response.get_json()["response"]["customer-search"]["data"]
    assert found == [f"C000{digit}" for digit in range(1, 10)]


def test_the_shell_is_served_with_local_assets_only(published_path: Path) -> None:
    client = create_app(published_path).server.test_client()
    shell = client.get("/").get_data(as_text=True)
    assert "http://" not in shell
    assert "https://" not in shell
    assert '<html lang="en" ' in shell
    assert client.get("/assets/favicon.svg").status_code == 200
    client.set_cookie("color_scheme", "dark")
    assert '"forceColorScheme":"dark"' in client.get("/_dash-layout").get_data(as_text=True)


def _changed(path: Path, published_path: Path, *statements: str) -> Path:
    shutil.copy(published_path, path)
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


def test_a_file_without_matured_snapshots_says_when_there_will_be_one(published_path: Path) -> None:
    for pathname in ("/value", "/risk", "/confidence"):
        assert (
            "A snapshot matures once its horizon of 28 days"
            in _show(published_path, pathname, f"?as_of={SNAPSHOTS[0]}")[0]
        )


def test_a_file_without_amounts_says_what_to_map(tmp_path: Path, published_path: Path) -> None:
    spend = "expected_spend = NULL, expected_spend_lower = NULL, expected_spend_upper = NULL"
    path = _changed(
        tmp_path / "genome.duckdb",
        published_path,
        f"UPDATE customer_genome_history SET {spend}, naive_expected_spend = NULL, spend_amount = NULL,"
        " recent_spend_amount = NULL, average_order_value_amount = NULL, revenue_at_stake_amount = NULL",
        f"UPDATE prediction_outcomes_history SET {spend}, naive_expected_spend = NULL, actual_spend = NULL",
        "DELETE FROM model_performance_history WHERE target = 'spend'",
        "UPDATE segment_profiles_history SET recent_spend_amount = NULL, spend_share = NULL,"
        " expected_spend_amount = NULL, median_spend_amount = NULL, median_average_order_value_amount = NULL",
    )
    pages = {pathname: _show(path, pathname)[0] for pathname in PAGES}
    assert "unit_price" in pages["/value"]
    assert "no amounts in the source" in pages["/risk"]
    assert "Map amount or unit_price" in pages["/segments"]
    assert "Choose another gene" in pages["/segments"]
    assert "Unreadable file" not in {_show(path, pathname)[1] for pathname in PAGES}


def test_a_file_with_one_segment_or_none_renders_on_every_page(tmp_path: Path, published_path: Path) -> None:
    for keep in ("1", "-1"):
        path = _changed(
            tmp_path / f"genome{keep}.duckdb",
            published_path,
            "UPDATE customer_genome_history SET segment_id = 1, segment_name = 'Everyone'",
            f"DELETE FROM segment_profiles_history WHERE segment_id <> {keep}",
            "DELETE FROM segment_migrations_history",
            "DELETE FROM segment_events_history",
        )
        assert [_show(path, pathname)[1] for pathname in PAGES] == [page.TITLE for page in PAGES.values()]


def test_the_cutoff_of_the_url_becomes_an_audience(published_path: Path) -> None:
    page, _ = _show(published_path, "/risk", f"?cutoff=29&as_of={SNAPSHOTS[2]}")
    assert f'"href": "/audience?as_of={SNAPSHOTS[2]}&where=churn_probability%3Age%3A0.29"' in page
    for wrong in ("-1", "100", "x", "1e1", "٣"):
        assert "Churn probability of at least 50%" in _show(published_path, "/risk", f"?cutoff={quote(wrong)}")[0]


def _components(node: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Properties of every component of a kind within the JSON of a page."""
    if isinstance(node, list):
        for child in node:
            yield from _components(child, kind)
    elif isinstance(node, dict) and "props" in node:
        if node["type"] == kind:
            yield node["props"]
        yield from _components(node["props"].get("children"), kind)


def test_the_data_of_a_chart_is_a_table_and_a_file_without_formulas(tmp_path: Path, published_path: Path) -> None:
    path = _changed(
        tmp_path / "genome.duckdb",
        published_path,
        "UPDATE segment_profiles_history SET segment_name = '=1+1' WHERE segment_id = 1",
    )
    shown = json.loads(_show(path, "/segments")[0])
    stores = [properties["data"] for properties in _components(shown, "Store")]
    charts = list(_components(shown, "Graph"))
    assert len(stores) == len(charts) > 5
    sizes = next(store for store in stores if store["file"] == "share-of-customers-beside-share-of-spend.csv")
    assert sizes["headings"][:2] == ["Segment", "Customers"]
    assert "=1+1" in [row[0] for row in sizes["rows"]]
    lines = sizes["csv"].splitlines()
    assert lines[0] == '"segment_name","customer_count","customer_share","recent_spend_amount","spend_share"'
    assert len([line for line in lines if line.startswith('"\'=1+1",')]) == 1
    assert len(lines) == 5


def test_a_year_before_is_the_same_day_or_the_same_week() -> None:
    def found(*days: str) -> object:
        row = year_before(pd.DataFrame({"as_of": pd.to_datetime(list(days))}))
        return None if row is None else row["as_of"].date().isoformat()

    assert found("2016-12-01", "2017-01-01", "2017-02-01", "2018-01-01") == "2017-01-01"
    assert found("2017-01-02", "2017-01-09", "2018-01-08") == "2017-01-02"
    assert found("2017-02-01", "2018-01-01") is None
    assert found("2018-01-01") is None


def test_overview_says_what_moved(published_path: Path) -> None:
    page, _ = _show(published_path, "/")
    for text in ("What moved most since 1 Dec 2017", "gene, drifted", "Orders, median", "since 1 Dec 2017"):
        assert text in page
    assert "Movements appear from the second snapshot on." in _show(published_path, "/", f"?as_of={SNAPSHOTS[0]}")[0]


def test_data_quality_shows_rows_drift_and_reconciliation(published_path: Path) -> None:
    page, _ = _show(published_path, "/data-quality", "?reason=missing_customer&baseline=training")
    for text in ("<b>P1</b>", "Is every source row accounted for?", "the snapshot last learned from"):
        assert text in page
    assert "Run genome quarantine" in _show(published_path, "/data-quality", "?reason=unreadable_date")[0]


def test_what_was_published_by_force_is_said_on_overview_and_data_quality(published_path: Path, tmp_path: Path) -> None:
    why = "check drift of gene_drift of 2017-11-01 failed"
    for path in ("/", "/data-quality"):
        assert "by force" not in _show(published_path, path)[0]
    forced = Path(shutil.copy(published_path, tmp_path / "forced.duckdb"))
    with duckdb.connect(str(forced)) as connection:
        connection.execute("UPDATE pipeline_runs SET forced_past = ?", [why])
    for path in ("/", "/data-quality"):
        page, _ = _show(forced, path)
        assert "by force" in page
        assert why in page


def test_a_prepared_version_has_nothing_left_to_make(published_path: Path) -> None:
    published = PublishedFile(published_path)
    prepare(published, threading.Event())

    def kept() -> tuple[int, int]:
        with published.connect() as connection:
            tables = "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'memory'"
            values = "SELECT count(*) FROM memory.main.remembered"
            return connection.execute(f"SELECT ({tables}), ({values})").fetchall()[0]

    before = kept()
    for path in PAGES:
        render(published, path, "", "dark")
    render(published, "/customer", "?customer_id=C0010", "light")
    render(published, "/similar", "?id=C0010&id=C0011", "light")
    assert kept() == before
