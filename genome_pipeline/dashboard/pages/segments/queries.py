"""What the Segments page asks of the published file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb
import pandas as pd

from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.dashboard.kit.snapshots import Run
from genome_pipeline.published.versions import remembered_rows


def segment_profiles(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per segment: its profile, and what its customers are expected to do, with the interval of the total."""
    return remembered_rows(
        connection,
        """
        WITH prediction AS (
            SELECT
                segment_id,
                quantile_cont(expected_spend, [0.1, 0.5, 0.9]) AS expected_spend_deciles,
                avg(churn_probability) AS churn_probability,
                avg(confidence) AS confidence
            FROM customer_genome_history
            WHERE as_of = $as_of
            GROUP BY segment_id
        )
        SELECT
            profile.* EXCLUDE (as_of),
            prediction.expected_spend_deciles[1] AS expected_spend_first_decile,
            prediction.expected_spend_deciles[2] AS expected_spend_median,
            prediction.expected_spend_deciles[3] AS expected_spend_last_decile,
            prediction.churn_probability,
            prediction.confidence,
            total.expected_spend_amount_lower,
            total.expected_spend_amount_upper
        FROM segment_profiles_history AS profile
        LEFT JOIN prediction USING (segment_id)
        LEFT JOIN forecast_totals_history AS total
            ON total.as_of = profile.as_of AND total.group_kind = 'segment'
            AND total.group_key = profile.segment_id::VARCHAR AND total.horizon_days = $horizon_days
        WHERE profile.as_of = $as_of
        ORDER BY profile.spend_share DESC NULLS LAST, profile.customer_count DESC, segment_id
        """,
        {"as_of": as_of, "horizon_days": Run.of(connection).horizon_days},
    )


def segment_migrations(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per pair of segments: customers who were in the first at the previous snapshot, in the second now."""
    return connection.execute(
        """
        SELECT from_segment_id, from_segment_name, to_segment_id, to_segment_name, customer_count, recent_spend_amount
        FROM segment_migrations_history
        WHERE as_of = ?
        ORDER BY from_segment_id, to_segment_id
        """,
        [as_of],
    ).df()


def migrations_between(connection: duckdb.DuckDBPyConnection, since: date, as_of: date) -> pd.DataFrame:
    """As :func:`segment_migrations`, but from any earlier snapshot; who was no customer then comes from segment 0."""
    return remembered_rows(
        connection,
        """
        SELECT
            coalesce(earlier.segment_id, 0) AS from_segment_id,
            coalesce(any_value(earlier.segment_name), 'New customers') AS from_segment_name,
            later.segment_id AS to_segment_id,
            any_value(later.segment_name) AS to_segment_name,
            count(*) AS customer_count,
            sum(later.recent_spend_amount) AS recent_spend_amount
        FROM customer_genome_history AS later
        LEFT JOIN customer_genome_history AS earlier
            ON earlier.as_of = $since AND earlier.customer_id = later.customer_id
        WHERE later.as_of = $as_of
        GROUP BY earlier.segment_id, later.segment_id
        ORDER BY from_segment_id, to_segment_id
        """,
        {"since": since, "as_of": as_of},
    )


def gene_by_segment(connection: duckdb.DuckDBPyConnection, as_of: date, gene: str) -> pd.DataFrame:
    """One row per segment: how a gene is spread over its customers (5%, quartiles, 95%), without those it is null for.

    ``gene`` is one of :data:`FINGERPRINT_GENES`. Raises :class:`KeyError` for any other.
    """
    if gene not in FINGERPRINT_GENES:
        raise KeyError(gene)
    return remembered_rows(
        connection,
        f"""
        WITH spread AS (
            SELECT
                segment_id,
                any_value(segment_name) AS segment_name,
                count({gene}) AS customer_count,
                quantile_cont({gene}::DOUBLE, [0.05, 0.25, 0.5, 0.75, 0.95]) AS levels
            FROM customer_genome_history
            WHERE as_of = ? AND {gene} IS NOT NULL
            GROUP BY segment_id
        )
        SELECT
            segment_id, segment_name, customer_count, levels[1] AS low, levels[2] AS first_quartile,
            levels[3] AS median, levels[4] AS third_quartile, levels[5] AS high
        FROM spread
        ORDER BY segment_id
        """,
        [as_of],
    )


def customer_sample(
    connection: duckdb.DuckDBPyConnection, as_of: date, columns: Sequence[str], size: int = 2000
) -> pd.DataFrame:
    """About ``size`` customers of the snapshot with their segment and ``columns``; the same ones each time.

    Chosen by a hash of the id, so that every customer is as likely to be among them as any other. ``columns`` are of
    the contract.
    """
    return remembered_rows(
        connection,
        f"""
        SELECT customer_id, segment_id, segment_name, {", ".join(columns)}
        FROM customer_genome_history
        WHERE as_of = $as_of AND hash(customer_id) % 1000000 < 1000000 * $size::BIGINT
            / (SELECT count(*) FROM customer_genome_history WHERE as_of = $as_of)
        ORDER BY customer_id
        """,
        {"as_of": as_of, "size": size},
    )


def segment_events(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """What happened to the segments since the previous snapshot, one row per event."""
    return connection.execute(
        """
        SELECT segment_id, event, segment_name, previous_segment_name, related_segment_name, event_reason
        FROM segment_events_history
        WHERE as_of = ?
        ORDER BY segment_id, event
        """,
        [as_of],
    ).df()


def segment_candidates(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per segment model tried at the snapshot, the chosen one first, then by silhouette."""
    return connection.execute(
        """
        SELECT candidate, is_chosen, choice_reason, silhouette_score, smallest_share, stability_score,
            smallest_jaccard_score
        FROM segment_model_history
        WHERE as_of = ?
        ORDER BY is_chosen DESC, silhouette_score DESC NULLS LAST, candidate
        """,
        [as_of],
    ).df()
