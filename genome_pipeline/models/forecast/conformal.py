"""Conformal prediction intervals of orders and spend, where many customers buy nothing at all.

An interval combines two things. The probability that the customer buys within the horizon moves with the season and is
predicted. The spread of actual over expected values among customers who bought is learned, from customers the model did
not learn from. It is learned within bins of the prediction, so that intervals hold for small and for large customers,
not only on average.

Sources:

- Vovk, V., Gammerman, A. and Shafer, G. (2005), "Algorithmic Learning in a Random World", ch. 4.5: Mondrian
  (category-wise) conformal prediction, here with bins of the predicted value as categories.
- Gupta, C., Kuchibhotla, A. K. and Ramdas, A. (2022), "Nested conformal prediction and quantile out-of-bag ensemble
  methods", Pattern Recognition 127: from a family of nested intervals, take the first that covers enough.
- Lei, J., G'Sell, M., Rinaldo, A., Tibshirani, R. J. and Wasserman, L. (2018), "Distribution-Free Predictive Inference
  for Regression", JASA 113(523): split conformal, and the finite-sample rank ceil((n + 1) level).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.not_enough_data import NotEnoughData

MAXIMUM_BINS = 10
MINIMUM_ROWS_PER_BIN = 50

_SMALLEST_ACTIVITY = 1e-3
_DIGITS = 9
"""Predictions are rounded to this many decimals before binning: beyond them they differ between processors."""

_QUANTILE_LEVELS = np.linspace(0.0, 1.0, 81)
_LEVELS = np.linspace(0.5, 0.995, 67).tolist()


@dataclass(frozen=True)
class ConformalIntervals:
    """Fitted intervals.

    Attributes:
        level: coverage asked for, in (0, 1).
        is_count: whether actuals are whole numbers. Bounds then are whole, too, except where the prediction is the
            bound.
        edges: inner edges of the bins of the prediction, increasing, shape (bins - 1,); a prediction at an edge is in
            the upper bin.
        quantiles: shape (bins, 81): quantiles of actual over expected among the customers of each bin who bought, at 81
            evenly spaced shares from 0 to 1. Expected is the mean given that the customer buys.
        levels: shape (bins,), in (0, 1): the level at which to read each bin's quantiles for its intervals to cover
            ``level``.
    """

    level: float
    is_count: bool
    edges: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]
    levels: tuple[float, ...]

    def apply(self, predicted: Floats, activity: Floats) -> tuple[Floats, Floats]:
        """Bounds of each prediction, 0 <= lower <= predicted <= upper.

        Half of the allowed misses are below the interval. Where the probability of buying nothing exceeds that half,
        the lower bound is 0 and the upper tail gets the rest of the misses, but never more than it has where the lower
        bound begins to rise, so that intervals of a higher level contain those of a lower level. A customer who buys
        with probability p exceeds the upper bound, given that they buy, with probability (1 - level) / p.

        Args:
            predicted: mean of each customer, at least 0, shape (customers,).
            activity: probability that the customer buys, in [0, 1], shape (customers,).
        """
        bins = np.searchsorted(self.edges, np.round(predicted, _DIGITS), side="right")
        buys = np.clip(activity, _SMALLEST_ACTIVITY, 1.0)
        expected = predicted / buys
        misses = 1 - np.asarray(self.levels)[bins]
        below = np.maximum(misses / 2 - (1 - buys), 0.0) / buys
        above = np.where(below > 0, misses / 2, np.minimum(misses, np.minimum(buys, 1 - buys))) / buys
        lower = np.where(below > 0, expected * self._quantile(bins, below), 0.0)
        upper = np.where(above < 1, expected * self._quantile(bins, 1 - above), 0.0)
        if self.is_count:
            lower, upper = np.rint(lower), np.where(above < 1, np.maximum(np.rint(upper), 1.0), 0.0)
        return np.clip(lower, 0.0, predicted), np.maximum(upper, predicted)

    def _quantile(self, bins: NDArray[np.intp], quantile_levels: Floats) -> Floats:
        """Quantile of each customer's bin at that customer's share, interpolated between the stored quantiles."""
        quantiles = np.asarray(self.quantiles)
        place = np.clip(quantile_levels, 0.0, 1.0) * (_QUANTILE_LEVELS.size - 1)
        left = np.minimum(place.astype(np.intp), _QUANTILE_LEVELS.size - 2)
        weight = place - left
        return np.asarray(quantiles[bins, left] * (1 - weight) + quantiles[bins, left + 1] * weight)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return {**vars(self), "quantiles": [[*row] for row in self.quantiles]}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ConformalIntervals:
        """Inverse of :meth:`to_dict`."""
        quantiles = tuple(tuple(row) for row in state["quantiles"])
        return cls(state["level"], state["is_count"], tuple(state["edges"]), quantiles, tuple(state["levels"]))


def fit_intervals(
    predicted: Floats, activity: Floats, actual: Floats, level: float, is_count: bool
) -> ConformalIntervals:
    """Fit on predictions whose outcomes are known, made by a model that did not learn from them.

    All arrays have shape (customers,); the arguments are as in :class:`ConformalIntervals`. Bins are quantile bins of
    the prediction: at most :data:`MAXIMUM_BINS`, each with at least :data:`MINIMUM_ROWS_PER_BIN` customers who bought.
    Only they teach quantiles, since ``activity`` accounts for actuals of 0. Quantiles above the median are rounded up
    to a row, counting one row more than there is; those below it are rounded down. Intervals of rising level are
    nested. Each bin takes the first interval that covers ``level`` of its n customers, plus one customer, plus a
    standard error of that count. Five bins in six then cover ``level`` of future customers (Vovk, V. (2012),
    "Conditional validity of inductive conformal predictors", ACML, section 2).
    Bounds of counts move in whole steps, which alone cover more than asked for. For counts only half a standard error
    is added, and the nearer of two intervals is taken: the first that covers that many, and the last that does not.

    Raises:
        NotEnoughData: fewer customers bought than one bin needs.
        ValueError: the level is not in (0, 1), or a prediction is negative.
    """
    if not 0 < level < 1:
        raise ValueError(f"interval level must be between 0 and 1, not {level}")
    if np.any(predicted < 0):
        raise ValueError("predictions must be at least 0")
    bought = (actual != 0) & (predicted > 0)
    if np.count_nonzero(bought) < MINIMUM_ROWS_PER_BIN:
        raise NotEnoughData(
            f"only {np.count_nonzero(bought)} customers bought again: intervals need {MINIMUM_ROWS_PER_BIN}"
        )
    ratios = actual[bought] * np.clip(activity[bought], _SMALLEST_ACTIVITY, 1.0) / predicted[bought]
    edges = _bin_edges(np.round(predicted, _DIGITS), bought)
    bins = np.searchsorted(edges, np.round(predicted, _DIGITS), side="right")
    each = range(len(edges) + 1)
    quantiles = tuple(tuple(_quantiles(ratios[bins[bought] == index]).tolist()) for index in each)
    size = np.bincount(bins, minlength=len(each))
    wanted = level * (size + 1) + (0.5 if is_count else 1.0) * np.sqrt(size * level * (1 - level))
    levels = np.full(len(each), np.nan)
    last_tried, last_covered = _LEVELS[0], np.full(len(each), -np.inf)
    for tried in _LEVELS:
        lower, upper = ConformalIntervals(level, is_count, tuple(edges), quantiles, (tried,) * len(each)).apply(
            predicted, activity
        )
        covered = np.bincount(bins, (lower <= actual) & (actual <= upper), minlength=len(each))
        is_found = np.isnan(levels) & (covered >= wanted)
        is_nearer = is_found & is_count & (wanted - last_covered < covered - wanted)
        levels[is_found], levels[is_nearer] = tried, last_tried
        last_tried, last_covered = tried, covered
    levels[np.isnan(levels)] = max(_LEVELS[-1], level)
    return ConformalIntervals(level, is_count, tuple(edges), quantiles, tuple(levels.tolist()))


def _quantiles(ratios: Floats) -> Floats:
    """Quantiles of one bin at :data:`_QUANTILE_LEVELS`."""
    grown = _QUANTILE_LEVELS * (ratios.size + 1) / ratios.size
    upper = np.quantile(ratios, np.minimum(grown, 1.0), method="higher")
    lower = np.quantile(ratios, np.maximum(grown - 1 / ratios.size, 0.0), method="lower")
    return np.asarray(np.where(_QUANTILE_LEVELS >= 0.5, upper, lower))


def _bin_edges(predicted: Floats, bought: NDArray[np.bool_]) -> list[float]:
    """Inner edges of quantile bins, without those that would leave too few buyers in a bin (predictions may tie)."""
    ordered = np.sort(predicted[bought])
    edges: list[float] = []
    first_row = 0
    for edge in np.quantile(predicted, np.arange(1, MAXIMUM_BINS) / MAXIMUM_BINS).tolist():
        row = int(np.searchsorted(ordered, edge, side="left"))
        if row - first_row >= MINIMUM_ROWS_PER_BIN and ordered.size - row >= MINIMUM_ROWS_PER_BIN:
            edges.append(edge)
            first_row = row
    return edges
