"""What the Value page asks of the published file."""

from __future__ import annotations

from datetime import date
from typing import Literal

import duckdb
import pandas as pd

from genome_pipeline.dashboard.kit.tenths import TENTHS, decile
from genome_pipeline.published.versions import remembered_rows

Predictor = Literal["model", "naive"]

_PREDICTED_SPEND: dict[Predictor, str] = {"model": "expected_spend", "naive": "naive_expected_spend"}


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
            SELECT quantile_disc(expected_spend, {TENTHS}) AS ends FROM predicted
        )
        SELECT
            {decile("expected_spend")} AS value_decile,
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
            SELECT quantile_disc(expected_spend, {TENTHS}) AS ends FROM predicted
        )
        SELECT
            {decile("expected_spend")} AS value_decile,
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

    The points are exact, about 2% of customers apart. Customers with equal predictions are in one step: a straight line
    through it is the average over all orders of them.
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
