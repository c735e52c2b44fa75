"""The code location: hands assets, checks, jobs, schedules and sensors to Dagster; nothing else."""

from __future__ import annotations

import dagster as dg

from genome_pipeline.orchestration.automation.maintenance import housekeeping_job, rebuild_job
from genome_pipeline.orchestration.automation.schedules import housekeeping_schedule, schedules
from genome_pipeline.orchestration.automation.sensors import sensors
from genome_pipeline.orchestration.graph import build_graph
from genome_pipeline.orchestration.place import ALONE, Place
from genome_pipeline.privacy import keep_to_owner
from genome_pipeline.settings import Settings, load_settings_or_demo


def build_definitions(settings: Settings, place: Place = ALONE) -> dg.Definitions:
    """All Dagster definitions of the pipeline that ``settings`` describe, at its place in a project.

    Where others share the project, its runs are not the shop's to remove, and a rebuild is started by its command.
    """
    alone = dg.Definitions(jobs=[rebuild_job(), housekeeping_job()], schedules=[housekeeping_schedule()])
    return dg.Definitions.merge(
        build_graph(settings, place),
        dg.Definitions(schedules=schedules(settings.time, place), sensors=sensors(settings, place)),
        *(() if place.is_shared else (alone,)),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of ``workspace.yaml``: ``$GENOME_CONFIG``, else ``genome.toml`` here, else the demo."""
    keep_to_owner()
    return build_definitions(load_settings_or_demo())
