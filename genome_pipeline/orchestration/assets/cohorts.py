"""``customer_features`` and ``customer_activity`` of the latest month -> ``cohorts``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import dagster as dg
import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from genome_pipeline.calendar import Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.frames import check_begun, check_written
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms import cohorts as transform


@table_stage(
    "cohorts",
    reads={"customer_features": Reads.SAME, "customer_activity": Reads.UP_TO_THIS},
    kinds={"ibis"},
)
def cohorts(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Count who of each cohort came back in the latest month, and add up what each has spent."""
    dates = snapshots(context, pipeline)
    with pipeline.warehouse.open() as database:
        check_written(database, pipeline, "customer_features", dates)
        check_begun(database, pipeline, "customer_activity")
        rows = cohorts_at(database, dates, pipeline.settings.time.period)
        written = pipeline.warehouse.replace_slices(database, TABLES["cohorts"], dates, rows, context.run_id)
    report_rows(context, pipeline, written)


def cohorts_at(database: Backend, dates: Sequence[date], period: Period) -> ir.Table:
    """Rows of the table at some snapshots."""
    features = database.table("customer_features")
    chosen = features.filter(features.as_of.isin([*map(ibis.date, dates)]))
    return transform.cohorts(chosen, database.table("customer_activity"), period)
