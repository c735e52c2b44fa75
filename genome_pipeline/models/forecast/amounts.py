"""Mean spend per purchase day of each customer, where amounts have heavy tails.

The mean of a customer's amounts so far is shrunk towards the mean of all customers by its credibility n / (n + k), for
n purchase days (Buhlmann, H. (1967), "Experience Rating and Credibility", ASTIN Bulletin 4(3), 199-207). So no customer
is expected to spend more per day than the largest mean so far, however heavy the tail. The mean of Gamma-Gamma, in
contrast, diverges as its q nears 1.

``k`` is the variance within customers over the variance between them. Both are estimated on logarithms of amounts,
which a few very large amounts do not dominate. Log-normal amounts whose logarithms have variance w within customers and
b between them have ``k = exp(b) * (exp(w) - 1) / (exp(b) - 1)``.

Boosting then corrects this mean: its target is actual spend over expected spend for the same number of purchase days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.drivers import TERMS, no_terms
from genome_pipeline.models.forecast.boosting import Boosted, fit_mean
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.models.snapshots import KEPT_FITS, LabelledSnapshot, model_matrix, pooled_rows

_LEAST_AMOUNT = 1e-9
_LEAST_CUSTOMERS = 10
"""With fewer customers with amounts than this, all customers are taken to have the same mean."""

_LEAST_BETWEEN = 0.02
"""Least variance of the logarithm between customers; below it they are practically alike."""

_USUAL_WITHIN = 0.5
"""Variance of the logarithm within customers, for logs where nobody bought often enough to estimate it."""

_BOOSTING_SHARE = 0.5
"""Factor in [0, 1] on the correction by boosting, in logarithms."""

_LARGEST_CORRECTION = float(np.log(4.0))

_TAIL = 0.99
"""Actual over expected spend is capped at this quantile: boosting would otherwise fit the largest values."""

_TERM = TERMS.index("average_order_value_amount")


@dataclass(frozen=True)
class MeanAmount:
    """Credibility mean of the amount of a purchase day, net of returns.

    ``mean`` is the mean over all purchase days. ``k`` is the number of purchase days at which a customer's own mean
    counts as much as ``mean``. ``largest`` is the largest mean of any customer.
    """

    mean: float
    k: float
    largest: float

    @classmethod
    def fit(cls, features: pd.DataFrame) -> MeanAmount:
        """Fit on ``customer_features`` of one snapshot.

        Raises:
            NotEnoughData: there are no amounts, or nothing was spent.
        """
        days, own = _own_means(features)
        is_known = np.isfinite(own)
        if not is_known.any():
            raise NotEnoughData("no amounts in the source")
        mean = float(np.sum(days[is_known] * own[is_known]) / np.sum(days[is_known]))
        if mean <= 0:
            raise NotEnoughData("nothing was spent before the snapshot")
        return cls(mean, _within_over_between(features, days, own), float(np.max(own[is_known])))

    def predict(self, features: pd.DataFrame) -> Floats:
        """Amount of a purchase day of each customer, shape (customers,), at least 0 and at most the largest so far."""
        days, own = _own_means(features)
        own = np.where(np.isfinite(own), own, self.mean)
        return np.asarray((days * own + self.k * self.mean) / (days + self.k))


def _own_means(features: pd.DataFrame) -> tuple[Floats, Floats]:
    """Purchase days of each customer, and mean net spend per purchase day, at least 0."""
    days = numbers(features["purchase_day_count"])
    return days, np.maximum(numbers(features["spend_amount"]), 0.0) / days


def _within_over_between(features: pd.DataFrame, days: Floats, own: Floats) -> float:
    is_known = np.isfinite(own) & (own > 0)
    if np.count_nonzero(is_known) < _LEAST_CUSTOMERS:
        return 1.0
    deviation, order = numbers(features["order_value_std_amount"]), numbers(features["average_order_value_amount"])
    repeated = is_known & np.isfinite(deviation) & (order > 0) & (days >= 2)
    within = _USUAL_WITHIN
    if np.count_nonzero(repeated) >= _LEAST_CUSTOMERS:
        spread = np.log1p((deviation[repeated] / order[repeated]) ** 2)
        within = float(np.average(spread, weights=days[repeated] - 1))
    between = max(float(np.log(own[is_known]).var() - np.mean(within / days[is_known])), _LEAST_BETWEEN)
    return float(np.exp(between) * np.expm1(within) / np.expm1(between))


@dataclass(frozen=True)
class Amounts:
    """Mean amount, corrected by ``boosting`` where known outcomes allowed to fit it."""

    mean: MeanAmount
    boosting: Boosted | None

    @classmethod
    def fit(cls, features: pd.DataFrame, snapshots: Sequence[LabelledSnapshot], seed: int) -> Amounts:
        """Fit on a snapshot and on earlier labelled snapshots. Raises :class:`NotEnoughData`."""
        mean = MeanAmount.fit(features)
        try:
            return cls(mean, _fit_boosting(tuple(snapshots), seed))
        except NotEnoughData:
            return cls(mean, None)

    def predict(self, features: pd.DataFrame) -> Floats:
        """Amount of a purchase day of each customer, shape (customers,), at most the largest mean so far."""
        return np.exp(self.linear(features))

    def linear(self, features: pd.DataFrame) -> Floats:
        """Logarithm of the amount, shape (customers,)."""
        total = np.log(np.maximum(self.mean.predict(features), _LEAST_AMOUNT))
        if self.boosting is not None:
            correction = _BOOSTING_SHARE * self.boosting.linear(model_matrix(features))
            total = total + np.clip(correction, -_LARGEST_CORRECTION, _LARGEST_CORRECTION)
        return np.asarray(np.minimum(total, np.log(max(self.mean.largest, _LEAST_AMOUNT))))

    def terms(self, features: pd.DataFrame) -> Floats:
        """Terms that add up to the logarithm, shape (customers, terms + 1)."""
        found = no_terms(len(features))
        if self.boosting is not None:
            contributions = _BOOSTING_SHARE * self.boosting.contributions(model_matrix(features))
            found[:, : len(GENES)], found[:, -1] = contributions[:, :-1], contributions[:, -1]
        # Bounds, where they apply, count as part of the customer's own mean.
        found[:, _TERM] += self.linear(features) - found.sum(axis=1)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return {"mean": vars(self.mean), "boosting": None if self.boosting is None else self.boosting.to_dict()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Amounts:
        """Inverse of :meth:`to_dict`."""
        boosting = None if state["boosting"] is None else Boosted.from_dict(state["boosting"])
        return cls(MeanAmount(**state["mean"]), boosting)


@lru_cache(maxsize=KEPT_FITS)
def _fit_boosting(snapshots: tuple[LabelledSnapshot, ...], seed: int) -> Boosted:
    features, outcomes = pooled_rows(snapshots, seed)
    expected = MeanAmount.fit(features).predict(features) * numbers(outcomes["actual_orders"])
    spent = np.maximum(numbers(outcomes["actual_spend"]), 0.0)
    is_used = np.isfinite(spent) & (expected > 0)
    if not is_used.any():
        raise NotEnoughData("nobody bought in the horizons of the matured snapshots")
    expected, spent = expected[is_used], spent[is_used]
    spent = np.minimum(spent, float(np.quantile(spent / expected, _TAIL)) * expected)
    return fit_mean(model_matrix(features)[is_used], spent, expected, seed)
