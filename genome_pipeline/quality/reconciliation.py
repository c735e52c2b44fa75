"""Nothing lost: every source row and every cent is in exactly one of validated and quarantined."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Tally:
    """Rows and their amount in integer cents."""

    row_count: int = 0
    cents: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.row_count + other.row_count, self.cents + other.cents)


@dataclass(frozen=True)
class Reconciliation:
    """The balance of one period, of the rows without one (``period_start_date`` is ``None``), or of all rows."""

    period_start_date: date | None
    is_total: bool
    raw: Tally
    validated: Tally
    quarantined: Tally

    @property
    def is_passed(self) -> bool:
        """Whether validated and quarantined make up raw, in rows and in cents."""
        return self.validated + self.quarantined == self.raw

    @property
    def observed(self) -> str:
        """What was found, in words."""
        kept = self.validated + self.quarantined
        rows, cents = kept.row_count - self.raw.row_count, kept.cents - self.raw.cents
        differences = [_difference(rows, "rows", self.raw.row_count)] * bool(rows)
        differences += [_difference(cents, "cents", self.raw.cents)] * bool(cents)
        if differences:
            return f"validated and quarantined have {' and '.join(differences)} of raw"
        return (
            f"raw {self.raw.row_count:,} rows and {self.raw.cents:,} cents ="
            f" validated {self.validated.row_count:,} and {self.validated.cents:,}"
            f" + quarantined {self.quarantined.row_count:,} and {self.quarantined.cents:,}"
        )


def reconcile(raw: pd.DataFrame, validated: pd.DataFrame, quarantined: pd.DataFrame) -> list[Reconciliation]:
    """Balance of every period that any of the frames has, those without a date after them, the total last.

    Each frame has ``period_start_date`` (null for rows without a period), ``row_count`` and ``cents`` (null where no
    amount is known).
    """
    sides = [_tallies(frame) for frame in (raw, validated, quarantined)]
    periods = sorted({period for side in sides for period in side}, key=lambda period: (period is None, period))
    balances = [Reconciliation(period, False, *(side.get(period, Tally()) for side in sides)) for period in periods]
    return [*balances, Reconciliation(None, True, *(sum(side.values(), Tally()) for side in sides))]


def _tallies(frame: pd.DataFrame) -> dict[date | None, Tally]:
    tallies: dict[date | None, Tally] = {}
    for start, row_count, cents in zip(frame["period_start_date"], frame["row_count"], frame["cents"], strict=True):
        period = None if pd.isna(start) else pd.Timestamp(start).date()
        tally = Tally(_whole(row_count), 0 if pd.isna(cents) else _whole(cents))
        tallies[period] = tallies.get(period, Tally()) + tally
    return tallies


def _whole(number: Any) -> int:
    whole = int(number)
    if whole != number:
        raise ValueError(f"rows and cents are whole numbers, not {number}")
    return whole


def _difference(difference: int, unit: str, expected: int) -> str:
    return f"{abs(difference):,} {unit} {'more' if difference > 0 else 'fewer'} than the {expected:,}"
