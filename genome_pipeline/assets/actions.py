"""Everything known of a customer -> ``customer_actions``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.assets.stage import table_stage
from genome_pipeline.models.actions import recommend_actions
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline

_INPUTS = ("customer_features", "customer_segments", "customer_value", "customer_risk", "customer_confidence")


@table_stage("customer_actions", reads=dict.fromkeys(_INPUTS, Reads.SAME), kinds={"pandas"})
def customer_actions(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Recommend one action for every customer at each snapshot."""
    make_snapshots(
        context,
        pipeline,
        ["customer_actions"],
        read_frames(*_INPUTS),
        lambda as_of, frames: [recommend_actions(*frames)],
    )
