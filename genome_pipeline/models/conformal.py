"""Split-conformal prediction intervals that hold within bins of the prediction, not only on average.

Sources:

- Vovk, V., Gammerman, A. and Shafer, G. (2005), "Algorithmic Learning in a Random World", ch. 4.5: Mondrian
  (category-wise) conformal prediction, here with bins of the predicted value as categories.
- Lei, J., G'Sell, M., Rinaldo, A., Tibshirani, R. J. and Wasserman, L. (2018), "Distribution-Free Predictive Inference
  for Regression", JASA 113(523): split conformal, and the finite-sample rank ceil((n + 1) level).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genome_pipeline.models.btyd import NotEnoughData

Floats = NDArray[np.float64]

MAXIMUM_BINS = 10
MINIMUM_ROWS_PER_BIN = 50


@dataclass(frozen=True)
class ConformalIntervals:
    """Fitted intervals: a prediction falls into one bin, whose two offsets are added to it.

    Attributes:
        level: coverage asked for, in (0, 1).
        edges: inner edges of the bins, increasing, shape (bins - 1,); a prediction at an edge is in the upper bin.
        lower_offsets: at most 0, shape (bins,).
        upper_offsets: at least 0, shape (bins,).
    """

    level: float
    edges: tuple[float, ...]
    lower_offsets: tuple[float, ...]
    upper_offsets: tuple[float, ...]

    def apply(self, predicted: ArrayLike) -> tuple[Floats, Floats]:
        """Bounds of each prediction, 0 <= lower <= predicted <= upper; predictions must be at least 0."""
        values = np.asarray(predicted, dtype=np.float64)
        bins = np.searchsorted(self.edges, values, side="right")
        lower = np.maximum(values + np.asarray(self.lower_offsets)[bins], 0.0)
        return lower, values + np.asarray(self.upper_offsets)[bins]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return {
            "level": self.level,
            "edges": list(self.edges),
            "lower_offsets": list(self.lower_offsets),
            "upper_offsets": list(self.upper_offsets),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ConformalIntervals:
        """Inverse of :meth:`to_dict`."""
        offsets = (tuple(state[name]) for name in ("edges", "lower_offsets", "upper_offsets"))
        return cls(state["level"], *offsets)


def fit_intervals(predicted: ArrayLike, actual: ArrayLike, level: float) -> ConformalIntervals:
    """Fit on predictions whose outcomes are known, made by a model that did not learn from them.

    Bins are quantile bins of ``predicted``: at most :data:`MAXIMUM_BINS`, and at least :data:`MINIMUM_ROWS_PER_BIN`
    rows in each (more where the tail asked for is thinner than one row in so many).

    Within a bin of n rows, the lower offset is the residual (actual less predicted) of rank floor((n + 1) (1 - level)
    / 2), so that half of the misses allowed are below. Where the clip of the interval at 0 leaves fewer misses below,
    which is the rule where most customers buy nothing, the upper tail gets what is left: its rank is ceil((n + 1)
    level) plus the rows missed below. Coverage is thus near ``level`` in every bin, above it only where outcomes tie
    (a bin in which 95% buy nothing) or a prediction is itself the bound.

    Raises:
        NotEnoughData: fewer rows than one bin needs.
        ValueError: the level is not in (0, 1), or a prediction is negative.
    """
    if not 0 < level < 1:
        raise ValueError(f"interval level must be between 0 and 1, not {level}")
    values = np.asarray(predicted, dtype=np.float64)
    outcomes = np.asarray(actual, dtype=np.float64)
    if np.any(values < 0):
        raise ValueError("predictions must be at least 0")
    minimum_rows = max(MINIMUM_ROWS_PER_BIN, math.ceil(2 / (1 - level)))
    if values.size < minimum_rows:
        raise NotEnoughData(f"only {values.size} outcomes are known: intervals need {minimum_rows}")

    edges = _bin_edges(values, minimum_rows)
    bins = np.searchsorted(edges, values, side="right")
    offsets = [_offsets(values[bins == index], outcomes[bins == index], level) for index in range(len(edges) + 1)]
    lower_offsets, upper_offsets = zip(*offsets, strict=True)
    return ConformalIntervals(level, tuple(edges), tuple(lower_offsets), tuple(upper_offsets))


def _bin_edges(values: Floats, minimum_rows: int) -> list[float]:
    """Inner edges of quantile bins, without those that would leave a bin too few rows (predictions may tie)."""
    bin_count = min(MAXIMUM_BINS, values.size // minimum_rows)
    ordered = np.sort(values)
    edges: list[float] = []
    first_row = 0
    for edge in np.quantile(ordered, np.arange(1, bin_count) / bin_count).tolist():
        row = int(np.searchsorted(ordered, edge, side="left"))
        if row - first_row >= minimum_rows and values.size - row >= minimum_rows:
            edges.append(edge)
            first_row = row
    return edges


def _offsets(predicted: Floats, actual: Floats, level: float) -> tuple[float, float]:
    """Lower and upper offset of one bin."""
    residuals = np.sort(actual - predicted)
    n = residuals.size
    lower_rank = math.floor((n + 1) * (1 - level) / 2)
    lower_offset = min(float(residuals[lower_rank - 1]), 0.0)
    lower = np.maximum(predicted + lower_offset, 0.0)
    # A row between two order statistics is missed below even where none of the n is: hence one more, unless no
    # outcome can be below 0, the bound of every row.
    missed_below = int(np.count_nonzero(actual < lower)) + int(np.any(lower > 0))
    # Nudged down, as 60 * 0.8 is a little more than 48 in floating point.
    upper_rank = min(n, math.ceil((n + 1) * level - 1e-9) + missed_below)
    return lower_offset, max(float(residuals[upper_rank - 1]), 0.0)
