"""``customer_outlook``, added up over groups of customers -> ``forecast_totals``, and what its intervals rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import dagster as dg
import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.models.forecast.outlook import stored_errors
from genome_pipeline.models.forecast.totals import error_rows, forecast_totals, own_variances
from genome_pipeline.orchestration.assets.cohorts import firsts_at
from genome_pipeline.orchestration.assets.frames import check_written, model_files
from genome_pipeline.orchestration.assets.snapshots import make_snapshots
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.totals import group_sums
from genome_pipeline.warehouse.errors import WarehouseError

_ADDED_UP = ("customer_outlook", "customer_features", "customer_segments")

_Inputs = tuple[pd.DataFrame, str, str | None]
"""Sums over groups, and the files of the value model and of the outlook model (None for one horizon)."""


@table_stage(
    "forecast_totals",
    "forecast_total_errors",
    reads={
        **dict.fromkeys((*_ADDED_UP, "value_model", "outlook_model"), Reads.SAME),
        "customer_activity": Reads.UP_TO_THIS,
        "category_activity": Reads.UP_TO_THIS,
    },
    kinds={"ibis"},
    name="totals",
)
def totals(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Add up what is expected of the customers of each group, with bounds of the total."""
    predict = pipeline.settings.predict

    def read_sums(database: Backend, dates: Sequence[date]) -> Iterable[_Inputs]:
        for name in _ADDED_UP:
            check_written(database, pipeline, name, dates)
        sums = sums_at(database, pipeline.settings, dates)
        values = model_files(database, "value_model", dates)
        outlooks = model_files(database, "outlook_model", dates) if predict.further_horizons_days else {}
        return [(sums[as_of], values[as_of], outlooks.get(as_of)) for as_of in dates]

    def make(as_of: date, inputs: _Inputs) -> list[pd.DataFrame]:
        sums, value, outlook = inputs
        read = pipeline.artifacts.read
        errors = stored_errors(read(value), None if outlook is None else read(outlook))
        if errors is None:
            raise WarehouseError(
                f"the models of {as_of} were made by an earlier version and do not say how far totals were off:"
                " materialise value_model and outlook_model of that period first, or use `genome run`"
            )
        rows = forecast_totals(sums, errors, predict.interval_level, predict.horizon_days)
        return [rows, error_rows(as_of, errors)]

    make_snapshots(context, pipeline, ["forecast_totals", "forecast_total_errors"], read_sums, make)


def sums_at(database: Backend, settings: Settings, dates: Sequence[date]) -> dict[date, pd.DataFrame]:
    """What :func:`group_sums` gives at each snapshot."""
    outlook, features, segments = (
        table.filter(table.as_of.isin([*map(ibis.date, dates)])) for table in map(database.table, _ADDED_UP)
    )
    period = settings.time.period
    firsts = firsts_at(database, dates, period)
    rows = group_sums(outlook, features, segments, firsts, period, own_variances)
    found = database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
    days = pd.to_datetime(found["as_of"]).dt.date
    return {as_of: found[days == as_of] for as_of in dates}
