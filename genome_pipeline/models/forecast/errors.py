"""How large an error to expect in a customer's forecast; confidence is computed from it.

There are three errors, each on a scale on which customers can be compared:

- churn: ``(p - bought)^2``, the Brier score; that of a coin toss is 1/4. Its expectation is ``p * (1 - p)`` if p is as
  likely too high as too low, however far p may be off.
- orders: ``|actual - p m| / (p m + 1)``, at most 1.
- spend: ``|actual - p m a| / (p m a + a)``, at most 1. Both denominators are the expected value plus one purchase day.

If p, m and a were all there is to know, the distance of orders would be at most ``2 p (1 - p) m + p s``. Here s is the
mean distance from m among those who buy: ``2 / e (m - 1)`` if purchase days after the first are exponential. The factor
between actual errors of orders and spend at earlier dates and this theory is learned from the circumstances of those
customers, by Poisson quasi-likelihood with a logarithmic link (Wedderburn, R. W. M. (1974), "Quasi-Likelihood
Functions, Generalized Linear Models, and the Gauss-Newton Method", Biometrika 61(3), 439-447). The error of churn is
not learned: on the panel of logs, the learned error told customers apart less well than ``p * (1 - p)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import numbers

LARGEST = {"churn": 0.25, "orders": 1.0, "spend": 1.0}
"""Error, by name, of a forecast that knows nothing of the customer; it means a confidence of 0."""

_LEARNED = ("orders", "spend")

_LEAST = 1e-3
"""Least expected error, so that its logarithm is finite."""

_WITHIN_AMOUNTS = 0.5
"""Variance of the logarithm of one customer's amounts, the default of :mod:`.amounts` where too few are known."""

_PENALTY = 2.0
"""Penalty on a slope, in units of the spread of its circumstance: the sum of errors that counts as much as theory."""

_ROWS = 50_000
"""At most this many forecasts of the past are learned from; larger numbers are sampled."""

_DIGITS = 9


class Forecasts(NamedTuple):
    """p, m and a of customers, shape (customers,) each; ``amount`` is NaN where spend is not predicted."""

    buys: Floats
    if_retained: Floats
    amount: Floats

    @property
    def orders(self) -> Floats:
        """Expected purchase days."""
        return self.buys * self.if_retained


def relative_error(actual: Floats, expected: Floats, one_more: Floats) -> Floats:
    """``|actual - expected| / (expected + one_more)``, at most 1; 0 where all three are 0.

    ``one_more`` is one purchase day: 1 for orders, the amount of a purchase day for spend.
    """
    scale = expected + one_more
    nothing = np.zeros(np.broadcast(actual, scale).shape)
    return np.minimum(np.divide(np.abs(actual - expected), scale, out=nothing, where=scale != 0), 1.0)


def realised_errors(forecasts: Forecasts, outcomes: pd.DataFrame) -> dict[str, Floats]:
    """The errors that forecasts had, by name, shape (customers,) each; NaN where unknown.

    ``outcomes`` are those of a :class:`genome_pipeline.models.snapshots.LabelledSnapshot`.
    """
    bought = ~outcomes["has_churned"].to_numpy(bool)
    spend = forecasts.orders * forecasts.amount
    return {
        "churn": (forecasts.buys - bought) ** 2,
        "orders": relative_error(numbers(outcomes["actual_orders"]), forecasts.orders, np.ones_like(spend)),
        "spend": relative_error(numbers(outcomes["actual_spend"]), spend, forecasts.amount),
    }


def theoretical_errors(forecasts: Forecasts) -> dict[str, Floats]:
    """The errors to expect if p, m and a were all there is to know, by name, shape (customers,) each."""
    p, m = forecasts.buys, forecasts.if_retained
    of_days = 2 / np.e * (m - 1)
    of_spend = np.where(np.isfinite(forecasts.amount), np.sqrt(of_days**2 + _WITHIN_AMOUNTS * m), np.nan)
    whether = 2 * p * (1 - p) * m
    return {
        "churn": p * (1 - p) + _LEAST,
        "orders": (whether + p * of_days) / (p * m + 1) + _LEAST,
        "spend": (whether + p * of_spend) / (p * m + 1) + _LEAST,
    }


