"""``customer_features`` -> ``similarity_index`` -> ``customer_neighbors``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.assets.frames import snapshot_frame
from genome_pipeline.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.similarity import SimilarityIndex
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline


@table_stage("similarity_index", reads={"customer_features": Reads.SAME}, kinds={"numpy"})
def similarity_index(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Index the scaled genes of every customer at each snapshot."""
    warehouse = pipeline.warehouse
    for as_of in snapshots(context, pipeline):
        with warehouse.open() as database:
            features = snapshot_frame(database, "customer_features", as_of)
        index = SimilarityIndex.build(features)
        stored = pipeline.artifacts.write("similarity_index", as_of, ".npz", index.to_bytes())
        rows = index.summary(as_of).assign(artifact_file=stored)
        with warehouse.open() as database:
            written = warehouse.replace_slices(database, TABLES["similarity_index"], [as_of], rows, context.run_id)
        report_rows(context, pipeline, written)


@table_stage("customer_neighbors", reads={"similarity_index": Reads.SAME}, kinds={"numpy"})
def customer_neighbors(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Find the customers most similar to each one at each snapshot."""
    warehouse = pipeline.warehouse
    for as_of in snapshots(context, pipeline):
        with warehouse.open() as database:
            index = snapshot_frame(database, "similarity_index", as_of)
        rows = SimilarityIndex.from_bytes(pipeline.artifacts.read(index.artifact_file.iloc[0])).neighbors(as_of)
        with warehouse.open() as database:
            written = warehouse.replace_slices(database, TABLES["customer_neighbors"], [as_of], rows, context.run_id)
        report_rows(context, pipeline, written)
