"""How a stage makes its snapshots: read, compute with the warehouse closed, write; several small ones together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date
from typing import Any, TypeVar

import dagster as dg
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.assets.batches import cut_by_rows
from genome_pipeline.assets.frames import snapshot_frames
from genome_pipeline.assets.stage import report_rows, snapshots
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.resources import Pipeline

BATCH_ROWS = 250_000
"""Customers, over all snapshots of a batch, whose rows are held in memory together."""

_PREVIEW_ROWS = 5

Inputs = TypeVar("Inputs")


def make_snapshots(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    tables: Sequence[str],
    read: Callable[[Backend, Sequence[date]], Iterable[Inputs]],
    make: Callable[[date, Inputs], Sequence[pd.DataFrame]],
) -> None:
    """Make the rows of ``tables`` at every snapshot of the run, in order.

    ``read`` gets what each snapshot of a batch needs while the warehouse is open; ``make`` gives the rows of each
    table, in the order of ``tables``, while it is closed for others to use.
    """
    warehouse = pipeline.warehouse

    def read_all(database: Backend, dates: Sequence[date]) -> list[Inputs]:
        return [*read(database, dates)]

    for batch, inputs in in_batches(pipeline, snapshots(context, pipeline), read_all):
        made = [make(as_of, given) for as_of, given in zip(batch, inputs, strict=True)]
        with warehouse.open() as database:
            for table, frames in zip(tables, zip(*made, strict=True), strict=True):
                rows = pd.concat(frames, ignore_index=True)
                written = warehouse.replace_slices(database, TABLES[table], batch, rows, context.run_id)
                report_rows(context, pipeline, written, _previews(table, batch, frames))


def _previews(table: str, dates: Sequence[date], frames: Sequence[pd.DataFrame]) -> dict[date, dict[str, Any]]:
    """First rows of each snapshot, for the asset's page; none of a table that tells who its customers are."""
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
    """A ``read`` that takes the rows of each snapshot in each of ``tables``, or of ``columns`` and keys alone.

    A column counts in every table that has it.
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
    """The snapshots in order, with what ``read`` gives of each batch while the warehouse is open.

    A batch is as many snapshots as have :data:`BATCH_ROWS` customers, or a larger one by itself.
    """
    with pipeline.warehouse.open() as database:
        first, *others = cut_by_rows(database, "customer_features", dates, BATCH_ROWS)
        inputs = read(database, first)
    yield first, inputs
    for batch in others:
        with pipeline.warehouse.open() as database:
            inputs = read(database, batch)
        yield batch, inputs
