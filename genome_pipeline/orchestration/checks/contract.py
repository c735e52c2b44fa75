"""Each table against its contract, by Great Expectations inside DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from genome_pipeline.contracts.tables import Table
from genome_pipeline.orchestration.checks.bridge import Check
from genome_pipeline.orchestration.partitions import period_starts
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.quality.validation import CheckResult, Slices, validate_table


def contract_check(table: Table, partitions: dg.PartitionsDefinition[Any] | None) -> Check:
    """The blocking check that the slices of a run hold what the contract says."""

    def body(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
        return validate_table(pipeline.warehouse.path, table, _slices(context, pipeline, table, partitions))

    return Check(
        table.name,
        "contract",
        f"Columns, types, keys, nulls, bounds and relations of {table.name} are as its contract declares them.",
        True,
        body,
    )


def _slices(
    context: dg.AssetCheckExecutionContext,
    pipeline: Pipeline,
    table: Table,
    partitions: dg.PartitionsDefinition[Any] | None,
) -> Slices:
    if partitions is None:
        return None
    periods: list[date | None] = [*period_starts(context)]
    if table.is_snapshot:
        # A run may put right what stands at other dates, too.
        with pipeline.warehouse.open() as database:
            written = database.con.execute(
                "SELECT slice_key::DATE FROM written_slices WHERE table_name = ? AND run_id = ?",
                [table.name, context.run.run_id],
            ).fetchall()
        calendar = pipeline.settings.time
        dates = {*(calendar.as_of(start) for start in periods if start), *(day for (day,) in written)}
        return {day: calendar.period_start(day) for day in sorted(dates)}
    return {start: start for start in ([*periods, None] if table.slice_by in table.nullable else periods)}
