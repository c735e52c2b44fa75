"""The pipeline's own DuckDB file: waiting for its lock, and slices replaced whole."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.calendar import Calendar
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.sql import literal
from genome_pipeline.warehouse.errors import WarehouseBusy, WarehouseError
from genome_pipeline.warehouse.forgotten import Forgotten
from genome_pipeline.warehouse.migrations import SCHEMA_VERSION
from genome_pipeline.warehouse.schema import (
    VERSION_SETTING,
    check_own,
    complete_tables,
    ensure_tables,
    first_line,
    lacking_columns,
    migrate,
    schema_version,
)
from genome_pipeline.warehouse.transaction import transaction

logger = logging.getLogger(__name__)
LOCK_WAIT_SECONDS = 600.0
STORAGE_VERSION = "v1.5.0"
"""Set for new files: text is then compressed in half the time that formats of older DuckDB versions take."""

_RETRY_SECONDS = 0.2
_LOG_EVERY_SECONDS = 10.0
SOURCE_SETTING = "source"
"""Key under which the place of the source is kept; not part of the identity, as ingestion decides about a move."""
_CLOCK_TOLERANCE = timedelta(hours=1)
_REMEDY = "restore it from a backup, or `genome rebuild` makes it anew from the source"
Slice = date | str | None

WHOLE = "all"
"""Name, in the records, of the only slice of a table that is not written in slices."""


@dataclass(frozen=True)
class WrittenSlices:
    """Result of one write: the rows now in each slice, in the order of the slices written."""

    table: str
    row_counts: dict[Slice, int]

    @property
    def row_count(self) -> int:
        """Total number of rows written."""
        return sum(self.row_counts.values())


@contextmanager
def open_database(
    path: Path, *, read_only: bool = False, wait_seconds: float = LOCK_WAIT_SECONDS, remedy: str = _REMEDY
) -> Iterator[Backend]:
    """Open a DuckDB file as an Ibis backend, and close it whatever happens.

    While another process holds the file, waits up to ``wait_seconds``, saying so in the log. Raises
    :class:`WarehouseError`, with ``remedy`` as what to do, when the wait was in vain or the file is no usable database.
    """
    started = last_logged = time.monotonic()
    while True:
        try:
            if not read_only and not path.exists():
                with connect() as maker:
                    maker.execute(f"ATTACH {literal(str(path))} AS made (STORAGE_VERSION '{STORAGE_VERSION}')")
            connection = connect(path, read_only=read_only)
            break
        except duckdb.IOException as error:
            if "set lock on file" not in str(error):
                raise WarehouseError(f"{path} cannot be opened ({first_line(error)}): {remedy}") from error
            waited = time.monotonic() - started
            if waited > wait_seconds:
                raise WarehouseBusy(
                    f"{path} has been held by another process for {waited:.0f} s ({first_line(error)}): let that"
                    " process finish, then run again"
                ) from None
            if time.monotonic() - last_logged > _LOG_EVERY_SECONDS:
                logger.warning("waiting for %s, held by another process (%.0f s so far)", path.name, waited)
                last_logged = time.monotonic()
            time.sleep(_RETRY_SECONDS)
        except duckdb.Error as error:
            raise WarehouseError(
                f"{path} is not a database this version can read ({first_line(error)}): {remedy}"
            ) from None
    try:
        connection.execute("SET TimeZone = 'UTC'")
        with suppress(duckdb.InvalidInputException):  # refused in a Jupyter that could not draw the bar anyway
            connection.execute("SET enable_progress_bar = false")
        yield ibis.duckdb.from_connection(connection)
    finally:
        connection.close()


class Warehouse:
    """Reads and replaces slices of the contract's tables in one DuckDB file.

    ``settings_hash`` is recorded with each slice written, to recognise slices made under other settings.
    ``memory_limit`` is in DuckDB's notation ("4GB"); without one DuckDB uses 80 % of the machine's memory.
    """

    def __init__(
        self,
        path: Path,
        settings_hash: str,
        identity: dict[str, str],
        wait_seconds: float = LOCK_WAIT_SECONDS,
        memory_limit: str | None = None,
    ) -> None:
        self.path = path
        self._wait_seconds = wait_seconds
        self._settings_hash = settings_hash
        self._identity = identity
        self._memory_limit = memory_limit
        self._prepared_file: int | None = None

    @contextmanager
    def open(self) -> Iterator[Backend]:
        """The database, with every table of the contract in it. Do nothing but database work while it is open."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(
                f"{self.path.parent} cannot be made ({error.strerror}): set GENOME_HOME to a folder you may write"
            ) from None
        with open_database(self.path, wait_seconds=self._wait_seconds) as database:
            file = self.path.stat().st_ino
            if file != self._prepared_file:
                migrate(database, self.path)
                with transaction(database) as connection:
                    complete_tables(connection)
                ensure_tables(database)
                Forgotten.beside(self.path).take_from(database)
                self._check_identity(database)
                self._prepared_file = file
            self._limit_memory(database)
            yield database

    @contextmanager
    def open_to_read(self) -> Iterator[Backend]:
        """The database read-only, so that other readers in this process can open it at the same time."""
        with open_database(self.path, read_only=True, wait_seconds=self._wait_seconds) as database:
            if (found := schema_version(database)) is None:
                check_own(database, self.path)
                raise WarehouseError(f"nothing is in {self.path} yet: use `genome run`")
            if found != SCHEMA_VERSION:
                raise WarehouseError(
                    f"{self.path} has schema version {found}, this program reads {SCHEMA_VERSION}: "
                    + ("`genome run` brings it there" if found < SCHEMA_VERSION else "use the newer program")
                )
            if lacking := lacking_columns(database):
                raise WarehouseError(f"{self.path} has no {lacking[0]} yet, this program reads it: use `genome run`")
            self._limit_memory(database)
            yield database

    def _limit_memory(self, database: Backend) -> None:
        if self._memory_limit:
            database.con.execute("SET memory_limit = ?", [self._memory_limit])

    def exists(self) -> bool:
        """Whether anything was ever ingested."""
        return self.path.exists()

    def replace_slices(
        self,
        database: Backend,
        table: Table,
        slices: Sequence[Slice],
        rows: ir.Table | pd.DataFrame,
        run_id: str,
    ) -> WrittenSlices:
        """Replace ``slices`` of ``table`` by ``rows`` in one transaction, inserted by column name.

        ``rows`` must have exactly the contract's columns and belong to ``slices``. On any failure the table is
        as it was before. Raises :class:`WarehouseError` naming what does not fit.
        """
        found = tuple(map(str, rows.columns))
        if sorted(found) != sorted(table.columns):
            missing, extra = sorted(set(table.columns) - set(found)), sorted(set(found) - set(table.columns))
            raise WarehouseError(f"rows for {table.name} lack {missing} and have undeclared {extra}")
        with transaction(database) as connection:
            try:
                connection.execute(
                    f"DELETE FROM main.{table.name} WHERE {in_slices(table, slices)}", slice_values(slices)
                )
                inserted = _insert(database, table, rows)
                counts = _row_counts(connection, table, slices)
                if sum(counts.values()) != inserted:
                    raise WarehouseError(
                        f"{inserted - sum(counts.values())} of {inserted} rows for {table.name} belong to none of its"
                        f" slices {', '.join(map(slice_key, slices))}; the table is as before"
                    )
                self._record(connection, table, counts, run_id)
            except duckdb.Error as error:
                raise WarehouseError(f"{table.name} is as before: {first_line(error)}") from error
        return WrittenSlices(table.name, counts)

    def drop_slices_after(self, database: Backend, calendar: Calendar) -> None:
        """Remove slices of periods that the calendar no longer has, because its end was set to an earlier day."""
        if calendar.end is None:
            return
        kept = "slice_key = 'undated' OR slice_key {} ?"
        with transaction(database) as connection:
            for table in TABLES.values():
                if table.is_by_period and not table.is_made_at_publishing:
                    within = "<=" if table.is_snapshot else "<"
                    beyond = connection.execute(
                        f"DELETE FROM written_slices WHERE table_name = ? AND NOT ({kept.format(within)}) RETURNING 1",
                        [table.name, str(calendar.end)],
                    ).fetchall()
                    if beyond:
                        connection.execute(
                            f"DELETE FROM main.{table.name} WHERE NOT {table.slice_by} {within} ?", [calendar.end]
                        )

    def append(self, database: Backend, table: Table, rows: pd.DataFrame) -> None:
        """Add rows to a table that only grows, such as the record of checks."""
        with transaction(database):
            _insert(database, table, rows)

    def record_checked(
        self, database: Backend, table: Table, check_name: str, outcomes: Mapping[str, tuple[bool, str]], run_id: str
    ) -> None:
        """Record the outcome of a blocking check for the present slices of ``table``: passed or not, and in words."""
        with transaction(database) as connection:
            checked_at = record_time(connection)
            connection.executemany(
                "DELETE FROM checked_slices WHERE table_name = ? AND slice_key = ? AND check_name = ?",
                [[table.name, key, check_name] for key in outcomes],
            )
            rows = [
                [table.name, key, check_name, is_passed, observed, run_id, checked_at]
                for key, (is_passed, observed) in outcomes.items()
            ]
            connection.executemany("INSERT INTO checked_slices VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def _record(
        self, connection: duckdb.DuckDBPyConnection, table: Table, counts: dict[Slice, int], run_id: str
    ) -> None:
        written_at = record_time(connection)
        keys = [slice_key(key) for key in counts]
        connection.execute(
            "DELETE FROM written_slices WHERE table_name = ? AND slice_key IN (SELECT unnest(?))", [table.name, keys]
        )
        connection.executemany(
            "INSERT INTO written_slices BY NAME SELECT ? AS table_name, ? AS slice_key, ? AS row_count, ? AS run_id,"
            " ? AS settings_hash, ? AS written_at",
            [
                [table.name, key, count, run_id, self._settings_hash, written_at]
                for key, count in zip(keys, counts.values(), strict=True)
            ],
        )

    def _check_identity(self, database: Backend) -> None:
        known = dict(
            database.con.execute(
                "SELECT setting_name, setting_value FROM warehouse_identity WHERE setting_name NOT IN (?, ?)",
                [VERSION_SETTING, SOURCE_SETTING],
            ).fetchall()
        )
        if not known or _is_empty(database):
            with transaction(database) as connection:
                connection.execute("DELETE FROM warehouse_identity WHERE setting_name <> ?", [VERSION_SETTING])
                connection.executemany(
                    "INSERT INTO warehouse_identity VALUES (?, ?)", [list(item) for item in self._identity.items()]
                )
            return
        for name in sorted(known.keys() | self._identity.keys()):
            if known.get(name) != self._identity.get(name):
                raise WarehouseError(
                    f"{self.path} was made with {name} = {known.get(name, '(none)')}, the config now says"
                    f" {self._identity.get(name, '(none)')}: set GENOME_HOME (or home in the config) to another folder,"
                    " or make the warehouse anew under this config with `genome rebuild`"
                )


