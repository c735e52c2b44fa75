"""What the pages about predictions ask of the published file: how they are spread, and how earlier ones turned out.

As in :mod:`genome_pipeline.dashboard.queries`, DuckDB aggregates, values are bound, and a question about a snapshot
sees only what was known at it. ``matured`` is the snapshot whose predictions are held against what happened.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import duckdb
import pandas as pd

from genome_pipeline.dashboard.queries import up_to
from genome_pipeline.published.versions import remembered_rows

Predictor = Literal["model", "naive"]
Prediction = Literal["expected_spend", "churn_probability"]
Grouping = Literal["risk_band", "segment_name"]

_PREDICTED_SPEND: dict[Predictor, str] = {"model": "expected_spend", "naive": "naive_expected_spend"}
_NORMAL_95 = 1.959963984540054
_TENTHS = [tenth / 10 for tenth in range(1, 10)]


def _decile(column: str) -> str:
    """Tenth that the value belongs to, 1 the lowest, by the ``ends`` of the first nine; equal values share one."""
    return "1 + " + " + ".join(f"({column} > ends[{position}])::INT" for position in range(1, 10))


def last_matured(connection: duckdb.DuckDBPyConnection, as_of: date) -> date | None:
    """The latest snapshot that had matured by ``as_of``, if there is one."""
    row = connection.execute(
        "SELECT max(as_of) FROM model_performance_history WHERE matured_as_of <= ?", [as_of]
    ).fetchone()
    return row[0] if row else None


# Value


def value_deciles(connection: duckdb.DuckDBPyConnection, matured: date) -> pd.DataFrame:
    """One row per tenth of customers by expected spend, 10 the highest: spend expected, naively expected, realised.

    Equal predictions share a tenth, the lowest one of theirs.
    """
    return remembered_rows(
        connection,
        f"""
        WITH predicted AS (
            SELECT * FROM prediction_outcomes_history
            WHERE as_of = ? AND expected_spend IS NOT NULL AND actual_spend IS NOT NULL
        ),
        bounds AS (
            SELECT quantile_disc(expected_spend, {_TENTHS}) AS ends FROM predicted
        )
        SELECT
            {_decile("expected_spend")} AS value_decile,
            count(*) AS customer_count,
            sum(expected_spend) AS expected_spend,
            sum(naive_expected_spend) AS naive_expected_spend,
            sum(actual_spend) AS actual_spend
        FROM predicted, bounds
        GROUP BY value_decile
        ORDER BY value_decile DESC
        """,
        [matured],
    )


def expected_deciles(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per tenth of the snapshot's customers by expected spend, 10 the highest: customers and expected spend."""
    return remembered_rows(
        connection,
        f"""
        WITH predicted AS (
            SELECT expected_spend FROM customer_genome_history WHERE as_of = ? AND expected_spend IS NOT NULL
        ),
        bounds AS (
            SELECT quantile_disc(expected_spend, {_TENTHS}) AS ends FROM predicted
        )
        SELECT
            {_decile("expected_spend")} AS value_decile,
            count(*) AS customer_count,
            sum(expected_spend) AS expected_spend
        FROM predicted, bounds
        GROUP BY value_decile
        ORDER BY value_decile DESC
        """,
        [as_of],
    )


