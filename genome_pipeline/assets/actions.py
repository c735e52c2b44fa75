"""Everything known of a customer -> ``customer_actions``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.assets.frames import snapshot_frame
from genome_pipeline.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.actions import recommend_actions
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline

_INPUTS = ("customer_features", "customer_segments", "customer_value", "customer_risk", "customer_confidence")


@table_stage("customer_actions", reads=dict.fromkeys(_INPUTS, Reads.SAME), kinds={"pandas"})
def customer_actions(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Recommend one action for every customer at each snapshot."""
    warehouse = pipeline.warehouse
    for as_of in snapshots(context, pipeline):
        with warehouse.open() as database:
            frames = [snapshot_frame(database, name, as_of) for name in _INPUTS]
        rows = recommend_actions(*frames)
        with warehouse.open() as database:
            written = warehouse.replace_slices(database, TABLES["customer_actions"], [as_of], rows, context.run_id)
        report_rows(context, pipeline, written)
