"""The code location: hands assets, checks, jobs, schedules and sensors to Dagster; nothing else."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.orchestration.automation.maintenance import housekeeping_job, rebuild_job
from genome_pipeline.orchestration.automation.schedules import schedules
from genome_pipeline.orchestration.automation.sensors import sensors
from genome_pipeline.orchestration.graph import build_graph
from genome_pipeline.privacy import keep_to_owner
from genome_pipeline.settings import Settings, load_settings_or_demo


def build_definitions(settings: Settings) -> dg.Definitions:
    """All Dagster definitions of the pipeline that ``settings`` describe."""
    return dg.Definitions.merge(
        build_graph(settings),
        dg.Definitions(
            jobs=[rebuild_job(), housekeeping_job()],
            schedules=schedules(settings.time),
            sensors=sensors(settings),
        ),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of ``workspace.yaml``: ``$GENOME_CONFIG``, else ``genome.toml`` here, else the demo."""
    keep_to_owner()
    return build_definitions(load_settings_or_demo())
