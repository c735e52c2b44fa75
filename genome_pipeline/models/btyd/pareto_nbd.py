"""Pareto/NBD: customers buy at a constant rate until they drop out, at any moment.

Every function takes arrays over customers: frequency ``x``, recency ``t_x`` and ``T`` of
:mod:`genome_pipeline.models.btyd.histories`. The horizon is in their unit of time.

Source: Schmittlein, D. C., Morrison, D. G. and Colombo, R. (1987), "Counting Your Customers: Who Are They and What Will
They Do Next?", Management Science 33(1), 1-24; and Fader, P. S. and Hardie, B. G. S. (2005), "A Note on Deriving the
Pareto/NBD Model and Related Expressions". Cited as SMC and FH05.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy.special import digamma, expit, exprel, gammaln

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.btyd.histories import (
    Family,
    NormalPrior,
    Objective,
    Parameters,
    checked_history,
    dot,
    fit_histories,
)

_NODES, _WEIGHTS = leggauss(24)[0] / 2 + 0.5, leggauss(24)[1] / 2
"""Gauss-Legendre quadrature on (0, 1)."""

_LIFETIME_NODES, _LIFETIME_WEIGHTS = leggauss(160)[0] / 2 + 0.5, leggauss(160)[1] / 2

_BLOCK = 4_096
"""Customers integrated in one batch: few enough for their arrays to fit in the processor's cache."""

PARETO_PRIOR = NormalPrior(tuple(np.log([0.5, 0.3, 0.5, 0.5]).tolist()), 1.5)
"""Typical r, alpha, s and beta of Pareto/NBD, with a deviation so wide that only logs of few customers are affected."""


@dataclass(frozen=True)
class ParetoNbd(Parameters):
    """Fitted Pareto/NBD: purchase rates are Gamma(r, alpha) over customers, dropout rates Gamma(s, beta).

    A customer may drop out at any moment. ``alpha`` and ``beta`` are in the unit of time of the data;
    ``log_likelihood`` is that of the data fitted on.
    """

    r: float
    alpha: float
    s: float
    beta: float
    log_likelihood: float
    customer_count: int

    def p_alive(self, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike) -> Floats:
        """Probability that each customer is still active, in [0, 1] (SMC; FH05)."""
        x, t_x, t_ = checked_history(frequency, recency, t)
        alive, dead = _pareto_nbd_terms(self.r, self.alpha, self.s, self.beta, x, t_x, t_, count=1)[:2]
        probability: Floats = expit(alive - dead)
        return probability

    def expected_purchases(self, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, horizon: float) -> Floats:
        """Expected purchases of each customer in ``(T, T + horizon]``, at least 0 (SMC; FH05).

        Given that the customer is active at T, purchase rate and dropout rate are independent, Gamma(r + x, alpha + T)
        and Gamma(s, beta + T). ``exprel`` is smooth at s = 1, where the paper's expression is 0 / 0.
        """
        x, t_x, t_ = checked_history(frequency, recency, t)
        return self.p_alive(x, t_x, t_) * (self.r + x) / (self.alpha + t_) * self.active_days(t_, horizon)

    def active_days(self, t: Floats, horizon: float) -> Floats:
        """Expected days until dropout within ``(T, T + horizon]`` of customers active at T, shape (customers,).

        The probability to be active still after u days is ``((beta + T) / (beta + T + u)) ** s``.
        """
        growth = np.log1p(horizon / (self.beta + t))
        return np.asarray((self.beta + t) * growth * exprel((1 - self.s) * growth))

    def discounted_active_days(self, t: Floats, start: float, end: float, discount_rate: float) -> Floats:
        """:meth:`active_days` within ``(T + start, T + end]``, that after u days counted ``exp(-discount_rate * u)``.

        ``discount_rate``, a day, is at least 0. Fader, Hardie and Lee (2005), "RFM and CLV: Using Iso-Value Curves for
        Customer Base Analysis", Journal of Marketing Research 42(4), eq. 4, between two days and divided by the rate of
        purchases. With ``u = (beta + T) * (exp(v) - 1)`` the integrand is smooth, also where customers hardly drop out.
        """
        scale, place = np.unique(self.beta + np.asarray(t, dtype=np.float64), return_inverse=True)
        first, last = np.log1p(start / scale), np.log1p(end / scale)
        v = first + (last - first) * _LIFETIME_NODES[:, None]
        integrand = np.exp((1 - self.s) * v - discount_rate * scale * np.expm1(v))
        integral: Floats = scale * (last - first) * (_LIFETIME_WEIGHTS[:, None] * integrand).sum(axis=0)
        return integral[place]

    def purchase_probability(self, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, horizon: float) -> Floats:
        """Probability of at least one purchase of each customer in ``(T, T + horizon]``, in [0, 1]."""
        found: Floats = self.purchase_probabilities(frequency, recency, t, [horizon])[0]
        return found

    def purchase_probabilities(
        self, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, horizons: Sequence[float]
    ) -> Floats:
        """Probabilities of at least one purchase in ``(T, T + horizon]``, in [0, 1], shape (horizons, customers).

        Let the first purchase after T come at y, with neither a purchase nor dropout before it. The result is the
        integral of ``rate * exp(-(rate + dropout rate) * (y - T))`` over y and the two rates of
        :meth:`expected_purchases`.
        """
        x, t_x, t_ = checked_history(frequency, recency, t)
        found = np.empty((len(horizons), x.size))
        for place, horizon in enumerate(horizons):
            waiting = _power_integrals(self.r + x + 1, self.s, self.alpha, self.beta, t_, t_ + horizon, count=1)[0]
            found[place] = np.minimum((self.r + x) / (self.alpha + t_) * waiting, 1.0)
        return self.p_alive(x, t_x, t_) * found


