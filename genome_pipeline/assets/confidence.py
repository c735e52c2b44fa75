"""What is known of each prediction -> ``customer_confidence``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.assets.stage import table_stage
from genome_pipeline.models.confidence import score_confidence
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline

_INPUTS = ("customer_features", "customer_value", "customer_risk", "customer_segments", "customer_neighbors")


@table_stage("customer_confidence", reads=dict.fromkeys(_INPUTS, Reads.SAME), kinds={"pandas"})
def customer_confidence(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Score how far each customer's predictions can be trusted at each snapshot."""
    make_snapshots(
        context,
        pipeline,
        ["customer_confidence"],
        read_frames(*_INPUTS),
        lambda as_of, frames: [score_confidence(*frames)],
    )
