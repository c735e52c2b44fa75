"""Opening DuckDB, the same way everywhere: with its built-in extensions, and nothing from the internet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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