def fit_pareto_nbd(
    frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, prior: NormalPrior | None = None
) -> ParetoNbd:
    """Fit Pareto/NBD (FH05) by maximum likelihood or, with a prior, maximum a posteriori.

    The arrays have one entry per customer, in any order.

    Raises:
        NotEnoughData, ValueError: as :func:`genome_pipeline.models.btyd.histories.fit_histories`.
    """
    return ParetoNbd(*fit_histories(PARETO_NBD, frequency, recency, t, prior))


def _pareto_nbd_terms(
    r: float, alpha: float, s: float, beta: float, x: Floats, t_x: Floats, t: Floats, count: int = 5
) -> tuple[Floats, Floats, Floats, Floats]:
    """Log-likelihoods of being active at T and of having dropped out before, up to a common factor; (customers,) each.

    The factor is ``Gamma(r + x) * alpha**r * beta**s / Gamma(r)``. The second likelihood is FH05's before the moment of
    dropout is integrated out: one integral of a positive function. FH05's closed form is a difference of two 2F1, with
    different arguments for alpha above and below beta.
    Also returns the log of the integrand of dropout at t_x, and ``count`` integrals relative to that integrand.
    """
    alive = -(r + x) * np.log(alpha + t) - s * np.log(beta + t)
    at_t_x = np.log(s) - (r + x) * np.log(alpha + t_x) - (s + 1) * np.log(beta + t_x)
    integrals = _power_integrals(r + x, s + 1, alpha, beta, t_x, t, count)
    with np.errstate(divide="ignore"):  # a customer who bought at T has had no time to drop out
        dead = at_t_x + np.log(integrals[0])
    return alive, dead, at_t_x, integrals


