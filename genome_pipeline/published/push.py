"""Copying all published tables to a schema of a PostgreSQL database, for tools that only read from there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
from adbc_driver_manager import Error
from adbc_driver_manager.dbapi import Cursor

from genome_pipeline.errors import ConfigError
from genome_pipeline.published.reader import Published
from genome_pipeline.settings import SourceSettings, database_at
from genome_pipeline.sources.postgresql import connect, reason_of
from genome_pipeline.sql import identifier, literal

SCHEMA = "genome"
_BATCH_ROWS = 100_000
_TYPES = {"VARCHAR": "text", "VARCHAR[]": "text[]", "DOUBLE": "double precision"}


def push_tables(published_path: Path, url: str) -> dict[str, int]:
    """Replace the rows of every table and view of the published file in the server's schema ``genome``; name -> rows.

    Everything happens in one transaction, so that readers see the old rows until all new ones are there. Missing tables
    are created; existing ones are emptied but never dropped, so that grants and dependent views stay. Raises
    :class:`ConfigError` if nothing is published, the server refuses, or an existing table has other columns.
    """
    if not url.startswith(("postgresql://", "postgres://")):
        raise ConfigError("that is no database: write postgresql://user@host:5432/database")
    target = database_at(url, SCHEMA)
    with Published(published_path) as published, connect(target) as server, server.cursor() as cursor:
        try:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            counts = {name: _push(published.connection, cursor, name, target) for name in published.names()}
            server.commit()
        except Error as error:
            raise ConfigError(
                f"{target.path} has the old rows still: {reason_of(error)}; see that the user may make schema {SCHEMA}"
                " and write to its tables"
            ) from None
    return counts


def _push(connection: duckdb.DuckDBPyConnection, cursor: Cursor, name: str, target: SourceSettings) -> int:
    table = f"{SCHEMA}.{identifier(name)}"
    described = connection.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
        [name],
    ).fetchall()
    columns = [(column, _TYPES.get(type_, type_.lower())) for column, type_, _ in described]
    found = _columns_there(cursor, name)
    if not found:
        cursor.execute(
            f"CREATE TABLE {table} ({', '.join(f'{identifier(column)} {type_}' for column, type_ in columns)})"
        )
        for column, _, comment in described:
            cursor.execute(f"COMMENT ON COLUMN {table}.{identifier(column)} IS {literal(comment or '')}")
    elif found != [column for column, _ in columns]:
        raise ConfigError(
            f"table {SCHEMA}.{name} of {target.path} has other columns, of another version: drop the table, or the"
            " schema, there and push again"
        )
    cursor.execute(f"DELETE FROM {table}")
    rows = connection.sql(f"SELECT * FROM {identifier(name)}").to_arrow_reader(_BATCH_ROWS)
    return cursor.adbc_ingest(name, rows, mode="append", db_schema_name=SCHEMA)


def _columns_there(cursor: Cursor, name: str) -> Sequence[str]:
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2"
        " ORDER BY ordinal_position",
        [SCHEMA, name],
    )
    return [column for (column,) in cursor.fetchall()]
