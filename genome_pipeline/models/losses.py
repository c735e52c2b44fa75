"""Losses of the prediction for one customer once the outcome is known; lower is better.

Both losses are proper: log loss is least on average for the true probability, Poisson deviance for the true mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genome_pipeline.models.arrays import Floats

_SMALLEST_PROBABILITY = 1e-6
_SMALLEST_MEAN_SHARE = 0.01
"""Predictions count as at least this fraction of the mean actual: a prediction of 0 would have infinite deviance."""


def log_losses(is_event: NDArray[np.bool_], probability: Floats) -> Floats:
    """Negative log likelihood of each outcome, shape (n,), with probabilities kept 1e-6 from 0 and 1.

    >>> log_losses(np.array([True, False]), np.array([0.5, 0.0])).round(4).tolist()
    [0.6931, 0.0]
    """
    p = np.clip(probability, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return np.asarray(-np.log(np.where(is_event, p, 1 - p)))


def poisson_deviances(actual: Floats, predicted: Floats) -> Floats:
    """Poisson deviance of each customer, shape (n,): least for the true mean, not dominated by the largest customers.

    Negative actuals count as 0, and predictions as at least 1% of the mean actual.
    """
    y = np.maximum(actual, 0.0)
    mean = np.maximum(predicted, max(_SMALLEST_MEAN_SHARE * float(y.mean()), np.finfo(np.float64).tiny))
    return np.asarray(2 * (y * np.log(np.where(y > 0, y, mean) / mean) - y + mean))
