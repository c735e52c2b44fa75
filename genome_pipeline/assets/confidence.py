"""What is known of each prediction -> ``customer_confidence``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.assets.frames import snapshot_frame
from genome_pipeline.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.confidence import score_confidence
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline

_INPUTS = ("customer_features", "customer_value", "customer_risk", "customer_segments", "customer_neighbors")


@table_stage("customer_confidence", reads=dict.fromkeys(_INPUTS, Reads.SAME), kinds={"pandas"})
def customer_confidence(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Score how far each customer's predictions can be trusted at each snapshot."""
    warehouse = pipeline.warehouse
    for as_of in snapshots(context, pipeline):
        with warehouse.open() as database:
            frames = [snapshot_frame(database, name, as_of) for name in _INPUTS]
        rows = score_confidence(*frames)
        with warehouse.open() as database:
            written = warehouse.replace_slices(database, TABLES["customer_confidence"], [as_of], rows, context.run_id)
        report_rows(context, pipeline, written)
