"""Customers' rows written as Parquet, so that functions are applied to them while the warehouse is closed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from glob import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.column import Column
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.sql import literal

BATCH_CUSTOMERS = 100_000
"""At most this many customers are in memory at once while a function is applied in this process."""

_LEFTOVER_SECONDS = 86_400.0
"""An exchange folder older than this was left by a run that died."""

Model = TypeVar("Model")


class Exchange:
    """A folder with one folder per lot of rows. Functions are applied in this process.

    The folder is a path, or a URL in ``store``.
    """

    def __init__(self, folder: str, store: AbstractFileSystem | None = None) -> None:
        self._folder = folder
        self._store = store
        self._lots = 0

    def put(self, database: Backend, rows: ir.Table) -> str:
        """Write rows of the open warehouse; returns the folder of this lot."""
        folder = self.next_folder()
        query = ibis.to_sql(rows, dialect="duckdb")
        self._reach_from(database.con)
        database.con.execute(f"COPY ({query}) TO {literal(folder)} (FORMAT parquet, PER_THREAD_OUTPUT true)")
        return folder

    def map_customers(
        self,
        customers: str,
        stored: bytes,
        load: Callable[[bytes], Model],
        apply: Callable[[Model, pd.DataFrame], pd.DataFrame],
        fields: Sequence[Column],
    ) -> str:
        """Apply a stored model to the rows of a lot, in batches; returns the folder of the results.

        Args:
            customers: folder that :meth:`put` returned.
            stored: the model in the form in which it is stored and sent to workers.
            load: makes the model from ``stored``.
            apply: computes rows of ``fields`` for some of the customers. The result for a customer must not depend on
                the other customers in the batch.
            fields: the columns of the result.
        """
        folder = self.next_folder()
        Path(folder).mkdir()
        # Relations, as the result of a statement would hold all rows, and no other work could go before its end.
        with self._in_memory.cursor() as connection, self._in_memory.cursor() as given:
            rows = given.sql("SELECT * FROM read_parquet(?)", params=[_parts(customers)])
            batches = rows.to_arrow_reader(BATCH_CUSTOMERS)
            schema = connection.sql(f"SELECT {_typed_nulls(fields)} LIMIT 0").to_arrow_table().schema
            with pq.ParquetWriter(f"{folder}/0.parquet", schema) as writer:
                for batch in _applied(connection, load(stored), apply, fields, batches):
                    writer.write_batch(batch)
        return folder

    def get(
        self, database: Backend, lots: Sequence[str], finish: Callable[[ir.Table], ir.Table] | None = None
    ) -> ir.Table:
        """The rows of several lots as a table of the open warehouse, after ``finish`` if given."""
        self._reach_from(database.con)
        rows = database.read_parquet([*map(_parts, lots)])
        return rows if finish is None else finish(rows)

    def frame(self, lot: str) -> pd.DataFrame:
        """The rows of a lot, in no order, with the warehouse closed."""
        self._reach_from(self._in_memory)
        return self._in_memory.execute("SELECT * FROM read_parquet(?)", [_parts(lot)]).df()

    def next_folder(self) -> str:
        """Folder of the next lot, which its writer creates."""
        self._lots += 1
        return f"{self._folder}/{self._lots}"

    @cached_property
    def _in_memory(self) -> duckdb.DuckDBPyConnection:
        """One in-memory database for all lots: creating one takes longer than applying a model to a small lot."""
        return connect()

    def _reach_from(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give DuckDB access to the store."""
        if self._store is None:
            return
        protocol = self._store.protocol
        if not connection.filesystem_is_registered(protocol if isinstance(protocol, str) else protocol[0]):
            connection.register_filesystem(self._store)


@contextmanager
def local_exchange(folder: Path) -> Iterator[Exchange]:
    """An exchange in its own folder below ``folder``, which is removed when the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():
        with suppress(FileNotFoundError):  # another run has just removed its own folder
            if time.time() - left.stat().st_mtime > _LEFTOVER_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    # Absolute, so that :func:`_parts` escapes the whole path.
    with TemporaryDirectory(dir=folder.absolute()) as own:
        yield Exchange(own)


def applied(
    stored: bytes,
    load: Callable[[bytes], Model],
    apply: Callable[[Model, pd.DataFrame], pd.DataFrame],
    fields: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """The results of the stored model for each batch, with the types of the contract; workers run this."""
    with connect() as connection:
        yield from _applied(connection, load(stored), apply, fields, batches)


def _applied(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    apply: Callable[[Model, pd.DataFrame], pd.DataFrame],
    fields: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """As :func:`applied`; DuckDB converts batches to frames in the same way as rows of the warehouse."""
    columns = ", ".join(f'"{column.name}"::{column.type} AS "{column.name}"' for column in fields)
    for batch in batches:
        customers = connection.from_arrow(pa.Table.from_batches([batch])).df()
        connection.register("given", apply(model, customers))
        yield from connection.sql(f"SELECT {columns} FROM given").to_arrow_table().to_batches()


def _parts(lot: str) -> str:
    """Glob pattern of the files of a lot, with special characters of its folder escaped."""
    return f"{escape(lot)}/*.parquet"


def _typed_nulls(fields: Sequence[Column]) -> str:
    return ", ".join(f'NULL::{column.type} AS "{column.name}"' for column in fields)
