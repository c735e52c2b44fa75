"""Facts about many customers, after some customers were removed: computed again without them, or rounded coarsely.

A sum that included a forgotten customer reveals their part to anyone who subtracts all other customers. Facts that
follow from kept rows are computed again with the functions that computed them first. Facts from fitting a model cannot
be, short of fitting it again: their measures are rounded to two significant digits, their counts are rounded up to
tens, and their texts lose their numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.actions import AUDIENCE_COLUMNS, audiences
from genome_pipeline.models.forecast.totals import errors_of_rows, forecast_totals
from genome_pipeline.models.performance import measure
from genome_pipeline.models.segments.migrations import describe_moves
from genome_pipeline.models.segments.profiles import USED_COLUMNS, profile_segments
from genome_pipeline.orchestration.assets.cohorts import cohorts_at, first_purchase_cohorts_at
from genome_pipeline.orchestration.assets.drift import comparable_genes, drift_at, unjudged_reason
from genome_pipeline.orchestration.assets.experiments import looks_at, proofs_at, results_of
from genome_pipeline.orchestration.assets.frames import (
    matured_with_taste,
    snapshot_frames,
    tastes_of_segments,
    was_written,
    with_taste,
)
from genome_pipeline.orchestration.assets.similarity import neighbors_among
from genome_pipeline.orchestration.assets.totals import sums_at
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.outcomes import picked_outcomes
from genome_pipeline.warehouse.corrections import correct_publications, recount_groups, snapshots_left, take_estimates
from genome_pipeline.warehouse.erasure import NEIGHBORS, LeftOut, without_numbers
from genome_pipeline.warehouse.forgotten import up_to_tens

_TEXTS = ("choice_reason", "event_reason", "abstain_reason")
_COUNTS = ("training_row_count", "customer_count")


def remake(database: Backend, pipeline: Pipeline, left_out: LeftOut) -> None:
    """Add the left-out tables, computed from the customers that are left, to the copy of a warehouse."""
    settings, append = pipeline.settings, pipeline.warehouse.append
    # What is only rounded comes first, as some of the others are computed from it.
    for name, before in sorted(left_out.sums.items(), key=lambda item: item[0] in _MADE_AGAIN):
        by_date = pd.to_datetime(before["as_of"]).dt.date
        for as_of in sorted(set(by_date) & snapshots_left(database)):
            rows = before[by_date == as_of]
            if name in _MADE_AGAIN:
                append(database, TABLES[name], _MADE_AGAIN[name](database, settings, as_of, rows))
            elif name == NEIGHBORS[0]:
                for table, frame in zip(NEIGHBORS, _neighbors(database, settings, as_of), strict=True):
                    append(database, TABLES[table], frame)
            elif name not in NEIGHBORS:
                append(database, TABLES[name], coarse(name, rows))
    if left_out.since is not None:
        recount_groups(database, left_out.since)
        take_estimates(database, "", left_out.since)
    correct_publications(database)


def coarse(name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a table that cannot be computed again: two significant digits, counts up to tens, no numbers in texts."""
    table, made = TABLES[name], rows.copy()
    for column in table.fields:
        values = made[column.name]
        if column.name in _TEXTS:
            made[column.name] = values.map(without_numbers, na_action="ignore")
        elif column.name == "parameters" and column.name in table.nullable:
            made[column.name] = None
        elif column.name in _COUNTS:
            made[column.name] = values.map(up_to_tens, na_action="ignore")
        elif values.dtype.kind == "f":
            made[column.name] = values.map(lambda value: float(f"{value:.1e}"), na_action="ignore")
    return made


def _drift(database: Backend, settings: Settings, as_of: date, rows: pd.DataFrame) -> pd.DataFrame:
    calendar = settings.time

    def genes_at(day: date) -> pd.DataFrame:
        return comparable_genes(database, day, calendar.period_start(day))

    pairs = rows[["baseline", "baseline_as_of"]].drop_duplicates().itertuples(index=False)
    days = {name: pd.Timestamp(day).date() for name, day in pairs}
    baselines = {
        name: (day, genes_at(day), unjudged_reason(database, settings, as_of, day)) for name, day in days.items()
    }
    baselines = {name: each for name, each in baselines.items() if not each[1].empty}
    return drift_at(as_of, genes_at(as_of), baselines, settings.quality.drift_warning_psi)


