"""Buy-till-you-die models to compare the forecast with: BG/NBD and MBG/NBD for purchases, Gamma-Gamma for amounts.

They are fitted and asked as Pareto/NBD is (:mod:`genome_pipeline.models.btyd.pareto_nbd`): every function takes arrays
over customers, frequency ``x``, recency ``t_x`` and ``T`` of :mod:`genome_pipeline.models.btyd.histories`.

Sources:

- Fader, P. S., Hardie, B. G. S. and Lee, K. L. (2005), "Counting Your Customers the Easy Way: An Alternative to the
  Pareto/NBD Model", Marketing Science 24(2), 275-284. Cited as FHL.
- Batislam, E. P., Denizel, M. and Filiztekin, A. (2007), "Empirical Validation and Comparison of Models for Customer
  Base Analysis", International Journal of Research in Marketing 24(3), 201-209. Cited as BDF; and Hoppe, D. and
  Wagner, U. (2007), "Customer Base Analysis: The Case for a Central Variant of the Betageometric/NBD Model",
  Marketing ZFP 3(2), 75-90.
- Fader, P. S. and Hardie, B. G. S. (2013), "The Gamma-Gamma Model of Monetary Value". Cited as FH.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigh_tridiagonal
from scipy.special import digamma, expit, gammaln

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.btyd.histories import (
    MINIMUM_REPEAT_CUSTOMERS,
    Family,
    Objective,
    Parameters,
    checked_history,
    distinct_rows,
    dot,
    fit_histories,
    minimise,
)
from genome_pipeline.models.not_enough_data import NotEnoughData

_QUADRATURE_NODES = 32


@dataclass(frozen=True)
class _BetaGeometricNbd(Parameters):
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
        x, t_x, t_ = checked_history(frequency, recency, t)
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
        x, t_x, t_ = checked_history(frequency, recency, t)
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
        x, t_x, t_ = checked_history(frequency, recency, t)
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
class GammaGamma(Parameters):
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
        NotEnoughData, ValueError: as :func:`genome_pipeline.models.btyd.histories.fit_histories`.
    """
    return BgNbd(*fit_histories(BG_NBD, frequency, recency, t))


def fit_mbg_nbd(frequency: ArrayLike, recency: ArrayLike, t: ArrayLike) -> MbgNbd:
    """Maximum-likelihood MBG/NBD (BDF) of arrays over customers, in any order.

    Raises:
        NotEnoughData, ValueError: as :func:`genome_pipeline.models.btyd.histories.fit_histories`.
    """
    return MbgNbd(*fit_histories(MBG_NBD, frequency, recency, t))


def _beta_geometric_objective(at_first: bool, x: Floats, t_x: Floats, t: Floats, count: Floats) -> Objective:
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
        value = dot(level_count, by_level) + dot(count, likelihood)

        ab_level = digamma(a + b) - digamma(a + b + chance_levels)
        gradient = np.array(
            [
                dot(level_count, digamma(r + levels) - digamma(r) + np.log(alpha))
                - dot(count, alive_share * log_t + dead_share * log_t_x),
                total * r / alpha - dot(count, (r + x) * (alive_share / (alpha + t) + dead_share / (alpha + t_x))),
                dot(level_count, ab_level) + dot(count, dead_share) / a,
                dot(level_count, digamma(b + chance_levels) - digamma(b) + ab_level) - dot(count, dead_share / b_x),
            ]
        )
        # Per customer, so that the optimiser's tolerances mean the same at every size.
        return -value / total, -gradient * np.exp(log_parameters) / total

    return objective


_STARTS = [(0.5, 0.5, 0.5, 2.0), (2.0, 1.0, 1.0, 10.0), (0.2, 0.1, 1.0, 1.0)]
BG_NBD = Family("BG/NBD", partial(_beta_geometric_objective, False), _STARTS, (0, 1, 0, 0))
MBG_NBD = Family("MBG/NBD", partial(_beta_geometric_objective, True), _STARTS, (0, 1, 0, 0))


def fit_gamma_gamma(frequency: ArrayLike, monetary_value: ArrayLike) -> GammaGamma:
    """Maximum-likelihood Gamma-Gamma (FH eq. 1a) on customers with a repeat purchase and a positive mean amount.

    Raises:
        NotEnoughData: fewer than ``MINIMUM_REPEAT_CUSTOMERS`` such customers, or all their amounts are equal.
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
    (x, z), count = distinct_rows(x[is_known], z[is_known] / scale)
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
        value = dot(level_count, by_level) + dot(count, (p * x - 1) * log_z - (p * x + q) * log_v_xz)
        gradient = np.array(
            [
                dot(level_count, levels * (digamma(px + q) - digamma(px) + np.log(levels)))
                + dot(count, x * (log_z - log_v_xz)),
                dot(level_count, digamma(px + q) - digamma(q) + np.log(v)) - dot(count, log_v_xz),
                total * q / v - dot(count, (p * x + q) / (v + x * z)),
            ]
        )
        return -value / total, -gradient * np.exp(log_parameters) / total

    starts = np.log([(2.0, 1.0, 1.0), (6.0, 3.0, 0.5), (1.0, 10.0, 10.0)])
    log_parameters, value = minimise(objective, starts)
    p, q_less_1, v = np.exp(log_parameters).tolist()
    log_likelihood = -value * total - total * np.log(scale)
    return GammaGamma(p, q_less_1 + 1, v * scale, float(log_likelihood), int(total))


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
