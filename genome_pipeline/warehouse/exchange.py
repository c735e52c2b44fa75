"""Rows that leave the warehouse as Parquet, for functions of customers to be applied to them while it is closed."""

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
"""Customers whose rows are in memory together while a function is applied to them in this process."""

_LEFTOVER_SECONDS = 86_400.0
"""Age from which an exchange is taken for what a run that died has left."""

Model = TypeVar("Model")


class Exchange:
    """A folder for rows on their way, each lot in a folder of its own in it. Functions are applied in this process.

    The folder is a path, or the URL of one in ``store``.
    """

    def __init__(self, folder: str, store: AbstractFileSystem | None = None) -> None:
        self._folder = folder
        self._store = store
        self._lots = 0

    def put(self, database: Backend, rows: ir.Table) -> str:
        """Write rows of the open warehouse; returns the folder they are in."""
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
        """Apply a stored model to rows that were put, in batches; returns the folder of what it gives.

        Args:
            customers: what :meth:`put` returned.
            stored: the model as it is stored; where there are workers, it travels to them so.
            load: makes the model of it.
            apply: gives rows of ``fields`` for some of the customers. What it says of one must not depend on who else
                is among them.
            fields: the columns of the result.
        """
        folder = self.next_folder()
        Path(folder).mkdir()
        with self._in_memory.cursor() as connection, self._in_memory.cursor() as given:
            rows = given.execute("SELECT * FROM read_parquet(?)", [_parts(customers)])
            batches = rows.to_arrow_reader(BATCH_CUSTOMERS)
            schema = connection.execute(f"SELECT {_typed_nulls(fields)} LIMIT 0").to_arrow_table().schema
            with pq.ParquetWriter(f"{folder}/0.parquet", schema) as writer:
                for batch in _applied(connection, load(stored), apply, fields, batches):
                    writer.write_batch(batch)
        return folder

    def get(
        self, database: Backend, lots: Sequence[str], finish: Callable[[ir.Table], ir.Table] | None = None
    ) -> ir.Table:
        """The rows of several lots as the open warehouse sees them: as they are, or what ``finish`` makes of them."""
        self._reach_from(database.con)
        rows = database.read_parquet([*map(_parts, lots)])
        return rows if finish is None else finish(rows)

    def frame(self, lot: str) -> pd.DataFrame:
        """The rows of a lot, in no order, with the warehouse closed."""
        self._reach_from(self._in_memory)
        return self._in_memory.execute("SELECT * FROM read_parquet(?)", [_parts(lot)]).df()

    def next_folder(self) -> str:
        """Folder of the next lot, to be made by who writes it."""
        self._lots += 1
        return f"{self._folder}/{self._lots}"

    @cached_property
    def _in_memory(self) -> duckdb.DuckDBPyConnection:
        """One for all lots: to make one takes longer than to apply a model to a small lot."""
        return connect()

    def _reach_from(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let DuckDB read and write in the store."""
        if self._store is None:
            return
        protocol = self._store.protocol
        if not connection.filesystem_is_registered(protocol if isinstance(protocol, str) else protocol[0]):
            connection.register_filesystem(self._store)


@contextmanager
def local_exchange(folder: Path) -> Iterator[Exchange]:
    """An exchange in a folder of its own in ``folder``, which is removed with it."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():
        with suppress(FileNotFoundError):  # another run has just removed its own
            if time.time() - left.stat().st_mtime > _LEFTOVER_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    # Absolute, so that no part of the path escapes :func:`_parts`.
    with TemporaryDirectory(dir=folder.absolute()) as own:
        yield Exchange(own)


def applied(
    stored: bytes,
    load: Callable[[bytes], Model],
    apply: Callable[[Model, pd.DataFrame], pd.DataFrame],
    fields: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """What the stored model gives for each batch, with the types of the contract: what the workers do."""
    with connect() as connection:
        yield from _applied(connection, load(stored), apply, fields, batches)


def _applied(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    apply: Callable[[Model, pd.DataFrame], pd.DataFrame],
    fields: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """DuckDB makes frames of the batches, as it does of the warehouse's rows."""
    columns = ", ".join(f'"{column.name}"::{column.type} AS "{column.name}"' for column in fields)
    for batch in batches:
        customers = connection.from_arrow(pa.Table.from_batches([batch])).df()
        connection.register("given", apply(model, customers))
        yield from connection.execute(f"SELECT {columns} FROM given").to_arrow_table().to_batches()


def _parts(lot: str) -> str:
    """Pattern of the files of a lot, whatever its folder is called."""
    return f"{escape(lot)}/*.parquet"


def _typed_nulls(fields: Sequence[Column]) -> str:
    return ", ".join(f'NULL::{column.type} AS "{column.name}"' for column in fields)
