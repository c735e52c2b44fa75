"""Whether a period has about as many lines as its season suggests, and whether its columns are as full as before."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import sqrt
from statistics import median

from genome_pipeline.calendar import Period

VOLUME_FACTOR = 2.0
"""A period is reported if volume > usual * this, or volume < usual / this."""

FEWEST_COMPARED = 30
"""Counts below this may double or halve by chance and are not compared."""

PERIODS_BEFORE = 6
"""Number of earlier periods whose median is the usual volume if the log does not reach back a year."""

MISSING_SHARE_JUMP = 0.05
"""A missing share is reported if it moved by more than this and by more than four standard errors."""

Volume = Mapping[str, float | None]
"""Lines, orders, customers and revenue of a period; revenue is ``None`` if the log has no amounts."""


@dataclass(frozen=True)
class Finding:
    """The finding on one period, in words; ``is_passed`` if it is as usual."""

    is_passed: bool
    observed: str


def judge_volume(volumes: Mapping[date, Volume], start: date, period: Period) -> Finding:
    """Compare the period that starts at ``start`` with the period a year before, or with the median of earlier ones.

    ``volumes`` has every period of the log up to this one, including periods without lines.
    """
    now, year_before = volumes[start], period.year_before(start)
    if year_before in volumes:
        known, against = [volumes[year_before]], f"in the {period} from {year_before}"
    else:
        known = [volumes[day] for day in period.like_before(start, PERIODS_BEFORE) if day in volumes]
        against = f"as median of the {len(known)} {period}s before"
    compared, unusual = [], []
    for name, value in now.items():
        before = [volume[name] for volume in known]
        usual = median(number for number in before if number is not None) if any(before) else None
        if value is None or usual is None or usual < (FEWEST_COMPARED if name != "revenue" else 1):
            continue
        compared.append(f"{value:,.0f} {name}")
        if not usual / VOLUME_FACTOR <= value <= usual * VOLUME_FACTOR:
            unusual.append(f"{value:,.0f} {name}, {usual:,.0f} {against}")
    if not compared:
        return Finding(True, f"{period} from {start}: too little before it to compare with")
    return Finding(not unusual, f"{period} from {start}: {'; '.join(unusual or compared)}")


def judge_silence(order_days: Sequence[date], start: date, as_of: date, horizon_days: int) -> Finding:
    """Whether a silence of at least the horizon ended between ``start`` and ``as_of``, or still lasts at ``as_of``.

    ``order_days`` are the days with a purchase, in order.
    """
    first, last = (bisect_left(order_days, day) for day in (start, as_of))
    ends = [*order_days[max(first - 1, 0) : last], as_of]
    longest = max(pairwise(ends), key=lambda silence: silence[1] - silence[0], default=None)
    if longest is None:
        return Finding(True, f"nobody has bought before {as_of}")
    before, after = longest
    days = (after - before).days - 1
    if days < horizon_days:
        return Finding(True, f"up to {as_of} nobody bought for {days} days at most, and the horizon has {horizon_days}")
    return Finding(
        False,
        f"nobody bought from {before + timedelta(days=1)} to {after - timedelta(days=1)}, {days} days, and the horizon"
        f" has {horizon_days}: if rows are missing, add their files and run again; if the shop was closed, forecasts"
        " that rest on that time are wrong or withheld",
    )


def judge_missing(column: str, missing: tuple[int, int], before: tuple[int, int]) -> Finding:
    """Compare the missing share of ``column`` with the previous period's; each is (missing lines, lines)."""
    if not (missing[1] and before[1]):
        return Finding(True, f"{column}: no lines to compare")
    share, share_before = missing[0] / missing[1], before[0] / before[1]
    pooled = (missing[0] + before[0]) / (missing[1] + before[1])
    error = sqrt(pooled * (1 - pooled) * (1 / missing[1] + 1 / before[1]))
    jump = abs(share - share_before)
    words = f"{column}: missing in {share:.1%} of {missing[1]:,} lines, {share_before:.1%} in the period before"
    return Finding(jump <= max(MISSING_SHARE_JUMP, 4 * error), words)
