"""``customer_features``, with activity of the first and the latest month -> ``cohorts``, ``first_purchase_cohorts``."""

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
    "first_purchase_cohorts",
    reads={
        "customer_features": Reads.SAME,
        "customer_activity": Reads.UP_TO_THIS,
        "category_activity": Reads.UP_TO_THIS,
    },
    kinds={"ibis"},
    name="cohorts_so_far",
)
def cohorts(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Count who of each cohort came back in the latest month, and add up what each has spent."""
    dates, period = snapshots(context, pipeline), pipeline.settings.time.period
    with pipeline.warehouse.open() as database:
        check_written(database, pipeline, "customer_features", dates)
        for name in ("customer_activity", "category_activity"):
            check_begun(database, pipeline, name)
        rows = {
            "cohorts": cohorts_at(database, dates, period),
            "first_purchase_cohorts": first_purchase_cohorts_at(database, dates, period),
        }
        written = [
            pipeline.warehouse.replace_slices(database, TABLES[name], dates, of, context.run_id)
            for name, of in rows.items()
        ]
    for one in written:
        report_rows(context, pipeline, one)


def cohorts_at(database: Backend, dates: Sequence[date], period: Period) -> ir.Table:
    """Rows of ``cohorts`` at some snapshots."""
    return transform.cohorts(_features_at(database, dates), database.table("customer_activity"), period)


def first_purchase_cohorts_at(database: Backend, dates: Sequence[date], period: Period) -> ir.Table:
    """Rows of ``first_purchase_cohorts`` at some snapshots."""
    features, activity = _features_at(database, dates), database.table("customer_activity")
    return transform.first_purchase_cohorts(features, activity, firsts_at(database, dates, period), period)


def firsts_at(database: Backend, dates: Sequence[date], period: Period) -> ir.Table:
    """Which of those cohorts each customer is of at some snapshots."""
    activity, categories = database.table("customer_activity"), database.table("category_activity")
    return transform.first_purchase_groups(_features_at(database, dates), activity, categories, period)


def _features_at(database: Backend, dates: Sequence[date]) -> ir.Table:
    features = database.table("customer_features")
    return features.filter(features.as_of.isin([*map(ibis.date, dates)]))
