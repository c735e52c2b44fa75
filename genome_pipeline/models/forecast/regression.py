"""Logistic regression over the genes in logarithms.

Trees cut genes into steps, and into only a few steps with a shop's few thousand customers. A line through the
logarithms errs elsewhere, so that the mean of the two ranks customers better than either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.not_enough_data import NotEnoughData

_PRIOR_VARIANCE = 0.1
"""Variance of the normal prior on a coefficient, with genes' logarithms in units of their spread (ridge penalty)."""

_SMALLEST_SPREAD = 1e-9
"""Least spread of a logarithm: below it, customers differ only by rounding."""


@dataclass(frozen=True)
class LogRegression:
    """A fitted regression: log-odds = intercept + sum over genes of slope * (logarithm of the gene - centre).

    All but the intercept have shape (genes,). ``low`` and ``high`` bound the logarithms in the training data; values
    beyond count as the bound, since nothing was learned there. A missing gene adds nothing.
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

    def part(self, start: int, stop: int) -> LogRegression:
        """The regression over the genes from position ``start`` to ``stop``, exclusive, without the intercept.

        What the parts say of some genes each, and the intercept, add up to what the whole says.
        """
        genes = (each[start:stop] for each in (self.slope, self.centre, self.low, self.high))
        return LogRegression(0.0, *genes)

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
    # Importing it takes seconds, which the command line and the dashboard need not wait for.
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
    # Newton's steps on at most the genes: converges to the last digits, whatever the order of rows.
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
    """``sign(x) * log(1 + |x|)``, as amounts may be negative."""
    return np.asarray(np.sign(matrix) * np.log1p(np.abs(matrix)))
