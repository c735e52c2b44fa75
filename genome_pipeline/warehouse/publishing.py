"""The published file: built beside the old one, checked, then swapped in, so that readers never see half a snapshot."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline import __version__
from genome_pipeline.contracts.column import Column
from genome_pipeline.contracts.dictionary import data_dictionary
from genome_pipeline.contracts.published import PUBLISHED_VERSION, not_ours, version_in
from genome_pipeline.contracts.rules import RULES
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.contracts.views import VIEWS
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.settings import Settings
from genome_pipeline.sql import literal
from genome_pipeline.transforms.validation import rejected_by_reason, samples_by_reason
from genome_pipeline.warehouse.database import (
    Slice,
    Warehouse,
    in_slices,
    open_database,
    record_time,
    slice_values,
)
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.ingestion import PRESENT_FILES
from genome_pipeline.warehouse.published_changes import (
    changed_slices,
    copy_file,
    is_kept,
    remember_published_slices,
)
from genome_pipeline.warehouse.schema import first_line
from genome_pipeline.warehouse.transaction import transaction

logger = logging.getLogger(__name__)

STORAGE_VERSION = "v1.0.0"
"""Oldest DuckDB storage format: every client from 1.0 on can read the file."""


@dataclass(frozen=True)
class Publication:
    """A publication: what was published, and when."""

    path: Path
    as_of: date
    row_counts: dict[str, int]
    byte_count: int


def remember_published_files(database: Backend, published: Path) -> None:
    """Copy the names of the files published last to a new warehouse, so that it notices files that are gone.

    Copies nothing where there is no published file, or one of another version.
    """
    try:
        with open_database(published, read_only=True) as last:
            files = last.con.execute(PRESENT_FILES).fetchall()
    except (WarehouseError, duckdb.Error):
        return
    for file in files:
        database.con.execute("INSERT INTO published_files VALUES (?, ?, ?)", file)


def check_replaceable(path: Path) -> None:
    """Raises :class:`WarehouseError` if the file at the published file's place is not this program's to replace."""
    if path.is_symlink():
        raise WarehouseError(
            f"{path} is a link to {path.readlink()}, which would be replaced by a file that its readers do not see:"
            " remove the link, and let them read that file"
        )
    try:
        with connect(path, read_only=True) as found:
            version_in(found)
    except duckdb.CatalogException:
        raise WarehouseError(not_ours(path)) from None
    except duckdb.Error:
        pass  # missing, damaged or being written: replacing it loses nothing


def publish(
    database: Backend, warehouse: Warehouse, settings: Settings, run_id: str, forced_past: str | None = None
) -> Publication:
    """Build a new published file from the warehouse and put it in place of the old one in one step.

    The old one is copied, and what has changed since is written into the copy; the whole is written where that cannot
    be (:func:`~genome_pipeline.warehouse.published_changes.changed_slices`).

    ``forced_past`` says which obstacles were overridden, for the record.
    A reader that has the old file open keeps it, whole. On any failure the old file stays. Raises
    :class:`WarehouseError` when there is no snapshot to publish or the new file does not hold what it should.
    """
    check_replaceable(settings.published_path)
    connection = database.con
    ((as_of,),) = connection.execute("SELECT max(as_of) FROM customer_genome").fetchall()
    if as_of is None:
        raise WarehouseError(_nothing_because(connection))
    folder = settings.published_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob("genome-*.duckdb*"):
        # This process holds the warehouse, so these files were left by runs that died.
        left_over.unlink()
    costs = costs_of_cohorts(connection, settings)
    record = _run_record(database, settings, run_id, as_of, forced_past)
    building = folder / f"genome-{as_of}-{run_id[:8]}.duckdb"
    try:
        connection.register("this_run", record)
        connection.register("costs", costs)
        connection.register("dictionary", data_dictionary())
        counts = _build(database, building, settings.published_path)
        os.replace(building, settings.published_path)
        # Only now: slices count as made once they are recorded as published.
        warehouse.append(database, TABLES["pipeline_runs"], record)
        with transaction(database):
            connection.execute("DELETE FROM published_files")
            connection.execute(f"INSERT INTO published_files {PRESENT_FILES}")
            remember_published_slices(connection)
    finally:
        _remove(building)
    return Publication(settings.published_path, as_of, counts, settings.published_path.stat().st_size)


def _build(database: Backend, building: Path, last: Path) -> dict[str, int]:
    """Make the new file: what has changed since the last one in a copy of it, or else the whole; rows of each table."""
    changed = changed_slices(database, last)
    if changed is not None:
        try:
            copy_file(last, building)
            return _write(database, building, changed)
        except (WarehouseError, duckdb.Error) as error:
            logger.warning("%s is written whole, as it could not be completed: %s", last.name, first_line(error))
            _remove(building)
    return _write(database, building, None)


def _write(database: Backend, building: Path, changed: Mapping[str, list[Slice]] | None) -> dict[str, int]:
    connection = database.con
    options = "" if changed is not None else f" (STORAGE_VERSION '{STORAGE_VERSION}')"
    connection.execute(f"ATTACH {literal(str(building))} AS published{options}")
    try:
        published = [table for table in TABLES.values() if table.is_published]
        counts = {}
        for table in published:
            if changed is None:
                connection.execute(table.ddl(f"published.{table.published_name}"))
            slices = changed[table.name] if changed is not None and is_kept(table) else None
            counts[table.name] = _copy(database, table, slices)
        with transaction(database):  # by itself, each of a thousand comments would wait for the disk
            for table in published:
                _describe(database, table)
            for view in VIEWS.values():
                connection.execute(view.ddl("published"))
                _comment(database, "VIEW", view.name, view.description, view.fields)
    finally:
        connection.execute("DETACH published")
    return counts


def _remove(building: Path) -> None:
    building.unlink(missing_ok=True)
    building.with_name(f"{building.name}.wal").unlink(missing_ok=True)


def _nothing_because(connection: duckdb.DuckDBPyConnection) -> str:
    """The reason why no snapshot has customers: nothing was made, or every row was set aside."""
    ((valid, set_aside),) = connection.execute(
        "SELECT (SELECT count(*) FROM validated_transactions), count(*) FROM quarantined_transactions"
    ).fetchall()
    if valid or not set_aside:
        return "there is no snapshot to publish: materialise customer_genome first"
    reason, count, (file, row) = connection.execute(
        "SELECT reason, count(*) AS row_count, min((source_file, source_row)) FROM"
        " (SELECT *, unnest(reasons) AS reason FROM quarantined_transactions) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1"
    ).fetchall()[0]
    meaning = next(rule.description for rule in RULES if rule.name == reason)
    return (
        f"there is no snapshot to publish, as all {set_aside:,} rows were set aside, {count:,} of them for {reason},"
        f" the first in {file} row {row}. {meaning} `genome quarantine` tells more: repair the source or the config"
    )


def costs_of_cohorts(connection: duckdb.DuckDBPyConnection, settings: Settings) -> pd.DataFrame:
    """Rows of table ``acquisition_costs``: the cohorts of the latest snapshot of which the config gives a cost.

    Raises :class:`~genome_pipeline.errors.ConfigError` for a file of costs that cannot be read.
    """
    costs = settings.acquisition.costs(settings.calendar.period)
    found = connection.execute(
        "SELECT cohort_start_date FROM cohorts WHERE as_of = (SELECT max(as_of) FROM cohorts) ORDER BY 1"
    ).fetchall()
    by_cohort = costs if isinstance(costs, Mapping) else {cohort: costs for (cohort,) in found if costs is not None}
    known = [(cohort, by_cohort[cohort]) for (cohort,) in found if cohort in by_cohort]
    return pd.DataFrame(known, columns=["cohort_start_date", "cost_per_customer_amount"]).astype(
        {"cost_per_customer_amount": "float64"}
    )


def are_costs_published(path: Path, database: Backend, settings: Settings) -> bool:
    """Whether the published file holds the costs of cohorts that the config gives now.

    Raises :class:`~genome_pipeline.errors.ConfigError` for a file of costs that cannot be read.
    """
    wanted = costs_of_cohorts(database.con, settings)
    with open_database(path, read_only=True) as published:
        rows = published.con.execute("FROM acquisition_costs ORDER BY cohort_start_date").fetchall()
    return bool(rows == [*wanted.itertuples(index=False, name=None)])


def are_contacts_published(database: Backend) -> bool:
    """Whether contacts have not changed since the last publication."""
    ((is_published,),) = database.con.execute(
        "SELECT coalesce((SELECT max(changed_at) FROM contact_changes)"
        " <= (SELECT max(published_at) FROM pipeline_runs), true)"
    ).fetchall()
    return bool(is_published)


def _copy(database: Backend, table: Table, slices: Sequence[Slice] | None) -> int:
    """Replace slices of a published table, or, if None, all of it; returns the rows that it now has."""
    connection, target = database.con, f"published.{table.published_name}"
    source = _source(database, table)
    chosen, values = ("true", []) if slices is None else (in_slices(table, slices), slice_values(slices))
    if slices is None or slices:
        connection.execute(f"DELETE FROM {target} WHERE {chosen}", values)
        order = ", ".join(table.key)
        connection.execute(
            f"INSERT INTO {target} BY NAME SELECT * FROM {source} WHERE {chosen} ORDER BY {order}", values
        )
    ((copied, wanted),) = connection.execute(
        f"SELECT (SELECT count(*) FROM {target}), (SELECT count(*) FROM {source})"
    ).fetchall()
    if copied != wanted:
        raise WarehouseError(f"the new published file lacks rows of {table.name}: the old one stays")
    return int(copied)


def _source(database: Backend, table: Table) -> str:
    """What the rows of a published table are read from."""
    if table.name == "data_dictionary":
        return "dictionary"
    if table.name == "quarantine_reasons":
        return f"({ibis.to_sql(rejected_by_reason(database.table('quarantined_transactions')))})"
    if table.name == "quarantine_samples":
        return f"({ibis.to_sql(samples_by_reason(database.table('quarantined_transactions')))})"
    if table.name == "acquisition_costs":
        return "costs"
    if table.name == "pipeline_runs":
        return "(FROM main.pipeline_runs UNION ALL BY NAME FROM this_run)"
    return f"main.{table.name}"


def _describe(database: Backend, table: Table) -> None:
    """Create views of the latest snapshot, and a comment on every table, view and column."""
    connection = database.con
    described = [("TABLE", table.published_name, table.description)]
    if table.is_snapshot:
        # The view names its table unqualified: a reader may attach the file under any name.
        connection.execute(
            f"CREATE OR REPLACE VIEW published.{table.name} AS SELECT * FROM {table.name}_history"
            f" WHERE {table.slice_by} = (SELECT max({table.slice_by}) FROM {table.name}_history)"
        )
        described = [
            ("TABLE", table.published_name, f"{table.description} All snapshots."),
            ("VIEW", table.name, f"{table.description} Latest snapshot."),
        ]
    for kind, name, description in described:
        _comment(database, kind, name, description, table.fields)


def _comment(database: Backend, kind: str, name: str, description: str, columns: Sequence[Column]) -> None:
    database.con.execute(f"COMMENT ON {kind} published.{name} IS {literal(description)}")
    for column in columns:
        database.con.execute(f"COMMENT ON COLUMN published.{name}.{column.name} IS {literal(column.comment)}")


def _run_record(
    database: Backend, settings: Settings, run_id: str, as_of: date, forced_past: str | None
) -> pd.DataFrame:
    (counts,) = database.con.execute(
        "SELECT (SELECT count(*) FROM raw_transactions), (SELECT count(*) FROM validated_transactions),"
        " (SELECT count(*) FROM quarantined_transactions)"
    ).fetchall()
    parameters = {
        "horizon_days": settings.predict.horizon_days,
        "interval_level": settings.predict.interval_level,
        "currency": settings.source.currency,
        "period": settings.calendar.period.value,
        "source_name": Path(settings.source.path).name,
        **dict(zip(("raw_row_count", "validated_row_count", "quarantined_row_count"), counts, strict=True)),
    }
    return pd.DataFrame(
        {
            "run_id": [run_id],
            "as_of": [as_of],
            "version": [__version__],
            "settings_hash": [settings.results_hash],
            "parameters": [json.dumps(parameters)],
            "published_at": [record_time(database.con)],
            "published_schema_version": [PUBLISHED_VERSION],
            "forced_past": pd.array([forced_past], dtype="string"),
        }
    )
