"""The published file: built beside the old one, checked, then swapped in, so that readers never see half a snapshot."""

from __future__ import annotations

import json
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
from genome_pipeline.warehouse.database import Warehouse, open_database, record_time
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.ingestion import PRESENT_FILES
from genome_pipeline.warehouse.transaction import transaction

STORAGE_VERSION = "v1.0.0"
"""Oldest DuckDB storage format: every client from 1.0 on can read the file."""


@dataclass(frozen=True)
class Publication:
    """A publication: what was published, and when."""

    path: Path
    as_of: date
    row_counts: dict[str, int]
    byte_count: int


def is_current(path: Path) -> bool:
    """Whether there is a published file with this program's schema."""
    if not path.exists():
        return False
    try:
        with open_database(path, read_only=True) as published:
            return version_in(published.con) == PUBLISHED_VERSION
    except (WarehouseError, duckdb.Error):
        return False


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

    ``forced_past`` says which obstacles were overridden, for the record.
    A reader that has the old file open keeps it, whole. On any failure the old file stays. Raises
    :class:`WarehouseError` when there is no snapshot to publish or the new file does not hold what it should.
    """
    check_replaceable(settings.published_path)
    connection = database.con
    found = connection.execute("SELECT max(as_of) FROM customer_genome").fetchone()
    as_of = found[0] if found else None
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
        connection.execute(f"ATTACH {literal(str(building))} AS published (STORAGE_VERSION '{STORAGE_VERSION}')")
        try:
            connection.register("this_run", record)
            counts = {table.name: _copy(database, table, costs) for table in TABLES.values() if table.is_published}
            for table in TABLES.values():
                if table.is_published:
                    _describe(database, table)
            for view in VIEWS.values():
                connection.execute(view.ddl("published"))
                _comment(database, "VIEW", view.name, view.description, view.fields)
        finally:
            connection.execute("DETACH published")
        os.replace(building, settings.published_path)
        # Only now: slices count as made once they are recorded as published.
        warehouse.append(database, TABLES["pipeline_runs"], record)
        with transaction(database):
            connection.execute("DELETE FROM published_files")
            connection.execute(f"INSERT INTO published_files {PRESENT_FILES}")
    finally:
        building.unlink(missing_ok=True)
        building.with_name(f"{building.name}.wal").unlink(missing_ok=True)
    return Publication(settings.published_path, as_of, counts, settings.published_path.stat().st_size)


def _nothing_because(connection: duckdb.DuckDBPyConnection) -> str:
    """The reason why no snapshot has customers: nothing was made, or every row was set aside."""
    found = connection.execute(
        "SELECT (SELECT count(*) FROM validated_transactions), count(*) FROM quarantined_transactions"
    ).fetchone()
    valid, set_aside = found or (0, 0)
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


def _copy(database: Backend, table: Table, costs: pd.DataFrame) -> int:
    connection, target = database.con, f"published.{table.published_name}"
    connection.execute(table.ddl(target))
    if table.name == "data_dictionary":
        connection.register("incoming", data_dictionary())
        source = "incoming"
    elif table.name == "quarantine_reasons":
        source = f"({ibis.to_sql(rejected_by_reason(database.table('quarantined_transactions')))})"
    elif table.name == "quarantine_samples":
        source = f"({ibis.to_sql(samples_by_reason(database.table('quarantined_transactions')))})"
    elif table.name == "acquisition_costs":
        connection.register("costs", costs)
        source = "costs"
    elif table.name == "pipeline_runs":
        source = "(FROM main.pipeline_runs UNION ALL BY NAME FROM this_run)"
    else:
        source = f"main.{table.name}"
    order = ", ".join(table.key)
    connection.execute(f"INSERT INTO {target} BY NAME SELECT * FROM {source} ORDER BY {order}")
    copied = connection.execute(f"SELECT count(*) FROM {target}").fetchone()
    wanted = connection.execute(f"SELECT count(*) FROM {source}").fetchone()
    if copied != wanted or copied is None:
        raise WarehouseError(f"the new published file lacks rows of {table.name}: the old one stays")
    return int(copied[0])


def _describe(database: Backend, table: Table) -> None:
    """Create views of the latest snapshot, and a comment on every table, view and column."""
    connection = database.con
    described = [("TABLE", table.published_name, table.description)]
    if table.is_snapshot:
        # The view names its table unqualified: a reader may attach the file under any name.
        connection.execute(
            f"CREATE VIEW published.{table.name} AS SELECT * FROM {table.name}_history WHERE {table.slice_by} ="
            f" (SELECT max({table.slice_by}) FROM {table.name}_history)"
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
    counts = database.con.execute(
        "SELECT (SELECT count(*) FROM raw_transactions), (SELECT count(*) FROM validated_transactions),"
        " (SELECT count(*) FROM quarantined_transactions)"
    ).fetchone()
    parameters = {
        "horizon_days": settings.predict.horizon_days,
        "interval_level": settings.predict.interval_level,
        "currency": settings.source.currency,
        "period": settings.calendar.period.value,
        "source_name": Path(settings.source.path).name,
        **dict(zip(("raw_row_count", "validated_row_count", "quarantined_row_count"), counts or (), strict=True)),
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
