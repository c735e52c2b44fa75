"""The published file -> the self-contained HTML report of the latest snapshot."""

from __future__ import annotations

from typing import Any

import dagster as dg

from genome_pipeline.orchestration.assets.stage import OWNERS, Stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline


def _write_report(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Any:
    from genome_pipeline.dashboard.report import write_report

    path = write_report(pipeline.settings.published_path, pipeline.settings.report_path)
    yield dg.MaterializeResult(
        asset_key="genome_report",
        metadata={
            "path": dg.MetadataValue.path(str(path)),
            "megabytes": round(path.stat().st_size / 1e6, 1),
        },
    )


genome_report = Stage(
    name="genome_report",
    specs=(
        dg.AssetSpec(
            "genome_report",
            description="One HTML file to mail or archive: the latest snapshot's figures, with nothing to install.",
            group_name="publishing",
            owners=list(OWNERS),
            kinds={"plotly", "html"},
        ),
    ),
    reads={"published_genome": Reads.SAME},
    is_partitioned=False,
    body=_write_report,
)
