"""Buy-till-you-die models: BG/NBD, MBG/NBD and Pareto/NBD for purchases, Gamma-Gamma for the amount of a purchase.

The three models of purchases are fitted, asked and stored in the same way.

Every function takes arrays over customers: frequency ``x`` (repeat purchase days), recency ``t_x`` (first to last
purchase) and ``T`` (first purchase to now). The unit of time is free; ``t_x``, ``T`` and the horizon share it, and
the fitted parameters are in it.

Sources:

- Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), "Counting Your Customers the Easy Way: An Alternative to the
  Pareto/NBD Model", Marketing Science 24(2), 275-284. Cited as FHL.
- Batislam, E. P., Denizel, M. and Filiztekin, A. (2007), "Empirical Validation and Comparison of Models for Customer
  Base Analysis", International Journal of Research in Marketing 24(3), 201-209. Cited as BDF; and Hoppe, D. and
  Wagner, U. (2007), "Customer Base Analysis: The Case for a Central Variant of the Betageometric/NBD Model",
  Marketing ZFP 3(2), 75-90.
- Schmittlein, D. C., Morrison, D. G. and Colombo, R. (1987), "Counting Your Customers: Who Are They and What Will They
  Do Next?", Management Science 33(1), 1-24; and Fader, P. S. and Hardie, B. G. S. (2005), "A Note on Deriving the
  Pareto/NBD Model and Related Expressions". Cited as SMC and FH05.
- Fader, P. S. and Hardie, B. G. S. (2013), "The Gamma-Gamma Model of Monetary Value". Cited as FH.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import minimize
from scipy.special import digamma, expit, exprel, gammaln
from threadpoolctl import threadpool_limits

from genome_pipeline.models.not_enough_data import NotEnoughData

Floats = NDArray[np.float64]
_Objective = Callable[[Floats], tuple[float, Floats]]

MINIMUM_REPEAT_CUSTOMERS = 10
"""Customers with a repeat purchase below which four (or three) parameters are not fitted."""

_LOG_BOUND = 9.0
"""Bound of log parameters in scaled units: keeps a flat likelihood (no dropout, no heterogeneity) finite."""

_QUADRATURE_NODES = 32

_NODES, _WEIGHTS = leggauss(24)[0] / 2 + 0.5, leggauss(24)[1] / 2
"""Gauss-Legendre quadrature on (0, 1)."""

_BLOCK = 4_096
"""Customers that are integrated for together: few enough for the processor's cache to hold what is worked on."""

_START_ROWS = 500
"""Histories with, and without, a repeat purchase on which starts are compared, where there are many more."""


class NormalPrior(NamedTuple):
    """What the logarithms of a model's parameters are expected to be, with the mean T as unit of time.

    Each is normal with its mean and the deviation that all share.
    """

    means: tuple[float, ...]
    deviation: float


PARETO_PRIOR = NormalPrior(tuple(np.log([0.5, 0.3, 0.5, 0.5]).tolist()), 1.5)
"""Where r, alpha, s and beta of Pareto/NBD lie on most logs: wide, so that only few customers feel it."""


