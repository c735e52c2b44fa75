"""The warehouse's customer tables -> the published DuckDB file."""

from __future__ import annotations

from typing import Any

import dagster as dg

from genome_pipeline.assets.stage import OWNERS, Stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.partitions import Reads
from genome_pipeline.resources import Pipeline
from genome_pipeline.warehouse.publishing import publish

_SOURCES = tuple(
    table.name
    for table in TABLES.values()
    if table.is_published
    and table.slice_by is not None
    and not table.is_made_at_publishing
    and table.group not in ("ingestion", "bookkeeping")
)


def _publish(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Any:
    with pipeline.warehouse.open() as database:
        published = publish(database, pipeline.warehouse, pipeline.settings, context.run_id)
    pipeline.artifacts.prune()
    yield dg.MaterializeResult(
        asset_key="published_genome",
        metadata={
            "as_of": str(published.as_of),
            "path": dg.MetadataValue.path(str(published.path)),
            "dagster/row_count": published.row_counts["customer_genome"],
            "megabytes": round(published.byte_count / 1e6, 1),
            "rows": dg.MetadataValue.json(published.row_counts),
        },
    )


published_genome = Stage(
    name="published_genome",
    specs=(
        dg.AssetSpec(
            "published_genome",
            description="The DuckDB file that BI tools and the dashboard read: every customer table, latest snapshot"
            " and history, with comments and a data dictionary. Replaced in one step; readers never block a run.",
            group_name="publishing",
            owners=list(OWNERS),
            kinds={"duckdb"},
            metadata={
                "dagster/column_schema": dg.TableSchema(
                    columns=[
                        dg.TableColumn(table.name, type="table", description=table.description)
                        for table in TABLES.values()
                        if table.is_published
                    ]
                )
            },
        ),
    ),
    reads=dict.fromkeys(_SOURCES, Reads.ALL),
    is_partitioned=False,
    body=_publish,
)
