"""``customer_features`` -> ``similarity_index`` -> ``customer_neighbors``."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pandas as pd

from genome_pipeline.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.assets.stage import table_stage
from genome_pipeline.models.similarity import SimilarityIndex
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline


@table_stage("similarity_index", reads={"customer_features": Reads.SAME}, kinds={"numpy"})
def similarity_index(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Index the scaled genes of every customer at each snapshot."""

    def make(as_of: date, inputs: list[pd.DataFrame]) -> list[pd.DataFrame]:
        (features,) = inputs
        index = SimilarityIndex.build(features)
        stored = pipeline.artifacts.write("similarity_index", as_of, ".npz", index.to_bytes())
        return [index.summary(as_of).assign(artifact_file=stored)]

    make_snapshots(context, pipeline, ["similarity_index"], read_frames("customer_features"), make)


@table_stage("customer_neighbors", reads={"similarity_index": Reads.SAME}, kinds={"numpy"})
def customer_neighbors(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Find the customers most similar to each one at each snapshot."""

    def make(as_of: date, inputs: list[pd.DataFrame]) -> list[pd.DataFrame]:
        (index,) = inputs
        return [SimilarityIndex.from_bytes(pipeline.artifacts.read(index.artifact_file.iloc[0])).neighbors(as_of)]

    make_snapshots(context, pipeline, ["customer_neighbors"], read_frames("similarity_index"), make)
