"""Facts about many customers, after some customers were removed: computed again without them, or rounded coarsely.

A sum that included a forgotten customer reveals their part to anyone who subtracts all other customers. Facts that
follow from kept rows are computed again with the functions that computed them first. Facts from fitting a model cannot
be, short of fitting it again: their measures are rounded to two significant digits, their counts are rounded up to
tens, and their texts lose their numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.actions import AUDIENCE_COLUMNS, audiences
from genome_pipeline.models.performance import measure
from genome_pipeline.models.segments.migrations import describe_moves
from genome_pipeline.models.segments.profiles import USED_COLUMNS, profile_segments
from genome_pipeline.models.similarity.matured import matured_neighbors
from genome_pipeline.orchestration.assets.drift import comparable_genes, drift_at, unjudged_reason
from genome_pipeline.orchestration.assets.frames import latest_matured, snapshot_frames, was_written
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.sql import literal
from genome_pipeline.transforms.outcomes import picked_outcomes
from genome_pipeline.transforms.validation import rejected_by_reason
from genome_pipeline.warehouse.erasure import NEIGHBORS, LeftOut, without_numbers
from genome_pipeline.warehouse.forgotten import up_to_tens

_TEXTS = ("choice_reason", "event_reason", "abstain_reason")
_COUNTS = ("training_row_count", "customer_count")
_OF_NEIGHBORS = ("neighbor_expected_orders", "neighbor_expected_spend", "neighbor_churn_probability")
_ROW_COUNTS = {
    "raw_row_count": "raw_transactions",
    "validated_row_count": "validated_transactions",
    "quarantined_row_count": "quarantined_transactions",
}
"""Parameter of a publication -> the table whose rows it counts."""


def remake(database: Backend, pipeline: Pipeline, left_out: LeftOut) -> None:
    """Add the left-out tables, computed from the customers that are left, to the copy of a warehouse."""
    settings, append = pipeline.settings, pipeline.warehouse.append
    for name, before in left_out.sums.items():
        by_date = pd.to_datetime(before["as_of"]).dt.date
        for as_of in sorted(set(by_date) & _snapshots_left(database)):
            rows = before[by_date == as_of]
            if name in _MADE_AGAIN:
                append(database, TABLES[name], _MADE_AGAIN[name](database, settings, as_of, rows))
            elif name == NEIGHBORS[0]:
                for table, frame in zip(NEIGHBORS, _neighbors(database, settings, as_of), strict=True):
                    append(database, TABLES[table], frame)
            elif name not in NEIGHBORS:
                append(database, TABLES[name], coarse(name, rows))
    if left_out.since is not None:
        _count_again(database, left_out.since)
        _take_estimates(database, "", left_out.since)
    tell_row_counts(database, row_counts(database))


def fill_published(database: Backend, warehouse: Path, left_out: LeftOut) -> None:
    """Add the left-out tables to the copy of a published file, as they now are in the warehouse."""
    connection = database.con
    connection.execute(f"ATTACH {literal(str(warehouse))} AS warehouse (READ_ONLY)")
    for name, before in left_out.sums.items():
        table = TABLES[name]
        connection.execute(
            f"INSERT INTO {table.published_name} BY NAME SELECT * FROM warehouse.main.{name}"
            f" WHERE as_of IN (SELECT unnest($dates)) ORDER BY {', '.join(table.key)}",
            {"dates": [*pd.to_datetime(before["as_of"]).dt.date.unique()]},
        )
    if left_out.since is not None:
        _take_estimates(database, "_history", left_out.since)
    rejected = rejected_by_reason(database.table("quarantined_transactions", database=("warehouse", "main")))
    connection.execute("DELETE FROM quarantine_reasons")
    connection.execute(f"INSERT INTO quarantine_reasons BY NAME FROM ({ibis.to_sql(rejected, dialect='duckdb')})")
    connection.execute(
        "UPDATE source_files SET row_count = theirs.row_count, suppressed_row_count = theirs.suppressed_row_count"
        " FROM warehouse.main.source_files AS theirs WHERE source_files.source_file = theirs.source_file"
    )
    counts = row_counts(database, "warehouse.main.")
    connection.execute("DETACH warehouse")
    tell_row_counts(database, counts)


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


def row_counts(database: Backend, schema: str = "") -> dict[str, int]:
    """Numbers of source rows: in total, validated and quarantined."""
    return {
        name: database.con.execute(f"SELECT count(*) FROM {schema}{table}").fetchall()[0][0]
        for name, table in _ROW_COUNTS.items()
        if schema or table in database.list_tables()
    }


def tell_row_counts(database: Backend, counts: Mapping[str, int]) -> None:
    """Set these counts of source rows in the last publication, and remove them from earlier ones."""
    connection = database.con
    runs = connection.execute("SELECT rowid, parameters FROM pipeline_runs ORDER BY published_at DESC").fetchall()
    for position, (row, written) in enumerate(runs):
        kept = {name: value for name, value in json.loads(written).items() if name not in _ROW_COUNTS}
        told = kept if position else {**kept, **counts}
        connection.execute("UPDATE pipeline_runs SET parameters = ? WHERE rowid = ?", [json.dumps(told), row])


def _snapshots_left(database: Backend) -> set[date]:
    return {day for (day,) in database.con.execute("SELECT DISTINCT as_of FROM customer_features").fetchall()}


def _count_again(database: Backend, since: date) -> None:
    """Recompute sizes of groups in model tables from the customers that are left."""
    for statement in (
        "UPDATE similarity_index SET customer_count = (SELECT count(*) FROM customer_features AS known"
        " WHERE known.as_of = similarity_index.as_of) WHERE as_of >= ?",
        "UPDATE segment_model SET smallest_share = (SELECT min(customer_share) FROM segment_profiles AS profiles"
        " WHERE profiles.as_of = segment_model.as_of) WHERE is_chosen AND as_of >= ? AND as_of IN"
        " (SELECT as_of FROM segment_profiles)",
    ):
        database.con.execute(statement, [since])


def _take_estimates(database: Backend, history: str, since: date) -> None:
    """Fill the mart's columns of neighbour estimates, which were left out together with the estimates."""
    database.con.execute(
        f"UPDATE customer_genome{history} AS genome SET {', '.join(f'{name} = told.{name}' for name in _OF_NEIGHBORS)}"
        f" FROM neighbor_estimates{history} AS told WHERE genome.as_of = told.as_of AND genome.customer_id ="
        " told.customer_id AND genome.as_of >= ?",
        [since],
    )


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
    return profile_segments(genome, described, settings.source.currency)


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


def _performance(database: Backend, settings: Settings, as_of: date, _: pd.DataFrame) -> pd.DataFrame:
    outcomes = database.con.execute(
        "SELECT * FROM prediction_outcomes WHERE as_of = ? ORDER BY customer_id", [as_of]
    ).df()
    return measure(outcomes, settings.predict.interval_level)


def _neighbors(database: Backend, settings: Settings, as_of: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    similarity, predict = settings.similarity, settings.predict
    return matured_neighbors(
        snapshot_frames(database, "customer_features", [as_of])[as_of],
        latest_matured(database, as_of, predict.horizon_days, predict.seed),
        as_of,
        similarity.neighbors,
        similarity.weights.model_dump(),
        predict.seed,
    )


_MADE_AGAIN: dict[str, Callable[[Backend, Settings, date, pd.DataFrame], pd.DataFrame]] = {
    "gene_drift": _drift,
    "segment_profiles": _profiles,
    "segment_migrations": _migrations,
    "action_audiences": _audiences,
    "model_performance": _performance,
}
"""Table -> function that gives its rows at one snapshot, from the customers that are left and the old rows."""
