"""Gradient boosting over the genes, for value and risk alike, and how fitted models are stored.

scikit-learn's histogram gradient boosting takes missing genes as they are. Early stopping is off, so that a fit does
not depend on a random hold-out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from genome_pipeline.models.btyd import NotEnoughData

Floats = NDArray[np.float64]

TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
"""Types an artifact may hold besides those skops trusts itself."""


_LEVELS = 128
"""Distinct values of a gene that trees may split between; the estimator allows 255."""

_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.1,
    "max_iter": 60,
    "max_leaf_nodes": 6,
    "l2_regularization": 10.0,
    "early_stopping": False,
}


def fit_mean(matrix: Floats, target: Floats, exposure: Floats, seed: int) -> HistGradientBoostingRegressor:
    """Fit the mean of target / exposure (rows,) on genes (rows, genes) by Poisson deviance.

    Weighting each row by its exposure makes this the Poisson model of the target with log(exposure) as offset: what is
    learned is a factor on the exposure. Negative targets count as 0; exposures must be positive. Poisson deviance is
    consistent for the mean whatever the distribution, and unlike squared error not ruled by the few largest customers.

    Raises:
        NotEnoughData: the target is 0 throughout.
    """
    target = np.maximum(target, 0.0)
    if not np.any(target > 0):
        raise NotEnoughData("nothing was bought in the horizons of the matured snapshots")
    estimator = HistGradientBoostingRegressor(
        loss="poisson", min_samples_leaf=_leaf_rows(len(target)), random_state=seed, **_SETTINGS
    )
    return estimator.fit(_coarse(matrix), target / exposure, sample_weight=exposure / exposure.mean())


def fit_probability(matrix: Floats, is_event: NDArray[np.bool_], seed: int) -> HistGradientBoostingClassifier:
    """Fit the probability of an event (rows,) on genes (rows, genes) by log loss.

    Raises:
        NotEnoughData: the event happened always, or never.
    """
    if is_event.all() or not is_event.any():
        raise NotEnoughData("all customers of the matured snapshots ended alike")
    estimator = HistGradientBoostingClassifier(
        min_samples_leaf=_leaf_rows(len(is_event)), random_state=seed, **_SETTINGS
    )
    return estimator.fit(_coarse(matrix), is_event)


def predict_mean(estimator: HistGradientBoostingRegressor, matrix: Floats) -> Floats:
    """Predictions of :func:`fit_mean` for genes (rows, genes), shape (rows,): the factor on the exposure."""
    with threadpool_limits(_threads(len(matrix)), "openmp"):
        return np.asarray(estimator.predict(matrix))


def predict_probability(estimator: HistGradientBoostingClassifier, matrix: Floats) -> Floats:
    """Predictions of :func:`fit_probability` for genes (rows, genes), shape (rows,)."""
    with threadpool_limits(_threads(len(matrix)), "openmp"):
        return np.asarray(estimator.predict_proba(matrix)[:, 1])


def settings(estimator: HistGradientBoostingRegressor | HistGradientBoostingClassifier) -> dict[str, Any]:
    """The settings an estimator was fitted with, as JSON can hold them."""
    names = ("loss", *_SETTINGS, "min_samples_leaf", "random_state")
    parameters = estimator.get_params()
    return {name: parameters[name] for name in names}


def dump_artifact(state: dict[str, Any]) -> bytes:
    """Plain values and fitted estimators as bytes, in the format of skops."""
    import skops.io  # two seconds: only where models are stored

    return bytes(skops.io.dumps(state))


def load_artifact(data: bytes) -> dict[str, Any]:
    """Inverse of :func:`dump_artifact`.

    Raises:
        skops.io.exceptions.UntrustedTypesFoundException: the bytes hold a type that is not in :data:`TRUSTED_TYPES`.
    """
    import skops.io

    state: dict[str, Any] = skops.io.loads(data, trusted=list(TRUSTED_TYPES))
    return state


def _coarse(matrix: Floats) -> Floats:
    """The matrix with each value moved to the nearest of its column's quantiles; 0 in a column without any value.

    The estimator bins columns in any case; given weights it would do so very slowly, unless few values are distinct.
    It splits halfway between neighbouring values, so that rows to be predicted need no rounding.
    """
    coarse = np.empty_like(matrix)
    for column, values in enumerate(matrix.T):
        known = values[~np.isnan(values)]
        if known.size == 0:
            coarse[:, column] = 0.0
            continue
        levels = np.unique(known)
        if levels.size > _LEVELS:
            levels = np.unique(np.quantile(known, np.linspace(0, 1, _LEVELS), method="inverted_cdf"))
        nearest = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, values)]
        coarse[:, column] = np.where(np.isnan(values), np.nan, nearest)
    return coarse


def _leaf_rows(row_count: int) -> int:
    """Rows a leaf needs at least: grows with the data, from 20 to 200."""
    return min(max(row_count // 250, 20), 200)


def _threads(row_count: int) -> int | None:
    """Threads to predict so many rows with: few are not worth waiting for; None leaves the choice to the library."""
    return 1 if row_count < 100_000 else None
