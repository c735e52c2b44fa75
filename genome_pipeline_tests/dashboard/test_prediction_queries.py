"""The aggregates about predictions beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import numpy as np
import pytest

from genome_pipeline.dashboard.kit.drivers import overall_drivers
from genome_pipeline.dashboard.kit.outcomes import error_trend, last_matured
from genome_pipeline.dashboard.pages.confidence import queries as confidence_queries
from genome_pipeline.dashboard.pages.risk import queries as risk_queries
from genome_pipeline.dashboard.pages.value import queries as value_queries
from genome_pipeline_tests.dashboard.published_file import SNAPSHOTS

LATEST, MATURED = SNAPSHOTS[-1], SNAPSHOTS[-2]


def _row(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> tuple[Any, ...]:
    row = connection.execute(query, list(values)).fetchone()
    assert row is not None
    return row


def test_the_last_matured_snapshot_is_the_one_known_by_then(connection: duckdb.DuckDBPyConnection) -> None:
    found = [last_matured(connection, as_of) for as_of in SNAPSHOTS]
    assert found == [None, *SNAPSHOTS[:3]]


def test_value_deciles_end_at_the_deciles_of_the_prediction(connection: duckdb.DuckDBPyConnection) -> None:
    outcomes = connection.execute(
        "SELECT expected_spend, actual_spend FROM prediction_outcomes_history"
        " WHERE as_of = ? AND expected_spend IS NOT NULL",
        [MATURED],
    ).df()
    ends = np.quantile(outcomes["expected_spend"], np.arange(1, 10) / 10, method="inverted_cdf")
    outcomes["decile"] = 1 + np.searchsorted(ends, outcomes["expected_spend"])
    deciles = value_queries.value_deciles(connection, MATURED).set_index("value_decile")
    expected = outcomes.groupby("decile").agg(n=("decile", "size"), actual=("actual_spend", "sum"))
    assert deciles.index.tolist() == list(range(10, 0, -1))
    assert deciles["customer_count"].sort_index().tolist() == expected["n"].tolist()
    assert deciles["actual_spend"].sort_index().tolist() == pytest.approx(expected["actual"].astype(float).tolist())


@pytest.mark.parametrize(("predictor", "column"), [("model", "expected_spend"), ("naive", "naive_expected_spend")])
def test_every_point_of_the_capture_curve_is_exact(
    connection: duckdb.DuckDBPyConnection, predictor: value_queries.Predictor, column: str
) -> None:
    curve = value_queries.capture_curve(connection, MATURED, predictor)
    outcomes = connection.execute(
        f"SELECT {column} AS predicted, actual_spend::DOUBLE AS actual FROM prediction_outcomes_history"
        f" WHERE as_of = ? AND expected_spend IS NOT NULL ORDER BY {column} DESC",
        [MATURED],
    ).df()
    counts = np.rint(curve["customer_share"] * len(outcomes)).astype(int)
    captured = np.concatenate([[0.0], outcomes["actual"].cumsum()]) / outcomes["actual"].sum()
    assert curve["spend_share"].tolist() == pytest.approx(captured[counts].tolist())
    assert (counts.iloc[0], counts.iloc[-1]) == (0, len(outcomes))
    assert len(curve) > 20


def test_drivers_are_averaged_over_all_who_have_a_prediction(connection: duckdb.DuckDBPyConnection) -> None:
    drivers = overall_drivers(connection, LATEST, "churn_probability").set_index("driver")
    total, customers = _row(
        connection,
        "SELECT sum(abs(contribution)), (SELECT count(churn_probability) FROM customer_genome) FROM customer_drivers"
        " WHERE prediction = 'churn_probability' AND driver = 'silence'",
    )
    assert drivers.index.tolist() == ["silence", "recent_purchase_day_count"]
    assert drivers.loc["silence", "mean_absolute_contribution"] == pytest.approx(total / customers)


@pytest.mark.parametrize("grouping", ["risk_band", "segment_name"])
def test_the_distribution_holds_every_customer_with_a_probability(
    connection: duckdb.DuckDBPyConnection, grouping: risk_queries.Grouping
) -> None:
    bins = risk_queries.churn_distribution(connection, LATEST, grouping)
    assert bins["customer_count"].sum() == _row(connection, "SELECT count(churn_probability) FROM customer_genome")[0]
    assert bins["lower_bound"].between(0, 0.95).all()


def test_reliability_has_the_wilson_interval(connection: duckdb.DuckDBPyConnection) -> None:
    bins = risk_queries.reliability(connection, MATURED)
    count, share = _row(
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
    row = risk_queries.churn_cutoffs(connection, LATEST, MATURED).iloc[percent]
    count, stake = _row(
        connection,
        "SELECT count(*), sum(revenue_at_stake_amount) FROM customer_genome WHERE churn_probability >= ?",
        percent / 100,
    )
    assert row["cutoff"] == percent / 100
    assert (row["customer_count"], row["revenue_at_stake_amount"]) == (count, pytest.approx(float(stake)))
    precision, recall = _row(
        connection,
        "SELECT avg(has_churned::INT) FILTER (churn_probability >= $1),"
        " count(*) FILTER (has_churned AND churn_probability >= $1) / count(*) FILTER (has_churned)"
        " FROM prediction_outcomes_history WHERE as_of = $2 AND churn_probability IS NOT NULL",
        percent / 100,
        MATURED,
    )
    assert (row["precision"], row["recall"]) == (pytest.approx(precision), pytest.approx(recall))


def test_cutoffs_are_known_before_anything_has_matured(connection: duckdb.DuckDBPyConnection) -> None:
    cutoffs = risk_queries.churn_cutoffs(connection, SNAPSHOTS[0], None)
    assert cutoffs["customer_count"].iloc[0] > 0
    assert cutoffs[["precision", "recall"]].isna().all(axis=None)


def test_coverage_stands_beside_what_chance_allows(connection: duckdb.DuckDBPyConnection) -> None:
    rows = confidence_queries.coverage(connection, MATURED, "orders", "all", 0.8)
    count = rows["customer_count"].iloc[0]
    assert rows["coverage"].tolist() == [0.82]
    assert rows["coverage_upper"].iloc[0] == pytest.approx(0.8 + 1.959964 * (0.8 * 0.2 / count) ** 0.5)


def test_errors_by_confidence_hold_every_customer_with_one(connection: duckdb.DuckDBPyConnection) -> None:
    for target, error in (
        ("churn", "(churn_probability - has_churned::INT) ** 2"),
        ("spend", "least(abs(expected_spend - actual_spend) / (expected_spend * (1 + 1 / expected_orders)), 1)"),
    ):
        errors = confidence_queries.error_by_confidence(connection, MATURED, target)
        count, mean = _row(
            connection,
            f"SELECT count(*), avg({error}) FROM prediction_outcomes_history"
            f" WHERE as_of = ? AND {target}_confidence IS NOT NULL",
            MATURED,
        )
        assert errors["customer_count"].sum() == count
        assert np.average(errors["error"], weights=errors["customer_count"]) == pytest.approx(mean)
        assert errors[f"{target}_confidence"].is_monotonic_increasing


def test_a_question_about_a_snapshot_sees_nothing_later(connection: duckdb.DuckDBPyConnection) -> None:
    errors = error_trend(connection, SNAPSHOTS[2], "spend", "mae")
    assert [moment.date() for moment in errors["as_of"]] == list(SNAPSHOTS[:2])
    assert errors[["model", "naive"]].iloc[-1].tolist() == [21.3, 26.8]
    widths = confidence_queries.interval_width_trend(connection, SNAPSHOTS[1])
    assert [moment.date() for moment in widths["as_of"]] == list(SNAPSHOTS[:2])
    assert value_queries.expected_deciles(connection, date(2031, 1, 1)).empty
