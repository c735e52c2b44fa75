"""What value and risk have in common: fit on what had matured, store, load, predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Protocol

import dagster as dg
import pandas as pd

from genome_pipeline.assets.frames import MaturedSnapshots, snapshot_frame
from genome_pipeline.assets.stage import report_rows, snapshots
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline.resources import Pipeline


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
    """Fit, store and record a model at each snapshot of the run, from what had matured by then."""
    warehouse = pipeline.warehouse
    matured = MaturedSnapshots(pipeline)
    for as_of in snapshots(context, pipeline):
        with warehouse.open() as database:
            features, past = snapshot_frame(database, "customer_features", as_of), matured.at(database, as_of)
        model = fit(features, past)
        stored = pipeline.artifacts.write(model_table, as_of, ".skops", model.to_bytes())
        rows = model.candidates(as_of).assign(artifact_file=stored)
        with warehouse.open() as database:
            written = warehouse.replace_slices(database, TABLES[model_table], [as_of], rows, context.run_id)
        report_rows(context, pipeline, written, matured_snapshots=len(past))


def predict_each_snapshot(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    model_table: str,
    prediction_table: str,
    load: Callable[[bytes], PredictiveModel],
) -> None:
    """Load the model stored at each snapshot of the run and predict for all its customers."""
    warehouse = pipeline.warehouse
    for as_of in snapshots(context, pipeline):
        with warehouse.open() as database:
            features, models = (snapshot_frame(database, name, as_of) for name in ("customer_features", model_table))
        rows = load(pipeline.artifacts.read(models.artifact_file.iloc[0])).predict(features)
        with warehouse.open() as database:
            written = warehouse.replace_slices(database, TABLES[prediction_table], [as_of], rows, context.run_id)
        report_rows(context, pipeline, written)
