"""What the Proof page asks of the published file."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd

from genome_pipeline.contracts.playbook import LEFT_ALONE_RULE


def looks(connection: duckdb.DuckDBPyConnection, experiment_id: str, as_of: date) -> pd.DataFrame:
    """Every look at an experiment by a snapshot, oldest first: a row per outcome."""
    return connection.execute(
        "SELECT * RENAME (as_of AS look_date) FROM experiment_results_history WHERE experiment_id = ? AND as_of <= ?"
        " ORDER BY look_date, outcome_name",
        [experiment_id, as_of],
    ).df()


def groups(connection: duckdb.DuckDBPyConnection, experiment_id: str, outcome: str, as_of: date) -> pd.DataFrame:
    """On whom an experiment worked, by the end of its run; empty while it runs, and where groups are too small."""
    return connection.execute(
        "SELECT split_by, group_name, treated_count, control_count, own_effect, effect, effect_lower, effect_upper"
        " FROM experiment_groups_history WHERE experiment_id = ? AND outcome_name = ? AND as_of <= ?"
        " ORDER BY split_by, group_name",
        [experiment_id, outcome, as_of],
    ).df()


def left_alone_count(connection: duckdb.DuckDBPyConnection, as_of: date) -> int:
    """How many customers running experiments leave alone at a snapshot."""
    found = connection.execute(
        "SELECT coalesce(sum(customer_count), 0) FROM action_audiences_history WHERE as_of = ? AND action_rule = ?",
        [as_of, LEFT_ALONE_RULE],
    ).fetchall()
    return int(found[0][0])
