"""What the Overview page asks of the published file."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd

from genome_pipeline.dashboard.kit.snapshots import up_to
from genome_pipeline.published.versions import remembered_rows


def risk_band_trend(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per snapshot up to ``as_of`` and risk band: customers and what they are expected to spend."""
    bands = remembered_rows(
        connection,
        """
        SELECT as_of, risk_band, count(*) AS customer_count, sum(expected_spend) AS expected_spend
        FROM customer_genome_history
        WHERE risk_band IS NOT NULL
        GROUP BY as_of, risk_band
        ORDER BY as_of, risk_band
        """,
    )
    return up_to(bands, as_of)


def performance(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per target and metric, over all customers of the last snapshot that had matured by ``as_of``."""
    return connection.execute(
        """
        WITH matured AS (
            SELECT * FROM model_performance_history WHERE matured_as_of <= ? AND slice_name = 'all'
        )
        SELECT
            as_of,
            target,
            metric,
            any_value(metric_value) FILTER (predictor = 'model') AS model,
            any_value(metric_value) FILTER (predictor = 'naive') AS naive,
            max(customer_count) AS customer_count
        FROM matured
        WHERE as_of = (SELECT max(as_of) FROM matured)
        GROUP BY as_of, target, metric
        ORDER BY target, metric
        """,
        [as_of],
    ).df()


def segment_mix(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per snapshot up to ``as_of`` and segment: its name then, its customers and their share."""
    return connection.execute(
        """
        SELECT as_of, segment_id, segment_name, customer_count, customer_share
        FROM segment_profiles_history
        WHERE as_of <= ?
        ORDER BY as_of, segment_id
        """,
        [as_of],
    ).df()


def moved_genes(connection: duckdb.DuckDBPyConnection, as_of: date, limit: int = 4) -> pd.DataFrame:
    """The genes whose distribution moved most since the previous snapshot, those that the calendar moves left out."""
    return connection.execute(
        """
        SELECT gene, measure, psi, median, baseline_median, mean, baseline_mean, has_drifted
        FROM gene_drift_history
        WHERE as_of = ? AND baseline = 'previous' AND unjudged_reason IS NULL AND psi IS NOT NULL
        ORDER BY psi DESC, gene
        LIMIT ?
        """,
        [as_of, limit],
    ).df()


def actions(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per recommended action: customers and revenue at stake, most at stake first."""
    return remembered_rows(
        connection,
        """
        SELECT action, count(*) AS customer_count, sum(revenue_at_stake_amount) AS revenue_at_stake_amount
        FROM customer_genome_history
        WHERE as_of = ?
        GROUP BY action
        ORDER BY revenue_at_stake_amount DESC NULLS LAST, customer_count DESC, action
        """,
        [as_of],
    )
