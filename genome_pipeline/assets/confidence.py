"""What is known of each prediction -> ``customer_confidence``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import dagster as dg
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.assets.frames import mean_similarities
from genome_pipeline.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.assets.stage import table_stage
from genome_pipeline.models.confidence import USED_COLUMNS, score_confidence
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline

_INPUTS = ("customer_features", "customer_value", "customer_risk", "customer_segments")


@table_stage("customer_confidence", reads=dict.fromkeys((*_INPUTS, "customer_neighbors"), Reads.SAME), kinds={"pandas"})
def customer_confidence(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Score how far each customer's predictions can be trusted at each snapshot."""
    read_inputs = read_frames(*_INPUTS, columns=USED_COLUMNS)

    def read(database: Backend, dates: Sequence[date]) -> Iterable[list[pd.DataFrame]]:
        similarity = mean_similarities(database, dates)
        return ([*frames, similarity[as_of]] for as_of, frames in zip(dates, read_inputs(database, dates), strict=True))

    make_snapshots(context, pipeline, ["customer_confidence"], read, lambda as_of, frames: [score_confidence(*frames)])
