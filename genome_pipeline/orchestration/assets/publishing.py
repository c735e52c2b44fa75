"""The warehouse's customer tables -> the published DuckDB file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.errors import PublicationRefused
from genome_pipeline.orchestration.assets.frames import provisional_at
from genome_pipeline.orchestration.assets.stage import Stage
from genome_pipeline.orchestration.assets.tables import TABLE_STAGES
from genome_pipeline.orchestration.checks.declared import gate
from genome_pipeline.orchestration.internals import PARENT_RUN_ID_TAG
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.quality.gate import obstacles_in_words
from genome_pipeline.warehouse.publishing import publish

_SOURCES = tuple(
    table.name
    for table in TABLES.values()
    if table.is_published
    and table.slice_by is not None
    and table.name in {name for stage in TABLE_STAGES for name in stage.asset_names}
)


def _publish(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Mapping[str, Mapping[str, Any]]:
    settings = pipeline.settings
    with pipeline.warehouse.open() as database:
        obstacles = gate().obstacles(database.con, settings.time)
        if obstacles and not _is_forced(context):
            raise PublicationRefused(
                f"{obstacles_in_words(obstacles)}: `genome run` makes and checks it again; to publish it all the same,"
                " say force: true in the run config of published_genome, in a new run of the launchpad"
            )
        # A check that was overridden once is reported each time, until it passes or its slices are made again.
        forced = gate().forced(database.con, settings.time)
        forced_past = obstacles_in_words(forced) if forced else None
        published = publish(database, pipeline.warehouse, settings, context.run_id, forced_past)
        is_provisional = bool(provisional_at(database, settings, [published.as_of]))
    if forced_past:
        how = "published by force" if obstacles else "published with what an earlier publication forced"
        context.log.warning(f"{how}, although {forced_past}")
    pipeline.artifacts.prune()
    facts = {
        **({"forced_past": forced_past} if forced_past else {}),
        "as_of": str(published.as_of),
        "is_provisional": is_provisional,
        "path": dg.MetadataValue.path(str(published.path)),
        "dagster/row_count": published.row_counts["customer_genome"],
        "megabytes": round(published.byte_count / 1e6, 1),
        "rows": dg.MetadataValue.json(published.row_counts),
    }
    return {"published_genome": facts}


def _is_forced(context: dg.AssetExecutionContext) -> bool:
    """Whether this run itself was forced: a run that is executed again inherits the config of the first."""
    return bool(context.op_execution_context.op_config["force"]) and PARENT_RUN_ID_TAG not in context.run.tags


published_genome = Stage(
    name="published_genome",
    specs=(
        dg.AssetSpec(
            "published_genome",
            description="The DuckDB file that BI tools and the dashboard read: every customer table, latest snapshot"
            " and history, with comments and a data dictionary. Replaced in one step; readers never block a run.",
            group_name="genome",
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
    shaped_by_settings=False,
    config={
        "force": dg.Field(
            bool,
            default_value=False,
            description="Publish even what no blocking check has passed. It is recorded in pipeline_runs and shown.",
        )
    },
)
