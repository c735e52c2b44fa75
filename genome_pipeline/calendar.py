"""The calendar: periods, snapshots, and what is known at a date. Uses plain dates and no orchestrator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2200, 1, 1)
"""First and last day that a calendar may have; a date beyond them is a typing mistake."""

_MEAN_DAYS = {"month": 365.2425 / 12, "week": 7.0, "day": 1.0}


class Period(StrEnum):
    """One step of the calendar."""

    MONTH = "month"
    WEEK = "week"
    DAY = "day"

    def start_of(self, day: date) -> date:
        """First day of the period that holds ``day``; weeks start on Monday.

        >>> str(Period.MONTH.start_of(date(2024, 2, 29))), str(Period.WEEK.start_of(date(2024, 2, 29)))
        ('2024-02-01', '2024-02-26')
        """
        match self:
            case Period.MONTH:
                return day.replace(day=1)
            case Period.WEEK:
                return day - timedelta(days=day.weekday())
            case Period.DAY:
                return day

    def shift(self, start: date, periods: int) -> date:
        """Start of the period ``periods`` steps after the one that starts at ``start``.

        >>> str(Period.MONTH.shift(date(2024, 1, 1), -1))
        '2023-12-01'
        """
        match self:
            case Period.MONTH:
                months = start.year * 12 + start.month - 1 + periods
                return date(months // 12, months % 12 + 1, 1)
            case Period.WEEK:
                return start + timedelta(weeks=periods)
            case Period.DAY:
                return start + timedelta(days=periods)

    def year_before(self, start: date) -> date:
        """The same period a year before: the month, or the week or day 52 weeks earlier (with the same weekday)."""
        return self.shift(start, {Period.MONTH: -12, Period.WEEK: -52, Period.DAY: -364}[self])

    def like_before(self, start: date, count: int) -> list[date]:
        """The ``count`` periods before, latest first; for days, earlier days with the same weekday."""
        step = 7 if self is Period.DAY else 1
        return [self.shift(start, -step * number) for number in range(1, count + 1)]


@dataclass(frozen=True)
class Calendar:
    """Periods from ``start`` on; ``end`` (exclusive) closes the calendar of a finished log."""

    period: Period
    start: date
    end: date | None = None

    def as_of(self, period_start: date) -> date:
        """Snapshot date of the period: its end, exclusive.

        >>> str(Calendar(Period.MONTH, date(2024, 1, 1)).as_of(date(2024, 1, 1)))
        '2024-02-01'
        """
        return self.period.shift(period_start, 1)

    def period_start(self, as_of: date) -> date:
        """Start of the period that ends at ``as_of``.

        Raises ``ValueError`` when ``as_of`` is not the end of a period.
        """
        if self.period.start_of(as_of) != as_of:
            before = self.period.start_of(as_of)
            raise ValueError(
                f"{as_of} is not the end of a {self.period}: the nearest are {before} and"
                f" {self.period.shift(before, 1)}"
            )
        return self.period.shift(as_of, -1)

    def periods(self, first: date, last: date) -> Iterator[date]:
        """Starts of the periods from the one holding ``first`` to the one holding ``last``, both included."""
        start, stop = self.period.start_of(first), self.period.start_of(last)
        while start <= stop:
            yield start
            start = self.period.shift(start, 1)

    def window_periods(self, days: int) -> int:
        """The number of whole periods nearest to ``days``; at least one.

        >>> Calendar(Period.MONTH, date(2024, 1, 1)).window_periods(90)
        3
        """
        return max(1, round(days / _MEAN_DAYS[self.period]))

    def window_start(self, as_of: date, days: int, back: int = 0) -> date:
        """Start of the window of :meth:`window_periods` that ends at ``as_of``, or ``back`` such windows before.

        Raises ``ValueError`` when ``as_of`` is not the end of a period.

        >>> str(Calendar(Period.MONTH, date(2024, 1, 1)).window_start(date(2024, 7, 1), 90))
        '2024-04-01'
        """
        return self.period.shift(self.period_start(as_of), 1 - (back + 1) * self.window_periods(days))


def observed_until(as_of: date, order_dates: list[date]) -> date:
    """Day (exclusive) up to which the log can be taken as complete at ``as_of``.

    A log may end inside a period, as an export cut off in mid-month does. The silence between the last order and
    ``as_of`` counts as a quiet spell only if the log has had one as long. Otherwise the log ends with its last order,
    and horizons that reach beyond it have not matured. A silence before the first tenth of the log's days does not
    count: it may lie between a few stray dates and the actual log.

    ``order_dates``: distinct days with a purchase before ``as_of``, ascending.

    >>> orders = [date(2024, 1, day) for day in (1, 3, 4, 8)]
    >>> str(observed_until(date(2024, 1, 10), orders)), str(observed_until(date(2024, 2, 1), orders))
    ('2024-01-10', '2024-01-09')
    """
    if not order_dates:
        return as_of
    log = order_dates[len(order_dates) // 10 :]
    longest = max(((after - before).days for before, after in pairwise(log)), default=1)
    day_after = order_dates[-1] + timedelta(days=1)
    return as_of if (as_of - order_dates[-1]).days <= longest else day_after
