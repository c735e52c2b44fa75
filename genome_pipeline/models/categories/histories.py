"""What customers bought of each category, as flat arrays; and what they bought next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import by_customer, numbers

Ints = NDArray[np.int64]
Names = NDArray[np.object_]


@dataclass(frozen=True)
class Histories:
    """Customers, and a *pair* for each category that one of them bought, the most frequent ones of each first.

    Attributes:
        customers: a row for each customer, sorted by ``customer_id``.
        rows: position of each pair's customer, rising, shape (pairs,).
        places: 0 for the category of the customer with the most purchase days, shape (pairs,).
        names: categories, shape (pairs,).
        facts: counts and days of each pair by name, shape (pairs,) each: ``counts``, ``recent_counts`` and
            ``previous_counts`` of purchase days, ``first_days`` and ``last_days`` before ``as_of``.
    """

    customers: pd.DataFrame
    rows: Ints
    places: Ints
    names: Names
    facts: dict[str, Floats]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Histories:
        """From rows of :func:`genome_pipeline.transforms.taste.category_histories`."""
        customers = by_customer(frame)
        sizes = _sizes(customers["categories"])
        rows = np.repeat(np.arange(len(customers)), sizes)
        starts = np.cumsum(sizes) - sizes
        return cls(
            customers.drop(columns=["categories", *_FACTS]),
            rows,
            np.arange(len(rows)) - starts[rows],
            _flat(customers["categories"], sizes, np.object_),
            {name: _flat(customers[name], sizes, np.float64) for name in _FACTS},
        )

    def part(self, start: int, stop: int) -> Histories:
        """The customers from position ``start`` to ``stop``, exclusive."""
        first, last = np.searchsorted(self.rows, (start, stop))
        return Histories(
            self.customers.iloc[start:stop].reset_index(drop=True),
            self.rows[first:last] - start,
            self.places[first:last],
            self.names[first:last],
            {name: values[first:last] for name, values in self.facts.items()},
        )

    def only(self, positions: Ints) -> Histories:
        """The customers at some positions, which rise."""
        is_kept = np.isin(self.rows, positions)
        return Histories(
            self.customers.iloc[positions].reset_index(drop=True),
            np.searchsorted(positions, self.rows[is_kept]),
            self.places[is_kept],
            self.names[is_kept],
            {name: values[is_kept] for name, values in self.facts.items()},
        )

    def each(self, name: str) -> Floats:
        """A number of each customer, shape (customers,)."""
        return numbers(self.customers[name])


_FACTS = ("counts", "recent_counts", "previous_counts", "first_days", "last_days")


@dataclass(frozen=True, eq=False)
class LabelledHistories:
    """A matured snapshot: histories, and the categories that those who bought within the horizon bought.

    ``bought`` has a row for each of ``histories.customers`` who bought anything: ``customer_id`` and ``categories``, a
    list that is empty for one who bought only what has no category.
    """

    as_of: date
    histories: Histories
    bought: pd.DataFrame

    def buyers(self) -> tuple[Histories, Names, Ints]:
        """Those who bought; the categories that they bought, and the position of the buyer of each, which rises."""
        bought = by_customer(self.bought)
        positions = pd.Index(self.histories.customers["customer_id"]).get_indexer(pd.Index(bought["customer_id"]))
        sizes = _sizes(bought["categories"])
        return (
            self.histories.only(positions.astype(np.int64)),
            _flat(bought["categories"], sizes, np.object_),
            np.repeat(np.arange(len(bought)), sizes),
        )


def _sizes(lists: pd.Series[Any]) -> Ints:
    """The length of each list; 0 for a null, which DuckDB gives as one of several values."""
    return np.array([len(each) if hasattr(each, "__len__") else 0 for each in lists], dtype=np.int64)


def _flat(lists: pd.Series[Any], sizes: Ints, dtype: type[Any]) -> NDArray[Any]:
    """The values of all lists, one list after the other."""
    parts = lists.to_numpy(object)[sizes > 0].tolist()
    return np.concatenate(parts).astype(dtype) if parts else np.empty(0, dtype=dtype)
