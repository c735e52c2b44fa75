"""The SQLAlchemy dialect through which Great Expectations reads a DuckDB file.

Great Expectations has no DuckDB engine, and reads a result after it has given its connection back. The stock
dialect rolls back at that moment, which drops the result. A validation only reads, so it needs no transaction.
"""

from __future__ import annotations

from typing import Any

from duckdb_sqlalchemy import ConnectionWrapper, Dialect
from sqlalchemy.dialects import registry
from sqlalchemy.engine import URL
from sqlalchemy.pool import Pool, QueuePool

from genome_pipeline.duckdb_connection import connect

DRIVER = "duckdb+validation"
"""Start of the connection string; its own name leaves the stock ``duckdb`` dialect unchanged."""


class ValidationDialect(Dialect):
    """DuckDB without transactions. The file is the connect argument ``database``."""

    supports_statement_cache = True

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        """Open the file without settings that would differ from the process's other connections to it."""
        connection = connect(cparams["database"])
        connection.execute("SET enable_progress_bar = false")
        return ConnectionWrapper(connection)

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        """A pool that keeps connections open: closing one would discard its unread result."""
        return QueuePool

    def do_begin(self, dbapi_connection: Any) -> None:
        """Do nothing."""

    def do_commit(self, dbapi_connection: Any) -> None:
        """Do nothing."""

    def do_rollback(self, dbapi_connection: Any) -> None:
        """Do nothing: a rollback would drop the result that is still to be read."""


def register() -> None:
    """Make :data:`DRIVER` known to SQLAlchemy."""
    registry.register(DRIVER.replace("+", "."), __name__, ValidationDialect.__name__)
