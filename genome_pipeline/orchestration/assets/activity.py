"""``validated_transactions`` -> ``customer_activity`` and ``category_activity``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.batches import cut_by_rows
from genome_pipeline.orchestration.assets.frames import check_written
from genome_pipeline.orchestration.assets.stage import report_rows, table_stage
from genome_pipeline.orchestration.partitions import Reads, period_starts
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms import activity, taste

TOGETHER_LINES = 4_000_000
"""At most this many lines are summed up together: DuckDB holds sets of products and categories in memory."""


@table_stage(
    "customer_activity",
    "category_activity",
    # Quarantined rows are not read, but their checks decide whether the validated ones are good enough to go on.
    reads={"validated_transactions": Reads.SAME, "quarantined_transactions": Reads.SAME},
    kinds={"ibis"},
)
def customer_activity(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Sum up what each customer did in the run's periods, in all and by category."""
    with pipeline.warehouse.open() as database, pipeline.engine.work(database) as work:
        check_written(database, pipeline, "validated_transactions", period_starts(context))
        lines = database.table("validated_transactions")
        for periods in cut_by_rows(database, "validated_transactions", period_starts(context), TOGETHER_LINES):
            sent = work.send(lines.filter(lines.period_start_date.isin(periods)))
            for table, rows in (
                ("customer_activity", activity.customer_activity(sent)),
                ("category_activity", taste.category_activity(sent)),
            ):
                written = pipeline.warehouse.replace_slices(
                    database, TABLES[table], periods, work.fetch(rows), context.run_id
                )
                report_rows(context, pipeline, written)
