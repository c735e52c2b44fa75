"""What the Similar page asks of the published file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb
import pandas as pd

from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.dashboard.kit.fingerprint import gene_levels, percentile


def customers(
    connection: duckdb.DuckDBPyConnection,
    as_of: date,
    customer_ids: Sequence[str],
    columns: Sequence[str] = TABLES["customer_genome"].columns,
) -> pd.DataFrame:
    """The genomes of several customers, in the order asked for; an unknown one has no row."""
    return connection.execute(
        f"""
        SELECT {", ".join(f"genome.{column}" for column in columns)}
        FROM customer_genome_history AS genome
        JOIN (
            SELECT unnest($ids::VARCHAR[]) AS customer_id, generate_subscripts($ids::VARCHAR[], 1) AS position
        ) AS asked USING (customer_id)
        WHERE genome.as_of = $as_of
        ORDER BY asked.position
        """,
        {"as_of": as_of, "ids": list(dict.fromkeys(customer_ids))},
    ).df()


def latest_outcomes(connection: duckdb.DuckDBPyConnection, as_of: date, customer_ids: Sequence[str]) -> pd.DataFrame:
    """What the customers did in the horizon of the last snapshot that had matured by ``as_of``; those known then."""
    return connection.execute(
        """
        SELECT as_of, customer_id, actual_orders, actual_spend, has_churned
        FROM prediction_outcomes_history
        WHERE as_of = (SELECT max(as_of) FROM prediction_outcomes_history WHERE matured_as_of <= $as_of)
            AND customer_id IN (SELECT unnest($ids::VARCHAR[]))
        ORDER BY customer_id
        """,
        {"as_of": as_of, "ids": list(customer_ids)},
    ).df()


def percentiles(connection: duckdb.DuckDBPyConnection, as_of: date, genomes: pd.DataFrame) -> pd.DataFrame:
    """One row per gene and row of :func:`customers`: the value, and where it stands among all customers.

    Percentiles as on the card of a customer. A gene that is null for a customer has no row.
    """
    grid = gene_levels(connection, as_of)["quantiles"]
    rows = [
        (gene, genome["customer_id"], genome[gene], percentile(grid[gene], genome[gene]))
        for gene in FINGERPRINT_GENES
        for _, genome in genomes.iterrows()
    ]
    found = pd.DataFrame(rows, columns=["gene", "customer_id", "value", "percentile"])
    return found.dropna(subset=["value"]).reset_index(drop=True)
