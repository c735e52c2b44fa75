"""Weights of the experts of a forecast.

Weights that did well on other logs are the start. What the experts would have said at earlier dates, beside what
happened, moves them, the more the more customers it was known of: by penalised maximum likelihood of a logistic
regression on the experts' log-odds, whose penalty is the distance from the start. With few customers who came back the
start itself is nearer to Pareto/NBD, which needs none to learn from.

Equal or nearly equal weights are hard to beat (Bates, J. M. and Granger, C. W. J. (1969), "The Combination of
Forecasts", OR 20(4), 451-468); log-odds are averaged as forecasters' odds are (Satopaa, V. A. et al. (2014), "Combining
Multiple Probability Predictions Using a Simple Logit Model", International Journal of Forecasting 30(2), 344-356).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

STANDARD = {
    "btyd": 0.20,
    "boosting": 0.25,
    "regression": 0.20,
    "boosting_half": 0.15,
    "regression_half": 0.20,
}
"""Weights of experts where customers are many."""

_RETURNED_CUSTOMERS = 150
"""Customers who came back with whom the standard weights and Pareto/NBD alone count alike."""

_DISCOUNT = 0.7
"""Of each customer: those of one date err together."""

_FULL_DATES = 3
"""Earlier dates after which more of them add nothing: most customers are the same."""

SEASON_WEIGHT = 3.0
"""Weight of a date of the same season, where others weigh 1."""

_STEPS = 50
_DIGITS = 9


class Evidence(NamedTuple):
    """What experts would have said at one earlier date, and what happened.

    ``log_odds`` are of shape (customers, experts), each column at the level ``offset``; ``bought`` of (customers,).
    """

    log_odds: Floats
    bought: NDArray[np.bool_]
    offset: float
    weight: float


def learned_share(returned_customers: float) -> float:
    """How much experts that learned from outcomes count, in [0, 1), beside what they do where customers are many.

    >>> learned_share(150), learned_share(0)
    (0.5, 0.0)
    """
    return returned_customers / (returned_customers + _RETURNED_CUSTOMERS)


def start_weights(weights: Mapping[str, float], experts: Sequence[str], returned_customers: float) -> Floats:
    """Weights before any evidence, shape (experts,), summing to 1; ``btyd`` is among the experts.

    ``weights`` are those where customers are many.
    """
    standard = np.array([weights[name] for name in experts])
    alone = np.array([float(name == "btyd") for name in experts])
    share = learned_share(returned_customers)
    return np.asarray(share * standard / standard.sum() + (1 - share) * alone)


def learned_weights(start: Floats, evidence: Sequence[Evidence], penalty: float) -> Floats:
    """Weights at the maximum of the penalised likelihood, shape (experts,); one below 0 there counts as 0.

    They need not sum to 1: log-odds of joined experts may be too timid, or too bold.

    ``penalty`` is that of :class:`genome_pipeline.models.forecast.constants.Constants`.

    Each date has a level of its own, so that weights learn to tell customers apart and not how many buy. By Newton's
    method, to the last digits; rounded, so that they are the same on every machine.
    """
    if not evidence:
        return start
    total = sum(one.weight for one in evidence)
    scale = _DISCOUNT * min(len(evidence), _FULL_DATES) / total
    experts, parameters = start.size, np.concatenate([start, np.zeros(len(evidence))])
    for _ in range(_STEPS):
        gradient, curvature = np.zeros(parameters.size), np.zeros((parameters.size, parameters.size))
        gradient[:experts] = penalty * (parameters[:experts] - start)
        curvature[:experts, :experts] = penalty * np.eye(experts)
        for date, one in enumerate(evidence, start=experts):
            probability = expit(one.log_odds @ parameters[:experts] + one.offset + parameters[date])
            weight = scale * one.weight
            missed, spread = weight * (probability - one.bought), weight * probability * (1 - probability)
            gradient[:experts] += missed @ one.log_odds
            gradient[date] += missed.sum()
            curvature[:experts, :experts] += (one.log_odds * spread[:, np.newaxis]).T @ one.log_odds
            curvature[:experts, date] += spread @ one.log_odds
            curvature[date, :experts] = curvature[:experts, date]
            curvature[date, date] += spread.sum() + 1e-9
        step = np.linalg.solve(curvature, gradient)
        parameters -= np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-12:
            break
    return np.asarray(np.round(np.maximum(parameters[:experts], 0.0), _DIGITS))


def weighted(values: Mapping[str, Floats], experts: Sequence[str], weights: Floats) -> Floats:
    """Sum of the experts' values, each of shape (customers, ...), by their weights."""
    return np.asarray(sum(weight * values[name] for name, weight in zip(experts, weights.tolist(), strict=True)))
