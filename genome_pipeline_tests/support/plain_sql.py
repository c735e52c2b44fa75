"""Plain SQL to hold an aggregate against."""

from __future__ import annotations

from typing import Any

import duckdb


def row_of(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> tuple[Any, ...]:
    row = connection.execute(query, list(values)).fetchone()
    assert row is not None
    return row


def value_of(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> Any:
    return row_of(connection, query, *values)[0]
