"""The checks of what was published last."""

from __future__ import annotations

import duckdb
import pandas as pd

from genome_pipeline.published.reader import LATEST_CHECKS


def check_summary(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """One row per severity: checks of what was published last, and how many passed."""
    return connection.execute(
        f"""
        SELECT severity, count(*) AS check_count, count(*) FILTER (is_passed) AS passed_check_count
        FROM ({LATEST_CHECKS})
        GROUP BY severity
        ORDER BY severity
        """
    ).df()
