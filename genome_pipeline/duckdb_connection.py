"""How DuckDB is opened everywhere: with what it brings along, and nothing that it would fetch from the internet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb


def connect(
    database: Path | str = ":memory:", *, read_only: bool = False, config: Mapping[str, str | int] | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection that neither installs nor loads extensions by itself; raises :class:`duckdb.Error`.

    ``config`` are further settings of a database in memory.
    """
    connection = duckdb.connect(database, read_only=read_only, config={**(config or {})})
    # Not as its configuration: DuckDB refuses a second connection to a file with another one.
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
        connection.execute(f"SET {setting} = false")
    return connection
