"""What the Data quality page asks of the published file."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd

from genome_pipeline.published.reader import LATEST_CHECKS


def quarantine_by_reason(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per reason, over all periods; a row with two reasons counts under both."""
    return connection.execute(
        """
        SELECT reason, sum(row_count)::BIGINT AS row_count, sum(amount_sum) AS amount_sum
        FROM quarantine_reasons
        GROUP BY reason
        ORDER BY row_count DESC, reason
        """
    ).df()


def quarantine_by_period(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per period and reason; rows without a readable date have no period."""
    return connection.execute(
        """
        SELECT period_start_date, reason, row_count, amount_sum
        FROM quarantine_reasons
        ORDER BY period_start_date NULLS LAST, reason
        """
    ).df()


def quarantine_samples(connection: duckdb.DuckDBPyConnection, reason: str) -> pd.DataFrame:
    """The first rows that were set aside for a reason, as they came."""
    return connection.execute(
        "SELECT * EXCLUDE (reason) FROM quarantine_samples WHERE reason = ? ORDER BY source_file, source_row", [reason]
    ).df()


def checks(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The checks of what was published last, failures first."""
    return connection.execute(
        f"""
        SELECT table_name, check_name, severity, is_passed, observed, period_start_date
        FROM ({LATEST_CHECKS})
        ORDER BY is_passed, severity, table_name, check_name, period_start_date
        """
    ).df()


def checks_by_period(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per period: the latest result of each of its checks, counted. Checks of whole tables have no period."""
    return connection.execute(
        """
        WITH latest AS (
            SELECT
                period_start_date,
                arg_max(severity, checked_at) AS severity,
                arg_max(is_passed, checked_at) AS is_passed
            FROM data_quality
            WHERE period_start_date IS NOT NULL
            GROUP BY period_start_date, table_name, check_name
        )
        SELECT
            period_start_date,
            count(*) AS check_count,
            count(*) FILTER (NOT is_passed AND severity = 'ERROR') AS failed_error_count,
            count(*) FILTER (NOT is_passed AND severity = 'WARN') AS failed_warn_count
        FROM latest
        GROUP BY period_start_date
        ORDER BY period_start_date
        """
    ).df()


def check_runs(connection: duckdb.DuckDBPyConnection, limit: int = 12) -> pd.DataFrame:
    """The last runs that checked anything, latest first: checks and how many failed."""
    return connection.execute(
        """
        SELECT run_id, max(checked_at) AS checked_at, count(*) AS check_count,
            count(*) FILTER (NOT is_passed) AS failed_check_count
        FROM data_quality
        GROUP BY run_id
        ORDER BY checked_at DESC
        LIMIT ?
        """,
        [limit],
    ).df()


def reconciliation(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The latest results of the checks that every source row is kept or set aside, by period, the newest first."""
    return connection.execute(
        """
        SELECT period_start_date, check_name, arg_max(is_passed, checked_at) AS is_passed,
            arg_max(observed, checked_at) AS observed
        FROM data_quality
        WHERE check_name IN ('nothing_lost', 'rows_counted')
        GROUP BY period_start_date, table_name, check_name
        ORDER BY period_start_date DESC NULLS FIRST, check_name
        """
    ).df()


def gene_drift(connection: duckdb.DuckDBPyConnection, as_of: date, baseline: str) -> pd.DataFrame:
    """One row per snapshot up to ``as_of`` and gene: how far its distribution moved since the baseline's snapshot."""
    return connection.execute(
        """
        SELECT as_of, baseline_as_of, gene, measure, psi, ks_statistic, median, baseline_median, has_drifted,
            unjudged_reason
        FROM gene_drift_history
        WHERE as_of <= ? AND baseline = ?
        ORDER BY as_of, gene
        """,
        [as_of, baseline],
    ).df()


def forced_publications(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The publications that were forced past a blocking check, the latest first."""
    return connection.execute(
        "SELECT run_id, as_of, published_at, forced_past FROM pipeline_runs WHERE forced_past IS NOT NULL"
        " ORDER BY published_at DESC"
    ).df()


def source_files(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The files taken in."""
    return connection.execute(
        "SELECT source_file, row_count, ingested_at, content_hash FROM source_files ORDER BY source_file"
    ).df()
