"""What became of predictions, beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest

from genome_pipeline.dashboard.kit.outcomes import (
    error_trend,
    expected_and_realised_spend,
    last_matured,
    realised_spend,
)
from genome_pipeline.dashboard.pages.confidence import queries as confidence_queries
from genome_pipeline.dashboard.pages.overview import queries as overview_queries
from genome_pipeline.dashboard.pages.value import queries as value_queries
from genome_pipeline_tests.support.plain_sql import value_of
from genome_pipeline_tests.support.published_file import SNAPSHOTS


def test_outcomes_are_known_only_once_matured(connection: duckdb.DuckDBPyConnection) -> None:
    assert realised_spend(connection, SNAPSHOTS[0]).empty
    assert overview_queries.performance(connection, SNAPSHOTS[0]).empty
    realised = realised_spend(connection, SNAPSHOTS[2])
    assert [moment.date() for moment in realised["as_of"]] == list(SNAPSHOTS[:2])
    assert realised["actual_spend"].iloc[-1] == pytest.approx(
        float(
            value_of(
                connection,
                "SELECT sum(actual_spend) FROM prediction_outcomes_history"
                " WHERE as_of = ? AND expected_spend IS NOT NULL",
                SNAPSHOTS[1],
            )
        )
    )


def test_the_last_matured_snapshot_is_the_one_known_by_then(connection: duckdb.DuckDBPyConnection) -> None:
    found = [last_matured(connection, as_of) for as_of in SNAPSHOTS]
    assert found == [None, *SNAPSHOTS[:3]]


def test_a_question_about_a_snapshot_sees_nothing_later(connection: duckdb.DuckDBPyConnection) -> None:
    errors = error_trend(connection, SNAPSHOTS[2], "spend", "mae")
    assert [moment.date() for moment in errors["as_of"]] == list(SNAPSHOTS[:2])
    assert errors[["model", "naive"]].iloc[-1].tolist() == [21.3, 26.8]
    widths = confidence_queries.interval_width_trend(connection, SNAPSHOTS[1])
    assert [moment.date() for moment in widths["as_of"]] == list(SNAPSHOTS[:2])
    assert value_queries.expected_deciles(connection, date(2031, 1, 1)).empty


def test_whiskers_are_the_interval_of_the_total() -> None:
    days = pd.to_datetime(["2017-01-01", "2017-02-01", "2017-03-01"])
    trend = pd.DataFrame(
        {
            "as_of": days,
            "expected_spend": [100.0, 100.0, 200.0],
            "expected_spend_lower": [np.nan, 80.0, 170.0],
            "expected_spend_upper": [np.nan, 125.0, 240.0],
        }
    )
    realised = pd.DataFrame({"as_of": days[:1], "naive_expected_spend": [90.0], "actual_spend": [80.0]})
    whiskers = expected_and_realised_spend(trend, realised, "USD", 28).figure.data[-1].error_y
    assert list(whiskers.array[1:]) == [25.0, 40.0]
    assert list(whiskers.arrayminus[1:]) == [20.0, 30.0]
    assert pd.isna(whiskers.array[0])