def _is_empty(database: Backend) -> bool:
    """Whether nothing was made under the identity yet, so that a slip in the first config can be corrected."""
    if "raw_transactions" in database.list_tables():
        return False
    return not database.con.execute("SELECT 1 FROM written_slices LIMIT 1").fetchall()


def record_time(connection: duckdb.DuckDBPyConnection) -> datetime:
    """The moment (UTC) to record for what is written now: later than every moment recorded before.

    Staleness is decided by the order of these moments, so that setting the clock back a little does no harm.
    Raises :class:`WarehouseError` where the clock is more than an hour behind the latest moment.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    ((latest,),) = connection.execute(
        "SELECT max(moment) FROM (SELECT max(written_at) AS moment FROM written_slices"
        " UNION ALL SELECT max(changed_at) FROM changed_periods UNION ALL SELECT max(checked_at) FROM checked_slices"
        " UNION ALL SELECT max(published_at) FROM pipeline_runs UNION ALL SELECT max(ingested_at) FROM source_files)"
    ).fetchall()
    if latest is not None and now < latest - _CLOCK_TOLERANCE:
        raise WarehouseError(
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, but the warehouse was last written to at"
            f" {latest:%Y-%m-%d %H:%M}: set the clock right; if it was wrong then, `genome rebuild` makes the warehouse"
            " anew"
        )
    return now if latest is None else max(now, latest + timedelta(microseconds=1))


def _insert(database: Backend, table: Table, rows: ir.Table | pd.DataFrame) -> int:
    connection = database.con
    names = ", ".join(f'"{name}"' for name in table.columns)
    if isinstance(rows, pd.DataFrame):
        connection.register("incoming", rows)
        query = "SELECT * FROM incoming"
    else:
        query = ibis.to_sql(rows, dialect="duckdb")
    try:
        ((inserted,),) = connection.execute(
            f"INSERT INTO main.{table.name} BY NAME SELECT {names} FROM ({query})"
        ).fetchall()
        return int(inserted)
    finally:
        if isinstance(rows, pd.DataFrame):
            # DuckDB 2.0 refuses it after an error, whose rollback does the same.
            with suppress(duckdb.TransactionException):
                connection.unregister("incoming")


def _row_counts(connection: duckdb.DuckDBPyConnection, table: Table, slices: Sequence[Slice]) -> dict[Slice, int]:
    found = dict(
        connection.execute(
            f"SELECT {table.slice_by}, count(*) FROM main.{table.name} WHERE {in_slices(table, slices)} GROUP BY 1",
            slice_values(slices),
        ).fetchall()
    )
    return {key: found.get(key, 0) for key in slices}


def in_slices(table: Table, slices: Sequence[Slice]) -> str:
    """SQL condition: a row belongs to one of the slices; its only parameter is :func:`slice_values`."""
    condition = f"{table.slice_by} IN (SELECT unnest(?))"
    return f"({condition} OR {table.slice_by} IS NULL)" if None in slices else condition


def slice_values(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Parameters of :func:`in_slices`."""
    return [[key for key in slices if key is not None]]


def slice_key(key: Slice) -> str:
    """The name of the slice in the warehouse's records."""
    return "undated" if key is None else str(key)


@contextmanager
def stored(database: Backend, rows: ir.Table, name: str) -> Iterator[ir.Table]:
    """``rows`` computed once into a temporary table of that name, for use by several statements."""
    database.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {ibis.to_sql(rows, dialect='duckdb')}")
    try:
        yield database.table(name, database=("temp", "main"))
    finally:
        database.con.execute(f"DROP TABLE IF EXISTS temp.{name}")
