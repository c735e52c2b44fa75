"""What acting brought, per customer: the difference between treated and controls, adjusted by the frozen forecast.

Customers count as they were drawn, whether or not they were reached (intention to treat). An outcome is regressed on
its forecast within each arm, and both lines are read at the mean forecast of all:

    effect = [y_t + b_t (x - x_t)] - [y_c + b_c (x - x_c)]

with y and x the means of outcome and forecast, and b the slopes. This is the regression with interactions of Lin, W.
(2013), "Agnostic Notes on Regression Adjustments to Experimental Data", Annals of Applied Statistics 7(1), 295-318,
eq. 4, and CUPED (Deng, Xu, Kohavi and Walker 2013, "Improving the Sensitivity of Online Controlled Experiments by
Utilizing Pre-Experiment Data", WSDM) with a slope of each arm's own. It needs no model to be true: the draw alone makes
it right, and on average it is never less precise than the difference in means.

Standard errors are robust (HC2: MacKinnon and White 1985), which is Neyman's variance of the effect on these very
customers: conservative where the effect differs between customers. Every estimate is a sum over customers of a weight
times an outcome, so that the covariance of estimates at several looks, which share customers, follows from the same
contributions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.not_enough_data import NotEnoughData

Flags = NDArray[np.bool_]

LEAST_LEFT = 30
"""Least customers treated, and least left alone, that must be left of those drawn: some are lost, or forgotten."""

_NEGLIGIBLE = 1e-12


class Effects(NamedTuple):
    """The effect on one outcome at each look, oldest first; units are those of the outcome per customer.

    Attributes:
        estimate: effect per customer, shape (looks,).
        covariance: of the estimates, shape (looks, looks); 0 where nobody has done anything yet.
        control_mean: what the same customers would have done without being treated, per customer, shape (looks,).
        control_variance: of ``control_mean``, shape (looks,).
        skewness: of the estimate's distribution at each look, shape (looks,); 0 where it is symmetrical.
        treated_count: customers treated.
        control_count: customers left alone.
    """

    estimate: Floats
    covariance: Floats
    control_mean: Floats
    control_variance: Floats
    skewness: Floats
    treated_count: int
    control_count: int

    @property
    def deviation(self) -> Floats:
        """Standard error of each estimate, shape (looks,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def lift_share(self) -> Floats:
        """The effect as a share of ``control_mean``, shape (looks,); NaN where that is not well above 0."""
        is_known = self.control_mean > 4 * np.sqrt(self.control_variance)
        return np.where(is_known, self.estimate / np.where(is_known, self.control_mean, 1.0), np.nan)

    @property
    def lift_deviation(self) -> Floats:
        """Standard error of ``lift_share``, that of the mean below the line included (delta method), shape (looks,)."""
        of_treated = np.diag(self.covariance) - self.control_variance
        ratio = 1 + self.lift_share
        return np.sqrt(of_treated + ratio**2 * self.control_variance) / np.where(
            np.isfinite(ratio), self.control_mean, np.nan
        )

    @property
    def correlation(self) -> Floats:
        """Correlation of the estimates, shape (looks, looks)."""
        deviation = np.where(self.deviation > 0, self.deviation, 1.0)
        found: Floats = self.covariance / np.outer(deviation, deviation)
        np.fill_diagonal(found, 1.0)
        return found


def adjusted_effects(outcomes: Floats, expected: Floats | None, is_treated: Flags) -> Effects:
    """The effect on an outcome at each look.

    Args:
        outcomes: what each customer did from the start up to each look, shape (customers, looks), finite; returns may
            make spend negative. Customers who did nothing stand in it with 0.
        expected: forecast of the outcome as frozen at the start, shape (customers,). NaN, where it was withheld, counts
            as the mean of the others. None gives the plain difference in means.
        is_treated: whether each was drawn to be treated, shape (customers,).

    Raises:
        NotEnoughData: fewer than 30 customers (:data:`LEAST_LEFT`) treated, or left alone.
    """
    treated_count, control_count = int(is_treated.sum()), int((~is_treated).sum())
    if min(treated_count, control_count) < LEAST_LEFT:
        raise NotEnoughData(
            f"{treated_count:,} customers were treated and {control_count:,} left alone: an effect needs"
            f" {LEAST_LEFT} of each"
        )
    x = np.zeros(is_treated.size) if expected is None else filled(expected)
    center = float(x.mean())
    contributions = np.zeros_like(outcomes, dtype=np.float64)
    means = {}
    for sign, arm in ((1.0, is_treated), (-1.0, ~is_treated)):
        means[sign], contributions[arm] = _mean_at(center, x[arm], outcomes[arm], sign)
    covariance = contributions.T @ contributions
    return Effects(
        means[1.0] - means[-1.0],
        covariance,
        means[-1.0],
        (contributions[~is_treated] ** 2).sum(axis=0),
        _skewness(contributions, is_treated),
        treated_count,
        control_count,
    )


def filled(expected: Floats) -> Floats:
    """The forecasts, with the mean of those that are known for those that are not; 0 where none is."""
    known = np.isfinite(expected)
    return np.where(known, expected, expected[known].mean() if known.any() else 0.0)


def _mean_at(center: float, x: Floats, y: Floats, sign: float) -> tuple[Floats, Floats]:
    """The line of y on x read at ``center``, shape (looks,), and each customer's part of its error, (customers, looks).

    The squares of the parts add up to the HC2 variance.
    """
    off = x - x.mean()
    square = float(off @ off)
    leaned = off / square if square > _NEGLIGIBLE * max(float(x @ x), 1.0) else np.zeros_like(off)
    weights = 1 / x.size + leaned * (center - x.mean())
    leverage = 1 / x.size + leaned * off
    slope = leaned @ y
    residuals = y - y.mean(axis=0) - np.outer(off, slope)
    parts = sign * (weights / np.sqrt(np.maximum(1 - leverage, _NEGLIGIBLE)))[:, None] * residuals
    return np.asarray(weights @ y), parts


def _skewness(contributions: Floats, is_treated: Flags) -> Floats:
    """Skewness of each estimate, shape (looks,), from what is left of all customers together.

    Both arms were drawn from the same customers. A small arm that happens to lack those who weigh most would look even
    by itself, just when its mean is too low.
    """
    treated, controls = int(is_treated.sum()), int((~is_treated).sum())
    left = contributions * np.where(is_treated, treated, -controls)[:, None]
    second, third = (left**2).mean(axis=0), (left**3).mean(axis=0)
    of_one = np.divide(third, second**1.5, out=np.zeros_like(third), where=second > 0)
    return np.asarray(of_one * (1 / treated**2 - 1 / controls**2) / (1 / treated + 1 / controls) ** 1.5)


class OfReached(NamedTuple):
    """The effect per customer who was reached because of being drawn.

    Attributes:
        estimate: effect per such customer.
        deviation: its standard error.
        reached_share: share of the treated who were reached, less that of the controls.
    """

    estimate: float
    deviation: float
    reached_share: float


def effect_of_reached(outcome: Floats, expected: Floats | None, is_treated: Flags, is_reached: Flags) -> OfReached:
    """The effect on those whom the draw made be reached: the effect of the draw over the reach of the draw.

    Imbens, G. and Angrist, J. (1994), "Identification and Estimation of Local Average Treatment Effects", Econometrica
    62(2), 467-475. It supposes that being drawn does nothing to those who are not reached.

    Args:
        outcome: shape (customers,), at one look.
        expected: as :func:`adjusted_effects` takes it.
        is_treated: drawn to be treated, shape (customers,).
        is_reached: contacted, by the contact log, shape (customers,).

    Raises:
        NotEnoughData: as :func:`adjusted_effects`; or the treated were reached hardly more than the controls were.
    """
    reach = adjusted_effects(is_reached.astype(np.float64)[:, None], None, is_treated)
    share, deviation = float(reach.estimate[0]), float(reach.deviation[0])
    if share <= max(0.1, 4 * deviation):
        raise NotEnoughData(
            f"{share:.0%} more of the treated than of the controls were reached: too few to tell what reaching did"
        )
    intended = float(adjusted_effects(outcome[:, None], expected, is_treated).estimate[0])
    estimate = intended / share
    # The ratio's error is that of outcome - estimate * reached, over the share (delta method).
    left = adjusted_effects((outcome - estimate * is_reached)[:, None], expected, is_treated)
    return OfReached(estimate, float(left.deviation[0]) / share, share)
