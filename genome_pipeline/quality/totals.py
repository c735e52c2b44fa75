"""Whether the forecast total of all customers is within reach of the totals that the log has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from genome_pipeline.calendar import Calendar
from genome_pipeline.quality.volume import Finding

MOST_TIMES = 2.0
"""The greatest plausible forecast total, in multiples of the largest window so far.

A forecast covers the customers known by then, while windows include customers who were new in them. Without seasons,
the customers of a shop that doubles within each horizon are expected to buy 1.4 times as much as in the last window; in
a shop that grows more slowly, less. At the 56 dates of the panel of public logs the largest multiple was 1.02.
"""

LEAST_WINDOWS = 2
"""Least length of a log, in horizons; in a shorter log no window is typical."""


@dataclass(frozen=True)
class Total:
    """Forecast totals of the customers of a snapshot; spend is None where it is not predicted."""

    customer_count: int
    orders: float | None
    spend: float | None


@dataclass(frozen=True)
class Seen:
    """Actual totals of all customers in a period: purchase days, and spend less returns (None without amounts)."""

    orders: float
    spend: float | None


def judge_totals(
    total: Total, seen: Mapping[date, Seen], as_of: date, calendar: Calendar, horizon_days: int
) -> dict[str, Finding]:
    """Compare the totals of orders and spend, as far as they are predicted, with the largest window up to ``as_of``.

    ``seen`` is keyed by start of the period; a missing period had no lines. A window is the number of whole periods
    nearest to the horizon; its total is scaled to the horizon's length.
    """
    periods = [start for start in seen if start < as_of]
    days = (as_of - min(periods)).days if periods else 0
    what = f"at {as_of}, for {total.customer_count:,} customers over {horizon_days} days"
    found = {}
    for name in ("orders", "spend"):
        expected: float | None = getattr(total, name)
        if expected is None:
            continue
        if days < LEAST_WINDOWS * horizon_days:
            words = f"not judged, as the log has {days} days and {LEAST_WINDOWS * horizon_days} are needed"
            found[name] = Finding(True, f"{expected:,.0f} expected {what}: {words}")
            continue
        most, start = _largest_window(seen, name, as_of, calendar, horizon_days)
        if most <= 0:
            found[name] = Finding(True, f"{expected:,.0f} expected {what}: nothing to compare with")
            continue
        is_passed = expected <= MOST_TIMES * most
        words = f"{expected / most:,.2f} times the most that the log has seen in as many days, {most:,.0f} from {start}"
        advice = "" if is_passed else f"; at most {MOST_TIMES:.0f} may be: look for mistyped amounts and dates"
        found[name] = Finding(is_passed, f"{expected:,.0f} expected {what}, {words}{advice}")
    return found


def _largest_window(
    seen: Mapping[date, Seen], name: str, as_of: date, calendar: Calendar, horizon_days: int
) -> tuple[float, date]:
    """The largest total of as many days before ``as_of``, and the first of these days."""
    count = calendar.window_periods(horizon_days)
    starts = [*calendar.periods(min(seen), as_of - timedelta(days=1))]
    windows = [starts[first : first + count] for first in range(max(len(starts) - count, 0) + 1)]
    totals = [
        (
            sum(getattr(seen[start], name) or 0.0 for start in window if start in seen)
            * (horizon_days / (calendar.as_of(window[-1]) - window[0]).days),
            window[0],
        )
        for window in windows
    ]
    return max(totals)
