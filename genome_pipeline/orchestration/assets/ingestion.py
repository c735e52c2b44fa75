"""Source files -> ``raw_transactions``."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.orchestration.assets.stage import key_of, table_stage
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.warehouse.ingestion import ingest


@table_stage("raw_transactions", reads={}, kinds={"file"})
def raw_transactions(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Bring the raw rows in line with the source's files."""
    with pipeline.warehouse.open() as database:
        taken_in = ingest(database, pipeline.settings, progress=lambda name: context.log.info(f"reading {name}"))
        total = int(database.table("raw_transactions").count().execute())
    context.add_asset_metadata(
        {
            "dagster/row_count": total,
            "rows_read": taken_in.row_count,
            "rows_of_forgotten_customers": taken_in.suppressed_row_count,
            "files_read": len(taken_in.read),
            "files_unchanged": len(taken_in.unchanged),
            "files_removed": len(taken_in.removed),
            "files_left_out_as_copies": len(taken_in.copies),
            "changed_periods": ", ".join(sorted(str(period or "undated") for period in taken_in.changed_periods))
            or "none",
        },
        asset_key=key_of(context, "raw_transactions"),
    )
