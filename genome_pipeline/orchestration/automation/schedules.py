"""Schedules: make the period that has ended, once; make the running period, each day; and housekeeping.

Dagster reads annotations at run time, so this module does not postpone them.
"""

import dagster as dg

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.orchestration.assets.stage import REASON_TAG
from genome_pipeline.orchestration.automation.jobs import HOUSEKEEPING_JOB, REFRESH_JOB
from genome_pipeline.orchestration.place import Place

_CRON = {Period.MONTH: "0 5 1 * *", Period.WEEK: "0 5 * * 1", Period.DAY: "0 5 * * *"}
_EACH_DAY = "30 5 * * *"
_AT_NIGHT = "0 3 * * *"


def schedules(calendar: Calendar, place: Place) -> list[dg.ScheduleDefinition]:
    """Schedules for the period that has ended, once, and for the running one, each day; early in the morning (UTC)."""
    period = calendar.period

    @dg.schedule(
        name=place.name(f"{REFRESH_JOB}_each_{period}"),
        cron_schedule=_CRON[period],
        job_name=place.name(REFRESH_JOB),
        description=f"Refresh the {period} that has just ended and publish.",
    )
    def refresh_last_period(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.date()
        ended = period.shift(period.start_of(today), -1)
        if ended < calendar.start or (calendar.end is not None and ended >= calendar.end):
            return dg.SkipReason(f"the {period} from {ended} is outside the calendar")
        return dg.RunRequest(partition_key=str(ended), tags={REASON_TAG: f"schedule: the {period} ended"})

    @dg.schedule(
        name=place.name(f"{REFRESH_JOB}_running_{period}"),
        cron_schedule=_EACH_DAY,
        job_name=place.name(REFRESH_JOB),
        description=f"Refresh the {period} that is still running and publish it, marked as provisional.",
    )
    def refresh_running_period(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.date()
        running = period.start_of(today)
        if running == today:
            return dg.SkipReason(f"the {period} has only just begun")
        if running < calendar.start or (calendar.end is not None and running >= calendar.end):
            return dg.SkipReason(f"the {period} from {running} is outside the calendar")
        return dg.RunRequest(partition_key=str(running), tags={REASON_TAG: f"schedule: the {period} is running"})

    running = [] if period is Period.DAY else [refresh_running_period]
    return [refresh_last_period, *running]


def housekeeping_schedule() -> dg.ScheduleDefinition:
    """The schedule that removes old runs."""
    return dg.ScheduleDefinition(
        name=HOUSEKEEPING_JOB,
        cron_schedule=_AT_NIGHT,
        job_name=HOUSEKEEPING_JOB,
        description="Remove old runs from Dagster's records.",
    )
