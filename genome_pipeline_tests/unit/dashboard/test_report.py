from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.trend import snapshot_trend
from genome_pipeline.dashboard.report import build_report, write_report
from genome_pipeline.published.versions import PublishedFile
from genome_pipeline_tests.support.published_file import SNAPSHOTS
from genome_pipeline_tests.support.shown import changed


@pytest.fixture(scope="module")
def document(published_path: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_report(published_path, tmp_path_factory.mktemp("reports") / "deep" / "report.html")
    assert path.stat().st_size < 6_000_000
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def _without_plotly(document: str) -> str:
    """The document without the library, whose source names addresses it never calls here."""
    start = document.index("<script>")
    return document[:start] + document[document.index("</script>", start) :]


def test_the_report_asks_for_nothing_else(document: str) -> None:
    own = _without_plotly(document)
    assert not re.search(r"(?:src|href)\s*=", own)
    assert not re.search(r"@import|url\(", own)
    assert document.count("plotly.js v") == 1


def test_the_report_shows_the_numbers_of_the_snapshot(document: str, connection: duckdb.DuckDBPyConnection) -> None:
    trend = snapshot_trend(connection, SNAPSHOTS[-1]).iloc[-1]
    for text in (
        formats.integer(trend["customer_count"]),
        formats.compact_money(trend["expected_spend"], "USD"),
        "20,001",
        "4 of 5 checks passed",
        "Mean absolute error",
    ):
        assert text in document


def test_the_report_shows_the_figures_of_the_pages(document: str) -> None:
    for title in (
        "Customers by churn probability",
        "Who was expected to bring the value, and who did",
        "How much of the value the customers ranked first bring",
        "Does a churn probability mean what it says?",
        "Do the intervals hold, orders by segment?",
    ):
        assert f"<h3>{title}</h3>" in document


def test_the_report_says_what_experiments_have_shown_where_there_are_any(
    document: str, connection: duckdb.DuckDBPyConnection, published_path: Path, tmp_path: Path
) -> None:
    assert (
        "<h2>Proof</h2><p>2 experiments were started, 1 is over: 1 has proven that acting brings more.</p>" in document
    )
    assert "<h3>What acting brought: spend</h3>" in document
    assert "50% of the run is still to come." in document
    # Nothing of a draw or a look that came later.
    first = _without_plotly(build_report(connection, SNAPSHOTS[0]))
    assert "<p>1 experiment was started and still runs: it has proven nothing yet.</p>" in first
    assert "What acting brought" not in first
    without = changed(tmp_path / "none.duckdb", published_path, "DELETE FROM experiments")
    assert "<h2>Proof</h2>" not in write_report(without, tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_was_published_by_force_is_said_before_any_number(published_path: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(published_path, tmp_path / "genome.duckdb"))
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE pipeline_runs SET forced_past = 'check contract of <b>x</b> failed'")
    own = _without_plotly(write_report(file, tmp_path / "report.html").read_text(encoding="utf-8"))
    assert own.count("check contract of &lt;b&gt;x&lt;/b&gt; failed") == 1
    assert own.index("published by force") < own.index("<h2>")


def test_text_from_data_is_escaped(document: str) -> None:
    assert "<b>visitors</b>" not in _without_plotly(document)
    assert "Occasional &lt;b&gt;visitors&lt;/b&gt;" in document


def test_the_same_snapshot_gives_the_same_document(connection: duckdb.DuckDBPyConnection) -> None:
    assert build_report(connection) == build_report(connection)


def test_a_first_snapshot_has_a_report_too(connection: duckdb.DuckDBPyConnection) -> None:
    assert "No snapshot had matured yet" in build_report(connection, SNAPSHOTS[0])


def test_a_report_may_take_longer_than_a_page(
    published_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PublishedFile.connect.__wrapped__, "__defaults__", (0.0,))  # type: ignore[attr-defined]
    assert write_report(published_path, tmp_path / "report.html").exists()
