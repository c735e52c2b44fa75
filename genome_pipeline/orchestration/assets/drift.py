"""``customer_features`` of a snapshot beside earlier ones -> ``gene_drift``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import dagster as dg
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models import drift
from genome_pipeline.orchestration.assets.frames import matured_dates, was_written
from genome_pipeline.orchestration.assets.snapshots import make_snapshots
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings

COMPARED_CUSTOMERS = 100_000
"""Customers compared per snapshot; larger ones are sampled. The PSI's sampling error is then about 0.0002."""

Baselines = dict[str, tuple[date, pd.DataFrame, str | None]]
"""Name of each baseline -> its snapshot, its genes, and the reason if they are not judged against it."""


@table_stage(
    "gene_drift",
    reads={"customer_features": Reads.UP_TO_THIS, "validated_transactions": Reads.UP_TO_THIS},
    kinds={"pandas"},
)
def gene_drift(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Compare each snapshot with the previous one, and with the latest from which models could learn."""
    settings, calendar = pipeline.settings, pipeline.settings.time
    frames: dict[date, pd.DataFrame] = {}

    def genes_at(database: Backend, as_of: date) -> pd.DataFrame:
        if as_of not in frames:
            frames[as_of] = comparable_genes(database, as_of, calendar.period_start(as_of))
        return frames[as_of]

    def read(database: Backend, as_ofs: Sequence[date]) -> Iterable[tuple[pd.DataFrame, Baselines]]:
        matured = matured_dates(database, settings, as_ofs)
        return [compared_at(database, *each) for each in zip(as_ofs, matured, strict=True)]

    def compared_at(database: Backend, as_of: date, matured: Sequence[date]) -> tuple[pd.DataFrame, Baselines]:
        dates = {"previous": calendar.period_start(as_of)}
        if matured:
            dates["training"] = matured[-1]
        for day in frames.keys() - {as_of, *dates.values()}:
            del frames[day]
        genes = genes_at(database, as_of)
        baselines = {name: (day, genes_at(database, day)) for name, day in dates.items()}
        return genes, {
            name: (day, frame, unjudged_reason(database, settings, as_of, day))
            for name, (day, frame) in baselines.items()
            if not (genes.empty or frame.empty)
        }

    def make(as_of: date, inputs: tuple[pd.DataFrame, Baselines]) -> list[pd.DataFrame]:
        genes, baselines = inputs
        return [drift_at(as_of, genes, baselines, settings.quality.drift_warning_psi)]

    make_snapshots(context, pipeline, ["gene_drift"], read, make)


def drift_at(as_of: date, genes: pd.DataFrame, baselines: Baselines, warning_psi: float) -> pd.DataFrame:
    """Contract ``gene_drift`` of one snapshot."""
    # With a short horizon both baselines are the same snapshot.
    different = {day: (frame, reason) for day, frame, reason in baselines.values()}
    compared = {day: drift.gene_drift(genes, frame, warning_psi, reason) for day, (frame, reason) in different.items()}
    parts = [
        compared[day].assign(as_of=as_of, baseline=name, baseline_as_of=day) for name, (day, *_) in baselines.items()
    ]
    return pd.concat(parts) if parts else pd.DataFrame(columns=list(TABLES["gene_drift"].columns))


def comparable_genes(database: Backend, as_of: date, before: date) -> pd.DataFrame:
    """Every gene as a float, one row per customer at ``as_of``; cumulative genes as the increase since ``before``.

    A customer who was unknown at ``before`` counts with the whole total. At most about :data:`COMPARED_CUSTOMERS` rows.
    """
    columns = ", ".join(
        f"(n.{gene} - CASE WHEN b.customer_id IS NULL THEN 0 ELSE b.{gene} END)::DOUBLE AS {gene}"
        if GENES[gene].is_cumulative
        else f"n.{gene}::DOUBLE AS {gene}"
        for gene in GENES
    )
    (count,) = database.con.execute("SELECT count(*) FROM customer_features WHERE as_of = ?", [as_of]).fetchall()[0]
    frame: pd.DataFrame = database.con.execute(
        "WITH sampled AS (SELECT * FROM customer_features"
        " WHERE as_of IN ($as_of, $before) AND hash(customer_id) % $count::UBIGINT < $limit::UBIGINT)"
        f" SELECT {columns} FROM sampled n LEFT JOIN sampled b ON b.as_of = $before AND b.customer_id = n.customer_id"
        " WHERE n.as_of = $as_of ORDER BY n.customer_id",
        {"as_of": as_of, "before": before, "count": max(count, 1), "limit": COMPARED_CUSTOMERS},
    ).df()
    return frame


def unjudged_reason(database: Backend, settings: Settings, as_of: date, baseline: date) -> str | None:
    """Why no gene is judged against the baseline: the log was too young, or a required snapshot was never made."""
    calendar = settings.time
    (first_order_date,) = database.con.execute(
        "SELECT min(first_order_date) FROM customer_features WHERE as_of = ?", [as_of]
    ).fetchall()[0]
    windows = 2 * calendar.window_periods(settings.predict.horizon_days)
    if calendar.period.shift(baseline, -windows) <= calendar.period.start_of(first_order_date):
        return f"the log was too young at {baseline}: genes look back {windows} {calendar.period}s, all must be in it"
    for day in (calendar.period_start(as_of), calendar.period_start(baseline)):
        if not was_written(database, "customer_features", day):
            return f"the snapshot at {day} has not been made"
    return None
