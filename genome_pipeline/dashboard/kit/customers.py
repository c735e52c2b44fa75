"""Customers, one by one, and links to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb
import pandas as pd
from dash import dcc
from dash.development.base_component import Component

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.components import empty_state, panel
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table
from genome_pipeline.published.versions import remembered_rows


def most_at_stake(connection: duckdb.DuckDBPyConnection, as_of: date, limit: int = 8) -> pd.DataFrame:
    """The customers with the most revenue at stake."""
    return remembered_rows(
        connection,
        """
        SELECT customer_id, segment_name, expected_spend, churn_probability, confidence, action, revenue_at_stake_amount
        FROM customer_genome_history
        WHERE as_of = ? AND revenue_at_stake_amount IS NOT NULL
        ORDER BY round(revenue_at_stake_amount, 6) DESC, customer_id
        LIMIT ?
        """,
        [as_of, limit],
    )


def customer_genome(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    customer_id: str,
    columns: Sequence[str] = TABLES["customer_genome"].columns,
) -> pd.DataFrame:
    """The customer's genome: one row, or none."""
    return connection.execute(
        f"SELECT {', '.join(columns)} FROM customer_genome_history WHERE as_of = ? AND customer_id = ?",
        [as_of, customer_id],
    ).df()


def suggestions(request: PageRequest, path: str = paths.CUSTOMER, parameter: str = "customer_id") -> Component:
    """Customers to start with, as links to the page at ``path``."""
    currency = request.run.currency
    customers = most_at_stake(request.connection, request.as_of)
    if customers.empty:
        return empty_state("Search for a customer", "Type the beginning of a customer id in the field above.")
    rows = [
        [
            dcc.Link(
                row["customer_id"],
                href=request.link(path, {parameter: row["customer_id"]}),
                className="customer-link",
            ),
            row["segment_name"],
            formats.money(row["expected_spend"], currency),
            formats.percent(row["churn_probability"]),
            formats.decimal(row["confidence"]),
            row["action"],
            formats.money(row["revenue_at_stake_amount"], currency),
        ]
        for _, row in customers.iterrows()
    ]
    return panel(
        table(
            ("Customer", "Segment", "Expected spend", "Churn", "Confidence", "Action", "At stake"),
            rows,
            numeric=(2, 3, 4, 6),
        ),
        title="Where most is at stake",
        reading="A place to start: where leaving is likely and would cost most.",
        columns=("revenue_at_stake_amount", "expected_spend", "churn_probability", "confidence"),
    )


def customer_link(request: PageRequest, customer_id: str) -> Component:
    """A link to the card of a customer, at the same snapshot."""
    return dcc.Link(
        customer_id, href=request.link(paths.CUSTOMER, {"customer_id": customer_id}), className="customer-link"
    )
