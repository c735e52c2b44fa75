"""What stages with models have in common: fit on known outcomes and store; load and apply to all customers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Protocol, TypeVar

import dagster as dg
import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline.orchestration.assets.frames import (
    LabelledSnapshots,
    check_written,
    customers_at,
    model_files,
    observed_at,
    sampled_frames,
)
from genome_pipeline.orchestration.assets.snapshots import in_batches, make_snapshots
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots
from genome_pipeline.orchestration.resources import Pipeline

Model = TypeVar("Model")
Labelled = Mapping[int, Sequence[LabelledSnapshot]]
"""The labelled snapshots to learn from, for each horizon in days."""


class FittedModel(Protocol):
    """A fitted model with its table of candidates."""

    def candidates(self, as_of: date) -> pd.DataFrame:
        """Rows of the model table, without the artifact file."""
        ...

    def to_bytes(self) -> bytes:
        """The model in the form in which it is stored."""
        ...


def fit_each_snapshot(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    model_table: str,
    horizons_days: Sequence[int],
    fit: Callable[[pd.DataFrame, Labelled, int], FittedModel],
) -> None:
    """Fit, store and record a model at each snapshot of the run, from outcomes over ``horizons_days`` known by then.

    ``fit`` gets the features, the labelled snapshots of each horizon, and the days before the snapshot for which the
    log has no data.
    """
    labelled = LabelledSnapshots(pipeline)

    def read(database: Backend, dates: Sequence[date]) -> Iterable[tuple[pd.DataFrame, Labelled, int]]:
        features = sampled_frames(database, dates, pipeline.settings.predict.seed)
        unobserved = [
            (as_of - until).days
            for as_of, until in zip(dates, observed_at(database, pipeline.settings, dates), strict=True)
        ]
        known = labelled.at(database, dates, horizons_days)
        return zip((features[as_of] for as_of in dates), known, unobserved, strict=True)

    def make(as_of: date, inputs: tuple[pd.DataFrame, Labelled, int]) -> list[pd.DataFrame]:
        model = fit(*inputs)
        stored = pipeline.artifacts.write(model_table, as_of, ".json", model.to_bytes())
        return [model.candidates(as_of).assign(artifact_file=stored)]

    make_snapshots(context, pipeline, [model_table], read, make, are_independent=True)


def map_each_snapshot(
    context: dg.AssetExecutionContext,
    pipeline: Pipeline,
    model_table: str,
    table_name: str,
    load: Callable[[bytes], Model],
    apply: Callable[[Model, pd.DataFrame], pd.DataFrame],
    columns: Sequence[str] = (),
    beside: Mapping[str, Callable[[ir.Table], ir.Table]] | None = None,
    divide: Callable[[bytes], Iterable[bytes]] | None = None,
    merge: Callable[[ir.Table], ir.Table] | None = None,
) -> None:
    """Let the engine apply the stored model of each snapshot of the run to all customers of that snapshot.

    ``load`` makes the model from its bytes. ``apply`` computes rows of the table from some customers' features: all of
    them, or those named in ``columns``. ``beside`` adds columns of other tables, from their rows made into one for each
    customer (:func:`renamed`), null of one without. ``divide`` splits a large stored model into parts; ``merge``
    combines the rows from all parts into rows of the table.
    """
    table, warehouse = TABLES[table_name], pipeline.warehouse

    def read(database: Backend, dates: Sequence[date]) -> dict[date, str]:
        return model_files(database, model_table, dates)

    for batch, files in in_batches(pipeline, snapshots(context, pipeline), read):
        with pipeline.engine.exchange() as exchange:
            with warehouse.open() as database:
                rows = {as_of: customers_at(database, as_of, *columns) for as_of in batch}
                for other, wanted in (beside or {}).items():
                    check_written(database, pipeline, other, batch)
                    table_beside = database.table(other)
                    for as_of in batch:
                        known = wanted(table_beside.filter(table_beside.as_of == ibis.date(as_of)))
                        joined = rows[as_of].left_join(known, ["as_of", "customer_id"], rname="{name}_beside")
                        rows[as_of] = joined.drop("as_of_beside", "customer_id_beside")
                customers = {as_of: exchange.put(database, frame) for as_of, frame in rows.items()}
            found: list[str] = []
            for as_of in batch:
                stored = pipeline.artifacts.read(files[as_of])
                parts = divide(stored) if divide else (stored,)
                found += (exchange.map_customers(customers[as_of], part, load, apply, table.fields) for part in parts)
            with warehouse.open() as database:
                made = exchange.get(database, found, merge if len(found) > len(batch) else None)
                written = warehouse.replace_slices(database, table, batch, made, context.run_id)
        report_rows(context, pipeline, written)


def renamed(**columns: str) -> Callable[[ir.Table], ir.Table]:
    """Columns of a table of customers under new names, each given as ``new="old"``, with the keys."""

    def select(table: ir.Table) -> ir.Table:
        return table.select("as_of", "customer_id", **{new: table[old] for new, old in columns.items()})

    return select
