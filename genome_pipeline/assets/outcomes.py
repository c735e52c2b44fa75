"""Predictions whose horizon has passed -> ``prediction_outcomes`` -> ``model_performance``."""

from __future__ import annotations

from datetime import date

import dagster as dg
import ibis
import ibis.expr.types as ir
import pandas as pd

from genome_pipeline.assets.frames import matured_dates
from genome_pipeline.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.performance import measure
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline
from genome_pipeline.transforms.outcomes import matured_predictions, realised_outcomes

_PREDICTED = ("customer_features", "customer_segments", "customer_value", "customer_risk", "customer_confidence")


@table_stage(
    "prediction_outcomes",
    reads={"validated_transactions": Reads.UP_TO_THIS, **dict.fromkeys(_PREDICTED, Reads.BEFORE)},
    kinds={"ibis"},
)
def prediction_outcomes(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Set what happened beside what was predicted, for the snapshots that matured in each period."""
    settings, warehouse = pipeline.settings, pipeline.warehouse
    calendar = settings.time
    table = TABLES["prediction_outcomes"]
    with warehouse.open() as database:
        lines = database.table("validated_transactions")
        for as_of in snapshots(context, pipeline):
            known_before = set(matured_dates(database, settings, calendar.period_start(as_of)))
            matured = [day for day in matured_dates(database, settings, as_of) if day not in known_before]
            parts: list[ir.Table] = []
            for day in matured:
                predicted = [database.table(name) for name in _PREDICTED]
                predicted = [frame.filter(frame.as_of == ibis.date(day)) for frame in predicted]
                outcomes = realised_outcomes(lines, predicted[0], day, settings.predict.horizon_days)
                parts.append(matured_predictions(as_of, outcomes, *predicted))
            rows = ibis.union(*parts) if parts else pd.DataFrame(columns=list(table.columns))
            written = warehouse.replace_slices(database, table, [as_of], rows, context.run_id)
            report_rows(context, pipeline, written, matured_snapshots=", ".join(map(str, matured)) or "none")


@table_stage("model_performance", reads={"prediction_outcomes": Reads.SAME}, kinds={"pandas"})
def model_performance(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Measure the predictions that matured in each period, beside the naive baselines."""

    def make(as_of: date, inputs: list[pd.DataFrame]) -> list[pd.DataFrame]:
        (outcomes,) = inputs
        level = pipeline.settings.predict.interval_level
        parts = [measure(part, level) for _, part in outcomes.groupby("as_of")]
        return [pd.concat(parts) if parts else pd.DataFrame(columns=list(TABLES["model_performance"].columns))]

    make_snapshots(context, pipeline, ["model_performance"], read_frames("prediction_outcomes"), make)
