"""Experts: single models of a customer's purchases, on the scale on which the forecast joins them.

For the probability of a purchase within the horizon the scale is log-odds. For the mean purchase days of customers who
buy it is the logarithm of the days beyond the first. The experts are:

- ``btyd``: Pareto/NBD on the purchase histories of the snapshot itself; needs no outcomes.
- ``boosting`` and ``regression``: over the genes, trained on outcomes over the whole horizon at earlier snapshots.
- ``boosting_half`` and ``regression_half``: the same, on outcomes over half the horizon, which are known earlier. Their
  level is that of half the horizon and is not used.

An expert that repeats the recent windows was tried and left out: it earned a weight on no log of the panel.
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
from genome_pipeline.models.arrays import Floats
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

SMALLEST_PROBABILITY = 1e-6
"""Probabilities of experts are clipped to between this and 1 minus this."""

_LEAST_FURTHER = 0.01
"""Purchase days beyond the first are at least this before a logarithm is taken."""

_LEAST_RATE = 0.05

_TAIL = 0.99
"""Actual over expected purchase days is capped at this quantile."""


class Expert(Protocol):
    """One model's predictions for all customers."""

    def linear(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Predictions for rows of ``customer_features``, on the scale that joins experts, shape (customers,)."""
        ...

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Terms that add up to :meth:`linear`, shape (customers, terms + 1).

        Columns are :data:`genome_pipeline.models.drivers.TERMS` and a constant.
        """
        ...

    def parameters(self) -> dict[str, Any]:
        """The fitted parameters, in a form that JSON can hold."""
        ...


class Training(NamedTuple):
    """Labelled snapshots to train experts on, oldest first: with outcomes over the whole horizon, and over half."""

    whole: tuple[LabelledSnapshot, ...]
    half: tuple[LabelledSnapshot, ...]

    @classmethod
    def at(cls, snapshots: Sequence[LabelledSnapshot], by: pd.Timestamp | Any, horizon_days: int) -> Training:
        """The snapshots whose outcomes were known by a date."""
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
        """See :class:`Expert`: the purchase rate, and the effect of the silence since the last purchase."""
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
    """Logarithm of the purchase days beyond the first, given that the customer buys, by Pareto/NBD."""

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
    """Logarithm of the purchase days beyond the first: boosting corrects a linear function of the customer's log rate.

    The slope is that of a Poisson regression and shrinks extreme rates towards the mean. It is at most 1: a past rate
    is measured with an error, and nobody's future should be more extreme than their past. The rate is the mean of the
    rate in the recent window and the lifetime rate. The lifetime rate is shrunk towards that of all customers by one
    additional purchase day: ``(purchase days + 1) / (T + mean_gap_days)``.
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
    """Experts by name, and the reasons, as clauses, why other experts could not be fitted."""

    experts: dict[str, Expert]
    missing: dict[str, str]


def fit_activity(features: pd.DataFrame, training: Training, seed: int) -> Fitted:
    """The experts for whether a customer buys. Raises :class:`NotEnoughData` if Pareto/NBD cannot be fitted."""
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
    """The experts for how often a buyer buys. Raises :class:`NotEnoughData` if Pareto/NBD cannot be fitted."""
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
    """Inverse of :meth:`Expert.parameters`, for an expert on ``activity`` or ``orders``."""
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
    """Genes of each row, and whether the customer bought."""
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
    # Boosting would fit the few most frequent buyers, and predict their orders for everyone at a similar rate.
    further = np.minimum(further, float(np.quantile(further / expected, _TAIL)) * expected)
    trees = fit_mean(model_matrix(features)[bought], further, expected, seed)
    return BoostedOrders(trees, slope, mean_gap_days, days)


def _log_rate(features: pd.DataFrame, days: int, mean_gap_days: float) -> Floats:
    """Logarithm of the purchase days in ``days`` at the customer's rate so far; see :class:`BoostedOrders`."""
    window = numbers(features["recent_window_days"])
    recent = np.divide(
        numbers(features["recent_purchase_day_count"]) * days, window, out=np.zeros_like(window), where=window > 0
    )
    lifetime = (numbers(features["purchase_day_count"]) + 1) / (numbers(features["t_days"]) + mean_gap_days) * days
    return np.asarray(np.log((lifetime + recent) / 2 + _LEAST_RATE))


def _logit(probability: Floats) -> Floats:
    return np.asarray(logit(np.clip(probability, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)))


def _of_genes(contributions: Floats) -> Floats:
    """Terms from contributions of shape (customers, genes + 1), whose last column is a constant."""
    found = no_terms(len(contributions))
    found[:, : len(GENES)], found[:, -1] = contributions[:, :-1], contributions[:, -1]
    return found
