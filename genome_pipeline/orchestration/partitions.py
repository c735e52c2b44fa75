"""How the calendar cuts the assets into partitions, and which partitions depend on which."""

from __future__ import annotations

import warnings
from datetime import date, datetime
from enum import Enum, auto

import dagster as dg

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.errors import ConfigError

_LATER_PERIODS = 1_000
"""Periods that may end while a code location stays loaded."""


class Reads(Enum):
    """Which periods of an upstream asset a period reads."""

    SAME = auto()
    """Its own."""
    UP_TO_THIS = auto()
    """Every one up to its own: no look-ahead."""
    BEFORE = auto()
    """Every one before its own."""
    ALL = auto()
    """The whole history, for what is made once."""

    @property
    def includes_own_period(self) -> bool:
        """Whether a period reads its own."""
        return self in (Reads.SAME, Reads.UP_TO_THIS)

    def mapping(self, partitions: dg.TimeWindowPartitionsDefinition) -> dg.PartitionMapping | None:
        """As Dagster says it. Offsets reach to the first period and no further: Dagster walks them one by one."""
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
        # The first period has nothing before it; that this is allowed is said with a parameter still in beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.TimeWindowPartitionMapping(
            start_offset=start_offset, end_offset=-1, allow_nonexistent_upstream_partitions=True
        )


def period_partitions(calendar: Calendar) -> dg.TimeWindowPartitionsDefinition:
    """One partition per period of the calendar, the one still running among them; its key is its first day."""
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

    Raises :class:`~genome_pipeline.errors.ConfigError` for a run without a period, as the UI starts of a check alone.
    """
    if not context.has_partition_key_range and not context.has_partition_key:
        raise ConfigError("the run has no period: execute the check, or the asset, for a period")
    return sorted(date.fromisoformat(key) for key in context.partition_keys)
