"""The code location: assets, checks, jobs, schedules and the resource they share. Nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from genome_pipeline.assets import STAGES
from genome_pipeline.automation import IN_ONE_PROCESS, expected, jobs, schedules, sensors
from genome_pipeline.checks import build_checks
from genome_pipeline.instance import alive
from genome_pipeline.partitions import period_partitions
from genome_pipeline.privacy import keep_to_owner
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import Settings, load_settings_or_demo


def build_definitions(settings: Settings) -> dg.Definitions:
    """Everything Dagster has to know of the pipeline that ``settings`` describe."""
    partitions = period_partitions(settings.time)
    return dg.Definitions(
        assets=expected([stage.build(partitions) for stage in STAGES], settings.time),
        asset_checks=build_checks(partitions),
        jobs=jobs(settings),
        schedules=schedules(settings.time),
        sensors=sensors(settings),
        resources={"pipeline": _pipeline(settings)},
        executor=IN_ONE_PROCESS,
    )


def _pipeline(settings: Settings) -> dg.ResourceDefinition:
    @contextmanager
    def hand_out(context: dg.InitResourceContext) -> Iterator[Pipeline]:
        assert context.instance is not None
        assert context.run_id is not None
        with alive(context.instance, context.run_id):
            yield Pipeline.of(settings)

    return dg.ResourceDefinition(hand_out, description="The settings, the warehouse and the stored models.")


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of ``workspace.yaml``: ``$GENOME_CONFIG``, else ``genome.toml`` here, else the demo."""
    keep_to_owner()
    return build_definitions(load_settings_or_demo())
