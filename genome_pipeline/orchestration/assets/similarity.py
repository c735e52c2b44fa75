"""Features and categories -> ``similarity_index`` -> ``customer_neighbors``; and what similar customers did before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

import dagster as dg
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.models.genes import GENE_LABELS, SCALED_GENES
from genome_pipeline.models.similarity.index import SimilarityIndex, shards
from genome_pipeline.models.similarity.matured import matured_neighbors
from genome_pipeline.orchestration.assets.frames import Matured, check_written, matured_with_taste, with_taste
from genome_pipeline.orchestration.assets.modelling import map_each_snapshot
from genome_pipeline.orchestration.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.neighbors import best_neighbors
from genome_pipeline.transforms.taste import taste_shares

KEPT_INDEXES = 3
"""Index files of this many latest snapshots are kept: they are large and can be built again."""


_Inputs = tuple[pd.DataFrame, tuple[str, ...]]
"""Customers with their taste, and the categories."""


@table_stage(
    "similarity_index",
    reads={"customer_features": Reads.SAME, "customer_categories": Reads.SAME},
    kinds={"faiss"},
)
def similarity_index(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Index the scaled genes and the taste of every customer at each snapshot."""
    settings = pipeline.settings

    def make(as_of: date, inputs: _Inputs) -> list[pd.DataFrame]:
        features, categories = inputs
        index = SimilarityIndex.build(
            features,
            settings.similarity.neighbors,
            settings.similarity.weights.model_dump(),
            settings.predict.seed,
            categories=categories,
        )
        stored = pipeline.artifacts.write("similarity_index", as_of, ".npz", index.to_bytes())
        return [index.summary(as_of).assign(artifact_file=stored)]

    make_snapshots(context, pipeline, ["similarity_index"], _reading(pipeline), make)


def _reading(pipeline: Pipeline) -> Callable[[Backend, Sequence[date]], Iterator[_Inputs]]:
    read_features = read_frames("customer_features", columns=GENE_LABELS)

    def read(database: Backend, dates: Sequence[date]) -> Iterator[_Inputs]:
        check_written(database, pipeline, "customer_categories", dates)
        for as_of, (features,) in zip(dates, read_features(database, dates), strict=True):
            yield with_taste(database, as_of, features)

    return read


@table_stage(
    "customer_neighbors",
    reads={"customer_features": Reads.SAME, "customer_categories": Reads.SAME, "similarity_index": Reads.SAME},
    kinds={"faiss"},
)
def customer_neighbors(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Find the customers most similar to each one at each snapshot, in one part of the index after the other."""
    map_each_snapshot(
        context,
        pipeline,
        "similarity_index",
        "customer_neighbors",
        SimilarityIndex.from_bytes,
        SimilarityIndex.neighbors_of,
        columns=[gene.name for gene in SCALED_GENES],
        beside={"customer_categories": taste_shares},
        divide=shards,
        merge=lambda found: best_neighbors(found, pipeline.settings.similarity.neighbors),
    )
    pipeline.artifacts.keep_latest("similarity_index", KEPT_INDEXES)


@table_stage(
    "matured_neighbors",
    "neighbor_estimates",
    reads={
        "customer_features": Reads.UP_TO_THIS,
        "customer_categories": Reads.UP_TO_THIS,
        "prediction_outcomes": Reads.UP_TO_THIS,
    },
    kinds={"faiss"},
)
def neighbor_outcomes(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Find whom customers resemble among those of the latest matured snapshot, and what these did next."""
    predict = pipeline.settings.predict
    read_now = _reading(pipeline)

    def read(database: Backend, dates: Sequence[date]) -> Iterable[tuple[_Inputs, Matured]]:
        matured = [matured_with_taste(database, as_of, predict.horizon_days, predict.seed) for as_of in dates]
        return zip(read_now(database, dates), matured, strict=True)

    def make(as_of: date, inputs: tuple[_Inputs, Matured]) -> list[pd.DataFrame]:
        return list(neighbors_among(pipeline.settings, as_of, *inputs))

    tables = ["matured_neighbors", "neighbor_estimates"]
    make_snapshots(context, pipeline, tables, read, make, are_independent=True)


def neighbors_among(settings: Settings, as_of: date, now: _Inputs, then: Matured) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As :func:`matured_neighbors`, of the customers of ``now`` among those of ``then``, each with their categories."""
    (features, categories), (matured, matured_categories) = now, then
    similarity = settings.similarity
    return matured_neighbors(
        features,
        matured,
        as_of,
        similarity.neighbors,
        similarity.weights.model_dump(),
        settings.predict.seed,
        categories,
        matured_categories,
    )
