"""The headline numbers beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

import duckdb
import pytest

from genome_pipeline.dashboard.kit.trend import snapshot_trend
from genome_pipeline_tests.support.plain_sql import value_of
from genome_pipeline_tests.support.published_file import LATEST, SNAPSHOTS


@pytest.mark.parametrize(
    ("column", "expression"),
    [
        ("customer_count", "count(*)"),
        ("active_customer_count", "sum(CASE WHEN recent_purchase_day_count > 0 THEN 1 ELSE 0 END)"),
        ("recent_spend_amount", "sum(recent_spend_amount)"),
        ("expected_spend", "sum(expected_spend)"),
        ("revenue_at_risk_amount", "sum(CASE WHEN risk_band <> 'low' THEN revenue_at_stake_amount END)"),
        ("mean_confidence", "avg(confidence)"),
    ],
)
def test_headline_figures_equal_plain_sql(connection: duckdb.DuckDBPyConnection, column: str, expression: str) -> None:
    trend = snapshot_trend(connection, LATEST).set_index("as_of")
    assert len(trend) == 4
    assert trend[column].iloc[-1] == pytest.approx(
        float(value_of(connection, f"SELECT {expression} FROM customer_genome"))
    )


def test_a_trend_ends_at_the_snapshot_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    trend = snapshot_trend(connection, SNAPSHOTS[1])
    assert [moment.date() for moment in trend["as_of"]] == list(SNAPSHOTS[:2])
