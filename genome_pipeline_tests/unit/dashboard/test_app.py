"""The application: every page at every state of the file."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.dashboard.app import PAGES, create_app, prepare, render
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.report import build_report
from genome_pipeline.published.versions import PublishedFile
from genome_pipeline_tests.support.published_file import SNAPSHOTS, build_published_file
from genome_pipeline_tests.support.shown import changed, show


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("pathname", PAGES)
def test_every_page_renders_at_the_latest_and_the_first_snapshot(
    published_path: Path, pathname: str, scheme: str
) -> None:
    for search in ("", f"?as_of={SNAPSHOTS[0]}"):
        page, title = show(published_path, pathname, search, scheme)
        assert title == PAGES[pathname].TITLE
        assert "Synthetic shop" in page


@pytest.mark.parametrize("pathname", PAGES)
def test_every_page_says_what_to_do_while_nothing_is_published(tmp_path: Path, pathname: str) -> None:
    page, title = show(tmp_path / "genome.duckdb", pathname)
    assert title == "No snapshot yet"
    assert "genome run" in page


def test_a_provisional_snapshot_is_marked_wherever_it_is_named(tmp_path: Path, published_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    shutil.copy(published_path, path)
    latest = SNAPSHOTS[-1]
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE customer_genome_history SET is_provisional = true WHERE as_of = ?", [latest])
        connection.execute("UPDATE pipeline_runs SET published_at = TIMESTAMP '2017-12-25 06:30:00'")
    page, _ = show(path, "/")
    assert f"Latest: {formats.day(latest)} (provisional)" in page
    assert f"{formats.day(latest)} (provisional), 7 days of its period to come when published" in page
    assert '"id": "provisional"' in page
    # Another snapshot of the same file is none, and only the list names the provisional one.
    page, _ = show(path, "/segments", f"?as_of={SNAPSHOTS[0]}")
    assert '"id": "provisional"' not in page
    assert page.count("(provisional)") == 2
    client = create_app(path).server.test_client()
    assert client.get("/export/audience.csv").text.startswith(f"# snapshot: {latest} (provisional)")
    assert client.get(f"/export/audience.csv?rule=win_back&as_of={SNAPSHOTS[0]}").text.startswith(
        f"# snapshot: {SNAPSHOTS[0]}\n"
    )
    with PublishedFile(path).connect() as opened:
        report, earlier = build_report(opened), build_report(opened, SNAPSHOTS[0])
    assert f"{formats.day(latest)} (provisional)</h1>" in report
    assert COLUMNS["is_provisional"].description in report
    assert "(provisional)" not in earlier


def test_an_unreadable_file_is_a_page_with_the_sentence_of_the_error(tmp_path: Path) -> None:
    path = tmp_path / "<b>genome.duckdb"
    path.write_text("not a database")
    page, title = show(path, "/")
    assert title == "Unreadable file"
    assert f"{path} cannot be read (" in page
    assert "): publish it again with `genome run`." in page
    first_paint = create_app(path).server.test_client().get("/").text
    assert "&lt;b&gt;genome.duckdb cannot be read (" in first_paint
    assert "<b>" not in first_paint


def test_a_file_of_another_program_or_schema_is_a_page_that_says_so(tmp_path: Path, published_path: Path) -> None:
    for statement, sentence in (
        ("DROP TABLE pipeline_runs", "is another program's database, without a table"),
        ("ALTER TABLE pipeline_runs DROP COLUMN published_schema_version", "its schema is a version of before they"),
        ("UPDATE pipeline_runs SET published_schema_version = '99.0.0'", "its schema is version 99.0.0"),
    ):
        page, title = show(changed(tmp_path / "genome.duckdb", published_path, statement), "/")
        assert title == "Unreadable file"
        assert sentence in page


def test_a_file_that_lacks_what_a_page_shows_is_a_friendly_page(tmp_path: Path, published_path: Path) -> None:
    path = changed(tmp_path / "genome.duckdb", published_path, "ALTER TABLE pipeline_runs DROP COLUMN forced_past")
    page, title = show(path, "/")
    assert title == "Another version"
    assert "genome run" in page


def test_a_file_with_one_snapshot_renders_on_every_page(tmp_path: Path) -> None:
    path = build_published_file(tmp_path / "genome.duckdb", customer_count=30, as_of=SNAPSHOTS[0])
    for pathname, page in PAGES.items():
        assert show(path, pathname)[1] == page.TITLE
    assert "This is the first snapshot" in show(path, "/")[0]


def test_an_unknown_page_and_an_unknown_snapshot_are_said_to_be_so(published_path: Path) -> None:
    assert "There is no such page" in show(published_path, "/nowhere")[0]
    assert "There is no snapshot of" in show(published_path, "/", "?as_of=2031-01-01")[0]
    assert "There is no snapshot of" in show(published_path, "/", "?as_of=<b>")[0]


@pytest.mark.parametrize(
    "search", ["?path=/&as_of=", "?customer_id=' OR 1=1 --", "?%00=%00", "?as_of[]=1&parameters=x"]
)
def test_any_parameters_are_survived(published_path: Path, search: str) -> None:
    for pathname, page in PAGES.items():
        assert show(published_path, pathname, search)[1] == page.TITLE


def test_the_shell_is_served_with_local_assets_only(published_path: Path) -> None:
    client = create_app(published_path).server.test_client()
    shell = client.get("/").get_data(as_text=True)
    assert "http://" not in shell
    assert "https://" not in shell
    assert '<html lang="en" ' in shell
    assert client.get("/assets/favicon.svg").status_code == 200
    client.set_cookie("color_scheme", "dark")
    assert '"forceColorScheme":"dark"' in client.get("/_dash-layout").get_data(as_text=True)


def test_a_file_without_matured_snapshots_says_when_there_will_be_one(published_path: Path) -> None:
    for pathname in ("/value", "/risk", "/confidence"):
        assert (
            "A snapshot matures once its horizon of 28 days"
            in show(published_path, pathname, f"?as_of={SNAPSHOTS[0]}")[0]
        )


def test_a_file_without_amounts_says_what_to_map(tmp_path: Path, published_path: Path) -> None:
    spend = "expected_spend = NULL, expected_spend_lower = NULL, expected_spend_upper = NULL"
    path = changed(
        tmp_path / "genome.duckdb",
        published_path,
        f"UPDATE customer_genome_history SET {spend}, naive_expected_spend = NULL, spend_amount = NULL,"
        " recent_spend_amount = NULL, average_order_value_amount = NULL, revenue_at_stake_amount = NULL",
        f"UPDATE prediction_outcomes_history SET {spend}, naive_expected_spend = NULL, actual_spend = NULL",
        "DELETE FROM model_performance_history WHERE target = 'spend'",
        "UPDATE segment_profiles_history SET recent_spend_amount = NULL, spend_share = NULL,"
        " expected_spend_amount = NULL, median_spend_amount = NULL, median_average_order_value_amount = NULL",
    )
    pages = {pathname: show(path, pathname)[0] for pathname in PAGES}
    assert "unit_price" in pages["/value"]
    assert "no amounts in the source" in pages["/risk"]
    assert "Map amount or unit_price" in pages["/segments"]
    assert "Choose another gene" in pages["/segments"]
    assert "Unreadable file" not in {show(path, pathname)[1] for pathname in PAGES}


def test_a_file_with_one_segment_or_none_renders_on_every_page(tmp_path: Path, published_path: Path) -> None:
    for keep in ("1", "-1"):
        path = changed(
            tmp_path / f"genome{keep}.duckdb",
            published_path,
            "UPDATE customer_genome_history SET segment_id = 1, segment_name = 'Everyone'",
            f"DELETE FROM segment_profiles_history WHERE segment_id <> {keep}",
            "DELETE FROM segment_migrations_history",
            "DELETE FROM segment_events_history",
        )
        assert [show(path, pathname)[1] for pathname in PAGES] == [page.TITLE for page in PAGES.values()]


def test_what_was_published_by_force_is_said_on_overview_and_data_quality(published_path: Path, tmp_path: Path) -> None:
    why = "check drift of gene_drift of 2017-11-01 failed"
    for path in ("/", "/data-quality"):
        assert "by force" not in show(published_path, path)[0]
    forced = Path(shutil.copy(published_path, tmp_path / "forced.duckdb"))
    with duckdb.connect(str(forced)) as connection:
        connection.execute("UPDATE pipeline_runs SET forced_past = ?", [why])
    for path in ("/", "/data-quality"):
        page, _ = show(forced, path)
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
