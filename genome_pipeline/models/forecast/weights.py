"""Weights of the experts of a forecast.

The starting weights did well on other logs. They are corrected by penalised maximum likelihood: a logistic regression
of earlier outcomes on the log-odds the experts would have given then, penalised by the distance from the start. The
more customers there are to learn from, the larger the correction. With few customers who came back, the start itself is
nearer to Pareto/NBD alone, which needs no outcomes.

Equal or nearly equal weights are hard to beat (Bates, J. M. and Granger, C. W. J. (1969), "The Combination of
Forecasts", OR 20(4), 451-468). Averaging log-odds follows Satopaa, V. A. et al. (2014), "Combining Multiple Probability
Predictions Using a Simple Logit Model", International Journal of Forecasting 30(2), 344-356.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from genome_pipeline.models.arrays import Floats

STANDARD = {
    "btyd": 0.20,
    "boosting": 0.25,
    "regression": 0.20,
    "boosting_half": 0.15,
    "regression_half": 0.20,
}
"""Weights of the experts in a log of many customers."""

_RETURNED_CUSTOMERS = 150
"""With this many customers who came back, the standard weights and Pareto/NBD alone count equally."""

_DISCOUNT = 0.7
"""Factor on the evidence of each customer, since customers of one date err together."""

_FULL_DATES = 3
"""More earlier dates than this add no evidence, as most of their customers are the same."""

SEASON_WEIGHT = 3.0
"""Weight of a date of the same season; other dates weigh 1."""

_STEPS = 50
_DIGITS = 9


class Evidence(NamedTuple):
    """Log-odds that experts would have given at one earlier date, and what happened.

    ``log_odds`` have shape (customers, experts), each column at the level ``offset``; ``bought`` has (customers,).
    """

    log_odds: Floats
    bought: NDArray[np.bool_]
    offset: float
    weight: float


def learned_weight(returned_customers: float) -> float:
    """Factor, in [0, 1), on the weight of experts trained on outcomes; it grows with the customers who came back.

    >>> learned_weight(150), learned_weight(0)
    (0.5, 0.0)
    """
    return returned_customers / (returned_customers + _RETURNED_CUSTOMERS)


def start_weights(weights: Mapping[str, float], experts: Sequence[str], returned_customers: float) -> Floats:
    """Weights before any evidence, shape (experts,), summing to 1; ``btyd`` is among the experts.

    ``weights`` are those in a log of many customers.
    """
    standard = np.array([weights[name] for name in experts])
    alone = np.array([float(name == "btyd") for name in experts])
    weight = learned_weight(returned_customers)
    return np.asarray(weight * standard / standard.sum() + (1 - weight) * alone)


def learned_weights(start: Floats, evidence: Sequence[Evidence], penalty: float) -> Floats:
    """Weights that maximise the penalised likelihood, shape (experts,); a weight below 0 counts as 0.

    They need not sum to 1: joined log-odds may be too timid or too bold.

    ``penalty`` is that of :class:`genome_pipeline.models.forecast.constants.Constants`.

    Each date has its own level, so that weights learn to rank customers and not how many of them buy. Newton's method
    runs to the last digits; the result is rounded, so that it is the same on every machine.
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
    """Sum of the experts' values, each of shape (customers, ...), weighted by ``weights``."""
    return np.asarray(sum(weight * values[name] for name, weight in zip(experts, weights.tolist(), strict=True)))
