"""Venn-Abers calibration: two probabilities that bound the share of events among customers of similar rank.

Vovk, V. and Petej, I. (2014), "Venn-Abers Predictors", UAI, and Vovk, V., Petej, I. and Fedorova, V. (2015),
"Large-scale probabilistic predictors with and without guarantees of validity", NeurIPS (the inductive kind).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from genome_pipeline.models.arrays import Floats

_SCORE_GROUPS = 100
_DIGITS = 9
"""Scores are rounded to this many decimals before grouping: beyond them they differ between processors."""


@dataclass(frozen=True)
class VennAbers:
    """Inductive Venn-Abers calibrator of scores that rise with the probability of an event.

    Scores fall into groups of equal frequency in the calibration data, as only the rank of a score is used.

    Attributes:
        edges: inner edges of the groups, increasing, shape (groups - 1,).
        lower: probability of the event if the new customer counts as a non-event, shape (groups,), in [0, 1].
        upper: the same if it counts as an event; at least ``lower``.
    """

    edges: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def fit(cls, scores: ArrayLike, is_event: ArrayLike) -> VennAbers:
        """Fit on the scores and outcomes of customers the scoring model did not learn from, each of shape (n,).

        For each group, isotonic regression is run with one more row in it, once as a non-event and once as an event.
        Its value there is max over i <= g of min over j >= g of the mean outcome of groups i..j (Robertson, T.,
        Wright, F. T. and Dykstra, R. L. (1988), "Order Restricted Statistical Inference", eq. 1.4.1).
        """
        values = np.round(np.asarray(scores, dtype=np.float64), _DIGITS)
        outcomes = np.asarray(is_event, dtype=np.float64)
        edges = np.unique(np.quantile(values, np.arange(1, _SCORE_GROUPS) / _SCORE_GROUPS))
        group = np.searchsorted(edges, values, side="right")
        count = np.concatenate([[0.0], np.cumsum(np.bincount(group, minlength=edges.size + 1))])
        events = np.concatenate([[0.0], np.cumsum(np.bincount(group, outcomes, minlength=edges.size + 1))])
        bounds: list[list[float]] = [[], []]
        for g in range(edges.size + 1):
            rows = count[g + 1 :] - count[: g + 1, np.newaxis] + 1
            happened = events[g + 1 :] - events[: g + 1, np.newaxis]
            for outcome in (0, 1):
                bounds[outcome].append(float(((happened + outcome) / rows).min(axis=1).max()))
        return cls(tuple(edges.tolist()), tuple(bounds[0]), tuple(bounds[1]))

    def apply(self, scores: ArrayLike) -> tuple[Floats, Floats]:
        """Lower and upper bound of each score."""
        group = np.searchsorted(self.edges, np.round(np.asarray(scores, dtype=np.float64), _DIGITS), side="right")
        return np.asarray(self.lower)[group], np.asarray(self.upper)[group]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return {"edges": list(self.edges), "lower": list(self.lower), "upper": list(self.upper)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> VennAbers:
        """Inverse of :meth:`to_dict`."""
        return cls(tuple(state["edges"]), tuple(state["lower"]), tuple(state["upper"]))
