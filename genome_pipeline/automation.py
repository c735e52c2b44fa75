"""Jobs and schedules: what a person launches, and what runs by itself."""

from typing import TYPE_CHECKING

import dagster as dg

from genome_pipeline.calendar import Calendar, Period

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

_CRON = {Period.MONTH: "0 5 1 * *", Period.WEEK: "0 5 * * 1", Period.DAY: "0 5 * * *"}

IN_ONE_PROCESS = dg.in_process_executor
"""A run is a process of its own already; starting one more for each step costs seconds and gains nothing."""

INGEST_JOB = "ingest"
REFRESH_JOB = "refresh"
PUBLISH_JOB = "publish"


def jobs() -> "list[UnresolvedAssetJobDefinition]":
    """``ingest`` reads the source; ``refresh`` makes everything from it, for a period or a range."""
    return [
        dg.define_asset_job(
            INGEST_JOB,
            selection=dg.AssetSelection.assets("raw_transactions"),
            description="Read the source files that are new or changed.",
        ),
        dg.define_asset_job(
            PUBLISH_JOB,
            selection=dg.AssetSelection.assets("published_genome", "genome_report"),
            description="Publish what the warehouse holds, again.",
        ),
        dg.define_asset_job(
            REFRESH_JOB,
            selection=dg.AssetSelection.all(),
            description="Read what changed in the source, rebuild the chosen period (or range of periods) and publish.",
        ),
    ]


def schedules(calendar: Calendar) -> list[dg.ScheduleDefinition]:
    """Refresh the period that has just ended, early in the morning (UTC)."""
    period = calendar.period

    @dg.schedule(
        name=f"{REFRESH_JOB}_each_{period}",
        cron_schedule=_CRON[period],
        job_name=REFRESH_JOB,
        description=f"Refresh the {period} that has just ended and publish.",
    )
    def refresh_last_period(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.date()
        ended = period.shift(period.start_of(today), -1)
        if ended < calendar.start or (calendar.end is not None and ended >= calendar.end):
            return dg.SkipReason(f"the {period} from {ended} is outside the calendar")
        return dg.RunRequest(partition_key=str(ended))

    return [refresh_last_period]
