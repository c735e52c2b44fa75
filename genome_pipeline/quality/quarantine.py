"""How much of a period may be set aside: a limit per reason, and a comparison with earlier periods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from math import sqrt
from statistics import median

from genome_pipeline.calendar import Period
from genome_pipeline.quality.volume import PERIODS_BEFORE, Finding

FEWEST_SET_ASIDE = 10
"""Fewer rows than this may be stray and block nothing."""

SHARE_JUMP = 0.05
"""A share is reported if it rose by more than this and by more than four standard errors."""


@dataclass(frozen=True)
class Place:
    """The file with most rows of a reason: how many rows, and the first of them."""

    row_count: int
    file: str
    first_row: int

    def __str__(self) -> str:
        return f"{self.row_count:,} of them in {self.file}, the first in row {self.first_row:,}"


@dataclass(frozen=True)
class SetAside:
    """Source rows of a period, or of the rows without one: all rows, rows set aside, and rows by reason.

    A row with two reasons counts under both. ``places`` tells where most rows of each reason are.
    """

    rows: int = 0
    set_aside: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)

    def share(self, reason: str) -> float:
        """Share of the rows that were set aside for the reason; 0 where there are no rows."""
        return self.reasons.get(reason, 0) / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Limits:
    """Greatest share of a period's rows that may be set aside for a reason: ``one``, or the reason's own limit."""

    one: float
    by_reason: Mapping[str, float]

    def of(self, reason: str) -> float:
        """The reason's own limit, or else the common one."""
        return self.by_reason.get(reason, self.one)

    @property
    def together(self) -> float:
        """The limit for all reasons together: halfway between the greatest limit and 1."""
        return (1 + max([self.one, *self.by_reason.values()])) / 2


def judge_share(found: SetAside, limits: Limits, what: str) -> Finding:
    """Compare the share of ``what`` that was set aside with the limits; names the leading reason and its file."""
    if not found.set_aside:
        return Finding(True, f"{what}: none of {found.rows:,} rows set aside")
    # Sorted by excess over the limit, so that the reason named is the one that blocks.
    leading = max(found.reasons, key=lambda reason: (found.share(reason) - limits.of(reason), reason))
    beyond = found.share(leading) > limits.of(leading)
    if not beyond:
        leading = max(found.reasons, key=lambda reason: (found.reasons[reason], reason))
    share = found.set_aside / found.rows
    is_passed = found.set_aside < FEWEST_SET_ASIDE or not (beyond or share > limits.together)
    words = (
        f"{what}: {share:.1%} of {found.rows:,} rows set aside, {found.share(leading):.1%} for {leading}"
        f" ({found.places[leading]})"
    )
    if not is_passed:
        bound = (
            f"at most {limits.of(leading):.0%} may be for one reason"
            if beyond
            else f"at most {limits.together:.0%} may be in all"
        )
        words += (
            f"; {bound}: repair the source, or raise quality.max_quarantined_share"
            " (quality.max_quarantined_share_by_reason for this reason alone)"
        )
    return Finding(is_passed, words)


def judge_rise(periods: Mapping[date, SetAside], start: date, period: Period) -> Finding:
    """Compare each reason's share in the period with the median of its shares in earlier periods."""
    now = periods[start]
    before = [periods[day] for day in period.like_before(start, PERIODS_BEFORE) if day in periods and periods[day].rows]
    what = f"{period} from {start}"
    if not (before and now.rows):
        return Finding(True, f"{what}: nothing to compare with")
    risen = []
    for reason, count in sorted(now.reasons.items(), key=lambda item: (-item[1], item[0])):
        usual = median(known.share(reason) for known in before)
        rows = sum(known.rows for known in before)
        pooled = (count + sum(known.reasons.get(reason, 0) for known in before)) / (now.rows + rows)
        error = sqrt(pooled * (1 - pooled) * (1 / now.rows + 1 / rows))
        if now.share(reason) - usual > max(SHARE_JUMP, 4 * error):
            risen.append(
                f"{now.share(reason):.1%} of {now.rows:,} rows set aside for {reason}, {usual:.1%} as median of the"
                f" {len(before)} {period}s before ({now.places[reason]})"
            )
    return Finding(not risen, f"{what}: {'; '.join(risen) or 'no reason sets aside more than before'}")
