"""The record of experiments -> ``experiments``, ``experiment_members`` -> ``experiment_results`` -> ``rule_proofs``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import dagster as dg
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.experiments.results import Terms, looks_until, proofs, results
from genome_pipeline.orchestration.assets.frames import check_written, provisional_at
from genome_pipeline.orchestration.assets.snapshots import make_snapshots
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.experiments import ended_runs, outcomes_since
from genome_pipeline.warehouse.experiment_record import ExperimentRecord


@table_stage("experiments", "experiment_members", reads={}, kinds={"duckdb"}, name="experiment_record")
def experiment_record(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Bring the warehouse's copy of the record of experiments up to date."""
    with pipeline.warehouse.open() as database:
        counts = ExperimentRecord.beside(pipeline.warehouse.path).copy_to(database)
    for table, rows in counts.items():
        context.add_asset_metadata({"dagster/row_count": rows}, asset_key=table)


@table_stage(
    "experiment_results",
    reads={
        "experiments": Reads.SAME,
        "experiment_members": Reads.SAME,
        "validated_transactions": Reads.UP_TO_THIS,
        "customer_features": Reads.SAME,
    },
    kinds={"pandas"},
)
def experiment_results(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Compare treated and controls of every experiment whose run had a look at the end of the period."""

    def read(database: Backend, dates: Sequence[date]) -> Iterable[list[pd.DataFrame]]:
        check_written(database, pipeline, "customer_features", dates)
        return ([results_at(database, pipeline.settings, as_of)] for as_of in dates)

    make_snapshots(context, pipeline, ["experiment_results"], read, lambda _, found: found)


@table_stage("rule_proofs", reads={"experiments": Reads.SAME, "experiment_results": Reads.UP_TO_THIS}, kinds={"pandas"})
def rule_proofs(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Put the runs of each rule that have ended together."""

    def read(database: Backend, dates: Sequence[date]) -> Iterable[list[pd.DataFrame]]:
        check_written(database, pipeline, "experiment_results", dates)
        return ([proofs_at(database, pipeline.settings, as_of)] for as_of in dates)

    make_snapshots(context, pipeline, ["rule_proofs"], read, lambda _, found: found)


def proofs_at(database: Backend, settings: Settings, as_of: date) -> pd.DataFrame:
    """Rows of ``rule_proofs`` at a snapshot."""
    runs = ended_runs(database.table("experiments"), database.table("experiment_results"), as_of)
    return proofs(as_of, runs.to_pandas(), settings.source.currency)


def results_at(database: Backend, settings: Settings, as_of: date) -> pd.DataFrame:
    """Rows of ``experiment_results`` at a snapshot; none at one that the log does not reach."""
    lines, members = database.table("validated_transactions"), database.table("experiment_members")
    found = []
    for terms in [] if provisional_at(database, settings, [as_of]) else _terms(database):
        looks = looks_until(terms, _ends(settings, terms.start, as_of), as_of)
        if not looks or looks[-1] != as_of:
            continue
        mine = members.filter(members.experiment_id == terms.experiment_id).order_by("customer_id")
        done = outcomes_since(lines, mine, terms.start, looks).to_pandas()
        found.append(results(terms, looks, mine.to_pandas(), done, settings.source.currency))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=TABLES["experiment_results"].columns)


def _ends(settings: Settings, start: date, as_of: date) -> list[date]:
    """The ends of the periods from ``start`` to ``as_of``."""
    periods = settings.time.periods(start, as_of - timedelta(days=1)) if start < as_of else ()
    return [settings.time.as_of(period) for period in periods]


def _terms(database: Backend) -> list[Terms]:
    rows = database.con.execute(
        "SELECT experiment_id, as_of, until_date, stopped_date, horizon_days, wished_lift_share, outcome_name"
        " FROM experiments ORDER BY experiment_id"
    ).fetchall()
    return [Terms(*row) for row in rows]
