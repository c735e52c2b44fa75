"""The record of experiments and the contact log -> their tables -> ``experiment_results`` -> ``rule_proofs``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import dagster as dg
import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.playbook import EVERYTHING_RULE
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.experiments.results import Terms, looks_until, proofs, results
from genome_pipeline.orchestration.assets.frames import check_written, provisional_at
from genome_pipeline.orchestration.assets.snapshots import make_snapshots
from genome_pipeline.orchestration.assets.stage import key_of, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.contacts import reached
from genome_pipeline.transforms.experiments import ended_runs, outcomes_since
from genome_pipeline.warehouse.contact_log import take_in_contacts
from genome_pipeline.warehouse.experiment_record import ExperimentRecord

Inputs = tuple[Terms, list[date], pd.DataFrame, pd.DataFrame, pd.Series | None]
"""Terms, looks, members and outcomes of an experiment, and who of them was reached, if that is logged."""

_RESULTS = ("experiment_results", "experiment_groups")


@table_stage("experiments", "experiment_members", reads={}, kinds={"duckdb"}, name="experiment_record")
def experiment_record(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Bring the warehouse's copy of the record of experiments up to date."""
    with pipeline.warehouse.open() as database:
        record = ExperimentRecord.beside(pipeline.warehouse.path)
        counts = record.copy_to(database, context.run_id, pipeline.settings.results_hash)
    for table, rows in counts.items():
        context.add_asset_metadata({"dagster/row_count": rows}, asset_key=key_of(context, table))


@table_stage("contacts", reads={"raw_transactions": Reads.SAME}, kinds={"file"})
def contacts(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Take in the contact log, after the source: its check asks whether the source knows the customers."""
    with pipeline.warehouse.open() as database:
        counts = take_in_contacts(database, pipeline.settings, context.run_id)
    context.add_asset_metadata(
        {
            "dagster/row_count": counts.contact_count,
            "duplicate_rows": counts.duplicate_row_count,
            "unusable_rows": counts.unusable_row_count,
            "rows_of_forgotten_customers": counts.suppressed_row_count,
        },
        asset_key=key_of(context, "contacts"),
    )


@table_stage(
    "experiment_results",
    "experiment_groups",
    reads={
        "experiments": Reads.SAME,
        "experiment_members": Reads.SAME,
        "contacts": Reads.SAME,
        "validated_transactions": Reads.UP_TO_THIS,
        "customer_features": Reads.SAME,
    },
    kinds={"pandas", "sklearn"},
    name="experiment_results",
)
def experiment_results(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Compare treated and controls of every experiment whose run had a look at the end of the period."""

    def read(database: Backend, dates: Sequence[date]) -> Iterable[list[Inputs]]:
        check_written(database, pipeline, "customer_features", dates)
        return (looks_at(database, pipeline.settings, as_of) for as_of in dates)

    def make(_: date, looks: list[Inputs]) -> list[pd.DataFrame]:
        return results_of(looks, pipeline.settings)

    make_snapshots(context, pipeline, [*_RESULTS], read, make)


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


def looks_at(database: Backend, settings: Settings, as_of: date) -> list[Inputs]:
    """What is compared at a snapshot: every experiment with a look there; none at one that the log does not reach."""
    lines, members = database.table("validated_transactions"), database.table("experiment_members")
    found = []
    for terms in [] if provisional_at(database, settings, [as_of]) else _terms(database):
        looks = looks_until(terms, _ends(settings, terms.start, as_of), as_of)
        if looks and looks[-1] == as_of:
            mine = members.filter(members.experiment_id == terms.experiment_id).order_by("customer_id")
            done = outcomes_since(lines, mine, terms.start, looks).to_pandas()
            contacted = _reached(database, settings, terms, mine, as_of)
            found.append((terms, looks, mine.to_pandas(), done, contacted))
    return found


def results_of(looks: Sequence[Inputs], settings: Settings) -> list[pd.DataFrame]:
    """Rows of ``experiment_results`` and of ``experiment_groups`` at a snapshot."""
    made = [results(*each, settings.source.currency, settings.predict.seed) for each in looks]
    return [
        pd.concat(
            [pd.DataFrame(columns=list(TABLES[name].columns)), *(each[place] for each in made if len(each[place]))]
        )
        for place, name in enumerate(_RESULTS)
    ]


def _reached(database: Backend, settings: Settings, terms: Terms, members: ir.Table, as_of: date) -> pd.Series | None:
    """The members whom the contact log says were reached by a look; None without a log."""
    if settings.contacts is None:
        return None
    campaigns = terms.campaigns if settings.contacts.columns.campaign else None
    found: pd.Series = reached(database.table("contacts"), members, terms.start, as_of, campaigns).to_pandas()[
        "customer_id"
    ]
    return found


def _ends(settings: Settings, start: date, as_of: date) -> list[date]:
    """The ends of the periods from ``start`` to ``as_of``."""
    periods = settings.time.periods(start, as_of - timedelta(days=1)) if start < as_of else ()
    return [settings.time.as_of(period) for period in periods]


def _terms(database: Backend) -> list[Terms]:
    rows = database.con.execute(
        "SELECT experiment_id, as_of, until_date, stopped_date, horizon_days, wished_lift_share, outcome_name,"
        " treated_count / (treated_count + control_count),"
        " CASE WHEN action_rule <> $everything THEN [action_rule, experiment_id, action] END"
        " FROM experiments ORDER BY experiment_id",
        {"everything": EVERYTHING_RULE},
    ).fetchall()
    return [Terms(*row) for row in rows]
