"""``customer_features`` -> ``segment_model`` -> segments, and who moved between them; the mart -> their profiles.

Both stages also read their own results for the period before. Dagster does not know this: it would split a backfill
into one run per period, although a run makes its periods in order, and those of earlier runs are in the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import dagster as dg
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.genes import SEGMENT_GENES
from genome_pipeline.models.segments.model import SegmentModel, compare_segments, fit_segments
from genome_pipeline.models.segments.profiles import USED_COLUMNS, profile_segments
from genome_pipeline.orchestration.assets.frames import (
    check_written,
    customers_at,
    model_files,
    sampled_frames,
    snapshot_frames,
    tastes_of_segments,
    was_written,
)
from genome_pipeline.orchestration.assets.snapshots import make_snapshots, read_frames
from genome_pipeline.orchestration.assets.stage import table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.warehouse.exchange import Exchange

_NOT_ASSIGNED = ("as_of", "previous_segment_id", "has_moved")
ASSIGNED_FIELDS = [column for column in TABLES["customer_segments"].fields if column.name not in _NOT_ASSIGNED]
"""Columns that :meth:`SegmentModel.assign` gives."""

_COMPARED = ["customer_id", "segment_id", "segment_name"]
_SPENT = ["customer_id", "recent_spend_amount"]

_Inputs = tuple[str, str, pd.DataFrame, pd.DataFrame | None]
"""Lot of genes given to the engine, file of the stored model, recent spend, and previous segments."""


@table_stage(
    "segment_model",
    "segment_events",
    reads={"customer_features": Reads.SAME},
    kinds={"scikitlearn"},
)
def segment_model(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Fit the segments of each snapshot; those that carry on from the previous one keep their identity."""
    fits = _Fits(pipeline)
    make_snapshots(context, pipeline, ["segment_model", "segment_events"], fits.read, fits.make)


class _Fits:
    """Fits each snapshot's model, one after the other, and hands it to the next."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._fitted: dict[date, SegmentModel] = {}

    def read(self, database: Backend, dates: Sequence[date]) -> Iterable[tuple[pd.DataFrame, str | None]]:
        """Features of each snapshot, and the stored model of the snapshot before."""
        settings = self._pipeline.settings
        features = sampled_frames(database, dates, settings.predict.seed)
        return [(features[as_of], _model_file(database, settings.time.period_start(as_of))) for as_of in dates]

    def make(self, as_of: date, inputs: tuple[pd.DataFrame, str | None]) -> list[pd.DataFrame]:
        """Rows of both tables."""
        features, stored_before = inputs
        settings, artifacts = self._pipeline.settings, self._pipeline.artifacts
        previous = self._fitted.pop(settings.time.period_start(as_of), None)
        if previous is None and stored_before is not None:
            previous = SegmentModel.from_bytes(artifacts.read(stored_before))
        model = self._fitted[as_of] = fit_segments(features, previous, settings.predict.seed)
        stored = artifacts.write("segment_model", as_of, ".json", model.to_bytes())
        return [model.candidates(as_of).assign(artifact_file=stored), model.events(as_of)]


@table_stage(
    "customer_segments",
    "segment_migrations",
    reads={"customer_features": Reads.SAME, "segment_model": Reads.SAME},
    kinds={"scikitlearn"},
    name="segments",
)
def segments(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Assign every customer to a segment at each snapshot, and tell who moved since the one before."""
    with pipeline.engine.exchange() as exchange:
        assignments = _Assignments(pipeline, exchange)
        tables = ["customer_segments", "segment_migrations"]
        make_snapshots(context, pipeline, tables, assignments.read, assignments.make)


class _Assignments:
    """Assigns the customers of each snapshot, one after the other, and compares them with the snapshot before."""

    def __init__(self, pipeline: Pipeline, exchange: Exchange) -> None:
        self._pipeline, self._exchange = pipeline, exchange
        self._assigned: dict[date, pd.DataFrame] = {}

    def read(self, database: Backend, dates: Sequence[date]) -> Iterable[_Inputs]:
        """The input of each snapshot."""
        before = [self._pipeline.settings.time.period_start(as_of) for as_of in dates]
        written = [day for day in before if was_written(database, "customer_segments", day)]
        previous = snapshot_frames(database, "customer_segments", written, _COMPARED)
        models = model_files(database, "segment_model", dates)
        spend = snapshot_frames(database, "customer_features", dates, _SPENT)
        for as_of, day in zip(dates, before, strict=True):
            customers = customers_at(database, as_of, *(gene.name for gene in SEGMENT_GENES))
            genes = self._exchange.put(database, customers)
            yield genes, models[as_of], spend[as_of], previous.get(day)

    def make(self, as_of: date, inputs: _Inputs) -> list[pd.DataFrame]:
        """Rows of both tables."""
        genes, model, spend, stored_before = inputs
        stored = self._pipeline.artifacts.read(model)
        found = self._exchange.map_customers(
            genes, stored, SegmentModel.from_bytes, SegmentModel.assign, ASSIGNED_FIELDS
        )
        previous = self._assigned.pop(self._pipeline.settings.time.period_start(as_of), stored_before)
        compared = compare_segments(self._exchange.frame(found), spend, previous)
        self._assigned[as_of] = compared.customers[_COMPARED]
        return [compared.customers, compared.migrations]


@table_stage(
    "segment_profiles",
    reads={
        "customer_genome": Reads.SAME,
        "segment_model": Reads.SAME,
        "customer_segments": Reads.SAME,
        "customer_categories": Reads.SAME,
    },
    kinds={"scikitlearn"},
)
def segment_profiles(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Describe the segments of each snapshot, with what is expected of their customers, and what these buy."""
    read_genome = read_frames("customer_genome", columns=USED_COLUMNS)

    def read(database: Backend, dates: Sequence[date]) -> Iterator[tuple[pd.DataFrame, str, pd.DataFrame]]:
        check_written(database, pipeline, "customer_categories", dates)
        models = model_files(database, "segment_model", dates)
        for as_of, (genome,) in zip(dates, read_genome(database, dates), strict=True):
            yield genome, models[as_of], tastes_of_segments(database, as_of)

    def make(_: date, inputs: tuple[pd.DataFrame, str, pd.DataFrame]) -> list[pd.DataFrame]:
        genome, stored, tastes = inputs
        model = SegmentModel.from_bytes(pipeline.artifacts.read(stored))
        return [profile_segments(genome, model.described, pipeline.settings.source.currency, tastes)]

    make_snapshots(context, pipeline, ["segment_profiles"], read, make)


def _model_file(database: Backend, as_of: date) -> str | None:
    """File name of the stored model of a snapshot, if there is one."""
    found = database.con.execute(
        "SELECT artifact_file FROM segment_model WHERE as_of = ? AND is_chosen", [as_of]
    ).fetchall()
    return found[0][0] if found else None
