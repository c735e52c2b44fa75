"""Logistic regression over the genes in logarithms.

Trees cut genes into steps, and with a shop's few thousand customers into few; a line through their logarithms errs
elsewhere, so that the mean of the two ranks better than either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_pipeline.models.not_enough_data import NotEnoughData

Floats = NDArray[np.float64]

_PRIOR_VARIANCE = 0.1
"""Of a coefficient, a gene's logarithm being in units of its spread: what the ridge penalty assumes."""

_SMALLEST_SPREAD = 1e-9
"""Of a logarithm: below, all customers are alike but for rounding."""


@dataclass(frozen=True)
class LogRegression:
    """A fitted regression: log-odds are the intercept and, of each gene, ``slope`` times its logarithm less ``centre``.

    All but the intercept are of shape (genes,). ``low`` and ``high`` bound the logarithms in what was trained on:
    beyond, a line knows nothing, and they count as the bound. A missing gene adds nothing.
    """

    intercept: float
    slope: tuple[float, ...]
    centre: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def contributions(self, matrix: Floats) -> Floats:
        """What each gene of (rows, genes) adds to the log-odds, shape (rows, genes + 1); the last is a constant."""
        logarithms = np.clip(_logarithms(matrix), self.low, self.high)
        found = np.nan_to_num((logarithms - np.array(self.centre)) * np.array(self.slope))
        return np.column_stack([found, np.full(len(matrix), self.intercept)])

    def linear(self, matrix: Floats) -> Floats:
        """Log-odds of rows of genes, shape (rows,)."""
        return np.asarray(self.contributions(matrix).sum(axis=1))

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> LogRegression:
        """Inverse of :meth:`to_dict`."""
        slope, centre, low, high = (tuple(state[name]) for name in ("slope", "centre", "low", "high"))
        return cls(state["intercept"], slope, centre, low, high)


def fit_log_regression(matrix: Floats, is_event: NDArray[np.bool_]) -> LogRegression:
    """Fit the probability of an event (rows,) on genes (rows, genes) by penalised maximum likelihood.

    Raises:
        NotEnoughData: the event happened always, or never.
    """
    # Takes seconds to import, which the command line and the dashboard need not wait for.
    from sklearn.linear_model import LogisticRegression

    if is_event.all() or not is_event.any():
        raise NotEnoughData("all customers of the matured snapshots ended alike")
    logarithms = _logarithms(matrix)
    is_missing = np.isnan(logarithms)
    count = np.maximum((~is_missing).sum(axis=0), 1)
    centre = np.where(is_missing, 0.0, logarithms).sum(axis=0) / count
    centred = np.where(is_missing, 0.0, logarithms - centre)
    spread = np.sqrt((centred**2).sum(axis=0) / count)
    scale = np.where(spread > _SMALLEST_SPREAD, spread, 1.0)
    # Newton's steps on genes at most: converged to the last digits, whatever the order of rows.
    fitted = LogisticRegression(C=_PRIOR_VARIANCE, solver="newton-cholesky", tol=1e-8).fit(centred / scale, is_event)
    slope = fitted.coef_[0] / scale
    return LogRegression(
        float(fitted.intercept_[0]),
        *(
            tuple(values.tolist())
            for values in (slope, centre, centred.min(axis=0) + centre, centred.max(axis=0) + centre)
        ),
    )


def _logarithms(matrix: Floats) -> Floats:
    """``log(1 + |x|)`` with the sign of x: amounts may be negative."""
    return np.asarray(np.sign(matrix) * np.log1p(np.abs(matrix)))
