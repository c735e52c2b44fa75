"""The published file -> the self-contained HTML report of the latest snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from genome_pipeline.orchestration.assets.stage import Stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline


def _write_report(_: dg.AssetExecutionContext, pipeline: Pipeline) -> Mapping[str, Mapping[str, Any]]:
    from genome_pipeline.dashboard.report import write_report

    path = write_report(pipeline.settings.published_path, pipeline.settings.report_path)
    facts = {"path": dg.MetadataValue.path(str(path)), "megabytes": round(path.stat().st_size / 1e6, 1)}
    return {"genome_report": facts}


genome_report = Stage(
    name="genome_report",
    specs=(
        dg.AssetSpec(
            "genome_report",
            description="One HTML file to mail or archive: the latest snapshot's figures, with nothing to install.",
            group_name="genome",
            kinds={"plotly", "html"},
        ),
    ),
    reads={"published_genome": Reads.SAME},
    is_partitioned=False,
    body=_write_report,
    shaped_by_settings=False,
)
