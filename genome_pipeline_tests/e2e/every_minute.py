"""The code location, and a schedule that refreshes the running period each minute instead of each day."""

import dagster as dg

from genome_pipeline.definitions import build_definitions
from genome_pipeline.orchestration.automation.jobs import REFRESH_JOB
from genome_pipeline.settings import load_settings

WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]


@dg.schedule(
    name="every_minute",
    cron_schedule="* * * * *",
    job_name=REFRESH_JOB,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def every_minute(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    # On a machine too busy for a refresh a minute, the queue would grow for ever.
    if context.instance.get_runs_count(dg.RunsFilter(job_name=REFRESH_JOB, statuses=WAITING)):
        return dg.SkipReason("one waits already")
    calendar = load_settings().time
    assert calendar.end is not None
    return dg.RunRequest(partition_key=str(calendar.period_start(calendar.end)))


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions.merge(build_definitions(load_settings()), dg.Definitions(schedules=[every_minute]))
