"""What value and risk have in common: fit on outcomes known by then, store, load, predict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Protocol

import dagster as dg
import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.assets.frames import LabelledSnapshots, sampled_frames, snapshot_frames
from genome_pipeline.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.assets.stage import report_rows, snapshots
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline.resources import Pipeline
from genome_pipeline.warehouse.spark import SparkEngine


class PredictiveModel(Protocol):
    """A fitted model with its table of candidates."""

    def candidates(self, as_of: date) -> pd.DataFrame:
        """Rows of the model table, but for the artifact file."""
        ...

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Rows of the prediction table."""
        ...

    def to_bytes(self) -> bytes:
        """The model as it is stored."""
        ...


def fit_each_snapshot(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    model_table: str,
    fit: Callable[[pd.DataFrame, Sequence[LabelledSnapshot]], PredictiveModel],
) -> None:
    """Fit, store and record a model at each snapshot of the run, from outcomes known by then."""
    labelled = LabelledSnapshots(pipeline)

    def read(database: Backend, dates: Sequence[date]) -> Iterable[tuple[pd.DataFrame, list[LabelledSnapshot]]]:
        features = sampled_frames(database, dates)
        return zip((features[as_of] for as_of in dates), labelled.at(database, dates), strict=True)

    def make(as_of: date, inputs: tuple[pd.DataFrame, list[LabelledSnapshot]]) -> list[pd.DataFrame]:
        model = fit(*inputs)
        stored = pipeline.artifacts.write(model_table, as_of, ".json", model.to_bytes())
        return [model.candidates(as_of).assign(artifact_file=stored)]

    make_snapshots(context, pipeline, [model_table], read, make)


def predict_each_snapshot(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    model_table: str,
    prediction_table: str,
    load: Callable[[bytes], PredictiveModel],
) -> None:
    """Load the model stored at each snapshot of the run and predict for all its customers.

    With a cluster, its workers predict.
    """
    if isinstance(pipeline.engine, SparkEngine):
        _predict_on_workers(context, pipeline, pipeline.engine, model_table, prediction_table, load)
        return

    def make(as_of: date, inputs: list[pd.DataFrame]) -> list[pd.DataFrame]:
        features, models = inputs
        return [load(pipeline.artifacts.read(models.artifact_file.iloc[0])).predict(features)]

    make_snapshots(context, pipeline, [prediction_table], read_frames("customer_features", model_table), make)


def _predict_on_workers(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    engine: SparkEngine,
    model_table: str,
    prediction_table: str,
    load: Callable[[bytes], PredictiveModel],
) -> None:
    table = TABLES[prediction_table]
    for as_of in snapshots(context, pipeline):
        with pipeline.warehouse.open() as database, engine.work(database) as work:
            models = snapshot_frames(database, model_table, [as_of])[as_of]
            features = database.table("customer_features")
            stored = pipeline.artifacts.read(models.artifact_file.iloc[0])
            rows = work.score(features.filter(features.as_of == ibis.date(as_of)), load, stored, table)
            written = pipeline.warehouse.replace_slices(database, table, [as_of], rows, context.run_id)
        report_rows(context, pipeline, written)
