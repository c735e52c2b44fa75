"""A block of database work that is committed whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from ibis.backends.duckdb import Backend


@contextmanager
def transaction(database: Backend) -> Iterator[duckdb.DuckDBPyConnection]:
    """Commit all of the block, or roll all of it back."""
    connection = database.con
    connection.execute("BEGIN")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
