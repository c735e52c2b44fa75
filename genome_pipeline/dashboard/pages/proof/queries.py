"""What the Proof page asks of the published file."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd


def looks(connection: duckdb.DuckDBPyConnection, experiment_id: str, as_of: date) -> pd.DataFrame:
    """Every look at an experiment by a snapshot, oldest first: a row per outcome."""
    return connection.execute(
        "SELECT * RENAME (as_of AS look_date) FROM experiment_results_history WHERE experiment_id = ? AND as_of <= ?"
        " ORDER BY look_date, outcome_name",
        [experiment_id, as_of],
    ).df()
