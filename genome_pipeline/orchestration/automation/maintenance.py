"""Jobs that keep a home in order: rebuild and housekeeping.

Dagster reads annotations at run time, so this module does not postpone them.
"""

import dagster as dg

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.automation.jobs import HOUSEKEEPING_JOB, REBUILD_JOB
from genome_pipeline.orchestration.place import WAREHOUSE_POOL
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.pruning import prune_runs
from genome_pipeline.orchestration.runs.rebuild import rebuild


def rebuild_job() -> dg.JobDefinition:
    """The job that makes the warehouse anew, as ``genome rebuild`` does."""

    @dg.op(pool=WAREHOUSE_POOL, description="Put the warehouse aside, make all of it from the source, and publish.")
    def rebuild_from_source(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
        try:
            rebuild(pipeline.settings, lambda step, state: context.log.info(f"{step}: {state}"))
        except ConfigError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None

    @dg.job(
        name=REBUILD_JOB,
        description="Make the warehouse anew from the source, and publish: after damage, or under another calendar.",
    )
    def job() -> None:
        rebuild_from_source()

    return job


def housekeeping_job() -> dg.JobDefinition:
    """The job that removes old runs."""

    @dg.op(description="Remove runs from Dagster's records that are old and made nothing that is still in use.")
    def remove_old_runs(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
        removed = prune_runs(context.instance, pipeline)
        context.log.info(f"{removed} runs removed")

    @dg.job(name=HOUSEKEEPING_JOB, description="Remove old runs from Dagster's records.")
    def job() -> None:
        remove_old_runs()

    return job
