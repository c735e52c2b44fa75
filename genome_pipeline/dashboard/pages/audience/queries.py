"""What the Audience page asks of the published file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import pandas as pd

from genome_pipeline.contracts.playbook import EVERYTHING_RULE, LEFT_ALONE_RULE, WAIT_RULE
from genome_pipeline.dashboard.kit.experiments import experiments_at
from genome_pipeline.dashboard.kit.snapshots import Run, all_snapshots
from genome_pipeline.dashboard.pages.audience.selection import Selection
from genome_pipeline.published.totals import total_sums, with_bounds


def audiences(connection: duckdb.DuckDBPyConnection, as_of: date) -> pd.DataFrame:
    """One row per rule of the playbook: whom it picked, and what became of those it picked before."""
    return connection.execute(
        "SELECT * EXCLUDE (as_of) FROM action_audiences_history WHERE as_of = ? ORDER BY rule_position", [as_of]
    ).df()


@dataclass(frozen=True)
class AudienceTotals:
    """A selection in numbers.

    ``matching_count`` customers fulfil its conditions; all other numbers are about the ``customer_count`` of them
    within its top percent. ``left_alone_count`` of these are left alone by running experiments.
    Sums and means leave out customers without a value, and are null where nobody has one. ``expected`` has the totals
    of :mod:`genome_pipeline.published.totals` with their bounds.
    """

    matching_count: int
    customer_count: int
    left_alone_count: int
    revenue_at_stake_amount: float | None
    expected: pd.Series[Any]
    mean_churn_probability: float | None
    mean_confidence: float | None


def audience_size(connection: duckdb.DuckDBPyConnection, as_of: date, selection: Selection) -> tuple[int, int]:
    """How many customers fulfil the conditions, and how many of these are within the top percent."""
    chosen, values = selection.chosen(as_of)
    matching = connection.execute(f"SELECT count(*) FROM {chosen}", values)
    count = int(matching.fetchall()[0][0])
    return count, selection.size(count)


def audience_totals(connection: duckdb.DuckDBPyConnection, as_of: date, selection: Selection) -> AudienceTotals:
    """The selection in numbers."""
    matching, size = audience_size(connection, as_of, selection)
    chosen, values = selection.chosen(as_of)
    # An order is needed only where a part of them is chosen.
    part = f"ORDER BY {selection.order} LIMIT {size}" if size < matching else ""
    found = connection.execute(
        f"""
        SELECT sum(revenue_at_stake_amount) AS stake, avg(churn_probability) AS churn, avg(confidence) AS confidence,
            count(*) FILTER (action_rule = '{LEFT_ALONE_RULE}') AS left_alone, {total_sums()}
        FROM (SELECT * FROM {chosen} {part})
        """,
        values,
    ).df()
    run = Run.of(connection)
    row = with_bounds(connection, as_of, run.horizon_days, run.interval_level, found).iloc[0]
    stake, churn, confidence = (None if pd.isna(row[name]) else row[name] for name in ("stake", "churn", "confidence"))
    return AudienceTotals(matching, size, int(row["left_alone"]), stake, row, churn, confidence)


def left_alone_since(
    connection: duckdb.DuckDBPyConnection, as_of: date, selection: Selection
) -> tuple[int, dict[str, date]]:
    """How many of an earlier snapshot's list are now left alone by experiments on the action it names them for.

    Returns the number of customers, and by id of their experiments until when these run. 0 at the latest snapshot: its
    list leaves them out.
    """
    latest = all_snapshots(connection)[0]
    experiments = experiments_at(connection, latest) if as_of < latest else pd.DataFrame({"is_over": []}, dtype=bool)
    running = experiments[~experiments["is_over"]]
    if running.empty:
        return 0, {}
    matching, size = audience_size(connection, as_of, selection)
    chosen, values = selection.chosen(as_of)
    part = f"ORDER BY {selection.order} LIMIT {size}" if size < matching else ""
    found = connection.execute(
        f"""
        SELECT count(DISTINCT customer_id), list(DISTINCT experiment_id ORDER BY experiment_id)
        FROM (SELECT customer_id, action, action_rule FROM {chosen} {part}) AS listed
        JOIN experiment_members USING (customer_id)
        JOIN (
            SELECT experiment_id, action AS tested_action, action_rule AS tested_rule FROM experiments
            WHERE experiment_id IN ({", ".join("?" for _ in running["experiment_id"])})
        ) USING (experiment_id)
        WHERE NOT is_treated AND (
            listed.action = tested_action
            OR tested_rule = '{EVERYTHING_RULE}' AND listed.action_rule NOT IN ('{WAIT_RULE}', '{LEFT_ALONE_RULE}')
        )
        """,
        [*values, *running["experiment_id"]],
    ).fetchall()
    count, ids = found[0]
    ends = dict(zip(running["experiment_id"], running["until_date"], strict=True))
    return int(count), {name: ends[name] for name in ids or ()}


def audience_query(as_of: date, selection: Selection, size: int, first: int = 0) -> tuple[str, list[Any]]:
    """The customers of a selection from the one at ``first`` on, up to ``size`` from its start: SQL, and its values."""
    chosen, values = selection.chosen(as_of)
    return (
        f"SELECT {', '.join(selection.columns)} FROM {chosen} ORDER BY {selection.order} LIMIT ? OFFSET ?",
        [*values, max(size - first, 0), first],
    )


def audience_rows(
    connection: duckdb.DuckDBPyConnection, as_of: date, selection: Selection, first: int, last: int
) -> tuple[list[dict[str, Any]], int]:
    """The selection's customers from ``first`` to before ``last``, and the number of all."""
    _, size = audience_size(connection, as_of, selection)
    found = connection.execute(*audience_query(as_of, selection, min(size, last), first)).fetchall()
    return [dict(zip(selection.columns, row, strict=True)) for row in found], size


def next_categories(connection: duckdb.DuckDBPyConnection, as_of: date, limit: int = 1_000) -> list[str]:
    """The categories that the most customers may buy next, in order of name."""
    rows = connection.execute(
        "SELECT category FROM customer_next_category_history WHERE as_of = ? GROUP BY category"
        " ORDER BY count(*) DESC, category LIMIT ?",
        [as_of, limit],
    ).fetchall()
    return sorted(str(row[0]) for row in rows)


def column_values(connection: duckdb.DuckDBPyConnection, as_of: date, column: str, limit: int = 50) -> list[str]:
    """The most frequent values of a text column at the snapshot. ``column`` is one of the contract's."""
    rows = connection.execute(
        f"SELECT {column} FROM customer_genome_history WHERE as_of = ? AND {column} IS NOT NULL GROUP BY {column}"
        f" ORDER BY count(*) DESC, {column} LIMIT ?",
        [as_of, limit],
    ).fetchall()
    return [str(row[0]) for row in rows]
