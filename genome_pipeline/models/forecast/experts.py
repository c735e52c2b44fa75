"""Experts: what each single model says of a customer, on the scale on which experts are joined.

Of the probability of a purchase within the horizon that is the log-odds; of the mean number of purchase days of those
who buy, the logarithm of those beyond the first. Experts:

- ``btyd``: Pareto/NBD, from the purchase histories of the snapshot itself; needs no outcomes.
- ``boosting`` and ``regression``: over the genes, trained on outcomes over the whole horizon at earlier snapshots.
- ``boosting_half`` and ``regression_half``: the same, on outcomes over half the horizon, which are known earlier. Their
  level is not that of the horizon, and is not used.

An expert that repeats the recent windows was tried and left out: on no log of the panel did it earn a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.btyd.pareto_nbd import PARETO_PRIOR, ParetoNbd, fit_pareto_nbd
from genome_pipeline.models.drivers import PURCHASE_RATE, SILENCE, TERMS, no_terms
from genome_pipeline.models.forecast.boosting import Boosted, fit_mean, fit_probability
from genome_pipeline.models.forecast.regression import LogRegression, fit_log_regression
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.models.snapshots import (
    KEPT_FITS,
    LabelledSnapshot,
    model_matrix,
    pooled_rows,
    purchase_history,
    training_horizon,
    training_snapshots,
)

Floats = NDArray[np.float64]

SMALLEST_PROBABILITY = 1e-6
"""Probabilities of experts count as at least this, and at most 1 less this."""

_LEAST_FURTHER = 0.01
"""Purchase days beyond the first count as at least this many in a logarithm."""

_LEAST_RATE = 0.05

_TAIL = 0.99
"""Purchase days over what was expected count as at most this quantile of it."""


class Expert(Protocol):
    """One model's say on all customers."""

    def linear(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """On the scale on which experts are joined, for rows of ``customer_features``, shape (customers,)."""
        ...

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """What adds up to :meth:`linear`: shape (customers, terms + 1).

        Columns are :data:`genome_pipeline.models.drivers.TERMS` and a constant.
        """
        ...

    def parameters(self) -> dict[str, Any]:
        """What was fitted, as JSON can hold it."""
        ...


class Training(NamedTuple):
    """Labelled snapshots that experts learn from, oldest first: over the whole horizon, and over half of it."""

    whole: tuple[LabelledSnapshot, ...]
    half: tuple[LabelledSnapshot, ...]

    @classmethod
    def at(cls, snapshots: Sequence[LabelledSnapshot], by: pd.Timestamp | Any, horizon_days: int) -> Training:
        """What was known by a date."""
        half = training_horizon(horizon_days)
        return cls(*(training_snapshots(snapshots, by, days, horizon_days) for days in (horizon_days, half)))


def fit_purchases(features: pd.DataFrame) -> ParetoNbd:
    """Pareto/NBD of the purchase histories of a snapshot. Raises :class:`NotEnoughData`."""
    return fit_pareto_nbd(*purchase_history(features), PARETO_PRIOR)


@dataclass(frozen=True)
class BtydActivity:
    """Log-odds of a purchase by Pareto/NBD."""

    purchases: ParetoNbd

    def linear(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """See :class:`Expert`."""
        return _logit(self.purchases.purchase_probability(*purchase_history(features), horizon_days))

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """See :class:`Expert`: the rate of purchases, and what the silence since the last takes from it."""
        found, history = no_terms(len(features)), purchase_history(features)
        found[:, -1] = 0.0
        total = self.linear(features, horizon_days)
        alive = np.maximum(self.purchases.p_alive(*history), SMALLEST_PROBABILITY)
        rate = _logit(self.purchases.purchase_probability(*history, horizon_days) / alive)
        found[:, TERMS.index(PURCHASE_RATE)], found[:, TERMS.index(SILENCE)] = rate, total - rate
        return found

    def parameters(self) -> dict[str, Any]:
        """See :class:`Expert`."""
        return self.purchases.to_dict()


@dataclass(frozen=True)
class GeneActivity:
    """Log-odds of a purchase by a model over the genes."""

    model: Boosted | LogRegression

    def linear(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """See :class:`Expert`."""
        return self.model.linear(model_matrix(features))

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """See :class:`Expert`."""
        return _of_genes(self.model.contributions(model_matrix(features)))

    def parameters(self) -> dict[str, Any]:
        """See :class:`Expert`."""
        return self.model.to_dict()


@dataclass(frozen=True)
class BtydOrders:
    """Logarithm of the purchase days beyond the first of those who buy, by Pareto/NBD."""

    purchases: ParetoNbd

    def linear(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """See :class:`Expert`."""
        history = purchase_history(features)
        buys = np.maximum(self.purchases.purchase_probability(*history, horizon_days), SMALLEST_PROBABILITY)
        expected = self.purchases.expected_purchases(*history, horizon_days)
        return np.asarray(np.log(np.maximum(expected / buys - 1, _LEAST_FURTHER)))

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """See :class:`Expert`."""
        found = no_terms(len(features))
        found[:, TERMS.index(PURCHASE_RATE)] = self.linear(features, horizon_days)
        return found

    def parameters(self) -> dict[str, Any]:
        """See :class:`Expert`."""
        return self.purchases.to_dict()


@dataclass(frozen=True)
class BoostedOrders:
    """The same by boosting: trees correct a line in the logarithm of the customer's rate so far.

    The slope, which shrinks extreme rates towards the mean, is that of a Poisson regression; at most 1, as a rate of
    the past is known with an error, and nobody's future is to be more extreme than their past. The rate is the mean of
    that over the recent window and of that over the lifetime, which is shrunk to that of all as if everyone had one
    more purchase day: ``(purchase days + 1) / (T + mean_gap_days)``.
    """

    trees: Boosted
    slope: float
    mean_gap_days: float
    days: int

    def linear(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """See :class:`Expert`."""
        return self.slope * _log_rate(features, self.days, self.mean_gap_days) + self.trees.linear(
            model_matrix(features)
        )

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """See :class:`Expert`."""
        found = _of_genes(self.trees.contributions(model_matrix(features)))
        found[:, TERMS.index(PURCHASE_RATE)] += self.slope * _log_rate(features, self.days, self.mean_gap_days)
        return found

    def parameters(self) -> dict[str, Any]:
        """See :class:`Expert`."""
        return {
            "trees": self.trees.to_dict(),
            "slope": self.slope,
            "mean_gap_days": self.mean_gap_days,
            "days": self.days,
        }


class Fitted(NamedTuple):
    """Experts by name; and of those that could not be fitted why, as a clause."""

    experts: dict[str, Expert]
    missing: dict[str, str]


def fit_activity(features: pd.DataFrame, training: Training, seed: int) -> Fitted:
    """The experts on whether a customer buys. Raises :class:`NotEnoughData` without Pareto/NBD."""
    return _fitted(
        BtydActivity(fit_purchases(features)),
        {
            "boosting": partial(_boosted_activity, training.whole, seed),
            "regression": partial(_regressed_activity, training.whole, seed),
            "boosting_half": partial(_boosted_activity, training.half, seed),
            "regression_half": partial(_regressed_activity, training.half, seed),
        },
    )


def fit_orders(features: pd.DataFrame, training: Training, seed: int) -> Fitted:
    """The experts on how often a customer who buys does so. Raises :class:`NotEnoughData` without Pareto/NBD."""
    return _fitted(
        BtydOrders(fit_purchases(features)),
        {
            "boosting": partial(_boosted_orders, training.whole, seed),
            "boosting_half": partial(_boosted_orders, training.half, seed),
        },
    )


def _fitted(btyd: Expert, others: Mapping[str, Callable[[], Expert]]) -> Fitted:
    found = Fitted({"btyd": btyd}, {})
    for name, fit in others.items():
        try:
            found.experts[name] = fit()
        except NotEnoughData as reason:
            found.missing[name] = str(reason)
    return found


def load_expert(name: str, target: str, state: dict[str, Any]) -> Expert:
    """Inverse of :meth:`Expert.parameters`, of an expert of ``activity`` or ``orders``."""
    if name == "btyd":
        purchases = ParetoNbd.from_dict(state)
        return BtydActivity(purchases) if target == "activity" else BtydOrders(purchases)
    if target == "orders":
        return BoostedOrders(Boosted.from_dict(state["trees"]), state["slope"], state["mean_gap_days"], state["days"])
    kind = Boosted if name.startswith("boosting") else LogRegression
    return GeneActivity(kind.from_dict(state))


@lru_cache(maxsize=KEPT_FITS)
def _boosted_activity(snapshots: tuple[LabelledSnapshot, ...], seed: int) -> GeneActivity:
    return GeneActivity(fit_probability(*_activity_rows(snapshots, seed), seed))


@lru_cache(maxsize=KEPT_FITS)
def _regressed_activity(snapshots: tuple[LabelledSnapshot, ...], seed: int) -> GeneActivity:
    return GeneActivity(fit_log_regression(*_activity_rows(snapshots, seed)))


@lru_cache(maxsize=2)
def _activity_rows(snapshots: tuple[LabelledSnapshot, ...], seed: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Genes, and who bought."""
    features, outcomes = pooled_rows(snapshots, seed)
    return model_matrix(features), ~outcomes["has_churned"].to_numpy(bool)


@lru_cache(maxsize=KEPT_FITS)
def _boosted_orders(snapshots: tuple[LabelledSnapshot, ...], seed: int) -> BoostedOrders:
    from sklearn.linear_model import PoissonRegressor

    features, outcomes = pooled_rows(snapshots, seed)
    days = snapshots[-1].horizon_days
    mean_gap_days = float(numbers(features["t_days"]).sum() / numbers(features["purchase_day_count"]).sum())
    orders = numbers(outcomes["actual_orders"])
    bought = orders > 0
    further = orders[bought] - 1
    log_rate = _log_rate(features, days, mean_gap_days)[bought]
    if not np.any(further > 0):
        raise NotEnoughData("nobody bought on more than one day in the horizons of the matured snapshots")
    line = PoissonRegressor(alpha=1e-6, solver="newton-cholesky", tol=1e-8).fit(log_rate[:, np.newaxis], further)
    slope = min(float(line.coef_[0]), 1.0)
    expected = np.exp(slope * log_rate)
    # Boosting would chase the few who buy most, and hand what they did on to all who buy at such a rate.
    further = np.minimum(further, float(np.quantile(further / expected, _TAIL)) * expected)
    trees = fit_mean(model_matrix(features)[bought], further, expected, seed)
    return BoostedOrders(trees, slope, mean_gap_days, days)


def _log_rate(features: pd.DataFrame, days: int, mean_gap_days: float) -> Floats:
    """Logarithm of the purchase days within some days at the customer's rate so far; see :class:`BoostedOrders`."""
    window = numbers(features["recent_window_days"])
    recent = np.divide(
        numbers(features["recent_purchase_day_count"]) * days, window, out=np.zeros_like(window), where=window > 0
    )
    lifetime = (numbers(features["purchase_day_count"]) + 1) / (numbers(features["t_days"]) + mean_gap_days) * days
    return np.asarray(np.log((lifetime + recent) / 2 + _LEAST_RATE))


def _logit(probability: Floats) -> Floats:
    return np.asarray(logit(np.clip(probability, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)))


def _of_genes(contributions: Floats) -> Floats:
    """Terms of contributions of shape (customers, genes + 1), the last of which is a constant."""
    found = no_terms(len(contributions))
    found[:, : len(GENES)], found[:, -1] = contributions[:, :-1], contributions[:, -1]
    return found
