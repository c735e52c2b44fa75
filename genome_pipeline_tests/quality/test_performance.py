from collections.abc import Sequence
from datetime import date, timedelta

import duckdb
import pytest

from genome_pipeline.quality.performance import HEADLINE, judge_calibration, judge_coverage, judge_errors

MAY, AUGUST = date(2021, 5, 1), date(2021, 8, 1)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE model_performance (matured_as_of DATE, as_of DATE, target VARCHAR, predictor VARCHAR,"
        " slice_name VARCHAR, slice_value VARCHAR, metric VARCHAR, metric_value DOUBLE, customer_count BIGINT)"
    )
    connection.execute(
        "CREATE TABLE prediction_outcomes (matured_as_of DATE, as_of DATE, customer_id VARCHAR,"
        " churn_probability DOUBLE, has_churned BOOLEAN)"
    )
    return connection


def coverage(slice_name: str, slice_value: str, covered: float, customers: int) -> tuple[object, ...]:
    return (AUGUST, MAY, "spend", "model", slice_name, slice_value, "coverage", covered, customers)


def write(connection: duckdb.DuckDBPyConnection, rows: Sequence[tuple[object, ...]]) -> None:
    connection.executemany("INSERT INTO model_performance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def test_coverage_below_its_band_is_named(connection: duckdb.DuckDBPyConnection) -> None:
    # Standard errors of .8: .0126 for 1,000 customers, .04 for 100.
    rows = [
        coverage("all", "all", 0.79, 1000),
        coverage("value_decile", "1", 0.98, 100),
        coverage("value_decile", "9", 0.67, 100),
        coverage("value_decile", "10", 0.65, 100),
        coverage("confidence_decile", "1", 0.10, 100),
    ]
    write(connection, rows)
    (found,) = judge_coverage(connection, [AUGUST], 0.8)
    assert (found.matured_as_of, found.target, found.is_passed, found.customer_count) == (AUGUST, "spend", False, 1000)
    assert found.observed == (
        "spend at 2021-05-01: 79.0% of all within intervals of 80%; too few in 1 of 4 slices: value_decile 10"
    )
    assert judge_coverage(connection, [MAY], 0.8) == []


def churned(connection: duckdb.DuckDBPyConnection, said: float, did: int) -> None:
    rows = [(AUGUST, MAY, f"{said}-{n}", said, n < did) for n in range(100)]
    connection.executemany("INSERT INTO prediction_outcomes VALUES (?, ?, ?, ?, ?)", rows)


def test_tenths_that_churn_more_than_they_were_said_to(connection: duckdb.DuckDBPyConnection) -> None:
    for tenth in range(9):
        churned(connection, 0.1 + tenth / 100, 10 + tenth)
    churned(connection, 0.5, 67)  # a standard error is 5: 67.5 is 3.5 of them above, and half a customer more is free
    (found,) = judge_calibration(connection, [AUGUST])
    assert found.is_passed
    connection.execute("UPDATE prediction_outcomes SET has_churned = TRUE WHERE customer_id IN ('0.5-67', '0.5-68')")
    (found,) = judge_calibration(connection, [AUGUST])
    assert found.observed == (
        "churn at 2021-05-01: 17.6% were to churn, 19.5% did; too far apart in 1 tenths of the probability: 10"
    )


def test_an_error_far_above_those_before(connection: duckdb.DuckDBPyConnection) -> None:
    days = [MAY + timedelta(days=30 * step) for step in range(8)]
    errors = [0.10, 0.12, 0.10, 0.12, 0.10, 0.12, 0.13, 0.20]
    rows = [
        (day + timedelta(days=90), day, "churn", "model", "all", "all", "brier", error, 50)
        for day, error in zip(days, errors, strict=True)
    ]
    write(connection, rows)
    found = judge_errors(connection, [day + timedelta(days=90) for day in days], HEADLINE)
    assert [finding.is_passed for finding in found] == [True, False]  # the first six have too few before them
    assert found[1].observed == (
        "churn at 2021-11-27: brier 0.2, on the snapshots before 0.1129 on average, give or take 0.01254"
    )
