"""What the Risk page asks of the published file."""

from __future__ import annotations

from datetime import date
from typing import Literal

import duckdb
import pandas as pd

from genome_pipeline.dashboard.kit.outcomes import NORMAL_95
from genome_pipeline.published.versions import remembered_rows

Grouping = Literal["risk_band", "segment_name"]


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
        {"matured": matured, "z": NORMAL_95},
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
