"""``customer_features`` -> ``segment_model`` -> segments, their profiles, and who moved between them."""

from __future__ import annotations

from datetime import date

import dagster as dg
from ibis.backends.duckdb import Backend

from genome_pipeline.assets.frames import snapshot_frame, was_written
from genome_pipeline.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.segments import SegmentModel, fit_segments, segment_customers
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline


@table_stage(
    "segment_model",
    reads={"customer_features": Reads.SAME, "segment_model": Reads.PREVIOUS},
    kinds={"scikitlearn"},
)
def segment_model(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Fit the segments of each snapshot; those that carry on from the previous one keep their identity."""
    warehouse, calendar = pipeline.warehouse, pipeline.settings.time
    for as_of in snapshots(context, pipeline):
        with warehouse.open() as database:
            features = snapshot_frame(database, "customer_features", as_of)
            previous = _model_file(database, calendar.period_start(as_of))
        model = fit_segments(
            features,
            SegmentModel.from_bytes(pipeline.artifacts.read(previous)) if previous else None,
            pipeline.settings.predict.seed,
        )
        stored = pipeline.artifacts.write("segment_model", as_of, ".json", model.to_bytes())
        rows = model.candidates(as_of).assign(artifact_file=stored)
        with warehouse.open() as database:
            written = warehouse.replace_slices(database, TABLES["segment_model"], [as_of], rows, context.run_id)
        report_rows(context, pipeline, written)


@table_stage(
    "customer_segments",
    "segment_profiles",
    "segment_migrations",
    reads={"customer_features": Reads.SAME, "segment_model": Reads.SAME, "customer_segments": Reads.PREVIOUS},
    kinds={"scikitlearn"},
    name="segments",
)
def segments(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Assign every customer to a segment at each snapshot, and tell who moved since the one before."""
    warehouse, calendar = pipeline.warehouse, pipeline.settings.time
    for as_of in snapshots(context, pipeline):
        with warehouse.open() as database:
            features = snapshot_frame(database, "customer_features", as_of)
            models = snapshot_frame(database, "segment_model", as_of)
            before = calendar.period_start(as_of)
            has_before = was_written(database, "customer_segments", before)
            previous = snapshot_frame(database, "customer_segments", before) if has_before else None
        model = SegmentModel.from_bytes(pipeline.artifacts.read(models.artifact_file.iloc[0]))
        found = segment_customers(model, features, previous)
        with warehouse.open() as database:
            for table, rows in (
                ("customer_segments", found.customers),
                ("segment_profiles", found.profiles),
                ("segment_migrations", found.migrations),
            ):
                written = warehouse.replace_slices(database, TABLES[table], [as_of], rows, context.run_id)
                report_rows(context, pipeline, written)


def _model_file(database: Backend, as_of: date) -> str | None:
    """Stored model of a snapshot, where there is one."""
    found = database.con.execute(
        "SELECT artifact_file FROM segment_model WHERE as_of = ? AND is_chosen", [as_of]
    ).fetchone()
    return found[0] if found else None
