"""Corrections of a database's copy from which customers were left out: counts, estimates and published tables.

What is computed by a model's functions is made in :mod:`genome_pipeline.orchestration.runs.remaking`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.sql import literal
from genome_pipeline.transforms.validation import rejected_by_reason
from genome_pipeline.warehouse.erasure import LeftOut
from genome_pipeline.warehouse.forgotten import up_to_tens

_OF_NEIGHBORS = ("neighbor_expected_orders", "neighbor_expected_spend", "neighbor_churn_probability")
_ROW_COUNTS = {
    "raw_row_count": "raw_transactions",
    "validated_row_count": "validated_transactions",
    "quarantined_row_count": "quarantined_transactions",
}
"""Parameter of a publication -> the table whose rows it counts."""


def snapshots_left(database: Backend) -> set[date]:
    """The ``as_of`` of the snapshots that still have customers."""
    return {day for (day,) in database.con.execute("SELECT DISTINCT as_of FROM customer_features").fetchall()}


def correct_counts(copy: Backend, left_out: LeftOut) -> None:
    """Correct the warehouse's counts of its own slices and source files in the copy."""
    connection = copy.con
    for name, leaving in left_out.rows_by_file.items():
        connection.execute(
            "UPDATE source_files SET row_count = row_count - $leaving, suppressed_row_count = suppressed_row_count +"
            " $suppressed WHERE source_file = $name",
            {"leaving": leaving, "suppressed": up_to_tens(leaving), "name": name},
        )
    connection.execute(
        "UPDATE published_files SET row_count = files.row_count + files.suppressed_row_count FROM source_files AS files"
        " WHERE files.source_file = published_files.source_file"
        " AND files.content_hash IS NOT DISTINCT FROM published_files.content_hash"
    )
    for name in {*left_out.row_counts, *left_out.sums}:
        slice_by = TABLES[name].slice_by
        of_slice = "true" if slice_by is None else f"coalesce({slice_by}::VARCHAR, 'undated') = slice_key"
        connection.execute(
            f"UPDATE written_slices SET row_count = (SELECT count(*) FROM {name} WHERE {of_slice})"
            " WHERE table_name = ?",
            [name],
        )


def correct_publications(database: Backend) -> None:
    """Count the source rows of the last publication again, and remove the counts of earlier ones.

    The next publication is then written whole: not every corrected row belongs to a slice that counts as written.
    """
    database.con.execute("DELETE FROM published_slices")
    _set_row_counts(database, _row_counts(database))


def recount_groups(database: Backend, since: date) -> None:
    """Recompute sizes of groups in model tables from the customers that are left."""
    for statement in (
        "UPDATE similarity_index SET customer_count = (SELECT count(*) FROM customer_features AS known"
        " WHERE known.as_of = similarity_index.as_of) WHERE as_of >= ?",
        "UPDATE segment_model SET smallest_share = (SELECT min(customer_share) FROM segment_profiles AS profiles"
        " WHERE profiles.as_of = segment_model.as_of) WHERE is_chosen AND as_of >= ? AND as_of IN"
        " (SELECT as_of FROM segment_profiles)",
    ):
        database.con.execute(statement, [since])


def take_estimates(database: Backend, history: str, since: date) -> None:
    """Fill the mart's columns of neighbour estimates, which were left out together with the estimates."""
    database.con.execute(
        f"UPDATE customer_genome{history} AS genome SET {', '.join(f'{name} = told.{name}' for name in _OF_NEIGHBORS)}"
        f" FROM neighbor_estimates{history} AS told WHERE genome.as_of = told.as_of AND genome.customer_id ="
        " told.customer_id AND genome.as_of >= ?",
        [since],
    )


def fill_published(database: Backend, warehouse: Path, left_out: LeftOut) -> None:
    """Add the left-out tables to the copy of a published file, as they now are in the warehouse."""
    connection = database.con
    connection.execute(f"ATTACH {literal(str(warehouse))} AS warehouse (READ_ONLY)")
    for name, before in left_out.sums.items():
        table = TABLES[name]
        connection.execute(
            f"INSERT INTO {table.published_name} BY NAME SELECT * FROM warehouse.main.{name}"
            f" WHERE as_of IN (SELECT unnest($dates)) ORDER BY {', '.join(table.key)}",
            {"dates": [*pd.to_datetime(before["as_of"]).dt.date.unique()]},
        )
    if left_out.since is not None:
        take_estimates(database, "_history", left_out.since)
    # A cohort whose last customer is gone has no row, and what it cost to win them would name its month still.
    connection.execute(
        "DELETE FROM acquisition_costs WHERE cohort_start_date NOT IN (SELECT cohort_start_date FROM cohorts_history"
        " WHERE as_of = (SELECT max(as_of) FROM cohorts_history))"
    )
    rejected = rejected_by_reason(database.table("quarantined_transactions", database=("warehouse", "main")))
    connection.execute("DELETE FROM quarantine_reasons")
    connection.execute(f"INSERT INTO quarantine_reasons BY NAME FROM ({ibis.to_sql(rejected, dialect='duckdb')})")
    connection.execute(
        "UPDATE source_files SET row_count = theirs.row_count, suppressed_row_count = theirs.suppressed_row_count"
        " FROM warehouse.main.source_files AS theirs WHERE source_files.source_file = theirs.source_file"
    )
    counts = _row_counts(database, "warehouse.main.")
    connection.execute("DETACH warehouse")
    _set_row_counts(database, counts)


def _row_counts(database: Backend, schema: str = "") -> dict[str, int]:
    """Numbers of source rows: in total, validated and quarantined."""
    return {
        name: database.con.execute(f"SELECT count(*) FROM {schema}{table}").fetchall()[0][0]
        for name, table in _ROW_COUNTS.items()
        if schema or table in database.list_tables()
    }


def _set_row_counts(database: Backend, counts: Mapping[str, int]) -> None:
    """Set these counts of source rows in the last publication, and remove them from earlier ones."""
    connection = database.con
    runs = connection.execute("SELECT rowid, parameters FROM pipeline_runs ORDER BY published_at DESC").fetchall()
    for position, (row, written) in enumerate(runs):
        kept = {name: value for name, value in json.loads(written).items() if name not in _ROW_COUNTS}
        told = kept if position else {**kept, **counts}
        connection.execute("UPDATE pipeline_runs SET parameters = ? WHERE rowid = ?", [json.dumps(told), row])
