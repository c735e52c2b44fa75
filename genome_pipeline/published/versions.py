"""The published file for a server, which reads it continuously, in many threads, while new versions replace it."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from genome_pipeline.published.reader import CATALOG, REMEMBERED, attached, file_version
from genome_pipeline.sql import literal

_MEMORY_LIMIT = "200MB"
_QUERY_SECONDS = 60.0
_INTERRUPT_AGAIN_SECONDS = 0.1
_CLOSING_SECONDS = 10.0


class PublishedFile:
    """The published DuckDB file, opened again whenever a new version has replaced it.

    DuckDB keeps one database instance per path and process, so that a new connection would read the replaced file while
    any older connection is open. Each version of the file is therefore attached to an in-memory database of its own,
    which lives until the last request that reads it has ended.

    Each such database has its own folder for rows that do not fit in memory, readable by this process's owner only.
    DuckDB numbers these files from 0 in every database, so that two databases would overwrite each other's in a shared
    folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._version: tuple[int, int, int] | None = None
        self._database: duckdb.DuckDBPyConnection | None = None
        self._databases = 0
        self._spilled = Path(tempfile.mkdtemp(prefix="genome-dashboard-"))
        self._remove_spilled = weakref.finalize(self, shutil.rmtree, self._spilled, ignore_errors=True)
        self._readers = 0
        self._is_closed = threading.Event()

    def version(self) -> str:
        """Identifies this version of the file; empty if there is no file."""
        return "-".join(map(str, file_version(self.path) or ()))

    @contextmanager
    def connect(self, seconds: float = _QUERY_SECONDS) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection to the present file; all queries on it see the same version.

        A query that still runs after ``seconds``, or when the file is closed, ends in
        :class:`duckdb.InterruptException`.
        """
        with self._lock:
            database = self._current()
        with self._reader(database, seconds) as cursor:
            yield cursor

    @contextmanager
    def connect_alone(self, seconds: float, memory_limit: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
        """As :meth:`connect`, but to a separate database; also yields the only folder in which it may write files.

        The folder is removed with the connection. Long work so takes no memory from other requests. It has one thread,
        as sorting wide rows takes memory for each thread.
        """
        with tempfile.TemporaryDirectory(dir=self._spilled, prefix="alone-") as name:
            folder = Path(name)
            with (
                closing(_attach(self.path, memory_limit, folder / "spilled", threads=1, written=folder)) as database,
                self._reader(database, seconds) as cursor,
            ):
                yield cursor, folder

    def close(self) -> None:
        """Interrupt running queries and wait for their readers: a query that outlives the interpreter aborts it."""
        self._is_closed.set()
        ends = time.monotonic() + _CLOSING_SECONDS
        while self._readers and time.monotonic() < ends:
            time.sleep(_INTERRUPT_AGAIN_SECONDS)
        self._remove_spilled()

    @contextmanager
    def _reader(self, database: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = database.cursor()
        is_done = threading.Event()
        watch = threading.Thread(target=self._interrupt, args=(cursor, is_done, seconds), daemon=True)
        watch.start()
        with self._lock:
            self._readers += 1
        try:
            cursor.execute(f"USE {CATALOG}")
            yield cursor
        finally:
            is_done.set()
            watch.join()
            cursor.close()
            with self._lock:
                self._readers -= 1

    def _interrupt(self, cursor: duckdb.DuckDBPyConnection, is_done: threading.Event, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while not is_done.wait(_INTERRUPT_AGAIN_SECONDS):
            # Repeatedly: between two queries there is nothing to interrupt.
            if self._is_closed.is_set() or time.monotonic() > ends:
                cursor.interrupt()

    def _current(self) -> duckdb.DuckDBPyConnection:
        version = file_version(self.path)
        if self._database is None or version is None or version != self._version:
            # The older database is dropped, not closed: cursors of running requests keep it open.
            self._databases += 1
            self._database = _attach(self.path, _MEMORY_LIMIT, self._spilled / str(self._databases))
            self._version = version
        return self._database


def remembered(connection: duckdb.DuckDBPyConnection, name: str, make: Callable[[], Any]) -> Any:
    """The result of ``make``, consisting of plain lists, dicts and numbers, computed once per version of the file.

    It is kept in the in-memory database that the version is attached to, and disappears with it.
    """
    found = connection.execute(f"SELECT value FROM {REMEMBERED} WHERE name = ?", [name]).fetchall()
    if found:
        return json.loads(found[0][0])
    value = make()
    # If another request was faster, its value is the same.
    with suppress(duckdb.ConstraintException, duckdb.TransactionException):
        connection.execute(f"INSERT INTO {REMEMBERED} VALUES (?, ?)", [name, json.dumps(value)])
    return value


def remembered_rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] | dict[str, Any] = ()
) -> pd.DataFrame:
    """The few rows of a query that reads all customers, queried once per version of the file and kept as above."""
    name = f'memory.main."{sha256(repr((query, parameters)).encode()).hexdigest()}"'
    with suppress(duckdb.CatalogException):
        return connection.execute(f"FROM {name}").df()
    try:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} AS {query}", parameters)
    except (duckdb.CatalogException, duckdb.TransactionException):
        # Another request is creating the same table at this moment.
        return connection.execute(query, parameters).df()
    return connection.execute(f"FROM {name}").df()


def _attach(
    path: Path, memory_limit: str, spilled: Path, threads: int | None = None, written: Path | None = None
) -> duckdb.DuckDBPyConnection:
    settings: dict[str, str | int] = {"memory_limit": memory_limit, "temp_directory": str(spilled)}
    if threads is not None:
        settings["threads"] = threads
    database = attached(path, settings)
    database.execute("USE memory")
    # From here on queries can access no other file, except in the folder it writes to.
    if written is not None:
        database.execute(f"SET allowed_directories = [{literal(str(written))}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")
    return database
