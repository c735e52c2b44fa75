"""``customer_outlook``, added up over groups of customers -> ``forecast_totals``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import dagster as dg
import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.models.forecast.outlook import stored_spreads
from genome_pipeline.models.forecast.totals import forecast_totals, own_variances
from genome_pipeline.orchestration.assets.frames import check_written, model_files
from genome_pipeline.orchestration.assets.snapshots import make_snapshots
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.totals import group_sums

_ADDED_UP = ("customer_outlook", "customer_features", "customer_segments")

_Inputs = tuple[pd.DataFrame, str, str | None]
"""Sums over groups, and the files of the value model and of the outlook model (None for one horizon)."""


@table_stage(
    "forecast_totals",
    reads=dict.fromkeys((*_ADDED_UP, "value_model", "outlook_model"), Reads.SAME),
    kinds={"ibis"},
    name="forecast_totals",
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

    def make(_: date, inputs: _Inputs) -> list[pd.DataFrame]:
        sums, value, outlook = inputs
        read = pipeline.artifacts.read
        spreads = stored_spreads(read(value), None if outlook is None else read(outlook))
        return [forecast_totals(sums, spreads, predict.interval_level)]

    make_snapshots(context, pipeline, ["forecast_totals"], read_sums, make)


def sums_at(database: Backend, settings: Settings, dates: Sequence[date]) -> dict[date, pd.DataFrame]:
    """What :func:`group_sums` gives at each snapshot."""
    outlook, features, segments = (
        table.filter(table.as_of.isin([*map(ibis.date, dates)])) for table in map(database.table, _ADDED_UP)
    )
    rows = group_sums(outlook, features, segments, settings.time.period, own_variances)
    found = database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
    days = pd.to_datetime(found["as_of"]).dt.date
    return {as_of: found[days == as_of] for as_of in dates}
