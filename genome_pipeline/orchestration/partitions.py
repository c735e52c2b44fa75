"""The partitions of assets, one per period of the calendar, and the dependencies between partitions."""

from __future__ import annotations

import warnings
from datetime import date, datetime
from enum import Enum, auto

import dagster as dg

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.errors import ConfigError

_LATER_PERIODS = 1_000
"""Number of periods that may end while a code location stays loaded."""


class Reads(Enum):
    """Which periods of an upstream asset a period reads."""

    SAME = auto()
    """The same period."""
    UP_TO_THIS = auto()
    """Every period up to the same one: no look-ahead."""
    BEFORE = auto()
    """Every earlier period."""
    ALL = auto()
    """The whole history, for stages without periods."""

    @property
    def includes_own_period(self) -> bool:
        """Whether a period reads the same period of the upstream asset."""
        return self in (Reads.SAME, Reads.UP_TO_THIS)

    def mapping(self, partitions: dg.TimeWindowPartitionsDefinition) -> dg.PartitionMapping | None:
        """The mapping for Dagster. Offsets reach exactly to the first period: Dagster walks them one by one."""
        first = -partitions.get_num_partitions() - (_LATER_PERIODS if partitions.end is None else 0)
        match self:
            case Reads.SAME:
                return None
            case Reads.UP_TO_THIS:
                return dg.TimeWindowPartitionMapping(start_offset=first, end_offset=0)
            case Reads.BEFORE:
                return _before(first)
            case Reads.ALL:
                return dg.AllPartitionMapping()


def _before(start_offset: int) -> dg.TimeWindowPartitionMapping:
    with warnings.catch_warnings():
        # The first period has none before it; the parameter that allows this is still in beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.TimeWindowPartitionMapping(
            start_offset=start_offset, end_offset=-1, allow_nonexistent_upstream_partitions=True
        )


def period_partitions(calendar: Calendar) -> dg.TimeWindowPartitionsDefinition:
    """One partition per period of the calendar, including the running one; its key is its first day."""
    start = datetime.combine(calendar.start, datetime.min.time())
    end = datetime.combine(calendar.end, datetime.min.time()) if calendar.end else None
    match calendar.period:
        case Period.MONTH:
            return dg.MonthlyPartitionsDefinition(start_date=start, end_date=end, end_offset=1)
        case Period.WEEK:
            return dg.WeeklyPartitionsDefinition(start_date=start, end_date=end, day_offset=1, end_offset=1)
        case Period.DAY:
            return dg.DailyPartitionsDefinition(start_date=start, end_date=end, end_offset=1)


def period_starts(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[date]:
    """First days of the periods of this run, in order: one partition, or the whole range of a backfill.

    Raises :class:`~genome_pipeline.errors.ConfigError` for a run without a period, such as a check launched in the UI.
    """
    if not context.has_partition_key_range and not context.has_partition_key:
        raise ConfigError("the run has no period: execute the check, or the asset, for a period")
    return sorted(date.fromisoformat(key) for key in context.partition_keys)
