"""Fitting models of purchases to the histories of customers.

A customer's history is the frequency ``x`` (repeat purchase days), the recency ``t_x`` (time from first to last
purchase) and ``T`` (time from first purchase to now). Any unit of time will do; ``t_x``, ``T`` and the fitted
parameters share it. Customers with the same history have the same likelihood, so models work on distinct histories.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.not_enough_data import NotEnoughData

Objective = Callable[[Floats], tuple[float, Floats]]
"""Mean negative log-likelihood and its gradient, as a function of the logarithms of the parameters."""

MINIMUM_REPEAT_CUSTOMERS = 10
"""Models are fitted only to at least this many customers with a repeat purchase."""

_LOG_BOUND = 9.0
"""Bound of log parameters in scaled units; keeps them finite where the likelihood is flat (no dropout, say)."""

_START_ROWS = 500
"""Starting points are compared on about this many histories with, and as many without, a repeat purchase."""


@dataclass(frozen=True)
class Parameters:
    """Fitted parameters that can be stored as a dictionary."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, parameters: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**parameters)


class NormalPrior(NamedTuple):
    """Normal prior on the logarithms of a model's parameters, with the mean T as unit of time.

    Each logarithm has its own mean; all share one standard deviation.
    """

    means: tuple[float, ...]
    deviation: float


class Family(NamedTuple):
    """How a model of purchases is fitted, with the mean T as unit of time."""

    name: str
    objective: Callable[[Floats, Floats, Floats, Floats], Objective]
    starts: list[tuple[float, float, float, float]]
    time_powers: tuple[int, int, int, int]
    """Power of the unit of time in each parameter."""


_FITTED: dict[tuple[str, NormalPrior | None, bytes], tuple[float, float, float, float, float, int]] = {}
"""Cached fits by model and histories: value and risk of a snapshot, and of the next one, need the same fits."""


def fit_histories(
    family: Family, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, prior: NormalPrior | None = None
) -> tuple[float, float, float, float, float, int]:
    """The four parameters of a model of purchases, the log-likelihood and the number of customers.

    The arrays have one entry per customer, in any order. The fit is by maximum likelihood or, with a prior, maximum a
    posteriori.

    Raises:
        NotEnoughData: fewer than :data:`MINIMUM_REPEAT_CUSTOMERS` customers bought again, or no time has passed.
        ValueError: a value is negative or not finite, a recency exceeds its T, or is not 0 without a repeat purchase.
    """
    x, t_x, t_ = checked_history(frequency, recency, t)
    key = (family.name, prior, hashlib.sha256(b"".join(values.tobytes() for values in (x, t_x, t_))).digest())
    if key not in _FITTED:
        _FITTED[key] = _fit_anew(family, x, t_x, t_, prior)
    return _FITTED[key]


def _fit_anew(
    family: Family, x: Floats, t_x: Floats, t_: Floats, prior: NormalPrior | None
) -> tuple[float, float, float, float, float, int]:
    repeat_count = int(np.count_nonzero(x))
    if repeat_count < MINIMUM_REPEAT_CUSTOMERS:
        raise NotEnoughData(
            f"only {repeat_count} of {x.size} customers bought again: {family.name} needs {MINIMUM_REPEAT_CUSTOMERS}"
        )
    scale = float(t_.mean())
    if scale == 0:
        raise NotEnoughData(f"no time has passed since the first purchases: {family.name} has nothing to learn from")

    # Customers with the same history have the same likelihood: work on distinct histories and their counts.
    (x, t_x, t_), count = distinct_rows(x, t_x / scale, t_ / scale)
    starts = np.log(family.starts)
    if x.size > 2 * _START_ROWS:
        # A sample of the histories finds a good start; only the best start is then pursued on all of them.
        rows, weight = sampled_rows(x)
        objective = family.objective(x[rows], t_x[rows], t_[rows], count[rows] * weight)
        starts = minimise(_with_prior(objective, prior, count.sum()), starts)[0][np.newaxis]
    objective = family.objective(x, t_x, t_, count)
    log_parameters, _ = minimise(_with_prior(objective, prior, count.sum()), starts)
    value = objective(log_parameters)[0]
    first, second, third, fourth = (np.exp(log_parameters) * scale ** np.array(family.time_powers)).tolist()
    # Dividing time by `scale` multiplied the density of each of the x purchase moments by `scale`.
    log_likelihood = -value * count.sum() - dot(count, x) * np.log(scale)
    return first, second, third, fourth, float(log_likelihood), int(count.sum())


def _with_prior(objective: Objective, prior: NormalPrior | None, customers: float) -> Objective:
    """The objective, a mean over customers, plus the negative log density of the prior divided by their number."""
    if prior is None:
        return objective
    mean, deviation = np.array(prior.means), prior.deviation

    def with_prior(log_parameters: Floats) -> tuple[float, Floats]:
        value, gradient = objective(log_parameters)
        distance = (log_parameters - mean) / deviation
        return value + dot(distance, distance) / 2 / customers, gradient + distance / deviation / customers

    return with_prior


def checked_history(frequency: ArrayLike, recency: ArrayLike, t: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The three arrays as floats, checked: 0 <= t_x <= T, x >= 0, and t_x = 0 where x = 0."""
    x, t_x, t_ = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (frequency, recency, t)))
    if not (np.all(np.isfinite(x) & (x >= 0)) and np.all(np.isfinite(t_) & (t_x >= 0) & (t_x <= t_))):
        raise ValueError("frequency, recency and T must be finite, at least 0, and recency at most T")
    if np.any((x == 0) & (t_x > 0)):
        raise ValueError("recency must be 0 for a customer without a repeat purchase")
    return x, t_x, t_


def distinct_rows(*columns: Floats) -> tuple[list[Floats], Floats]:
    """Distinct rows of some columns, sorted so that sums do not depend on row order, and the count of each row."""
    order = np.lexsort(columns[::-1])
    ordered = [column[order] for column in columns]
    is_first = np.ones(order.size, dtype=bool)
    is_first[1:] = np.any([column[1:] != column[:-1] for column in ordered], axis=0)
    starts = np.flatnonzero(is_first)
    return [column[starts] for column in ordered], np.diff(starts, append=order.size).astype(np.float64)


def sampled_rows(x: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Every k-th of the sorted histories, with weight k; sampled separately for one-time and repeat buyers."""
    groups = [np.flatnonzero(x == 0), np.flatnonzero(x > 0)]
    steps = [max(1, group.size // _START_ROWS) for group in groups]
    rows = [group[::step] for group, step in zip(groups, steps, strict=True)]
    weights = [np.full(sample.size, float(step)) for sample, step in zip(rows, steps, strict=True)]
    return np.concatenate(rows), np.concatenate(weights)


def dot(left: Floats, right: Floats) -> float:
    """Sum of products that does not depend on the number of threads, as a BLAS product does."""
    return float(np.sum(left * right))


def minimise(objective: Objective, starts: Floats) -> tuple[Floats, float]:
    """The best of the L-BFGS-B minima reached from each row of ``starts``, within the bound of log parameters."""
    with threadpool_limits(1, user_api="blas"):  # for four parameters, threads only wait for one another
        results = [
            minimize(
                objective,
                start,
                jac=True,
                method="L-BFGS-B",
                bounds=[(-_LOG_BOUND, _LOG_BOUND)] * start.size,
                options={"maxiter": 500, "ftol": 1e-10, "gtol": 1e-6},
            )
            for start in starts
        ]
    best = min(results, key=lambda result: float(result.fun))
    return np.asarray(best.x), float(best.fun)
