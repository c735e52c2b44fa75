"""The aggregates of the Confidence page beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from genome_pipeline.dashboard.kit.customers import customer_genome
from genome_pipeline.dashboard.pages.confidence import queries
from genome_pipeline_tests.support.plain_sql import row_of, value_of
from genome_pipeline_tests.support.published_file import ABSTAINED_ID, LATEST, MATURED, SNAPSHOTS
from genome_pipeline_tests.support.shown import show


def test_abstentions_name_their_reason(connection: duckdb.DuckDBPyConnection) -> None:
    abstentions = queries.abstentions(connection, LATEST)
    assert set(abstentions["target"]) == {"value", "risk"}
    assert abstentions["customer_count"].iloc[0] == value_of(
        connection, "SELECT count(*) FROM customer_genome WHERE value_abstain_reason IS NOT NULL"
    )
    assert customer_genome(connection, LATEST, ABSTAINED_ID)["expected_spend"].isna().all()


def test_coverage_stands_beside_what_chance_allows(connection: duckdb.DuckDBPyConnection) -> None:
    rows = queries.coverage(connection, MATURED, "orders", "all", 0.8)
    count = rows["customer_count"].iloc[0]
    assert rows["coverage"].tolist() == [0.82]
    assert rows["coverage_upper"].iloc[0] == pytest.approx(0.8 + 1.959964 * (0.8 * 0.2 / count) ** 0.5)


def test_errors_by_confidence_hold_every_customer_with_one(connection: duckdb.DuckDBPyConnection) -> None:
    for target, error in (
        ("churn", "(churn_probability - has_churned::INT) ** 2"),
        ("spend", "least(abs(expected_spend - actual_spend) / (expected_spend * (1 + 1 / expected_orders)), 1)"),
    ):
        errors = queries.error_by_confidence(connection, MATURED, target)
        count, mean = row_of(
            connection,
            f"SELECT count(*), avg({error}) FROM prediction_outcomes_history"
            f" WHERE as_of = ? AND {target}_confidence IS NOT NULL",
            MATURED,
        )
        assert errors["customer_count"].sum() == count
        assert np.average(errors["error"], weights=errors["customer_count"]) == pytest.approx(mean)
        assert errors[f"{target}_confidence"].is_monotonic_increasing


def test_further_horizons_are_shown_once_they_have_passed(connection: duckdb.DuckDBPyConnection) -> None:
    assert queries.outlook_performance(connection, LATEST)["horizon_days"].tolist() == [84]
    assert queries.outlook_performance(connection, SNAPSHOTS[0]).empty


def test_the_page_shows_how_further_horizons_turned_out(published_path: Path) -> None:
    page, _ = show(published_path, "/confidence")
    assert "Further horizons that have passed" in page
    page, _ = show(published_path, "/confidence", f"?as_of={SNAPSHOTS[0]}")
    assert "Further horizons that have passed" not in page
