"""Checks and rows set aside, beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from genome_pipeline.dashboard.kit.checks import check_summary
from genome_pipeline.dashboard.pages.data_quality import queries
from genome_pipeline_tests.support.plain_sql import value_of


def test_quarantine_sums_over_periods_undated_ones_included(connection: duckdb.DuckDBPyConnection) -> None:
    reasons = queries.quarantine_by_reason(connection).set_index("reason")
    assert reasons["row_count"].sum() == value_of(connection, "SELECT sum(row_count) FROM quarantine_reasons")
    assert reasons.loc["unreadable_date", "row_count"] == 5


def test_only_the_last_run_that_checked_counts(connection: duckdb.DuckDBPyConnection) -> None:
    summary = check_summary(connection).set_index("severity")
    assert summary["check_count"].sum() == 5
    assert summary.loc["ERROR", "passed_check_count"] == 3
    checks = queries.checks(connection)
    assert checks["is_passed"].tolist() == [False, True, True, True, True]


def test_a_later_run_of_another_table_does_not_hide_a_failed_check(published_path: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(published_path, tmp_path / "genome.duckdb"))
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE pipeline_runs SET published_at = published_at + INTERVAL 1 DAY")
        connection.execute(
            "INSERT INTO data_quality SELECT 'run-3', max(checked_at) + INTERVAL 1 HOUR, 'customer_genome', 'contract',"
            " NULL, 'ERROR', true, 'passed' FROM data_quality"
        )
        assert queries.checks(connection)["is_passed"].tolist() == [False, True, True, True, True, True]
        # Published again, with nothing checked since.
        connection.execute(
            "INSERT INTO pipeline_runs BY NAME SELECT * REPLACE ('run-4' AS run_id, published_at + INTERVAL 1 DAY AS"
            " published_at) FROM pipeline_runs"
        )
        assert check_summary(connection)["check_count"].sum() == 6


def test_the_latest_result_of_a_check_counts_whichever_run_it_is_of(connection: duckdb.DuckDBPyConnection) -> None:
    periods = queries.checks_by_period(connection)
    assert periods[["check_count", "failed_error_count", "failed_warn_count"]].to_numpy().tolist() == [[5, 0, 1]]
    runs = queries.check_runs(connection)
    assert runs[["run_id", "failed_check_count"]].to_numpy().tolist() == [["run-2", 1], ["run-1", 5]]


def test_samples_are_of_the_reason_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    assert queries.quarantine_samples(connection, "missing_customer")["source_row"].tolist() == [17, 18]
    assert queries.quarantine_samples(connection, "' OR 1 = 1 --").empty
