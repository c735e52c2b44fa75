"""``customer_features`` of a snapshot beside earlier ones -> ``gene_drift``."""

from __future__ import annotations

from datetime import date

import dagster as dg
import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.assets.frames import matured_dates, was_written
from genome_pipeline.assets.snapshots import make_snapshots
from genome_pipeline.assets.stage import table_stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models import drift
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.drift import comparable_genes

COMPARED_CUSTOMERS = 100_000
"""Customers compared of each snapshot, a fixed sample of more: the PSI's sampling error is then about 0.0002."""

_Baselines = list[tuple[str, date, pd.DataFrame, str | None]]


@table_stage(
    "gene_drift",
    reads={"customer_features": Reads.UP_TO_THIS, "validated_transactions": Reads.UP_TO_THIS},
    kinds={"pandas"},
)
def gene_drift(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Compare each snapshot with the previous one, and with the latest from which models could learn."""
    settings, calendar = pipeline.settings, pipeline.settings.time
    read_before: dict[date, pd.DataFrame] = {}

    def genes_at(database: Backend, as_of: date) -> pd.DataFrame:
        if as_of not in read_before:
            read_before[as_of] = _comparable(database, as_of, calendar.period_start(as_of))
        return read_before[as_of]

    def read(database: Backend, as_of: date) -> tuple[pd.DataFrame, _Baselines]:
        dates = {"previous": calendar.period_start(as_of)}
        if matured := matured_dates(database, settings, as_of):
            dates["training"] = matured[-1]
        for day in read_before.keys() - {as_of, *dates.values()}:
            del read_before[day]
        baselines = [
            (name, day, genes_at(database, day), _unjudged_reason(database, settings, as_of, day))
            for name, day in dates.items()
        ]
        return genes_at(database, as_of), [found for found in baselines if not found[2].empty]

    def make(as_of: date, inputs: tuple[pd.DataFrame, _Baselines]) -> list[pd.DataFrame]:
        genes, baselines = inputs
        warning_psi = pipeline.settings.quality.drift_warning_psi
        parts = [
            drift.gene_drift(genes, frame, warning_psi, reason).assign(as_of=as_of, baseline=name, baseline_as_of=day)
            for name, day, frame, reason in baselines
            if not genes.empty
        ]
        return [pd.concat(parts) if parts else pd.DataFrame(columns=list(TABLES["gene_drift"].columns))]

    make_snapshots(context, pipeline, ["gene_drift"], read, make)


def _comparable(database: Backend, as_of: date, before: date) -> pd.DataFrame:
    features = database.table("customer_features")
    count = int(features.filter(features.as_of == ibis.date(as_of)).count().execute())
    if count > COMPARED_CUSTOMERS:
        features = features.filter(features.customer_id.hash().abs() % count < COMPARED_CUSTOMERS)
    frame: pd.DataFrame = comparable_genes(features, as_of, before).drop("customer_id").to_pandas()
    return frame


def _unjudged_reason(database: Backend, settings: Settings, as_of: date, baseline: date) -> str | None:
    """Why no gene is judged against the baseline: the log was too young, or a snapshot needed was never made."""
    found = database.con.execute(
        "SELECT min(first_order_date) FROM customer_features WHERE as_of = ?", [as_of]
    ).fetchone()
    if found is None or found[0] is None:
        return None
    calendar = settings.time
    log_start = calendar.period.start_of(found[0])
    windows = 2 * calendar.window_periods(settings.predict.horizon_days)
    if calendar.period.shift(baseline, -windows) <= log_start:
        return (
            f"the log was too young at {baseline}: genes look back {windows} {calendar.period}s and all must be in it"
        )
    for day in (calendar.period_start(as_of), calendar.period_start(baseline)):
        if not was_written(database, "customer_features", day):
            return f"the snapshot at {day} has not been made"
    return None
