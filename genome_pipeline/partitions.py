"""How the calendar cuts the assets into partitions, and which partitions depend on which."""

from __future__ import annotations

import warnings
from datetime import date, datetime

import dagster as dg

from genome_pipeline.calendar import Calendar, Period

_MANY = 10_000

up_to_this_period = dg.TimeWindowPartitionMapping(start_offset=-_MANY, end_offset=0)
"""A snapshot reads every period up to its own: no look-ahead."""

with warnings.catch_warnings():
    # The first period has nothing before it; that this is allowed is said with a parameter still in beta.
    warnings.simplefilter("ignore", dg.BetaWarning)

    periods_before = dg.TimeWindowPartitionMapping(
        start_offset=-_MANY, end_offset=-1, allow_nonexistent_upstream_partitions=True
    )
    """A snapshot reads every snapshot before its own."""

    previous_period = dg.TimeWindowPartitionMapping(
        start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True
    )
    """A snapshot reads the one before it."""


all_periods = dg.AllPartitionMapping()
"""What is made once from the whole history."""


def period_partitions(calendar: Calendar) -> dg.TimeWindowPartitionsDefinition:
    """One partition per period of the calendar; its key is the first day of the period."""
    start = datetime.combine(calendar.start, datetime.min.time())
    end = datetime.combine(calendar.end, datetime.min.time()) if calendar.end else None
    match calendar.period:
        case Period.MONTH:
            return dg.MonthlyPartitionsDefinition(start_date=start, end_date=end)
        case Period.WEEK:
            return dg.WeeklyPartitionsDefinition(start_date=start, end_date=end, day_offset=1)
        case Period.DAY:
            return dg.DailyPartitionsDefinition(start_date=start, end_date=end)


def period_starts(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[date]:
    """First days of the periods of this run, in order: one partition, or the whole range of a backfill."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)
