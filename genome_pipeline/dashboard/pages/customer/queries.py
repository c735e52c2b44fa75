"""What the Customer page asks of the published file."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd

from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.contracts.tables.taste import KEPT_CATEGORIES
from genome_pipeline.dashboard.kit.fingerprint import gene_levels, percentile

_PERIOD_STEPS = {"month": "1 month", "week": "7 days", "day": "1 day"}


def customer_ids(connection: duckdb.DuckDBPyConnection, as_of: date, prefix: str, limit: int = 20) -> list[str]:
    """Customers of the snapshot whose id starts with ``prefix``, whatever the case."""
    rows = connection.execute(
        """
        SELECT customer_id FROM customer_genome_history
        WHERE as_of = ? AND starts_with(lower(customer_id), lower(?))
        ORDER BY customer_id
        LIMIT ?
        """,
        [as_of, prefix, limit],
    ).fetchall()
    return [row[0] for row in rows]


def customer_predictions(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """One row per snapshot up to ``as_of``: what was predicted for the customer, and what had happened by then."""
    return connection.execute(
        """
        SELECT
            genome.as_of,
            genome.segment_name,
            genome.expected_spend, genome.expected_spend_lower, genome.expected_spend_upper,
            genome.churn_probability, genome.churn_probability_lower, genome.churn_probability_upper,
            genome.confidence,
            outcome.actual_spend,
            outcome.has_churned
        FROM customer_genome_history AS genome
        LEFT JOIN prediction_outcomes_history AS outcome
            ON outcome.as_of = genome.as_of
            AND outcome.customer_id = genome.customer_id
            AND outcome.matured_as_of <= $as_of
        WHERE genome.as_of <= $as_of AND genome.customer_id = $customer_id
        ORDER BY genome.as_of
        """,
        {"as_of": as_of, "customer_id": customer_id},
    ).df()


def customer_outlook(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """The customer's forecast at a snapshot, a row for each horizon, shortest first."""
    return connection.execute(
        "SELECT * EXCLUDE (as_of, customer_id) FROM customer_outlook_history"
        " WHERE as_of = ? AND customer_id = ? ORDER BY horizon_days",
        [as_of, customer_id],
    ).df()


def lifetime_value(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.Series:
    """The customer's row of ``customer_lifetime_value``."""
    return (
        connection.execute(
            "SELECT * FROM customer_lifetime_value_history WHERE as_of = ? AND customer_id = ?", [as_of, customer_id]
        )
        .df()
        .iloc[0]
    )


def customer_categories(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """The customer's shares of spend, the largest first; all other categories last."""
    return connection.execute(
        "SELECT category, category_rank, net_amount::DOUBLE AS net_amount, category_spend_share"
        " FROM customer_categories_history WHERE as_of = ? AND customer_id = ?"
        " ORDER BY category_rank > ?, category_spend_share DESC, category_rank",
        [as_of, customer_id, KEPT_CATEGORIES],
    ).df()


def customer_taste(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """The customer's row of ``customer_taste``; none without spend in a category."""
    return connection.execute(
        "SELECT * FROM customer_taste_history WHERE as_of = ? AND customer_id = ?", [as_of, customer_id]
    ).df()


def customer_next_categories(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """The categories that the customer is most likely to buy next, by rank."""
    return connection.execute(
        "SELECT * EXCLUDE (as_of, customer_id) FROM customer_next_category_history"
        " WHERE as_of = ? AND customer_id = ? ORDER BY next_category_rank",
        [as_of, customer_id],
    ).df()


def customer_activity(
    connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str, period: str
) -> pd.DataFrame:
    """One row per period from the customer's first one up to ``as_of``, silent periods included."""
    step = _PERIOD_STEPS[period]
    return connection.execute(
        f"""
        WITH activity AS (
            SELECT * FROM customer_activity WHERE customer_id = $customer_id AND period_start_date < $as_of
        ),
        calendar AS (
            SELECT unnest(generate_series(
                (SELECT min(period_start_date) FROM activity)::TIMESTAMP,
                $as_of::TIMESTAMP - INTERVAL 1 DAY,
                INTERVAL {step}
            ))::DATE AS period_start_date
        )
        SELECT
            period_start_date,
            coalesce(purchase_day_count, 0) AS purchase_day_count,
            coalesce(order_count, 0) AS order_count,
            coalesce(gross_amount, 0) AS gross_amount,
            coalesce(return_amount, 0) AS return_amount
        FROM calendar
        LEFT JOIN activity USING (period_start_date)
        ORDER BY period_start_date
        """,
        {"as_of": as_of, "customer_id": customer_id},
    ).df()


def fingerprint(connection: duckdb.DuckDBPyConnection, as_of: date, genome: pd.Series) -> pd.DataFrame:
    """One row per gene: the customer's value and the segment's median, and where both stand among all customers.

    ``genome`` is the customer's row of ``customer_genome``. A percentile is that of
    :func:`~genome_pipeline.dashboard.kit.fingerprint.percentile`. A gene that is null for the customer has no row.
    """
    levels = gene_levels(connection, as_of)
    grid, medians = levels["quantiles"], levels["medians"][str(genome["segment_id"])]
    rows = [
        (gene, genome[gene], median, percentile(grid[gene], genome[gene]), percentile(grid[gene], median))
        for gene, median in zip(FINGERPRINT_GENES, medians, strict=True)
    ]
    columns = ["gene", "value", "segment_median", "percentile", "segment_percentile"]
    return pd.DataFrame(rows, columns=columns).dropna(subset=["value"]).reset_index(drop=True)


def drivers(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """What adds up to each of the customer's predictions, in order of rank."""
    return connection.execute(
        """
        SELECT prediction, driver_rank, driver, contribution, contribution_change, explanation
        FROM customer_drivers_history
        WHERE as_of = ? AND customer_id = ?
        ORDER BY prediction, driver_rank
        """,
        [as_of, customer_id],
    ).df()