def _profiles(database: Backend, settings: Settings, as_of: date, rows: pd.DataFrame) -> pd.DataFrame:
    columns = sorted({"customer_id", *USED_COLUMNS})
    genome = snapshot_frames(database, "customer_genome", [as_of], columns)[as_of]
    described = rows[["segment_id", "segment_name", "naming_rule", "jaccard_score"]]
    return profile_segments(genome, described, settings.source.currency, tastes_of_segments(database, as_of))


def _migrations(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    before = settings.time.period_start(as_of)
    dates = [as_of, *([before] if was_written(database, "customer_segments", before) else [])]
    segments = snapshot_frames(database, "customer_segments", dates, ["customer_id", "segment_id", "segment_name"])
    spend = snapshot_frames(database, "customer_features", [as_of], ["customer_id", "recent_spend_amount"])
    return describe_moves(segments[as_of], segments.get(before), spend[as_of])[1]


def _audiences(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    actions, confidence = (
        snapshot_frames(
            database,
            name,
            [as_of],
            ["customer_id", *(each for each in TABLES[name].columns if each in AUDIENCE_COLUMNS)],
        )[as_of]
        for name in ("customer_actions", "customer_confidence")
    )
    picked = picked_outcomes(database.table("customer_actions"), database.table("prediction_outcomes"), as_of)
    return audiences(actions, confidence, picked.to_pandas(), settings.actions.rules, as_of, settings.source.currency)


def _totals(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    # A warehouse of before this table has none until it is made again: no bounds, then.
    is_known = was_written(database, "forecast_total_errors", as_of)
    errors = errors_of_rows(snapshot_frames(database, "forecast_total_errors", [as_of])[as_of]) if is_known else {}
    predict = settings.predict
    return forecast_totals(
        sums_at(database, settings, [as_of])[as_of], errors, predict.interval_level, predict.horizon_days
    )


def _cohorts(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    found: pd.DataFrame = cohorts_at(database, [as_of], settings.time.period).execute()
    return found


def _first_purchase_cohorts(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    found: pd.DataFrame = first_purchase_cohorts_at(database, [as_of], settings.time.period).execute()
    return found


def _experiments(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    return results_of(looks_at(database, settings, as_of), settings)[0]


def _experiment_groups(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    return results_of(looks_at(database, settings, as_of), settings)[1]


def _proofs(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    return proofs_at(database, settings, as_of)


def _performance(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    outcomes = database.con.execute(
        "SELECT * FROM prediction_outcomes WHERE as_of = ? ORDER BY customer_id", [as_of]
    ).df()
    return measure(outcomes, settings.predict.interval_level)


def _neighbors(database: Backend, settings: Settings, as_of: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    predict = settings.predict
    features = snapshot_frames(database, "customer_features", [as_of])[as_of]
    then = matured_with_taste(database, as_of, predict.horizon_days, predict.seed)
    return neighbors_among(settings, as_of, with_taste(database, as_of, features), then)


_MADE_AGAIN: dict[str, Callable[[Backend, Settings, date, pd.DataFrame], pd.DataFrame]] = {
    "gene_drift": _drift,
    "forecast_totals": _totals,
    "cohorts": _cohorts,
    "first_purchase_cohorts": _first_purchase_cohorts,
    "segment_profiles": _profiles,
    "segment_migrations": _migrations,
    "action_audiences": _audiences,
    "experiment_results": _experiments,
    "experiment_groups": _experiment_groups,
    "rule_proofs": _proofs,
    "model_performance": _performance,
}
"""Table -> function that gives its rows at one snapshot, from the customers that are left and the old rows."""
