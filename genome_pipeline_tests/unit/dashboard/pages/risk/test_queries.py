"""The aggregates of the Risk page beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from genome_pipeline.dashboard.pages.risk import queries
from genome_pipeline_tests.support.plain_sql import row_of
from genome_pipeline_tests.support.published_file import LATEST, MATURED, SNAPSHOTS


@pytest.mark.parametrize("grouping", ["risk_band", "segment_name"])
def test_the_distribution_holds_every_customer_with_a_probability(
    connection: duckdb.DuckDBPyConnection, grouping: queries.Grouping
) -> None:
    bins = queries.churn_distribution(connection, LATEST, grouping)
    assert bins["customer_count"].sum() == row_of(connection, "SELECT count(churn_probability) FROM customer_genome")[0]
    assert bins["lower_bound"].between(0, 0.95).all()


def test_reliability_has_the_wilson_interval(connection: duckdb.DuckDBPyConnection) -> None:
    bins = queries.reliability(connection, MATURED)
    count, share = row_of(
        connection,
        "SELECT count(*), avg(has_churned::INT) FROM prediction_outcomes_history"
        " WHERE as_of = ? AND churn_probability >= 0.2 AND churn_probability < 0.3",
        MATURED,
    )
    step = bins.set_index("lower_bound").loc[0.2]
    assert (step["customer_count"], step["actual_churn_share"]) == (count, pytest.approx(share))
    bounds = np.array([step["actual_churn_share_lower"], step["actual_churn_share_upper"]])
    # The score test puts each bound 1.96 standard errors, at that bound, from the share.
    assert np.abs(share - bounds) == pytest.approx(1.959964 * np.sqrt(bounds * (1 - bounds) / count), rel=1e-5)


@pytest.mark.parametrize("percent", [0, 29, 50, 58])
def test_a_cutoff_selects_whom_its_condition_selects(connection: duckdb.DuckDBPyConnection, percent: int) -> None:
    row = queries.churn_cutoffs(connection, LATEST, MATURED).iloc[percent]
    count, stake = row_of(
        connection,
        "SELECT count(*), sum(revenue_at_stake_amount) FROM customer_genome WHERE churn_probability >= ?",
        percent / 100,
    )
    assert row["cutoff"] == percent / 100
    assert (row["customer_count"], row["revenue_at_stake_amount"]) == (count, pytest.approx(float(stake)))
    precision, recall = row_of(
        connection,
        "SELECT avg(has_churned::INT) FILTER (churn_probability >= $1),"
        " count(*) FILTER (has_churned AND churn_probability >= $1) / count(*) FILTER (has_churned)"
        " FROM prediction_outcomes_history WHERE as_of = $2 AND churn_probability IS NOT NULL",
        percent / 100,
        MATURED,
    )
    assert (row["precision"], row["recall"]) == (pytest.approx(precision), pytest.approx(recall))


def test_cutoffs_are_known_before_anything_has_matured(connection: duckdb.DuckDBPyConnection) -> None:
    cutoffs = queries.churn_cutoffs(connection, SNAPSHOTS[0], None)
    assert cutoffs["customer_count"].iloc[0] > 0
    assert cutoffs[["precision", "recall"]].isna().all(axis=None)
