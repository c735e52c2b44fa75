"""A table or query of PostgreSQL, streamed as Arrow record batches through ADBC.

``NUMERIC`` arrives as text, exactly as the server writes it. Rows are numbered in the order of arrival; only an
ORDER BY in the query makes this order the same every time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from urllib.parse import quote

import duckdb
import numpy as np
import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_manager.dbapi import Connection, Cursor

from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile, SourceUnreachable
from genome_pipeline.sources.rows import Chosen, Rows, raw_columns
from genome_pipeline.sql import identifier

_NO_SUCH_TABLE = ("42P01", "3F000")
_PASSWORD = ("password authentication failed", "no password supplied")


class Database:
    """A table or query of a database; see :class:`genome_pipeline.sources.source.Source`."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    def files(self) -> list[SourceFile]:
        """The one source file that stands for the table or query; the server is not contacted yet."""
        name = f"postgresql:{self._settings.table or 'query'}"
        return [SourceFile(name, Path(name), None, None)]

    def mark(self) -> None:
        """None: only the rows themselves show whether a table has changed."""

    @contextmanager
    def opened(self, file: SourceFile) -> Iterator[QueryRows]:
        """See :meth:`genome_pipeline.sources.source.Source.opened`; reads in a read-only transaction.

        Raises :class:`SourceError` for a server that cannot be reached or refuses, and for a statement it cannot run.
        """
        statement = _statement(self._settings)
        with connect(self._settings) as connection, connection.cursor() as cursor, ExitStack() as stack:
            try:
                cursor.execute("SET TRANSACTION READ ONLY")
                schema = cursor.adbc_execute_schema(statement)
                types = tuple(map(str, duckdb.from_arrow(schema.empty_table()).types)) if len(schema) else ()
                yield QueryRows(tuple(schema.names), types, file, schema, cursor, statement, stack)
            except Error as error:
                raise SourceError(_not_run(file, self._settings, error)) from None

    def check_unchanged(self, file: SourceFile) -> None:
        """Nothing to check: the rows came from one transaction."""

    def takes(self, path: Path) -> bool:
        """False: a database has no files."""
        return False


def connect(source: SourceSettings) -> Connection:
    """A connection to the database of ``source.path``. Raises :class:`SourceUnreachable` for a server that refuses."""
    # Importing it loads the driver's library.
    import adbc_driver_postgresql.dbapi as postgresql

    try:
        connection: Connection = postgresql.connect(_address(source))
    except Error as error:
        raise SourceUnreachable(_not_connected(source, str(error))) from None
    return connection


@dataclass
class QueryRows(Rows):
    """The rows of a statement. They can be read once, while ``readers`` is open."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    file: SourceFile
    schema: pa.Schema
    cursor: Cursor
    statement: str
    readers: ExitStack
    failure: str | None = None

    def relation(self, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> duckdb.DuckDBPyRelation:
        """See :meth:`Rows.relation`. Raises :class:`SourceError` for a column of type money."""
        for ours, position in chosen.items():
            metadata = self.schema.field(position).metadata or {}
            if metadata.get(b"POSTGRESQL:type") == b"money":
                raise SourceError(
                    f"{self.file.name}: column {self.names[position]!r} (source.columns.{ours}) is of type money, whose"
                    " unit only the server knows: cast it to numeric in source.query"
                )
        self.cursor.execute(self.statement)
        reader = self.readers.enter_context(_Reader(self.cursor.fetch_record_batch()))
        fields = [pa.field("source_row", pa.int64())]
        fields += [reader.batches.schema.field(position).with_name(ours) for ours, position in chosen.items()]
        schema = pa.schema(fields)
        batches = pa.RecordBatchReader.from_batches(schema, self._batches(reader, chosen, schema))
        columns = raw_columns({ours: identifier(ours) for ours in chosen})
        return connection.from_arrow(batches).project(f"source_row, {columns}")

    def fault(self, chosen: Chosen) -> str | None:
        """See :meth:`Rows.fault`. Reads nothing again."""
        return self.failure

    def _batches(self, reader: _Reader, chosen: Chosen, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        count = 0
        try:
            while (batch := reader.next_batch()) is not None:
                numbers = pa.array(np.arange(count + 1, count + batch.num_rows + 1))
                columns = [batch.column(position) for position in chosen.values()]
                yield pa.RecordBatch.from_arrays([numbers, *columns], schema=schema)
                count += batch.num_rows
        except (Error, OSError) as error:
            self.failure = f"{self.file.name}: the rows broke off after {count:,} ({reason_of(error)}): run again"
            raise


class _Reader:
    """The driver's batches; no thread may read them, or keep them open, after the connection is closed.

    DuckDB reads ahead in its own thread, even when it needs no more batches.
    """

    def __init__(self, batches: pa.RecordBatchReader) -> None:
        self.batches = batches
        self._lock = Lock()
        self._is_closed = False

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_closed = True
            self.batches.close()

    def next_batch(self) -> pa.RecordBatch | None:
        """The next batch; None at the end."""
        with self._lock:
            if self._is_closed:
                raise OSError("read after its context")
            return next(self.batches, None)


def _address(source: SourceSettings) -> str:
    """The URL as libpq reads it. The password is quoted, so that no error message of libpq contains a part of it."""
    if source.password is None:
        return source.path
    before, _, after = source.path.rpartition("@")
    return f"{before}:{quote(source.password, safe='')}@{after}"


def _statement(source: SourceSettings) -> str:
    if source.table is not None:
        return f"SELECT * FROM {'.'.join(map(identifier, source.table.split('.')))}"
    # ADBC puts the query in brackets: a final semicolon is not allowed there, a final comment would hide the bracket.
    return str(source.query).rstrip().rstrip(";") + "\n"


def _not_connected(source: SourceSettings, message: str) -> str:
    reasons = re.findall(r"failed: (?:FATAL:\s+)?(.+)", message) or re.findall(r"connect: (.+)", message)
    reason = reasons[-1] if reasons else message.splitlines()[0]
    if any(words in message for words in _PASSWORD):
        return f"{source.path} refuses the user ({reason}): set PGPASSWORD to the user's password"
    return f"{source.path} cannot be reached ({reason}): check its host, port, user and database, and the server"


def _not_run(file: SourceFile, source: SourceSettings, error: Error) -> str:
    reason = reason_of(error)
    setting = "source.table" if source.table else "source.query"
    if error.sqlstate in _NO_SUCH_TABLE:
        return f"{file.name}: {reason} in {source.path}: correct {setting}; upper and lower case count"
    return f"{file.name}: {source.path} does not run it ({reason}): correct {setting}"


def reason_of(error: Exception) -> str:
    """The message of the server or the client, without the driver's words around it."""
    first = next(iter(str(error).splitlines()), "")
    return re.split(r"ERROR:|FATAL:|failed:", first)[-1].strip() or type(error).__name__