@dataclass(frozen=True)
class _Parameters:
    """Fitted parameters, which a dictionary can hold."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, parameters: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        return cls(**parameters)


@dataclass(frozen=True)
class _BetaGeometricNbd(_Parameters):
    """What BG/NBD and MBG/NBD share: all but the number of chances to drop out that x purchases give."""

    DROPOUT_AT_FIRST_PURCHASE: ClassVar[bool]

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    customer_count: int

    def p_alive(self, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike) -> Floats:
        """Probability that each customer is still active, in [0, 1]; 1 in BG/NBD without a repeat purchase.

        FHL, and Fader, Hardie and Lee (2008), "Computing P(alive) Using the BG/NBD Model"; BDF for MBG/NBD.
        """
        x, t_x, t_ = _history(frequency, recency, t)
        chances = x + self.DROPOUT_AT_FIRST_PURCHASE
        log_odds_dead = (
            np.log(self.a)
            - np.log(np.where(chances > 0, self.b + chances - 1, 1.0))
            + (self.r + x) * (np.log(self.alpha + t_) - np.log(self.alpha + t_x))
        )
        return np.where(chances > 0, expit(-log_odds_dead), 1.0)

    def expected_purchases(self, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, horizon: float) -> Floats:
        """Expected purchases of each customer in ``(T, T + horizon]``, at least 0.

        FHL eq. 10, as P(alive) times the expectation given that the customer is active. The latter is the integral of
        ``(1 - (1 + p u)**-(r + x)) / p`` with ``u = horizon / (alpha + T)`` over p ~ Beta(a, b + x) (MBG/NBD:
        Beta(a, b + x + 1)), here by Gauss-Jacobi quadrature: it equals the papers' 2F1 expressions and has no
        singularity at a = 1.
        """
        x, t_x, t_ = _history(frequency, recency, t)
        if_alive = np.zeros_like(x)
        for x_value in np.unique(x):
            rows = np.flatnonzero(x == x_value)
            distinct_t, position = np.unique(t_[rows], return_inverse=True)
            p, weight = _beta_quadrature(self.a, self.b + x_value + self.DROPOUT_AT_FIRST_PURCHASE)
            u = horizon / (self.alpha + distinct_t)
            repeat_probability = -np.expm1(-(self.r + x_value) * np.log1p(np.outer(u, p)))
            if_alive[rows] = (repeat_probability * (weight / p)).sum(axis=1)[position]
        return np.asarray(self.p_alive(x, t_x, t_) * if_alive)

    def purchase_probability(self, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, horizon: float) -> Floats:
        """Probability of at least one purchase of each customer in ``(T, T + horizon]``, in [0, 1].

        Dropout only follows a purchase (FHL, assumption iii), so a customer who is active buys once more for certain,
        after a time whose posterior is Gamma(r + x, alpha + T)-mixed exponential.
        """
        x, t_x, t_ = _history(frequency, recency, t)
        if_alive = -np.expm1(-(self.r + x) * np.log1p(horizon / (self.alpha + t_)))
        return np.asarray(self.p_alive(x, t_x, t_) * if_alive)


class BgNbd(_BetaGeometricNbd):
    """Fitted BG/NBD: purchase rates are Gamma(r, alpha) over customers, dropout probabilities Beta(a, b).

    A customer may drop out right after each repeat purchase. ``alpha`` is in the unit of time of the data;
    ``log_likelihood`` is that of the data fitted on.
    """

    DROPOUT_AT_FIRST_PURCHASE = False


class MbgNbd(_BetaGeometricNbd):
    """Fitted MBG/NBD: as :class:`BgNbd`, but a customer may drop out right after the first purchase, too."""

    DROPOUT_AT_FIRST_PURCHASE = True


@dataclass(frozen=True)
class ParetoNbd(_Parameters):
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
        x, t_x, t_ = _history(frequency, recency, t)
        alive, dead = _pareto_nbd_terms(self.r, self.alpha, self.s, self.beta, x, t_x, t_, count=1)[:2]
        probability: Floats = expit(alive - dead)
        return probability

    def expected_purchases(self, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, horizon: float) -> Floats:
        """Expected purchases of each customer in ``(T, T + horizon]``, at least 0 (SMC; FH05).

        Given that the customer is active at T, purchase rate and dropout rate are independent, Gamma(r + x, alpha + T)
        and Gamma(s, beta + T). ``exprel`` is smooth at s = 1, where the paper's expression is 0 / 0.
        """
        x, t_x, t_ = _history(frequency, recency, t)
        growth = np.log1p(horizon / (self.beta + t_))
        active_time = (self.beta + t_) * growth * exprel((1 - self.s) * growth)
        return self.p_alive(x, t_x, t_) * (self.r + x) / (self.alpha + t_) * active_time

    def purchase_probability(self, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, horizon: float) -> Floats:
        """Probability of at least one purchase of each customer in ``(T, T + horizon]``, in [0, 1].

        The first purchase after T comes at y if the customer neither bought nor dropped out before: the integral of
        ``rate * exp(-(rate + dropout rate) (y - T))`` over y and the two rates of :meth:`expected_purchases`.
        """
        x, t_x, t_ = _history(frequency, recency, t)
        waiting = _power_integrals(self.r + x + 1, self.s, self.alpha, self.beta, t_, t_ + horizon, count=1)[0]
        if_alive: Floats = np.minimum((self.r + x) / (self.alpha + t_) * waiting, 1.0)
        return self.p_alive(x, t_x, t_) * if_alive


@dataclass(frozen=True)
class GammaGamma(_Parameters):
    """Fitted Gamma-Gamma: amounts of a customer are Gamma(p, nu), and nu is Gamma(q, v) over customers.

    ``v`` is in the currency of the data; ``q`` exceeds 1, so that the mean over customers exists.
    """

    p: float
    q: float
    v: float
    log_likelihood: float
    customer_count: int

    def mean_amount(self, frequency: ArrayLike, monetary_value: ArrayLike) -> Floats:
        """Expected amount of the next purchase of each customer, at least 0 (FH eq. 5).

        ``monetary_value`` is the mean amount of ``frequency`` repeat purchases; without one (0 purchases, or null)
        the mean over customers is given.
        """
        x = np.asarray(frequency, dtype=np.float64)
        z = np.asarray(monetary_value, dtype=np.float64)
        is_known = (x > 0) & np.isfinite(z)
        x, z = np.where(is_known, x, 0.0), np.where(is_known, z, 0.0)
        return self.p * (self.v + x * z) / (self.p * x + self.q - 1)


def fit_bg_nbd(frequency: ArrayLike, recency: ArrayLike, t: ArrayLike) -> BgNbd:
    """Maximum-likelihood BG/NBD (FHL eq. 6) of arrays over customers, in any order.

    Raises:
        NotEnoughData: fewer than :data:`MINIMUM_REPEAT_CUSTOMERS` customers bought again, or no time has passed.
        ValueError: a value is negative or not finite, a recency exceeds its T, or is not 0 without a repeat purchase.
    """
    return BgNbd(*_fit("BG/NBD", frequency, recency, t))


def fit_mbg_nbd(frequency: ArrayLike, recency: ArrayLike, t: ArrayLike) -> MbgNbd:
    """Maximum-likelihood MBG/NBD (BDF) of arrays over customers, in any order.

    Raises:
        NotEnoughData: fewer than :data:`MINIMUM_REPEAT_CUSTOMERS` customers bought again, or no time has passed.
        ValueError: a value is negative or not finite, a recency exceeds its T, or is not 0 without a repeat purchase.
    """
    return MbgNbd(*_fit("MBG/NBD", frequency, recency, t))


def fit_pareto_nbd(
    frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, prior: NormalPrior | None = None
) -> ParetoNbd:
    """Pareto/NBD (FH05) of arrays over customers, in any order, by maximum likelihood or, with a prior, a posteriori.

    Raises:
        NotEnoughData: fewer than :data:`MINIMUM_REPEAT_CUSTOMERS` customers bought again, or no time has passed.
        ValueError: a value is negative or not finite, a recency exceeds its T, or is not 0 without a repeat purchase.
    """
    return ParetoNbd(*_fit("Pareto/NBD", frequency, recency, t, prior))


_FITTED: dict[tuple[str, NormalPrior | None, bytes], tuple[float, float, float, float, float, int]] = {}
"""Fits by model and histories: value and risk of a snapshot, and of the one after it, ask for the same."""


def _fit(
    name: str, frequency: ArrayLike, recency: ArrayLike, t: ArrayLike, prior: NormalPrior | None = None
) -> tuple[float, float, float, float, float, int]:
    """The four parameters of a model of purchases, the log-likelihood and the number of customers."""
    x, t_x, t_ = _history(frequency, recency, t)
    key = (name, prior, hashlib.sha256(b"".join(values.tobytes() for values in (x, t_x, t_))).digest())
    if key not in _FITTED:
        _FITTED[key] = _fit_anew(name, x, t_x, t_, prior)
    return _FITTED[key]


def _fit_anew(
    name: str, x: Floats, t_x: Floats, t_: Floats, prior: NormalPrior | None
) -> tuple[float, float, float, float, float, int]:
    repeat_count = int(np.count_nonzero(x))
    if repeat_count < MINIMUM_REPEAT_CUSTOMERS:
        raise NotEnoughData(
            f"only {repeat_count} of {x.size} customers bought again: {name} needs {MINIMUM_REPEAT_CUSTOMERS}"
        )
    scale = float(t_.mean())
    if scale == 0:
        raise NotEnoughData(f"no time has passed since the first purchases: {name} has nothing to learn from")

    # Customers with the same history have the same likelihood: count them, and work on distinct histories.
    (x, t_x, t_), count = _distinct_rows(x, t_x / scale, t_ / scale)
    family = _FAMILIES[name]
    starts = np.log(family.starts)
    if x.size > 2 * _START_ROWS:
        # Some of the histories find the neighbourhood; only the best start is pursued on all of them.
        rows, weight = _sampled_rows(x)
        objective = family.objective(x[rows], t_x[rows], t_[rows], count[rows] * weight)
        starts = _minimise(_with_prior(objective, prior, count.sum()), starts)[0][np.newaxis]
    objective = family.objective(x, t_x, t_, count)
    log_parameters, _ = _minimise(_with_prior(objective, prior, count.sum()), starts)
    value = objective(log_parameters)[0]
    first, second, third, fourth = (np.exp(log_parameters) * scale ** np.array(family.time_powers)).tolist()
    # Dividing time by `scale` multiplied the density of each of the x purchase moments by `scale`.
    log_likelihood = -value * count.sum() - _dot(count, x) * np.log(scale)
    return first, second, third, fourth, float(log_likelihood), int(count.sum())


def _with_prior(objective: _Objective, prior: NormalPrior | None, customers: float) -> _Objective:
    """The objective, a mean over customers, with the negative logarithm of the prior density over as many added."""
    if prior is None:
        return objective
    mean, deviation = np.array(prior.means), prior.deviation

    def with_prior(log_parameters: Floats) -> tuple[float, Floats]:
        value, gradient = objective(log_parameters)
        distance = (log_parameters - mean) / deviation
        return value + _dot(distance, distance) / 2 / customers, gradient + distance / deviation / customers

    return with_prior


def _beta_geometric_objective(at_first: bool, x: Floats, t_x: Floats, t: Floats, count: Floats) -> _Objective:
    """Mean negative log-likelihood of histories that occur ``count`` times, and its gradient, in log parameters.

    FHL eq. 6, with ``chances`` to drop out in the place of its x where they come from the dropout: MBG/NBD is the same
    with one more (BDF).
    """
    levels, level = np.unique(x, return_inverse=True)
    level_count = np.bincount(level, weights=count).astype(np.float64)
    chances, chance_levels = x + at_first, levels + at_first
    may_be_dead = chances > 0
    total = float(count.sum())

    def objective(log_parameters: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = np.exp(log_parameters)
        log_t, log_t_x = np.log(alpha + t), np.log(alpha + t_x)
        b_x = np.where(may_be_dead, b + chances - 1, 1.0)
        alive = -(r + x) * log_t
        dead = np.where(may_be_dead, np.log(a) - np.log(b_x) - (r + x) * log_t_x, -np.inf)
        likelihood = np.logaddexp(alive, dead)
        dead_share = np.exp(dead - likelihood)
        alive_share = 1.0 - dead_share

        by_level = (
            gammaln(r + levels)
            - gammaln(r)
            + r * np.log(alpha)
            + gammaln(b + chance_levels)
            - gammaln(b)
            + gammaln(a + b)
            - gammaln(a + b + chance_levels)
        )
        value = _dot(level_count, by_level) + _dot(count, likelihood)

        ab_level = digamma(a + b) - digamma(a + b + chance_levels)
        gradient = np.array(
            [
                _dot(level_count, digamma(r + levels) - digamma(r) + np.log(alpha))
                - _dot(count, alive_share * log_t + dead_share * log_t_x),
                total * r / alpha - _dot(count, (r + x) * (alive_share / (alpha + t) + dead_share / (alpha + t_x))),
                _dot(level_count, ab_level) + _dot(count, dead_share) / a,
                _dot(level_count, digamma(b + chance_levels) - digamma(b) + ab_level) - _dot(count, dead_share / b_x),
            ]
        )
        # Per customer, so that the optimiser's tolerances mean the same at every size.
        return -value / total, -gradient * np.exp(log_parameters) / total

    return objective


def _pareto_nbd_terms(
    r: float, alpha: float, s: float, beta: float, x: Floats, t_x: Floats, t: Floats, count: int = 5
) -> tuple[Floats, Floats, Floats, Floats]:
    """Log-likelihoods of being active at T and of having dropped out before, up to a common factor; (customers,) each.

    The factor is ``Gamma(r + x) alpha**r beta**s / Gamma(r)``. The second is FH05's with the moment of dropout
    not yet integrated out: one integral of a positive function, where the closed form is a difference of two 2F1, in
    one way for alpha above beta and in another below.
    Also the log of the integrand of dropout at t_x, and the ``count`` integrals that are relative to it.
    """
    alive = -(r + x) * np.log(alpha + t) - s * np.log(beta + t)
    at_t_x = np.log(s) - (r + x) * np.log(alpha + t_x) - (s + 1) * np.log(beta + t_x)
    integrals = _power_integrals(r + x, s + 1, alpha, beta, t_x, t, count)
    with np.errstate(divide="ignore"):  # who bought at T has had no time to drop out
        dead = at_t_x + np.log(integrals[0])
    return alive, dead, at_t_x, integrals


def _power_integrals(
    p: Floats, q: float, alpha: float, beta: float, start: Floats, end: Floats, count: int = 5
) -> Floats:
    """Integrals over y in (start, end) of ``f = a**-p b**-q``, f log a, f log b, f / a and f / b; (5, customers).

    ``a = (alpha + y) / (alpha + start)`` and ``b = (beta + y) / (beta + start)``, so that f falls from 1. By
    Gauss-Legendre quadrature in ``log(y + min(alpha, beta))``, which moves the singularities of f away, up to where f
    has fallen to about ``exp(-30)``. With a ``count`` of 1, only the first, which is all that predictions need.
    """
    integrals = np.zeros((count, start.size))
    for first in range(0, start.size, _BLOCK):
        rows = slice(first, first + _BLOCK)
        _integrate(integrals[:, rows], p[rows], q, alpha, beta, start[rows], end[rows])
    return integrals if alpha <= beta or count == 1 else integrals[[0, 2, 1, 4, 3]]


def _integrate(integrals: Floats, p: Floats, q: float, alpha: float, beta: float, start: Floats, end: Floats) -> None:
    """Fill the zeros of ``integrals`` with those of :func:`_power_integrals`, the smaller of alpha and beta as a."""
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


def _pareto_nbd_objective(x: Floats, t_x: Floats, t: Floats, count: Floats) -> _Objective:
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
        value = _dot(level_count, by_level) + _dot(count, likelihood)
        gradient = np.array(
            [
                _dot(level_count, digamma(r + levels) - digamma(r) + np.log(alpha))
                - _dot(alive_share, np.log(alpha + t))
                - _dot(density, f_log_a + f * np.log(alpha + t_x)),
                total * r / alpha - _dot(r + x, alive_share / (alpha + t) + density * f_by_a / (alpha + t_x)),
                total * np.log(beta)
                - _dot(alive_share, np.log(beta + t))
                - _dot(density, f_log_b + f * (np.log(beta + t_x) - 1 / s)),
                total * s / beta
                - s * _dot(alive_share, 1 / (beta + t))
                - (s + 1) * _dot(density, f_by_b / (beta + t_x)),
            ]
        )
        return -value / total, -gradient * np.exp(log_parameters) / total

    return objective


class _Family(NamedTuple):
    """How a model of purchases is fitted, with the mean T as unit of time."""

    objective: Callable[[Floats, Floats, Floats, Floats], _Objective]
    starts: list[tuple[float, float, float, float]]
    time_powers: tuple[int, int, int, int]
    """Power of the unit of time in each parameter."""


_BETA_GEOMETRIC_STARTS = [(0.5, 0.5, 0.5, 2.0), (2.0, 1.0, 1.0, 10.0), (0.2, 0.1, 1.0, 1.0)]
_PARETO_STARTS = [(0.5, 0.3, 0.5, 0.3), (2.0, 1.0, 1.0, 5.0), (0.5, 0.3, 3.0, 3.0)]
_FAMILIES = {
    "BG/NBD": _Family(partial(_beta_geometric_objective, False), _BETA_GEOMETRIC_STARTS, (0, 1, 0, 0)),
    "MBG/NBD": _Family(partial(_beta_geometric_objective, True), _BETA_GEOMETRIC_STARTS, (0, 1, 0, 0)),
    "Pareto/NBD": _Family(_pareto_nbd_objective, _PARETO_STARTS, (0, 1, 0, 1)),
}


def fit_gamma_gamma(frequency: ArrayLike, monetary_value: ArrayLike) -> GammaGamma:
    """Maximum-likelihood Gamma-Gamma (FH eq. 1a) on customers with a repeat purchase and a positive mean amount.

    Raises:
        NotEnoughData: fewer than :data:`MINIMUM_REPEAT_CUSTOMERS` such customers, or all their amounts are equal.
    """
    x = np.asarray(frequency, dtype=np.float64)
    z = np.asarray(monetary_value, dtype=np.float64)
    is_known = (x > 0) & np.isfinite(z) & (z > 0)
    if np.count_nonzero(is_known) < MINIMUM_REPEAT_CUSTOMERS:
        raise NotEnoughData(
            f"only {np.count_nonzero(is_known)} customers have the amount of a repeat purchase: "
            f"Gamma-Gamma needs {MINIMUM_REPEAT_CUSTOMERS}"
        )
    scale = float(np.median(z[is_known]))
    (x, z), count = _distinct_rows(x[is_known], z[is_known] / scale)
    if np.ptp(z) == 0:
        raise NotEnoughData("all repeat purchases have the same amount: Gamma-Gamma has nothing to learn from")
    levels, level = np.unique(x, return_inverse=True)
    level_count = np.bincount(level, weights=count).astype(np.float64)
    log_z = np.log(z)
    total = float(count.sum())

    def objective(log_parameters: Floats) -> tuple[float, Floats]:
        p, q_less_1, v = np.exp(log_parameters)
        q = q_less_1 + 1
        px = p * levels
        log_v_xz = np.log(v + x * z)
        by_level = gammaln(px + q) - gammaln(px) - gammaln(q) + q * np.log(v) + px * np.log(levels)
        value = _dot(level_count, by_level) + _dot(count, (p * x - 1) * log_z - (p * x + q) * log_v_xz)
        gradient = np.array(
            [
                _dot(level_count, levels * (digamma(px + q) - digamma(px) + np.log(levels)))
                + _dot(count, x * (log_z - log_v_xz)),
                _dot(level_count, digamma(px + q) - digamma(q) + np.log(v)) - _dot(count, log_v_xz),
                total * q / v - _dot(count, (p * x + q) / (v + x * z)),
            ]
        )
        return -value / total, -gradient * np.exp(log_parameters) / total

    starts = np.log([(2.0, 1.0, 1.0), (6.0, 3.0, 0.5), (1.0, 10.0, 10.0)])
    log_parameters, value = _minimise(objective, starts)
    p, q_less_1, v = np.exp(log_parameters).tolist()
    log_likelihood = -value * total - total * np.log(scale)
    return GammaGamma(p, q_less_1 + 1, v * scale, float(log_likelihood), int(total))


def _history(frequency: ArrayLike, recency: ArrayLike, t: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The three arrays as floats, checked: 0 <= t_x <= T, x >= 0, and t_x = 0 where x = 0."""
    x, t_x, t_ = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (frequency, recency, t)))
    if not (np.all(np.isfinite(x) & (x >= 0)) and np.all(np.isfinite(t_) & (t_x >= 0) & (t_x <= t_))):
        raise ValueError("frequency, recency and T must be finite, at least 0, and recency at most T")
    if np.any((x == 0) & (t_x > 0)):
        raise ValueError("recency must be 0 for a customer without a repeat purchase")
    return x, t_x, t_


