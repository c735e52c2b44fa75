"""How a stage makes its snapshots: read, compute with the warehouse closed, write. Small snapshots share a batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Event
from typing import Any, TypeVar

import dagster as dg
import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.batches import cut_by_rows
from genome_pipeline.orchestration.assets.frames import snapshot_frames
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots
from genome_pipeline.orchestration.resources import Pipeline

BATCH_ROWS = 250_000
"""At most this many customers, over all snapshots of a batch, are in memory at the same time."""

_MOST_THREADS = 4
"""At most this many snapshots are made at the same time: each has its own intermediate results in memory."""

_PREVIEW_ROWS = 5

Inputs = TypeVar("Inputs")
Result = TypeVar("Result")


def make_snapshots(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    tables: Sequence[str],
    read: Callable[[Backend, Sequence[date]], Iterable[Inputs]],
    make: Callable[[date, Inputs], Sequence[pd.DataFrame]],
    *,
    are_independent: bool = False,
) -> None:
    """Make the rows of ``tables`` at every snapshot of the run.

    ``read`` reads the input of each snapshot of a batch while the warehouse is open. ``make`` computes the rows of each
    table, in the order of ``tables``, while it is closed so that others can use it. Snapshots are made one after the
    other or, if they ``are_independent``, several at the same time (:func:`in_threads`).
    """
    warehouse = pipeline.warehouse

    def read_all(database: Backend, dates: Sequence[date]) -> list[Inputs]:
        return [*read(database, dates)]

    for batch, inputs in in_batches(pipeline, snapshots(context, pipeline), read_all):
        made = in_threads(make, batch, inputs) if are_independent else [*map(make, batch, inputs)]
        with warehouse.open() as database:
            for table, frames in zip(tables, zip(*made, strict=True), strict=True):
                rows = pd.concat(frames, ignore_index=True)
                written = warehouse.replace_slices(database, TABLES[table], batch, rows, context.run_id)
                report_rows(context, pipeline, written, _previews(table, batch, frames))


def in_threads(make: Callable[..., Result], *inputs: Sequence[Any]) -> list[Result]:
    """The results of ``make`` for each snapshot, from its input in each of ``inputs``, several at the same time.

    Snapshots must be independent of one another. Boosting and NumPy let other threads run. Each thread gets a stretch
    of consecutive snapshots, in order, as later ones reuse fits that were cached for earlier ones.
    """
    if len(inputs[0]) == 1:
        return [*map(make, *inputs)]  # the libraries choose the number of threads
    thread_count = min(os.cpu_count() or 1, _MOST_THREADS)
    is_over = Event()

    def make_stretch(places: Iterable[int]) -> list[Result]:
        made: list[Result] = []
        # OpenMP's limit is per thread, so it is set here; the limit of BLAS is per process, and is set around all.
        with threadpool_limits(1):
            for place in places:
                if is_over.is_set():
                    break
                try:
                    made.append(make(*(each[place] for each in inputs)))
                except BaseException:
                    is_over.set()
                    raise
        return made

    with threadpool_limits(1), ThreadPoolExecutor(thread_count) as threads:
        try:
            stretches = np.array_split(np.arange(len(inputs[0])), thread_count)
            return [made for stretch in threads.map(make_stretch, stretches) for made in stretch]
        finally:
            is_over.set()  # after a failure or an interrupt, wait only for the snapshots that were begun


def _previews(table: str, dates: Sequence[date], frames: Sequence[pd.DataFrame]) -> dict[date, dict[str, Any]]:
    """First rows of each snapshot, for the asset's page; none of a table that names customers."""
    if any(column.endswith("customer_id") for column in TABLES[table].columns):
        return {}
    return {
        as_of: {
            "preview": dg.MetadataValue.table(
                records=[
                    dg.TableRecord({str(name): str(value) for name, value in row.items()})
                    for row in frame.head(_PREVIEW_ROWS).to_dict("records")
                ],
                schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in TABLES[table].columns]),
            )
        }
        for as_of, frame in zip(dates, frames, strict=True)
    }


def read_frames(
    *tables: str, columns: Collection[str] | None = None
) -> Callable[[Backend, Sequence[date]], Iterable[list[pd.DataFrame]]]:
    """A ``read`` that gives the rows of each snapshot in each of ``tables``: all columns, or ``columns`` and keys.

    A column is read from every table that has it.
    """

    def wanted(table: str) -> Sequence[str]:
        if columns is None:
            return ("*",)
        return [name for name in TABLES[table].columns if name in columns or name in TABLES[table].key]

    def read(database: Backend, dates: Sequence[date]) -> Iterable[list[pd.DataFrame]]:
        by_table = [snapshot_frames(database, table, dates, wanted(table)) for table in tables]
        return ([frames[as_of] for frames in by_table] for as_of in dates)

    return read


def in_batches(
    pipeline: Pipeline, dates: Sequence[date], read: Callable[[Backend, Sequence[date]], Inputs]
) -> Iterator[tuple[list[date], Inputs]]:
    """The snapshots in order, in batches, with the result of ``read`` for each batch while the warehouse is open.

    A batch has as many snapshots as together hold :data:`BATCH_ROWS` customers; a larger snapshot is a batch by itself.
    """
    with pipeline.warehouse.open() as database:
        first, *others = cut_by_rows(database, "customer_features", dates, BATCH_ROWS)
        inputs = read(database, first)
    yield first, inputs
    for batch in others:
        with pipeline.warehouse.open() as database:
            inputs = read(database, batch)
        yield batch, inputs
