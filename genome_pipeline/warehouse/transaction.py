"""All of a block, or nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from ibis.backends.duckdb import Backend


@contextmanager
def transaction(database: Backend) -> Iterator[duckdb.DuckDBPyConnection]:
    """All of the block or nothing of it."""
    connection = database.con
    connection.execute("BEGIN")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
