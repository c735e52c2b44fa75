"""``customer_activity`` of all periods so far -> ``customer_features``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline
from genome_pipeline.transforms import features


@table_stage("customer_features", reads={"customer_activity": Reads.UP_TO_THIS}, kinds={"ibis"})
def customer_features(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Measure every customer's genome at each snapshot of the run."""
    settings, warehouse = pipeline.settings, pipeline.warehouse
    with warehouse.open() as database:
        activity = database.table("customer_activity")
        for as_of in snapshots(context, pipeline):
            rows = features.customer_features(activity, settings.time, as_of, settings.predict.horizon_days)
            written = warehouse.replace_slices(database, TABLES["customer_features"], [as_of], rows, context.run_id)
            report_rows(context, pipeline, written)
