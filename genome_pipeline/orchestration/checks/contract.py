"""Checks of each table against its contract, by Great Expectations inside DuckDB."""

from __future__ import annotations

from collections.abc import Sequence

from genome_pipeline.contracts.tables import Table
from genome_pipeline.orchestration.checks.bridge import Check, Subject
from genome_pipeline.quality.validation import CheckResult, Slices, validate_table


def contract_check(table: Table) -> Check:
    """The blocking check that the slices of a run hold what the contract says."""

    def body(subject: Subject) -> Sequence[CheckResult]:
        return validate_table(subject.settings.warehouse_path, table, _slices(subject, table))

    return Check(
        table.name,
        "contract",
        f"Columns, types, keys, nulls, bounds and relations of {table.name} are as its contract declares them.",
        True,
        body,
    )


def _slices(subject: Subject, table: Table) -> Slices:
    """The slices to check, with their periods; None if the table has no periods and is checked whole."""
    if not subject.periods:
        return None
    if table.is_snapshot:
        # A run may also correct slices at other dates.
        written = subject.database.con.execute(
            "SELECT slice_key::DATE FROM written_slices WHERE table_name = ? AND run_id = ?",
            [table.name, subject.run_id],
        ).fetchall()
        dates = {*subject.snapshots, *(day for (day,) in written)}
        return {day: subject.settings.time.period_start(day) for day in sorted(dates)}
    undated = [None] if table.slice_by in table.nullable else []
    return {start: start for start in [*subject.periods, *undated]}
