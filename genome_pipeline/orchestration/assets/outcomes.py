"""Predictions whose horizon has passed -> ``prediction_outcomes`` -> ``model_performance``.

Those over further horizons -> ``outlook_performance``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import dagster as dg
import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.models.performance import measure
from genome_pipeline.orchestration.assets.frames import check_begun, matured_dates
from genome_pipeline.orchestration.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms.outcomes import matured_predictions, outlook_scores, realised_outcomes

_PREDICTED = ("customer_features", "customer_segments", "customer_value", "customer_risk", "customer_confidence")


@table_stage(
    "prediction_outcomes",
    reads={"validated_transactions": Reads.UP_TO_THIS, **dict.fromkeys(_PREDICTED, Reads.BEFORE)},
    kinds={"ibis"},
)
def prediction_outcomes(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Set what happened beside what was predicted, for the snapshots that matured in each period."""
    settings, warehouse, table = pipeline.settings, pipeline.warehouse, TABLES["prediction_outcomes"]
    dates = snapshots(context, pipeline)
    with warehouse.open() as database, pipeline.engine.work(database) as work:
        check_begun(database, pipeline, "validated_transactions")
        matured = _newly_matured(database, pipeline, dates)
        predicted = [database.table(name) for name in _PREDICTED]
        predicted = [frame.filter(frame.as_of.isin([*map(ibis.date, matured)])) for frame in predicted]
        lines = database.table("validated_transactions")
        rows: ir.Table | pd.DataFrame = _no_rows(table)
        elsewhere: list[date] = []
        if matured:
            lines, customers = work.send(lines), work.send(predicted[0].select("as_of", "customer_id"))
            outcomes = work.fetch(realised_outcomes(lines, customers, settings.predict.horizon_days))
            # If snapshots are made out of order, outcomes may be stored at a date that earlier lines have since
            # corrected.
            elsewhere, others = made_elsewhere(database, table, dates, list(matured))
            # Columns of the table have no nulls, but the type of an expression allows them.
            rows = matured_predictions(matured, outcomes, *predicted).select(*table.columns)
            rows = rows.cast(dict(others.schema().items())).union(others)
        written = warehouse.replace_slices(database, table, [*dates, *elsewhere], rows, context.run_id)
        report_rows(context, pipeline, replace(written, row_counts={day: written.row_counts[day] for day in dates}))


@table_stage("model_performance", reads={"prediction_outcomes": Reads.SAME}, kinds={"pandas"})
def model_performance(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Measure the predictions that matured in each period, beside the naive baselines."""

    def make(as_of: date, inputs: list[pd.DataFrame]) -> list[pd.DataFrame]:
        (outcomes,) = inputs
        level = pipeline.settings.predict.interval_level
        parts = [measure(part, level) for _, part in outcomes.groupby("as_of")]
        return [pd.concat(parts) if parts else _no_rows(TABLES["model_performance"])]

    make_snapshots(context, pipeline, ["model_performance"], read_frames("prediction_outcomes"), make)


@table_stage(
    "outlook_performance",
    reads={"validated_transactions": Reads.UP_TO_THIS, "customer_outlook": Reads.BEFORE},
    kinds={"ibis"},
)
def outlook_performance(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Measure the forecast over each further horizon that passed in each period."""
    warehouse, table = pipeline.warehouse, TABLES["outlook_performance"]
    dates = snapshots(context, pipeline)
    with warehouse.open() as database, pipeline.engine.work(database) as work:
        check_begun(database, pipeline, "validated_transactions")
        outlook, lines = database.table("customer_outlook"), database.table("validated_transactions")
        parts = []
        for days in pipeline.settings.predict.further_horizons_days:
            if matured := _newly_matured(database, pipeline, dates, days):
                told = outlook.filter(outlook.as_of.isin([*map(ibis.date, matured)]), outlook.horizon_days == days)
                customers = work.send(told.select("as_of", "customer_id"))
                outcomes = work.fetch(realised_outcomes(work.send(lines), customers, days))
                parts.append(outlook_scores(matured, told, outcomes))
        rows = ibis.union(*parts) if parts else _no_rows(table)
        report_rows(context, pipeline, warehouse.replace_slices(database, table, dates, rows, context.run_id))


def _newly_matured(
    database: Backend, pipeline: Pipeline, dates: Sequence[date], horizon_days: int | None = None
) -> dict[date, date]:
    """Snapshots whose horizon passed within a period that ends at one of the dates, each with that date."""
    settings = pipeline.settings
    by_then = matured_dates(database, settings, dates, horizon_days)
    before = matured_dates(database, settings, [settings.time.period_start(as_of) for as_of in dates], horizon_days)
    known = zip(dates, by_then, before, strict=True)
    return {day: as_of for as_of, now, earlier in known for day in now if day not in earlier}


def made_elsewhere(
    database: Backend, table: Table, dates: Sequence[date], matured: Sequence[date]
) -> tuple[list[date], ir.Table]:
    """Dates of other slices that hold some of the snapshots, and the rows of other snapshots in these slices."""
    rows = database.con.execute(
        f"SELECT DISTINCT matured_as_of FROM {table.name} WHERE as_of IN (SELECT unnest(?))"
        " AND matured_as_of NOT IN (SELECT unnest(?)) ORDER BY 1",
        [matured, dates],
    ).fetchall()
    found = [day for (day,) in rows]
    known = database.table(table.name).select(*table.columns)
    kept = known.filter(known.matured_as_of.isin([*map(ibis.date, found)]))
    return found, kept.filter(~kept.as_of.isin([*map(ibis.date, matured)]))


def _no_rows(table: Table) -> pd.DataFrame:
    return pd.DataFrame(columns=list(table.columns))
