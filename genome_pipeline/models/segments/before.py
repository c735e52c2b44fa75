"""The previous snapshot's segments, with today's customers assigned to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Before:
    """The previous model: its method, its segments in its own order, and its assignment of today's customers.

    ``labels`` are positions in ``ids``, shape (customers,). ``largest_id`` is the largest id ever given.
    """

    method: str
    labels: IntArray
    ids: tuple[int, ...]
    names: tuple[str, ...]
    largest_id: int

    @property
    def count(self) -> int:
        """Number of segments."""
        return len(self.ids)