def _distinct_rows(*columns: Floats) -> tuple[list[Floats], Floats]:
    """Distinct rows of some columns, sorted (so that sums do not depend on row order), and how often each occurs."""
    order = np.lexsort(columns[::-1])
    ordered = [column[order] for column in columns]
    is_first = np.ones(order.size, dtype=bool)
    is_first[1:] = np.any([column[1:] != column[:-1] for column in ordered], axis=0)
    starts = np.flatnonzero(is_first)
    return [column[starts] for column in ordered], np.diff(starts, append=order.size).astype(np.float64)


def _sampled_rows(x: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Every k-th of the sorted histories and its weight k, apart for one-time buyers lest they crowd out the others."""
    groups = [np.flatnonzero(x == 0), np.flatnonzero(x > 0)]
    steps = [max(1, group.size // _START_ROWS) for group in groups]
    rows = [group[::step] for group, step in zip(groups, steps, strict=True)]
    weights = [np.full(sample.size, float(step)) for sample, step in zip(rows, steps, strict=True)]
    return np.concatenate(rows), np.concatenate(weights)


def _dot(left: Floats, right: Floats) -> float:
    """Sum of products, the same for any number of threads (a BLAS product is not)."""
    return float(np.sum(left * right))


def _minimise(objective: _Objective, starts: Floats) -> tuple[Floats, float]:
    """Best of the L-BFGS-B minima from each row of ``starts``, within the bound of log parameters."""
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


def _beta_quadrature(alpha: float, beta: float) -> tuple[Floats, Floats]:
    """Gauss-Jacobi nodes in (0, 1) and weights (summing to 1) for the mean under Beta(alpha, beta).

    Golub, G. H. and Welsch, J. H. (1969), "Calculation of Gauss Quadrature Rules": eigenvalues of the Jacobi matrix,
    with the recurrence of the Jacobi polynomials of exponents ``beta - 1`` and ``alpha - 1``.
    """
    k = np.arange(1, _QUADRATURE_NODES, dtype=np.float64)
    total = alpha + beta
    # With s = 2k + (alpha - 1) + (beta - 1); the first entries are written out, where the general ones are 0 / 0.
    s = 2 * k + total - 2
    diagonal = np.empty(_QUADRATURE_NODES)
    diagonal[0] = (alpha - beta) / total
    diagonal[1:] = (alpha - beta) * (total - 2) / (s * (s + 2))
    squared = np.empty(_QUADRATURE_NODES - 1)
    squared[0] = 4 * alpha * beta / (total**2 * (total + 1))
    k, s = k[1:], s[1:]
    squared[1:] = 4 * k * (k + alpha - 1) * (k + beta - 1) * (k + total - 2) / (s**2 * (s + 1) * (s - 1))
    nodes, vectors = eigh_tridiagonal(diagonal, np.sqrt(squared))
    return np.maximum((1 + nodes) / 2, np.finfo(np.float64).tiny), vectors[0] ** 2