def capture_curve(connection: duckdb.DuckDBPyConnection, matured: date, predictor: Predictor) -> pd.DataFrame:
    """Share of realised spend held by the share of customers that the predictor puts first, from (0, 0) to (1, 1).

    Every point is exact; they lie where the prediction passes steps of about 2%. Customers of equal prediction are
    within one step, and a straight line through it is what any order among them gives on average.
    """
    predicted = _PREDICTED_SPEND[predictor]
    return remembered_rows(
        connection,
        f"""
        WITH predicted AS (
            SELECT {predicted} AS prediction, actual_spend FROM prediction_outcomes_history
            WHERE as_of = ? AND {predicted} IS NOT NULL AND expected_spend IS NOT NULL AND actual_spend IS NOT NULL
        ),
        steps AS (
            SELECT
                floor(50 * ln(1 + greatest(prediction / nullif(average, 0), 0))) AS step,
                count(*) AS customer_count,
                sum(actual_spend)::DOUBLE AS actual_spend
            FROM predicted, (SELECT avg(prediction) AS average FROM predicted)
            GROUP BY step
        ),
        shares AS (
            SELECT
                sum(customer_count) OVER first_ones / sum(customer_count) OVER () AS customer_share,
                sum(actual_spend) OVER first_ones / nullif(sum(actual_spend) OVER (), 0) AS spend_share
            FROM steps
            WINDOW first_ones AS (ORDER BY step DESC ROWS UNBOUNDED PRECEDING)
        )
        SELECT 0.0 AS customer_share, 0.0 AS spend_share WHERE EXISTS (FROM predicted)
        UNION ALL
        SELECT customer_share, spend_share FROM shares
        ORDER BY customer_share
        """,
        [matured],
    )


def error_trend(connection: duckdb.DuckDBPyConnection, as_of: date, target: str, metric: str) -> pd.DataFrame:
    """One row per snapshot that had matured by ``as_of``: a measure of the model and of the naive baseline."""
    return connection.execute(
        """
        SELECT
            as_of,
            max(customer_count) AS customer_count,
            any_value(metric_value) FILTER (predictor = 'model') AS model,
            any_value(metric_value) FILTER (predictor = 'naive') AS naive
        FROM model_performance_history
        WHERE matured_as_of <= ? AND slice_name = 'all' AND target = ? AND metric = ?
        GROUP BY as_of
        HAVING model IS NOT NULL
        ORDER BY as_of
        """,
        [as_of, target, metric],
    ).df()


def overall_drivers(connection: duckdb.DuckDBPyConnection, as_of: date, prediction: Prediction) -> pd.DataFrame:
    """One row per driver, the strongest first: what it adds to or takes from a prediction, on average of customers.

    The average customer is left out: every prediction starts from it. A driver without a row for a customer adds
    nothing to that customer's prediction, or is among everything else.
    """
    return remembered_rows(
        connection,
        """
        WITH added AS (
            SELECT
                driver,
                sum(abs(contribution)) AS total,
                count(*) FILTER (contribution > 0) AS raised_count,
                count(*) FILTER (contribution < 0) AS lowered_count,
                max(count(*)) FILTER (driver = 'average_customer') OVER () AS customer_count
            FROM customer_drivers_history
            WHERE as_of = $as_of AND prediction = $prediction
            GROUP BY driver
        )
        SELECT
            driver,
            total / customer_count AS mean_absolute_contribution,
            raised_count / customer_count AS raised_share,
            lowered_count / customer_count AS lowered_share
        FROM added
        WHERE driver <> 'average_customer'
        ORDER BY mean_absolute_contribution DESC, driver
        """,
        {"as_of": as_of, "prediction": prediction},
    )


# Risk


def churn_distribution(connection: duckdb.DuckDBPyConnection, as_of: date, grouping: Grouping) -> pd.DataFrame:
    """Customers by churn probability, in twenty steps of 0.05, and by risk band or segment."""
    return remembered_rows(
        connection,
        f"""
        SELECT
            least(floor(churn_probability * 20 + 1e-9), 19) / 20 AS lower_bound,
            {grouping},
            count(*) AS customer_count,
            sum(expected_spend) AS expected_spend
        FROM customer_genome_history
        WHERE as_of = ? AND churn_probability IS NOT NULL
        GROUP BY lower_bound, {grouping}
        ORDER BY lower_bound, {grouping}
        """,
        [as_of],
    )


