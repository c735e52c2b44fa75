"""Nothing lost: every source row and every cent is in exactly one of validated and quarantined."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
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
class Balance:
    """Raw rows and cents beside those validated and quarantined, for a ``key`` (a period, a file; None: no period)."""

    key: Any
    raw: Tally
    validated: Tally
    quarantined: Tally

    @property
    def is_passed(self) -> bool:
        """Whether validated plus quarantined equals raw, in rows and in cents."""
        return self.validated + self.quarantined == self.raw

    @property
    def observed(self) -> str:
        """The finding, in words."""
        differences = difference(self.validated + self.quarantined, self.raw)
        if differences:
            return f"validated and quarantined have {differences} of raw"
        return (
            f"raw {self.raw.row_count:,} rows and {self.raw.cents:,} cents ="
            f" validated {self.validated.row_count:,} and {self.validated.cents:,}"
            f" + quarantined {self.quarantined.row_count:,} and {self.quarantined.cents:,}"
        )


def balances(raw: pd.DataFrame, validated: pd.DataFrame, quarantined: pd.DataFrame, by: str) -> list[Balance]:
    """The balance for every value of column ``by`` in any of the frames, in order, null last.

    Each frame has ``by``, ``row_count`` and ``cents`` (null where no amount is known).
    """
    sides = [tallies(frame, by) for frame in (raw, validated, quarantined)]
    keys = sorted({key for (key,) in set().union(*sides)}, key=lambda key: (key is None, key))
    return [Balance(key, *(side.get((key,), Tally()) for side in sides)) for key in keys]


def total(parts: list[Balance]) -> Balance:
    """The balance over all parts."""
    return Balance(
        None,
        sum((part.raw for part in parts), Tally()),
        sum((part.validated for part in parts), Tally()),
        sum((part.quarantined for part in parts), Tally()),
    )


def tallies(frame: pd.DataFrame, *by: str) -> dict[tuple[Hashable, ...], Tally]:
    """Rows and cents by each combination of the columns ``by``; a null becomes ``None``, a moment its day."""
    found: dict[tuple[Hashable, ...], Tally] = {}
    columns = (*by, "row_count", "cents")
    for *key, row_count, cents in frame[list(columns)].itertuples(index=False):
        values = tuple(None if pd.isna(value) else _day(value) for value in key)
        tally = Tally(_whole(row_count), 0 if pd.isna(cents) else _whole(cents))
        found[values] = found.get(values, Tally()) + tally
    return found


def difference(found: Tally, against: Tally) -> str:
    """By how many rows and cents ``found`` differs from ``against``, in words; empty if it does not."""
    rows, cents = found.row_count - against.row_count, found.cents - against.cents
    differences = [_difference(rows, "rows", against.row_count)] * bool(rows)
    differences += [_difference(cents, "cents", against.cents)] * bool(cents)
    return " and ".join(differences)


def _day(value: Any) -> Hashable:
    return value.date() if isinstance(value, pd.Timestamp) else value


def _whole(number: Any) -> int:
    whole = int(number)
    if whole != number:
        raise ValueError(f"rows and cents are whole numbers, not {number}")
    return whole


def _difference(difference: int, unit: str, against: int) -> str:
    return f"{abs(difference):,} {unit} {'more' if difference > 0 else 'fewer'} than the {against:,}"
