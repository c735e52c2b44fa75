"""What the Confidence page asks of the published file."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd

from genome_pipeline.dashboard.kit.outcomes import NORMAL_95
from genome_pipeline.dashboard.kit.snapshots import up_to
from genome_pipeline.dashboard.kit.tenths import TENTHS, decile
from genome_pipeline.published.versions import remembered_rows


def abstentions(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per model and reason: customers for whom no prediction, or no interval, is offered."""
    return remembered_rows(
        connection,
        """
        SELECT 'value' AS target, value_abstain_reason AS reason, count(*) AS customer_count
        FROM customer_genome_history WHERE as_of = $as_of AND value_abstain_reason IS NOT NULL GROUP BY ALL
        UNION ALL
        SELECT 'risk', risk_abstain_reason, count(*)
        FROM customer_genome_history WHERE as_of = $as_of AND risk_abstain_reason IS NOT NULL GROUP BY ALL
        ORDER BY customer_count DESC, target, reason
        """,
        {"as_of": as_of},
    )


def confidence_distribution(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """Customers by confidence, in twenty steps of 0.05."""
    return remembered_rows(
        connection,
        """
        SELECT least(floor(confidence * 20), 19) / 20 AS lower_bound, count(*) AS customer_count
        FROM customer_genome_history
        WHERE as_of = ? AND confidence IS NOT NULL
        GROUP BY lower_bound
        ORDER BY lower_bound
        """,
        [as_of],
    )


def outlook_performance(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """The last outcome of each further horizon that had passed by a snapshot, shortest horizon first."""
    return connection.execute(
        "SELECT * FROM outlook_performance_history WHERE matured_as_of <= ?"
        " QUALIFY row_number() OVER (PARTITION BY horizon_days ORDER BY as_of DESC) = 1 ORDER BY horizon_days",
        [as_of],
    ).df()


def coverage(
    connection: duckdb.DuckDBPyConnection, matured: date, target: str, slice_name: str, level: float
) -> pd.DataFrame:
    """One row per slice: the share of outcomes within their intervals, beside what chance allows of ``level``.

    ``coverage_lower`` and ``coverage_upper`` hold 95% of the shares that intervals of exactly ``level`` would show
    with as many customers (normal approximation of the binomial distribution, within [0, 1]).
    """
    rows = connection.execute(
        """
        SELECT slice_value, customer_count, metric_value AS coverage
        FROM model_performance_history
        WHERE as_of = ? AND target = ? AND slice_name = ? AND predictor = 'model' AND metric = 'coverage'
            AND metric_value IS NOT NULL
        ORDER BY try_cast(slice_value AS INT), slice_value
        """,
        [matured, target, slice_name],
    ).df()
    half_width = NORMAL_95 * (level * (1 - level) / rows["customer_count"]) ** 0.5
    return rows.assign(
        coverage_lower=(level - half_width).clip(lower=0), coverage_upper=(level + half_width).clip(upper=1)
    )


ERROR_OF = {
    "churn": ("power({}churn_probability - has_churned::INT, 2)", "has_churned"),
    "spend": (
        "least(abs({}expected_spend - actual_spend) / nullif(expected_spend + expected_spend / expected_orders, 0), 1)",
        "actual_spend",
    ),
}
"""Error of a prediction, with ``naive_`` or nothing in place of the braces, and what happened, which may be unknown."""


def error_by_confidence(connection: duckdb.DuckDBPyConnection, matured: date, target: str) -> pd.DataFrame:
    """One row per tenth of customers by the confidence in the churn probability or in spend, 10 the highest.

    ``error`` is the mean of that of :mod:`genome_pipeline.models.forecast.errors`; ``naive_error`` that of the naive
    baseline on the same scale. No rows where nothing was predicted.
    """
    confidence = f"{target}_confidence"
    error, actual = ERROR_OF[target]
    return remembered_rows(
        connection,
        f"""
        WITH judged AS (
            SELECT * FROM prediction_outcomes_history
            WHERE as_of = ? AND {confidence} IS NOT NULL AND {actual} IS NOT NULL
        ),
        bounds AS (
            SELECT quantile_disc({confidence}, {TENTHS}) AS ends FROM judged
        )
        SELECT
            {decile(confidence)} AS confidence_decile,
            count(*) AS customer_count,
            avg({confidence}) AS {confidence},
            avg({error.format("")}) AS error,
            avg({error.format("naive_")}) AS naive_error
        FROM judged, bounds
        GROUP BY confidence_decile
        ORDER BY confidence_decile
        """,
        [matured],
    )


def interval_width_trend(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per snapshot up to ``as_of``: mean width of the intervals, of orders, spend and churn probability."""
    widths = remembered_rows(
        connection,
        """
        SELECT
            as_of,
            avg(expected_orders_upper - expected_orders_lower) AS expected_orders_width,
            avg(expected_spend_upper - expected_spend_lower) AS expected_spend_width,
            avg(churn_probability_upper - churn_probability_lower) AS churn_probability_width
        FROM customer_genome_history
        GROUP BY as_of
        ORDER BY as_of
        """,
    )
    return up_to(widths, as_of)