def reliability(connection: duckdb.DuckDBPyConnection, matured: date) -> pd.DataFrame:
    """Ten steps of churn probability: what was predicted on average, and the share that churned with its interval.

    The interval is Wilson's of 95%, with bounds in [0, 1]: Wilson, E. B. (1927), "Probable Inference, the Law of
    Succession, and Statistical Inference", JASA 22(158). A step without customers has no row.
    """
    return remembered_rows(
        connection,
        """
        WITH steps AS (
            SELECT
                least(floor(churn_probability * 10 + 1e-9), 9) / 10 AS lower_bound,
                count(*) AS customer_count,
                avg(churn_probability) AS churn_probability,
                avg(has_churned::INT) AS actual_churn_share
            FROM prediction_outcomes_history
            WHERE as_of = $matured AND churn_probability IS NOT NULL
            GROUP BY lower_bound
        ),
        wilson AS (
            SELECT
                *,
                1 + $z * $z / customer_count AS scale,
                actual_churn_share + $z * $z / (2 * customer_count) AS middle,
                $z * sqrt(
                    actual_churn_share * (1 - actual_churn_share) / customer_count
                    + $z * $z / (4 * customer_count * customer_count)
                ) AS half_width
            FROM steps
        )
        SELECT
            lower_bound, customer_count, churn_probability, actual_churn_share,
            greatest((middle - half_width) / scale, 0) AS actual_churn_share_lower,
            least((middle + half_width) / scale, 1) AS actual_churn_share_upper
        FROM wilson
        ORDER BY lower_bound
        """,
        {"matured": matured, "z": _NORMAL_95},
    )


def churn_cutoffs(connection: duckdb.DuckDBPyConnection, as_of: date, matured: date | None) -> pd.DataFrame:
    """One row per cutoff of 0.00 to 0.99: whom a churn probability of at least that selects, and how it did before.

    ``customer_count``, ``expected_spend`` and ``revenue_at_stake_amount`` are of the customers selected at the
    snapshot. Of those it would have selected at ``matured``, ``precision`` is the share that churned; ``recall`` is
    their share of all who churned. Both are null without a matured snapshot, or where they are not defined.
    """
    return remembered_rows(
        connection,
        """
        WITH cutoffs AS (SELECT unnest(range(100)) AS step),
        now AS (
            SELECT
                least(floor(churn_probability * 100 + 1e-9), 99)::INT AS step,
                count(*) AS customer_count,
                sum(expected_spend) AS expected_spend,
                sum(revenue_at_stake_amount) AS revenue_at_stake_amount
            FROM customer_genome_history
            WHERE as_of = $as_of AND churn_probability IS NOT NULL
            GROUP BY step
        ),
        earlier AS (
            SELECT
                least(floor(churn_probability * 100 + 1e-9), 99)::INT AS step,
                count(*) AS customer_count,
                count(*) FILTER (has_churned) AS churned_count
            FROM prediction_outcomes_history
            WHERE as_of = $matured AND churn_probability IS NOT NULL
            GROUP BY step
        )
        SELECT
            step / 100 AS cutoff,
            coalesce(sum(now.customer_count) OVER from_here, 0)::BIGINT AS customer_count,
            sum(now.expected_spend) OVER from_here AS expected_spend,
            sum(now.revenue_at_stake_amount) OVER from_here AS revenue_at_stake_amount,
            sum(earlier.churned_count) OVER from_here / sum(earlier.customer_count) OVER from_here AS precision,
            coalesce(sum(earlier.churned_count) OVER from_here, 0)
                / nullif(sum(earlier.churned_count) OVER (), 0) AS recall
        FROM cutoffs
        LEFT JOIN now USING (step)
        LEFT JOIN earlier USING (step)
        WINDOW from_here AS (ORDER BY step DESC ROWS UNBOUNDED PRECEDING)
        ORDER BY cutoff
        """,
        {"as_of": as_of, "matured": matured},
    )


# Confidence


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
    half_width = _NORMAL_95 * (level * (1 - level) / rows["customer_count"]) ** 0.5
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
            SELECT quantile_disc({confidence}, {_TENTHS}) AS ends FROM judged
        )
        SELECT
            {_decile(confidence)} AS confidence_decile,
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
