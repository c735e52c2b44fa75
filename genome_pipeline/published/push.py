"""Copying all published tables to a schema of a PostgreSQL database, for tools that only read from there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_manager.dbapi import Cursor

from genome_pipeline.errors import ConfigError
from genome_pipeline.published.reader import Published
from genome_pipeline.published.slices import Slices, slices_of
from genome_pipeline.settings import SourceSettings, database_at
from genome_pipeline.sources.postgresql import connect, reason_of
from genome_pipeline.sql import identifier, literal

SCHEMA = "genome"
"""The schema that is written to if no other is named."""

_RECORD = "pushed_slices"
_LONGEST_NAME = 63  # bytes; PostgreSQL cuts off what is longer
_BATCH_ROWS = 100_000
_TYPES = {"VARCHAR": "text", "VARCHAR[]": "text[]", "DOUBLE": "double precision"}


def push_tables(published_path: Path, url: str, schema: str = SCHEMA) -> dict[str, int]:
    """Bring every table and view of the published file to a schema of the server; name -> rows there.

    Only slices whose rows have changed since the last push are sent: table ``pushed_slices`` of the schema knows their
    fingerprints. Everything happens in one transaction, so that readers see the old rows until all new ones are there.
    Missing tables are created; existing ones are never dropped, so that grants and dependent views stay. Raises
    :class:`ConfigError` if nothing is published, the server refuses, or an existing table has other columns.
    """
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigError("that is no database: write postgresql://user@host:5432/database")
    if not 0 < len(schema.encode()) <= _LONGEST_NAME:
        raise ConfigError(f"--schema {schema!r} must have 1 to {_LONGEST_NAME} characters: name another schema")
    target = database_at(url, schema)
    with Published(published_path) as published, connect(target) as server, server.cursor() as cursor:
        try:
            push = _Push(cursor, schema, target)
            tables = [slices_of(published.connection, name) for name in published.names()]
            for slices in tables:
                push.bring(published.connection, slices)
            push.record(tables)
            server.commit()
        except Error as error:
            raise ConfigError(
                f"{target.path} has the old rows still: {reason_of(error)}; see that the user may make schema {schema}"
                " and write to its tables"
            ) from None
    return {slices.name: slices.row_count for slices in tables}


class _Push:
    """One transaction that brings tables to a schema of the server, which is created if it is missing."""

    def __init__(self, cursor: Cursor, schema: str, target: SourceSettings) -> None:
        self._cursor, self._schema, self._target = cursor, schema, target
        cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema])
        if not cursor.fetchall():  # IF NOT EXISTS would need the right to create it, even if it is there
            cursor.execute(f"CREATE SCHEMA {identifier(schema)}")
        if not self._columns_there(_RECORD):
            cursor.execute(
                f"CREATE TABLE {self._named(_RECORD)} (table_name text, slice text, fingerprint text, row_count bigint)"
            )
        cursor.execute(f"SELECT table_name, slice, fingerprint, row_count FROM {self._named(_RECORD)}")
        self._known = {(name, key): (fingerprint, count) for name, key, fingerprint, count in cursor.fetchall()}

    def bring(self, connection: duckdb.DuckDBPyConnection, slices: Slices) -> None:
        """Replace the slices of a table that are not there as they are published."""
        self._prepare(connection, slices.name)
        there = self._counts_there(slices)
        current = {
            key
            for key, found in slices.found.items()
            if self._known.get((slices.name, key)) == found and there.get(key) == found[1]
        }
        table, wanted = self._named(slices.name), [key for key in slices.found if key not in current]
        if not (gone := [key for key in there if key not in current]) and not wanted:
            return
        removed, chosen = "true", "true"
        if slices.column is not None:
            removed = f"{identifier(slices.column)}::text IN ({', '.join(map(literal, gone)) or 'NULL'})"
            chosen = f"{identifier(slices.column)}::VARCHAR IN ({', '.join(map(literal, wanted)) or 'NULL'})"
        self._cursor.execute(f"DELETE FROM {table} WHERE {removed}")
        rows = connection.execute(f"SELECT * FROM {identifier(slices.name)} WHERE {chosen}").to_arrow_reader(
            _BATCH_ROWS
        )
        self._cursor.adbc_ingest(slices.name, rows, mode="append", db_schema_name=self._schema)

    def record(self, tables: Sequence[Slices]) -> None:
        """Keep the fingerprints of what is there now."""
        rows = [
            (slices.name, key, fingerprint, count)
            for slices in tables
            for key, (fingerprint, count) in slices.found.items()
        ]
        names = ("table_name", "slice", "fingerprint", "row_count")
        columns = {name: [*values] for name, values in zip(names, zip(*rows, strict=True), strict=True)}
        self._cursor.execute(f"DELETE FROM {self._named(_RECORD)}")
        self._cursor.adbc_ingest(_RECORD, pa.table(columns), mode="append", db_schema_name=self._schema)

    def _prepare(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Create the table if it is missing; raises :class:`ConfigError` if it has other columns."""
        described = connection.execute(
            "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
            [name],
        ).fetchall()
        columns = [(column, _TYPES.get(type_, type_.lower())) for column, type_, _ in described]
        found = self._columns_there(name)
        if found and found != [column for column, _ in columns]:
            raise ConfigError(
                f"table {self._schema}.{name} of {self._target.path} has other columns, of another version: drop the"
                " table, or the schema, there and push again"
            )
        if not found:
            table = self._named(name)
            statements = [
                f"CREATE TABLE {table} ({', '.join(f'{identifier(column)} {type_}' for column, type_ in columns)})",
                *(
                    f"COMMENT ON COLUMN {table}.{identifier(column)} IS {literal(comment or '')}"
                    for column, _, comment in described
                ),
            ]
            # In one statement: a thousand comments, sent one by one, would take longer than the rows.
            self._cursor.execute("DO " + literal(f"BEGIN {'; '.join(statements)}; END"))

    def _counts_there(self, slices: Slices) -> dict[str, int]:
        named, grouped = (f"{identifier(slices.column)}::text", "GROUP BY 1") if slices.column else ("''::text", "")
        self._cursor.execute(f"SELECT {named}, count(*) FROM {self._named(slices.name)} {grouped}")
        return {key: count for key, count in self._cursor.fetchall() if key is not None}

    def _columns_there(self, name: str) -> list[str]:
        self._cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2"
            " ORDER BY ordinal_position",
            [self._schema, name],
        )
        return [column for (column,) in self._cursor.fetchall()]

    def _named(self, table: str) -> str:
        return f"{identifier(self._schema)}.{identifier(table)}"
