"""``raw_transactions`` -> ``validated_transactions`` and ``quarantined_transactions``."""

from __future__ import annotations

from datetime import date

import dagster as dg

from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.stage import report_rows, table_stage
from genome_pipeline.orchestration.partitions import Reads, period_starts
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms.validation import (
    judged_lines,
    rejected_lines,
    rejections,
    repeated_hashes,
    repeated_places,
    valid_lines,
)
from genome_pipeline.warehouse.database import WrittenSlices, stored
from genome_pipeline.warehouse.ingestion import typed_raw


@table_stage(
    "validated_transactions",
    "quarantined_transactions",
    reads={"raw_transactions": Reads.SAME},
    kinds={"ibis"},
    name="validation",
)
def validation(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Judge the rows of the run's periods, and those that belong to no period."""
    settings, warehouse = pipeline.settings, pipeline.warehouse
    periods = period_starts(context)
    rules = active_rules(list(settings.source.columns.mapped), settings.rules.disabled)
    with warehouse.open() as database, pipeline.engine.work(database) as work:
        warehouse.drop_slices_after(database, settings.time)
        lines = typed_raw(database, settings)
        wanted = lines.filter(
            lines.period_start_date.between(periods[0], periods[-1]) | lines.period_start_date.isnull()
        )
        sent = work.send(wanted)
        with (
            stored(database, work.fetch(repeated_hashes(sent)), "repeated_hashes") as hashes,
            stored(database, work.fetch(repeated_places(sent, work.send(hashes))), "repeated_places") as repeats,
            stored(
                database, work.fetch(rejections(judged_lines(sent, rules, work.send(repeats)))), "rejections"
            ) as rejected,
        ):
            valid = warehouse.replace_slices(
                database,
                TABLES["validated_transactions"],
                periods,
                work.fetch(valid_lines(sent, work.send(rejected))),
                context.run_id,
            )
            aside = warehouse.replace_slices(
                database,
                TABLES["quarantined_transactions"],
                [*periods, None],
                rejected_lines(rejected, database.table("raw_transactions")),
                context.run_id,
            )
    undated = aside.row_counts[None]
    report_rows(context, pipeline, valid, {day: {"kept_share": _kept_share(valid, aside, day)} for day in periods})
    report_rows(context, pipeline, aside, {day: {"undated_row_count": undated} for day in periods})


def _kept_share(valid: WrittenSlices, rejected: WrittenSlices, period: date) -> float:
    """Share of the period's source rows that passed the rules; 1 where there are none."""
    kept, aside = valid.row_counts[period], rejected.row_counts[period]
    return kept / (kept + aside) if kept else float(not aside)
