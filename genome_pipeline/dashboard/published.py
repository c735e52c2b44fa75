"""Reading the published file: read-only, while publishes replace it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from genome_pipeline.contracts.published import unreadable_because, version_in

_CATALOG = "published"


class PublishedFileMissing(Exception):
    """Nothing has been published yet."""


class PublishedFileUnreadable(Exception):
    """The published file is there, but DuckDB cannot open it."""


class PublishedFile:
    """The published DuckDB file, opened again whenever a publish has replaced it.

    DuckDB keeps one database instance per path and process, so that connecting again while any older
    connection lives would answer from the replaced file. Each version of the file is therefore attached to an
    in-memory database of its own, which lives until the last request that reads it has ended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._version: tuple[int, int, int] | None = None
        self._database: duckdb.DuckDBPyConnection | None = None

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection on the file as it is now; it sees one version of it from first to last query."""
        cursor = self._current().cursor()
        try:
            cursor.execute(f"USE {_CATALOG}")
            yield cursor
        finally:
            cursor.close()

    def _current(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            try:
                status = self.path.stat()
            except FileNotFoundError:
                raise PublishedFileMissing(str(self.path)) from None
            version = (status.st_ino, status.st_mtime_ns, status.st_size)
            if self._database is None or version != self._version:
                # The older database is dropped, not closed: cursors of requests under way keep it alive.
                self._database = _attach(self.path)
                self._version = version
            return self._database


def _attach(path: Path) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect(":memory:")
    quoted = str(path).replace("'", "''")
    try:
        database.execute(f"ATTACH '{quoted}' AS {_CATALOG} (READ_ONLY)")
        database.execute(f"USE {_CATALOG}")
        reason = unreadable_because(version_in(database))
        database.execute("USE memory")
    except duckdb.Error as error:
        database.close()
        raise PublishedFileUnreadable(str(error)) from error
    if reason is not None:
        database.close()
        raise PublishedFileUnreadable(f"{path} cannot be read: {reason}")
    # From here on no query can reach any other file.
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database
