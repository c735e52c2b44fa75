"""Opening DuckDB, the same way everywhere: with its built-in extensions, and nothing from the internet."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb


def connect(
    database: Path | str = ":memory:", *, read_only: bool = False, config: Mapping[str, str | int] | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection that neither installs nor loads extensions by itself; raises :class:`duckdb.Error`.

    ``config`` are further settings for an in-memory database.
    """
    connection = duckdb.connect(database, read_only=read_only, config={**(config or {})})
    # Not set as config: DuckDB refuses a second connection to a file with a different config.
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
        connection.execute(f"SET {setting} = false")
    return connection


def name_as_ibis_does(connection: Any) -> None:
    """Give a class of connections the two methods that Ibis 12 calls, and that DuckDB 2.0 names otherwise."""
    if not hasattr(connection, "fetch_arrow_table"):
        connection.fetch_arrow_table = connection.to_arrow_table
        connection.fetch_record_batch = lambda self, rows_per_batch: self.to_arrow_reader(rows_per_batch)
        warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)


name_as_ibis_does(duckdb.DuckDBPyConnection)
