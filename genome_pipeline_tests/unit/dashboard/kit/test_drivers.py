"""Drivers of predictions beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

import duckdb
import pytest

from genome_pipeline.dashboard.kit.drivers import overall_drivers
from genome_pipeline_tests.support.plain_sql import row_of
from genome_pipeline_tests.support.published_file import LATEST


def test_drivers_are_averaged_over_all_who_have_a_prediction(connection: duckdb.DuckDBPyConnection) -> None:
    drivers = overall_drivers(connection, LATEST, "churn_probability").set_index("driver")
    total, customers = row_of(
        connection,
        "SELECT sum(abs(contribution)), (SELECT count(churn_probability) FROM customer_genome) FROM customer_drivers"
        " WHERE prediction = 'churn_probability' AND driver = 'silence'",
    )
    assert drivers.index.tolist() == ["silence", "recent_purchase_day_count"]
    assert drivers.loc["silence", "mean_absolute_contribution"] == pytest.approx(total / customers)