@dataclass(frozen=True)
class ErrorFactor:
    """Logarithm of actual over theoretical error, as a linear function of a customer's circumstances.

    ``slope``, ``low`` and ``high`` have shape (circumstances,). Nothing was learned beyond ``low`` and ``high``: a
    circumstance beyond them counts as the bound.
    """

    intercept: float
    slope: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def apply(self, circumstances: Floats) -> Floats:
        """The factor, shape (customers,), for circumstances of shape (customers, circumstances)."""
        found: Floats = np.clip(circumstances, self.low, self.high) @ np.array(self.slope)
        return np.exp(self.intercept + found)

    @classmethod
    def fit(cls, circumstances: Floats, error: Floats, theory: Floats) -> ErrorFactor:
        """Fit on forecasts of the past; ``error`` and ``theory`` have shape (customers,)."""
        # Importing it takes seconds, which the command line and the dashboard need not wait for.
        from sklearn.linear_model import PoissonRegressor

        centre, spread = circumstances.mean(axis=0), circumstances.std(axis=0)
        spread = np.where(spread > 1e-9, spread, 1.0)
        line = PoissonRegressor(alpha=_PENALTY / theory.sum(), solver="newton-cholesky", tol=1e-8)
        line.fit((circumstances - centre) / spread, error / theory, sample_weight=theory)
        slope = np.round(line.coef_ / spread, _DIGITS)
        return cls(
            round(float(line.intercept_ - centre @ slope), _DIGITS),
            *(tuple(each.tolist()) for each in (slope, circumstances.min(axis=0), circumstances.max(axis=0))),
        )


def fit_factors(
    features: Sequence[pd.DataFrame], forecasts: Sequence[Forecasts], outcomes: Sequence[pd.DataFrame], seed: int
) -> dict[str, ErrorFactor]:
    """The factor of each error, from forecasts at earlier dates; errors that are unknown there have no factor.

    Each sequence has an entry per date; rows of an entry are of the same customers.
    """
    if not features:
        return {}
    pairs = [*zip(features, forecasts, strict=True)]
    circumstances = np.concatenate([_circumstances(rows, forecast) for rows, forecast in pairs])
    errors = [realised_errors(forecast, known) for forecast, known in zip(forecasts, outcomes, strict=True)]
    theories = [theoretical_errors(forecast) for forecast in forecasts]
    drawn = np.sort(np.random.default_rng(seed).permutation(len(circumstances))[:_ROWS])
    found = {}
    for name in _LEARNED:
        error, theory = (np.concatenate([each[name] for each in known])[drawn] for known in (errors, theories))
        rows = np.isfinite(error) & np.isfinite(theory)
        if error[rows].any():
            found[name] = ErrorFactor.fit(circumstances[drawn][rows], error[rows], theory[rows])
    return found


def expected_errors(
    factors: Mapping[str, ErrorFactor], features: pd.DataFrame, forecasts: Forecasts
) -> dict[str, Floats]:
    """The errors to expect, by name, shape (customers,) each; the theoretical ones where there is no factor.

    NaN for numbers that are not predicted. ``features`` are rows of ``customer_features`` of the same customers.
    """
    found = theoretical_errors(forecasts)
    if factors:
        circumstances = _circumstances(features, forecasts)
        for name, factor in factors.items():
            found[name] = found[name] * factor.apply(circumstances)
    return found


def _circumstances(features: pd.DataFrame, forecasts: Forecasts) -> Floats:
    """Facts that the errors of a customer's forecast may depend on, shape (customers, 13), all finite."""
    p, m, amount = forecasts
    log_odds = np.log(np.clip(p, 1e-4, 1 - 1e-4) / np.clip(1 - p, 1e-4, 1 - 1e-4))
    theory = theoretical_errors(forecasts)
    order = numbers(features["average_order_value_amount"])
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.clip(numbers(features["order_value_std_amount"]) / order, 0.0, 5.0)
        order_over_amount = np.log(np.clip(order / amount, 1e-2, 1e2))
        found = np.column_stack(
            [
                np.log(theory["churn"]),
                np.log(theory["orders"]),
                log_odds,
                np.abs(log_odds),
                np.log(m - 1 + 0.01),
                np.log(p * m),
                np.log(numbers(features["purchase_day_count"])),
                np.log1p(numbers(features["t_days"])),
                np.log1p(numbers(features["days_since_last_order"])),
                np.nan_to_num(numbers(features["order_gap_cv_ratio"]), nan=1.0),
                np.nan_to_num(deviation, nan=_WITHIN_AMOUNTS),
                np.log(np.maximum(amount, 1e-9)),
                order_over_amount,
            ]
        )
    return np.where(np.isfinite(found), found, 0.0)


def factors_to_dict(factors: Mapping[str, ErrorFactor]) -> dict[str, Any]:
    """Plain dictionary that JSON can hold."""
    return {
        name: {part: [*value] if isinstance(value, tuple) else value for part, value in vars(factor).items()}
        for name, factor in factors.items()
    }


def factors_from_dict(state: Mapping[str, Any]) -> dict[str, ErrorFactor]:
    """Inverse of :func:`factors_to_dict`."""
    return {
        name: ErrorFactor(factor["intercept"], *(tuple(factor[part]) for part in ("slope", "low", "high")))
        for name, factor in state.items()
    }
