"""Who resembles a customer, and what became of such customers."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.components import panel
from genome_pipeline.dashboard.kit.customers import customer_link
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table


def neighbors(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """The customers most like this one, with what is expected of them."""
    return connection.execute(
        """
        SELECT
            neighbor.neighbor_rank,
            neighbor.neighbor_customer_id,
            neighbor.similarity,
            neighbor.shared_traits,
            neighbor.different_traits,
            genome.segment_name,
            genome.expected_spend,
            genome.churn_probability,
            genome.action
        FROM customer_neighbors_history AS neighbor
        LEFT JOIN customer_genome_history AS genome
            ON genome.as_of = neighbor.as_of AND genome.customer_id = neighbor.neighbor_customer_id
        WHERE neighbor.as_of = ? AND neighbor.customer_id = ?
        ORDER BY neighbor.neighbor_rank
        """,
        [as_of, customer_id],
    ).df()


def matured_neighbors(connection: duckdb.DuckDBPyConnection, as_of: date, customer_id: str) -> pd.DataFrame:
    """The customers who were most like this one at the latest matured snapshot, and what they did after it."""
    return connection.execute(
        "SELECT * FROM matured_neighbors_history WHERE as_of = ? AND customer_id = ? ORDER BY neighbor_rank",
        [as_of, customer_id],
    ).df()


def traits(shared: str, different: str) -> Component:
    """The traits that two customers share, and below them those in which the other one differs."""
    return html.Div([html.Div(shared), html.Div(f"but {different}", className="kpi-note")] if different else shared)


def neighbors_panel(request: PageRequest, customer_id: str) -> Component:
    """The customers most like this one, each a link."""
    currency = request.run.currency
    found = neighbors(request.connection, request.as_of, customer_id)
    if found.empty:
        return panel(
            title="Who resembles this customer",
            reading="No neighbours were found at this snapshot: there were too few customers to compare with.",
        )
    rows = [
        [
            formats.integer(row["neighbor_rank"]),
            customer_link(request, row["neighbor_customer_id"]),
            formats.decimal(row["similarity"], 3),
            traits(row["shared_traits"], row["different_traits"]),
            row["segment_name"],
            formats.money(row["expected_spend"], currency),
            formats.percent(row["churn_probability"]),
        ]
        for _, row in found.iterrows()
    ]
    nearest = [customer_id, *found["neighbor_customer_id"].head(3)]
    return panel(
        table(
            ("Rank", "Customer", "Similarity", "Shared and different traits", "Segment", "Expected spend", "Churn"),
            rows,
            numeric=(0, 2, 5, 6),
        ),
        dcc.Link(
            "Compare with the three nearest, side by side",
            href=request.link(paths.SIMILAR, [("id", name) for name in nearest]),
            className="more",
        ),
        title="Who resembles this customer",
        reading="The closest genomes by cosine similarity; 1 is the same direction in every gene.",
        columns=("similarity", "shared_traits", "different_traits"),
        name="neighbors",
    )


def matured_neighbors_panel(request: PageRequest, customer_id: str, genome: pd.Series) -> Component:
    """A second opinion: what customers did who were like this one at a matured snapshot."""
    currency = request.run.currency
    found = matured_neighbors(request.connection, request.as_of, customer_id)
    title = "What became of customers who were like this"
    if found.empty:
        return panel(
            title=title, reading="No earlier snapshot had matured, so that it is not known what such customers did."
        )
    rows = [
        [
            formats.integer(row["neighbor_rank"]),
            customer_link(request, row["neighbor_customer_id"]),
            formats.decimal(row["similarity"], 3),
            row["shared_traits"],
            "stopped" if row["has_churned"] else "bought",
            formats.integer(row["actual_orders"]),
            formats.money(row["actual_spend"], currency),
        ]
        for _, row in found.iterrows()
    ]
    opinion = (
        f"Of the nearest such customers {formats.percent(genome['neighbor_churn_probability'])} bought nothing"
        f" (the model says {formats.percent(genome['churn_probability'])}), and they spent"
        f" {formats.money(genome['neighbor_expected_spend'], currency)} on average (the model expects"
        f" {formats.money(genome['expected_spend'], currency)}): a second opinion."
    )
    return panel(
        table(
            ("Rank", "Customer", "Similarity", "Shared traits", "Then", "Orders", "Spent"), rows, numeric=(0, 2, 5, 6)
        ),
        html.P(opinion),
        title=title,
        reading=f"They were so on {formats.day(found['neighbor_as_of'].iloc[0])}; the"
        f" {request.run.horizon_days} days after are known.",
        columns=("neighbor_as_of", "neighbor_churn_probability", "neighbor_expected_spend"),
        name="matured-neighbors",
    )
