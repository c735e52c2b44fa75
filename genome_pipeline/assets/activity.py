"""``validated_transactions`` -> ``customer_activity``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.assets.stage import report_rows, table_stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.partitions import Reads, period_starts
from genome_pipeline.resources import Pipeline
from genome_pipeline.transforms import activity


@table_stage("customer_activity", reads={"validated_transactions": Reads.SAME}, kinds={"ibis"})
def customer_activity(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Sum up what each customer did in the run's periods."""
    periods = period_starts(context)
    with pipeline.warehouse.open() as database, pipeline.engine.work(database) as work:
        lines = database.table("validated_transactions")
        rows = activity.customer_activity(work.share(lines.filter(lines.period_start_date.isin(periods))))
        written = pipeline.warehouse.replace_slices(
            database, TABLES["customer_activity"], periods, work.fetch(rows), context.run_id
        )
    report_rows(context, pipeline, written)
