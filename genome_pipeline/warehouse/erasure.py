"""Taking customers out of DuckDB files for good: the file is written anew without them, then put in place of the old.

DuckDB keeps the bytes of deleted rows in its file, so that deleting would not do. The old file stays whole until the
new one is in its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import duckdb
import ibis
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import ID_COLUMNS
from genome_pipeline.sources.rows import literal
from genome_pipeline.transforms.validation import label
from genome_pipeline.warehouse.database import WarehouseError, open_database

FORGOTTEN = "[forgotten]"
"""What stands in a text in the place of an id."""

EXAMPLES = "e.g. "
"""What comes before the rows that a check names."""

_KEPT_FOR_GOOD = ("forgotten_customers", "erasures")
_SHOWN_LENGTH = 60  # checks show so much of an id
_EXAMPLES_IN = ("data_quality", "observed")

RemovedRows = dict[str, int]
"""Rows removed from each table; texts that named a customer count under the table they stand in."""


def text_without(text: str, customer_ids: Iterable[str]) -> str:
    """The text with :data:`FORGOTTEN` in place of the ids, where they stand as words of their own.

    In the finding of a check only its examples are looked at: numbers before them may look like an id.
    """
    before, mark, after = text.partition(EXAMPLES)
    if not mark:
        before, after = "", text
    for customer_id in customer_ids:
        for shown in {customer_id, customer_id[:_SHOWN_LENGTH]}:
            after = re.sub(rf"(?<![\w.,:/+-]){re.escape(shown)}(?![\w/+-]|[.,:]\w)", FORGOTTEN, after)
    return before + mark + after


def carry_over(database: Backend, old: Path) -> None:
    """Copy who was forgotten, and the record of it, from an older warehouse.

    Raises :class:`WarehouseError` where the older one cannot be read.
    """
    connection = database.con
    try:
        connection.execute(f"ATTACH {literal(str(old))} AS old")
        there = {
            name
            for (name,) in connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'old'"
            ).fetchall()
        }
        for name in _KEPT_FOR_GOOD:
            if name in there:
                connection.execute(f"INSERT INTO {name} BY NAME FROM old.{name} EXCEPT FROM {name}")
        connection.execute("DETACH old")
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        raise WarehouseError(
            f"{old} cannot tell who was forgotten ({reason}): put a copy of before the damage in its place, or remove"
            " it, rebuild, and forget them again"
        ) from None


def rows_of(path: Path, customer_ids: Sequence[str]) -> RemovedRows:
    """How many rows of each table :func:`rewrite_without` would remove. Writes nothing."""
    with open_database(path, read_only=True) as database:
        _mark(database, customer_ids)
        counts = {name: _count(database.con, name, customer_ids) for name in _tables(database.con)}
    return {name: count for name, count in counts.items() if count}


def known_ids(path: Path, customer_ids: Sequence[str]) -> set[str]:
    """Which of the customers are named in any table."""
    with open_database(path, read_only=True) as database:
        connection = database.con
        _mark(database, customer_ids)
        found = set(_names(connection, "SELECT DISTINCT name FROM leaving_rows"))
        for table in _tables(connection):
            for column in _id_columns(connection, table):
                query = f'SELECT DISTINCT {column} FROM "{table}" WHERE {column} IN (SELECT unnest(?))'
                found |= {name for (name,) in connection.execute(query, [list(customer_ids)]).fetchall()}
    return found


def rewrite_without(
    path: Path,
    customer_ids: Sequence[str],
    amend: Callable[[duckdb.DuckDBPyConnection, RemovedRows], None] = lambda *_: None,
) -> RemovedRows:
    """Put a copy of the database without the customers in its place, in one step; nothing else in it is changed.

    ``amend`` may write to the copy, whose tables are in the schema ``copy.main``, before it takes its place. Other
    processes wait meanwhile, readers that have the old file open keep it. Raises :class:`WarehouseError`, with the
    file as before, when the copy does not hold what it should.
    """
    building = path.with_name(f".{path.name}.part")
    building.unlink(missing_ok=True)
    building.with_name(f"{building.name}.wal").unlink(missing_ok=True)
    log = path.with_name(f"{path.name}.wal")
    if log.exists():
        # A process died. Its log would be read into the copy, so it is brought into the file first.
        with open_database(path) as database:
            database.con.execute("CHECKPOINT")
    try:
        # Held open to read, no other process can write to it until the copy has taken its place.
        with open_database(path, read_only=True) as database:
            if log.exists():
                raise WarehouseError(f"{path} is as before: another process wrote to it meanwhile; forget again")
            connection = database.con
            ours, version = connection.execute(
                "SELECT database_name, tags['storage_version'] FROM duckdb_databases()"
                " WHERE database_name = current_database()"
            ).fetchall()[0]
            version = version.removesuffix("+")
            connection.execute(
                f"ATTACH {literal(str(building))} AS copy (READ_WRITE, STORAGE_VERSION {literal(version)})"
            )
            connection.execute(f'COPY FROM DATABASE "{ours}" TO copy (SCHEMA)')
            _mark(database, customer_ids)
            removed = {name: _copy(connection, name, customer_ids) for name in _tables(connection)}
            removed = {name: count for name, count in removed.items() if count}
            amend(connection, removed)
            connection.execute("CHECKPOINT copy")
            connection.execute("DETACH copy")
            _to_disk(building)
            os.replace(building, path)
            _to_disk(path.parent)
    except (duckdb.Error, OSError) as error:
        raise WarehouseError(
            f"{path} is as before: it could not be written anew ({str(error).splitlines()[0]}); see that its folder can"
            " be written and has room for a second such file, and forget again"
        ) from None
    finally:
        building.unlink(missing_ok=True)
        building.with_name(f"{building.name}.wal").unlink(missing_ok=True)
    return removed


def _mark(database: Backend, customer_ids: Sequence[str]) -> None:
    """Temporary tables of the source rows that leave, and of the texts that change."""
    connection = database.con
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE leaving_rows (source_file VARCHAR, source_row BIGINT, name VARCHAR)"
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE changed_texts (row_number BIGINT, new_text VARCHAR)")
    for name in _tables(connection):
        if "raw_customer_id" in _columns(connection, name):
            rows = database.table(name)
            labelled = ibis.to_sql(rows.select("source_file", "source_row", name=label(rows.raw_customer_id)))
            connection.execute(
                f"INSERT INTO leaving_rows FROM ({labelled}) WHERE name IN (SELECT unnest($ids))",
                {"ids": list(customer_ids)},
            )
        if name == _EXAMPLES_IN[0]:
            shown = [part for customer_id in customer_ids for part in (customer_id, customer_id[:_SHOWN_LENGTH])]
            texts = connection.execute(
                f"SELECT rowid, {_EXAMPLES_IN[1]} FROM {name}"
                f" WHERE len(list_filter($shown, part -> contains({_EXAMPLES_IN[1]}, part))) > 0",
                {"shown": shown},
            ).fetchall()
            for row_number, text in texts:
                if (new_text := text_without(text, customer_ids)) != text:
                    connection.execute("INSERT INTO changed_texts VALUES (?, ?)", [row_number, new_text])


def _copy(connection: duckdb.DuckDBPyConnection, table: str, customer_ids: Sequence[str]) -> int:
    """Copy the rows that stay, in their order; returns how many rows leave, or change their text."""
    leaving = _count(connection, table, customer_ids)
    if table == _EXAMPLES_IN[0]:
        stay = (
            f"SELECT data.* REPLACE (coalesce(new_text, {_EXAMPLES_IN[1]}) AS {_EXAMPLES_IN[1]}) FROM {table} AS data"
            " LEFT JOIN changed_texts ON data.rowid = row_number ORDER BY data.rowid"
        )
        values: dict[str, list[str]] = {}
        fewer = 0
    else:
        condition, values = _leaves(connection, table, customer_ids)
        stay, fewer = f'SELECT * FROM "{table}" WHERE NOT ({condition})', leaving
    connection.execute(f'INSERT INTO copy.main."{table}" {stay}', values)
    before, after = (
        connection.execute(f'SELECT count(*) FROM {schema}"{table}"').fetchall()[0][0] for schema in ("", "copy.main.")
    )
    if before - fewer != after:
        raise WarehouseError(f"{table} would have {after:,} rows, not {before - fewer:,}, and stays: forget again")
    return leaving


def _count(connection: duckdb.DuckDBPyConnection, table: str, customer_ids: Sequence[str]) -> int:
    if table == _EXAMPLES_IN[0]:
        return int(connection.execute("SELECT count(*) FROM changed_texts").fetchall()[0][0])
    condition, values = _leaves(connection, table, customer_ids)
    return int(connection.execute(f'SELECT count(*) FROM "{table}" WHERE {condition}', values).fetchall()[0][0])


def _leaves(
    connection: duckdb.DuckDBPyConnection, table: str, customer_ids: Sequence[str]
) -> tuple[str, dict[str, list[str]]]:
    """The condition, never null, of the rows that name one of the customers, and its parameters."""
    if "raw_customer_id" in _columns(connection, table):
        return "(source_file, source_row) IN (SELECT (source_file, source_row) FROM leaving_rows)", {}
    named = [f"coalesce({name} IN (SELECT unnest($ids)), false)" for name in _id_columns(connection, table)]
    return " OR ".join(named) or "false", {"ids": list(customer_ids)} if named else {}


def _id_columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    columns = _columns(connection, table)
    return [name for name in ID_COLUMNS if name in columns and name != "raw_customer_id"]


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return _names(
        connection,
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT temporary ORDER BY 1",
    )


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return _names(
        connection,
        "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() AND table_name = ?",
        [table],
    )


def _names(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[str] = ()) -> list[str]:
    return [name for (name,) in connection.execute(query, list(values)).fetchall()]


def _to_disk(path: Path) -> None:
    """Have the system write the file, or the names in the folder, out: a power cut must not bring the old back."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
