"""Metrics of forecasts on the customers and on bootstrap resamples of them, all resamples at once.

``weights`` are of shape (resamples, customers): how often each customer counts in each resample. A metric is of shape
(resamples,). The definitions are those of :mod:`genome_pipeline.models.performance`, which knows no weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genome_pipeline.models.losses import log_losses, poisson_deviances
from genome_pipeline.models.performance import decile

Floats = NDArray[np.float64]

_CALIBRATION_BINS = 10


def resamples(customers: int, count: int, seed: int) -> Floats:
    """Weights of shape (count + 1, customers): all customers once, then ``count`` draws with replacement.

    Efron, B. (1979), "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7(1), 1-26.
    """
    drawn = np.random.default_rng(seed).multinomial(customers, np.full(customers, 1 / customers), size=count)
    return np.vstack([np.ones(customers), drawn])


def activity_scores(is_active: NDArray[np.bool_], probability: Floats, weights: Floats) -> dict[str, Floats]:
    """Metrics of the probability of a purchase, in [0, 1]: AUC, log loss, Brier score, calibration error."""
    return {
        "auc": _auc(is_active, probability, weights),
        "log_loss": _mean(log_losses(is_active, probability), weights),
        "brier": _mean((probability - is_active) ** 2, weights),
        "ece": _calibration_error(is_active, probability, weights),
    }


def order_scores(actual: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
    """Mean absolute and root mean squared error, and predicted over actual total."""
    error = predicted - actual
    return {
        "mae": _mean(np.abs(error), weights),
        "rmse": np.sqrt(_mean(error**2, weights)),
        "total_ratio": _mean(predicted, weights) / _mean(actual, weights),
    }


def spend_scores(actual: Floats, predicted: Floats, weights: Floats) -> dict[str, Floats]:
    """:func:`order_scores`, and: WAPE (absolute error over actual total), Spearman and normalised Gini."""
    scores = order_scores(actual, predicted, weights)
    actual_ranks, ranks = _mid_ranks(actual, weights), _mid_ranks(predicted, weights)
    spread = _covariance(actual_ranks, actual_ranks, weights) * _covariance(ranks, ranks, weights)
    return scores | {
        "wape": scores["mae"] / _mean(actual, weights),
        "spearman": _covariance(actual_ranks, ranks, weights) / np.sqrt(spread),
        "gini": _covariance(actual, ranks, weights) / _covariance(actual, actual_ranks, weights),
    }


def poisson_deviance(actual: Floats, predicted: Floats, weights: Floats) -> Floats:
    """Mean Poisson deviance. Predictions count as at least 1% of the mean actual of all customers."""
    return _mean(poisson_deviances(actual, predicted), weights)


def mean_by_decile(by: Floats, values: Floats | NDArray[np.bool_]) -> dict[str, float]:
    """Mean of ``values`` in each tenth of the customers in order of ``by``, both of shape (customers,).

    Keys are "1" (lowest) to "10". Equal customers share a tenth, so that some may be missing.
    """
    deciles = decile(by)
    return {str(name): float(values[deciles == name].mean()) for name in np.unique(deciles)}


def _mean(values: Floats, weights: Floats) -> Floats:
    """Mean of values of shape (customers,) or (resamples, customers) in each resample."""
    total = weights @ values if values.ndim == 1 else (weights * values).sum(axis=1)
    return np.asarray(total / weights.sum(axis=1))


def _covariance(left: Floats, right: Floats, weights: Floats) -> Floats:
    return _mean(left * right, weights) - _mean(left, weights) * _mean(right, weights)


def _mid_ranks(values: Floats, weights: Floats) -> Floats:
    """Rank of each customer's value in each resample, shape (resamples, customers); equal values share the middle."""
    distinct, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(distinct.size))
    count = np.add.reduceat(weights[:, order], starts, axis=1)
    return np.asarray((np.cumsum(count, axis=1) - count / 2 + 0.5)[:, group])


def _auc(is_event: NDArray[np.bool_], score: Floats, weights: Floats) -> Floats:
    """Area under the ROC curve from ranks (Hanley and McNeil 1982)."""
    events = weights[:, is_event].sum(axis=1)
    rank_sum = (weights * _mid_ranks(score, weights))[:, is_event].sum(axis=1)
    return np.asarray((rank_sum - events * (events + 1) / 2) / (events * (weights.sum(axis=1) - events)))


def _calibration_error(is_event: NDArray[np.bool_], probability: Floats, weights: Floats) -> Floats:
    """Expected calibration error over 10 bins of equal frequency among all customers."""
    edges = np.unique(np.quantile(probability, np.arange(1, _CALIBRATION_BINS) / _CALIBRATION_BINS))
    group = np.searchsorted(edges, probability, side="right")
    gap = probability - is_event
    gaps = [np.abs(weights[:, group == name] @ gap[group == name]) for name in range(edges.size + 1)]
    return np.asarray(np.sum(gaps, axis=0) / weights.sum(axis=1))
