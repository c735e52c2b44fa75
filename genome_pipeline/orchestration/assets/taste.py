"""``category_activity`` of all periods so far -> ``customer_categories`` and ``customer_taste``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.frames import check_begun, customers_at
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms import taste as transform


@table_stage(
    "customer_categories",
    "customer_taste",
    reads={"category_activity": Reads.UP_TO_THIS, "customer_features": Reads.SAME},
    kinds={"ibis"},
    name="taste",
)
def taste(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Measure what every customer spends on at each snapshot of the run."""
    settings, warehouse = pipeline.settings, pipeline.warehouse
    with warehouse.open() as database, pipeline.engine.work(database) as work:
        check_begun(database, pipeline, "category_activity")
        activity = work.send(database.table("category_activity"))
        for as_of in snapshots(context, pipeline):
            customers = work.send(customers_at(database, as_of, "last_order_date"))
            sums = transform.category_sums(activity, settings.time, as_of, settings.predict.horizon_days)
            sums = sums.semi_join(customers, "customer_id")
            for table, rows in (
                ("customer_categories", transform.customer_categories(sums, as_of)),
                ("customer_taste", transform.customer_taste(sums, as_of)),
            ):
                written = warehouse.replace_slices(database, TABLES[table], [as_of], work.fetch(rows), context.run_id)
                reason = None if written.row_count else why_no_taste(settings)
                report_rows(context, pipeline, written, {as_of: {"empty_because": reason}} if reason else None)


def why_no_taste(settings: Settings) -> str:
    """Why a snapshot has no customer with a taste."""
    if settings.source.columns.category is None:
        return "no column is mapped as category: set source.columns.category"
    return "no customer has spend in any category: the log has no categories, or no amounts"