def _power_integrals(
    p: Floats, q: float, alpha: float, beta: float, start: Floats, end: Floats, count: int = 5
) -> Floats:
    """Integrals over y in (start, end) of ``f = a**-p b**-q``, f log a, f log b, f / a and f / b; (5, customers).

    With ``a = (alpha + y) / (alpha + start)`` and ``b = (beta + y) / (beta + start)``, f falls from 1. The integrals
    are Gauss-Legendre quadratures in ``log(y + min(alpha, beta))``, which moves the singularities of f away, and end
    where f has fallen to about ``exp(-30)``. A ``count`` of 1 computes only the first, which is enough for predictions.
    """
    integrals = np.zeros((count, start.size))
    for first in range(0, start.size, _BLOCK):
        rows = slice(first, first + _BLOCK)
        _integrate(integrals[:, rows], p[rows], q, alpha, beta, start[rows], end[rows])
    return integrals if alpha <= beta or count == 1 else integrals[[0, 2, 1, 4, 3]]


def _integrate(integrals: Floats, p: Floats, q: float, alpha: float, beta: float, start: Floats, end: Floats) -> None:
    """Fill ``integrals`` with those of :func:`_power_integrals`; a must belong to the smaller of alpha and beta."""
    near, far = min(alpha, beta), max(alpha, beta)
    log_reach = np.minimum(end - start, _reach(p, alpha + start))
    log_reach = np.log1p(np.minimum(log_reach, _reach(q, beta + start)) / (near + start))
    near_power, far_power = (p, q) if alpha <= beta else (q, p)
    share = (near + start) / (far + start)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        log_near = node * log_reach
        near_ratio = np.exp(log_near)
        far_ratio = 1 + share * (near_ratio - 1)
        log_far = np.log(far_ratio)
        f = weight * np.exp((1 - near_power) * log_near - far_power * log_far)
        integrals[0] += f
        if len(integrals) > 1:
            integrals[1:] += f * log_near, f * log_far, f / near_ratio, f / far_ratio
    integrals *= log_reach * (near + start)


def _reach(power: Floats | float, base: Floats) -> Floats:
    """Distance after which ``(1 + distance / base)**-power`` is ``exp(-30)``."""
    return base * np.expm1(np.minimum(30 / power, 600.0))


def _pareto_nbd_objective(x: Floats, t_x: Floats, t: Floats, count: Floats) -> Objective:
    """Mean negative log-likelihood of histories that occur ``count`` times, and its gradient, in log parameters."""
    levels, level = np.unique(x, return_inverse=True)
    level_count = np.bincount(level, weights=count).astype(np.float64)
    total = float(count.sum())

    def objective(log_parameters: Floats) -> tuple[float, Floats]:
        r, alpha, s, beta = np.exp(log_parameters)
        alive, dead, at_t_x, (f, f_log_a, f_log_b, f_by_a, f_by_b) = _pareto_nbd_terms(r, alpha, s, beta, x, t_x, t)
        likelihood = np.logaddexp(alive, dead)
        alive_share = np.exp(alive - likelihood) * count
        density = np.exp(at_t_x - likelihood) * count  # of dropout at t_x

        by_level = gammaln(r + levels) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
        value = dot(level_count, by_level) + dot(count, likelihood)
        gradient = np.array(
            [
                dot(level_count, digamma(r + levels) - digamma(r) + np.log(alpha))
                - dot(alive_share, np.log(alpha + t))
                - dot(density, f_log_a + f * np.log(alpha + t_x)),
                total * r / alpha - dot(r + x, alive_share / (alpha + t) + density * f_by_a / (alpha + t_x)),
                total * np.log(beta)
                - dot(alive_share, np.log(beta + t))
                - dot(density, f_log_b + f * (np.log(beta + t_x) - 1 / s)),
                total * s / beta - s * dot(alive_share, 1 / (beta + t)) - (s + 1) * dot(density, f_by_b / (beta + t_x)),
            ]
        )
        return -value / total, -gradient * np.exp(log_parameters) / total

    return objective


PARETO_NBD = Family(
    "Pareto/NBD",
    _pareto_nbd_objective,
    [(0.5, 0.3, 0.5, 0.3), (2.0, 1.0, 1.0, 5.0), (0.5, 0.3, 3.0, 3.0)],
    (0, 1, 0, 1),
)
