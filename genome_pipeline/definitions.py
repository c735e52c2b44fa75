"""The code location: assets, checks, jobs, schedules and the resource they share. Nothing else."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.assets import STAGES
from genome_pipeline.automation import IN_ONE_PROCESS, jobs, schedules
from genome_pipeline.checks import build_checks
from genome_pipeline.partitions import period_partitions
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import Settings, load_settings_or_demo


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything Dagster has to know of the pipeline that ``settings`` describe."""
    partitions = period_partitions(settings.time)
    return dg.Definitions(
        assets=[stage.build(partitions) for stage in STAGES],
        asset_checks=build_checks(partitions),
        jobs=jobs(),
        schedules=schedules(settings.time),
        resources={"pipeline": Pipeline.of(settings)},
        executor=IN_ONE_PROCESS,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of ``workspace.yaml``: ``$GENOME_CONFIG``, else ``genome.toml`` here, else the demo."""
    return build_definitions(load_settings_or_demo())
