"""What stands in the way of a publication, told from the records of what was written, checked and published."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import duckdb
import pytest

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.quality.gate import Gate, Obstacle, obstacles_in_words

MONTHS = Calendar(Period.MONTH, date(2020, 1, 1))
GATE = Gate(
    {"raw_transactions": ["rows_counted"], "customer_features": ["contract"], "gene_drift": ["contract", "drift"]},
    {"customer_features": ["customer_activity"], "gene_drift": ["customer_features"]},
)


def at(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour)


@pytest.fixture
def records() -> Iterator[duckdb.DuckDBPyConnection]:
    """Both tables of February and March written at 1, checked at 2 and published at 3."""
    with duckdb.connect() as connection:
        for name in ("written_slices", "checked_slices", "pipeline_runs", "source_files", "changed_periods"):
            connection.execute(TABLES[name].ddl())
        for table in ("customer_features", "gene_drift"):
            for as_of in ("2020-02-01", "2020-03-01"):
                write(connection, table, as_of, 1)
                for check in GATE.checks[table]:
                    check_slice(connection, table, as_of, check, 2)
        connection.execute(
            "INSERT INTO pipeline_runs VALUES ('run', '2020-03-01', '1', 'h', '{}', ?, '1', NULL)", [at(3)]
        )
        yield connection


def write(connection: duckdb.DuckDBPyConnection, table: str, key: str, hour: int) -> None:
    connection.execute("DELETE FROM written_slices WHERE table_name = ? AND slice_key = ?", [table, key])
    connection.execute("INSERT INTO written_slices VALUES (?, ?, 1, 'run', 'h', ?)", [table, key, at(hour)])


def check_slice(
    connection: duckdb.DuckDBPyConnection, table: str, key: str, check: str, hour: int, failure: str | None = None
) -> None:
    connection.execute(
        "DELETE FROM checked_slices WHERE table_name = ? AND slice_key = ? AND check_name = ?", [table, key, check]
    )
    row = [table, key, check, failure is None, failure or "passed", at(hour)]
    connection.execute("INSERT INTO checked_slices VALUES (?, ?, ?, ?, ?, 'run', ?)", row)


def in_the_way(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [str(obstacle) for obstacle in GATE.obstacles(connection, MONTHS)]


def test_nothing_stands_in_the_way_of_what_was_published(records: duckdb.DuckDBPyConnection) -> None:
    assert in_the_way(records) == []


def test_a_slice_written_since_and_not_checked_does(records: duckdb.DuckDBPyConnection) -> None:
    write(records, "gene_drift", "2020-03-01", 4)
    assert in_the_way(records) == [
        "check contract of gene_drift of 2020-02-01 has not run since it was written",
        "check drift of gene_drift of 2020-02-01 has not run since it was written",
    ]
    check_slice(records, "gene_drift", "2020-03-01", "contract", 5)
    check_slice(records, "gene_drift", "2020-03-01", "drift", 5)
    assert in_the_way(records) == []


def test_a_check_that_failed_does_until_it_passes(records: duckdb.DuckDBPyConnection) -> None:
    write(records, "gene_drift", "2020-03-01", 4)
    check_slice(records, "gene_drift", "2020-03-01", "contract", 5)
    check_slice(records, "gene_drift", "2020-03-01", "drift", 5, "spend moved")
    assert in_the_way(records) == ["check drift of gene_drift of 2020-02-01 failed: spend moved"]
    check_slice(records, "gene_drift", "2020-03-01", "drift", 6)
    assert in_the_way(records) == []


def test_a_check_of_before_the_slice_was_written_again_does_not_count(records: duckdb.DuckDBPyConnection) -> None:
    for as_of in ("2020-02-01", "2020-03-01"):
        write(records, "gene_drift", as_of, 4)
        check_slice(records, "gene_drift", as_of, "contract", 5)
        check_slice(records, "gene_drift", as_of, "drift", 5)
    write(records, "gene_drift", "2020-02-01", 6)
    write(records, "gene_drift", "2020-03-01", 6)
    assert in_the_way(records)[0] == (
        "check contract of gene_drift of 2020-01-01 to 2020-02-01 has not run since it was written"
    )


def test_a_snapshot_half_made_does(records: duckdb.DuckDBPyConnection) -> None:
    write(records, "customer_features", "2020-03-01", 4)
    check_slice(records, "customer_features", "2020-03-01", "contract", 5)
    assert in_the_way(records) == ["gene_drift of 2020-02-01 was not made again after customer_features"]
    write(records, "customer_features", "2020-04-01", 4)
    check_slice(records, "customer_features", "2020-04-01", "contract", 5)
    assert in_the_way(records) == ["gene_drift of 2020-02-01 to 2020-03-01 was not made again after customer_features"]


def test_a_period_summed_up_again_without_its_snapshot_does(records: duckdb.DuckDBPyConnection) -> None:
    write(records, "customer_activity", "2020-02-01", 4)
    assert in_the_way(records) == ["customer_features of 2020-02-01 was not made again after customer_activity"]
    write(records, "customer_features", "2020-03-01", 5)
    check_slice(records, "customer_features", "2020-03-01", "contract", 6)
    assert in_the_way(records) == ["gene_drift of 2020-02-01 was not made again after customer_features"]


@pytest.mark.parametrize(
    ("others", "end"), [(0, "customer_features"), (1, "nor was 1 other table"), (2, "nor were 2 other tables")]
)
def test_the_other_tables_are_counted(others: int, end: str) -> None:
    obstacle = Obstacle("gene_drift", "2020-02-01", "2020-02-01", None, None, "customer_features", others)
    assert str(obstacle).endswith(end)


def test_a_source_read_since_is_checked_first(records: duckdb.DuckDBPyConnection) -> None:
    records.execute(
        "INSERT INTO source_files BY NAME SELECT 'a.csv' AS source_file, NULL AS content_hash,"
        " NULL AS copy_of_source_file, 1 AS row_count, '{}' AS raw_types, 0 AS suppressed_row_count,"
        " ? AS ingested_at",
        [at(4)],
    )
    assert in_the_way(records) == ["check rows_counted of raw_transactions has not run since it was written"]
    check_slice(records, "raw_transactions", "all", "rows_counted", 5)
    assert in_the_way(records) == []


def test_what_was_published_by_force_is_told_of_until_it_was_made_again_and_has_passed(
    records: duckdb.DuckDBPyConnection,
) -> None:
    def left_so() -> list[str]:
        return [str(obstacle) for obstacle in GATE.forced(records, MONTHS)]

    def publish(hour: int) -> None:
        told = obstacles_in_words(GATE.forced(records, MONTHS)) or None
        records.execute(
            "INSERT INTO pipeline_runs VALUES ('run', '2020-03-01', '1', 'h', '{}', ?, '1', ?)", [at(hour), told]
        )

    assert left_so() == []
    write(records, "gene_drift", "2020-03-01", 4)
    check_slice(records, "gene_drift", "2020-03-01", "contract", 5)
    check_slice(records, "gene_drift", "2020-03-01", "drift", 5, "spend moved")
    refused = ["check drift of gene_drift of 2020-02-01 failed: spend moved"]
    assert in_the_way(records) == left_so() == refused
    for hour in (6, 7):  # by force, then as always
        publish(hour)
        assert in_the_way(records) == []
        assert left_so() == refused
    write(records, "gene_drift", "2020-03-01", 8)
    for check in GATE.checks["gene_drift"]:
        check_slice(records, "gene_drift", "2020-03-01", check, 9)
    assert left_so() == []
    publish(10)
    assert records.execute("SELECT forced_past FROM pipeline_runs ORDER BY published_at").fetchall() == [
        (None,),
        *[(refused[0],)] * 2,
        (None,),
    ]


def test_before_the_first_publication_everything_is_asked_for(records: duckdb.DuckDBPyConnection) -> None:
    records.execute("DELETE FROM pipeline_runs")
    assert in_the_way(records) == []
    records.execute("DELETE FROM checked_slices WHERE check_name = 'contract'")
    found = GATE.obstacles(records, MONTHS)
    assert [(each.table_name, each.check_name) for each in found] == [
        ("customer_features", "contract"),
        ("gene_drift", "contract"),
    ]
    assert obstacles_in_words(found[:1] * 5).endswith("; and 2 more")
