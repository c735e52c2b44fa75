"""Checks of each table against its contract and against users' suites, judged by Great Expectations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from genome_pipeline.contracts.tables import Table
from genome_pipeline.orchestration.checks.bridge import Check, Subject
from genome_pipeline.quality.counting import Slices
from genome_pipeline.quality.data_docs import DataDocs, Validated
from genome_pipeline.quality.own_suites import load_own_suites, validate_own
from genome_pipeline.quality.validation import CheckResult, validate


def contract_check(table: Table) -> Check:
    """The blocking check that the slices of a run hold what the contract says, and what users' suites say of them."""

    def body(subject: Subject) -> Sequence[CheckResult]:
        settings, slices = subject.settings, _slices(subject, table)
        # All are loaded, so that a mistake in one is told by the first check, not by that of its table.
        suites = [own for own in load_own_suites(settings.quality.suites) if own.table.name == table.name]
        found = validate(settings.warehouse_path, table, slices)
        docs = DataDocs(settings.quality_path)
        run = (subject.run_id, datetime.now(UTC), _in_words(slices))
        docs.keep(Validated(table.name, table.name, False, True, *run, found.expectations))
        results = list(found.results)
        for own in suites:
            by_user = validate_own(settings.warehouse_path, own, slices)
            name = f"own-{own.name}"
            docs.keep(Validated(name, table.name, True, own.is_blocking, *run, by_user.expectations))
            results += by_user.results
        docs.forget(table.name, [f"own-{own.name}" for own in suites])
        return results

    return Check(
        table.name,
        "contract",
        f"Columns, types, keys, nulls, bounds and relations of {table.name} are as its contract declares them; and"
        " what suites of your own say of it holds.",
        True,
        body,
    )


def _in_words(slices: Slices) -> str:
    starts = sorted(start for start in (slices or {}).values() if start is not None)
    return f"{starts[0]} to {starts[-1]}" if starts else ""


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
