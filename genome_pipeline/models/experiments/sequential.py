"""Several looks at one experiment: error spent over the time of the run, and the verdict.

The customers of a run are drawn once, at its start, and their outcomes add up from snapshot to snapshot. The estimates
at the looks share their customers, and have no independent increments: who buys much in the first month does in the
second. Always-valid confidence sequences (Howard, Ramdas, McAuliffe and Sekhon 2021) need customers that arrive one by
one, and are half as wide again. A run has an end that is known, and looks that are known: snapshots. So the error of 5%
is spent over the time of the run (Lan, K. K. G. and DeMets, D. L. (1983), "Discrete Sequential Boundaries for Clinical
Trials", Biometrika 70(3), 659-663), by elapsed time, with their counterpart of O'Brien and Fleming's bounds:

    spent(t) = 2 alpha' with alpha' = 2 - 2 Phi(z(alpha / 4) / sqrt(t))

Bounds at each look are such that an experiment without an effect leaves them for the first time with the probability
spent there, for estimates that are jointly normal with the correlation that was estimated (Slud and Wei 1982 show that
it may be any). Early looks cost next to nothing: with monthly looks over three months the last bound is 2.0 standard
errors where a single look would have 1.96.

The intervals are repeated confidence intervals (Jennison and Turnbull 1989): all looks hold together in 95% of the
experiments. The first look whose interval lies beyond 0 decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.experiments.effect import Effects

ALPHA = 0.05
POWER = 0.8

SINGLE_LOOK = float(ndtri(1 - ALPHA / 2))
"""Half the width of a 95% interval in standard errors, where one looks once."""

LARGEST_SKEWNESS = 0.25
"""Skewness of an estimate up to which its verdict is given.

By the first term of Edgeworth's expansion (Hall 1992, "The Bootstrap and Edgeworth Expansion", section 2.6) a bound of
1.96 standard errors is passed on one side with a probability of 2.5% and (2 z^2 + 1) / 6 phi(z) = .085 times the
skewness: at .25, of 4.6% on one side and .4% on the other, 5% together.
"""

_POINTS = 2**16  # of the normal distribution
_LEAST_SPENT = 1e-300  # a look so early that it spends less has a bound of 37 standard errors, not an infinite one
_CORRELATION_DIGITS = 2
_DIGITS = 9  # bounds are rounded before they are compared with 0


class VerdictName(StrEnum):
    """What an experiment, or several runs of a rule, have shown so far."""

    PROVEN = "proven"
    NOT_PROVEN_YET = "not proven yet"
    HARMFUL = "harmful"


class Look(NamedTuple):
    """An effect per customer at one look, with the interval that allows for all looks so far.

    Attributes:
        elapsed_share: part of the run that had passed, in (0, 1].
        estimate, lower, upper: effect per customer.
        critical_value: half the interval's width in standard errors.
    """

    elapsed_share: float
    estimate: float
    lower: float
    upper: float
    critical_value: float


class Verdict(NamedTuple):
    """What an experiment has shown.

    Attributes:
        name: of the verdict.
        decided_at: index of the look that decided; None while nothing is proven.
        looks: all looks, oldest first.
        more_customers: customers that a run as long needs besides these to show the wished effect at 80% power; None
            where it is proven or harmful, or where this run is large enough.
        remaining_share: part of the run that is still to come.
        reason: why there is no verdict although the run is over, in one sentence; empty otherwise.
    """

    name: VerdictName
    decided_at: int | None
    looks: tuple[Look, ...]
    more_customers: int | None
    remaining_share: float
    reason: str


def spent(elapsed_share: Floats, alpha: float = ALPHA) -> Floats:
    """The error spent, on both sides together, by each part of the run in [0, 1]."""
    with np.errstate(divide="ignore"):
        return np.asarray(4 * ndtr(ndtri(alpha / 4) / np.sqrt(np.clip(elapsed_share, 0, 1))))


def critical_values(correlation: Floats, elapsed_share: Floats, alpha: float = ALPHA) -> Floats:
    """Bounds in standard errors at each look, shape (looks,).

    Args:
        correlation: of the estimates, shape (looks, looks). It is rounded to hundredths, so that hardly a bound hangs
            on the last bits of a sum, and experiments that are alike share theirs.
        elapsed_share: part of the run passed at each look, rising, in (0, 1], shape (looks,).
        alpha: error of the whole run, on both sides together.
    """
    rounded = np.round(correlation, _CORRELATION_DIGITS)
    np.fill_diagonal(rounded, 1.0)
    return np.array(_critical_values(tuple(map(tuple, rounded.tolist())), tuple(elapsed_share.tolist()), alpha))


@lru_cache(maxsize=1_024)
def _critical_values(
    correlation: tuple[tuple[float, ...], ...], elapsed_share: tuple[float, ...], alpha: float
) -> tuple[float, ...]:
    """By points of the joint normal distribution: how many are left, and by how much they leave at each look.

    A bound lies between the one that needs no points if all that left before would leave again, and the one if none
    would.
    """
    total = spent(np.array(elapsed_share), alpha)
    root = _root(np.array(correlation))
    heights = np.abs(_normal_points(len(root)) @ root.T)
    found: list[float] = []
    before = 0.0
    left = np.ones(len(heights), dtype=bool)
    for look, until in enumerate(total):
        lowest, highest = (-float(ndtri(max(each, _LEAST_SPENT) / 2)) for each in (until, until - before))
        leaving = round((until - before) * _POINTS)
        of_left = heights[left, look]
        place = of_left.size - 1 - leaving
        bound = float(np.partition(of_left, place)[place]) if leaving and place >= 0 else highest
        found.append(round(min(max(bound, lowest), highest), 3))
        left &= heights[:, look] <= found[-1]
        before = float(until)
    return tuple(found)


def _root(correlation: Floats) -> Floats:
    """The lower triangle L with L L' nearly the correlation: a look hangs on those before it alone.

    Rounding may leave a look less variance of its own than 0; then it has none, and its row is scaled back to 1.
    """
    root = np.zeros_like(correlation)
    for look, row in enumerate(correlation):
        shared = np.linalg.lstsq(root[:look, :look], row[:look], rcond=1e-6)[0] if look else row[:0]
        root[look, :look] = shared
        root[look, look] = np.sqrt(max(1 - float(shared @ shared), 0.0))
        root[look] /= np.linalg.norm(root[look])
    return root


@lru_cache(maxsize=4)
def _normal_points(looks: int) -> Floats:
    """Points of as many independent normal variables, shape (points, looks).

    Each look has the middles of equal parts of the normal distribution, in an order of its own: a Latin hypercube
    (McKay, Beckman and Conover 1979), in which no look changes what earlier ones have.
    """
    middles = ndtri((np.arange(_POINTS) + 0.5) / _POINTS)
    return np.column_stack([np.random.default_rng(look).permutation(middles) for look in range(looks)])


def final_critical_value(looks: int, alpha: float = ALPHA) -> float:
    """The bound at the last of equally spaced looks whose increments are independent: what a plan reckons with."""
    elapsed = np.arange(1, looks + 1) / looks
    correlation = np.sqrt(np.minimum.outer(elapsed, elapsed) / np.maximum.outer(elapsed, elapsed))
    return float(critical_values(correlation, elapsed, alpha)[-1])


def judge(
    effects: Effects, elapsed_share: Sequence[float], wished_effect: float | None = None, is_stopped: bool = False
) -> Verdict:
    """The verdict of one run on one outcome, after its looks so far.

    Args:
        effects: at the looks, oldest first.
        elapsed_share: part of the run that had passed at each look, rising, in (0, 1].
        wished_effect: effect per customer over the whole run that the plan was made for, above 0; None if none was.
        is_stopped: whether the run was ended before its time, so that no look follows. What it had not spent by then
            is lost, as stopping may have been decided by what was seen.
    """
    shares = np.asarray(elapsed_share, dtype=np.float64)
    elapsed = float(shares[-1])
    remaining = 0.0 if is_stopped else 1 - elapsed
    bounds = critical_values(effects.correlation, shares)
    width = bounds * effects.deviation
    looks = tuple(
        Look(*(float(value) for value in each))
        for each in zip(
            shares,
            effects.estimate,
            np.round(effects.estimate - width, _DIGITS),
            np.round(effects.estimate + width, _DIGITS),
            bounds,
            strict=True,
        )
    )
    for place, look in enumerate(looks):
        is_even = abs(effects.skewness[place]) <= LARGEST_SKEWNESS
        if effects.deviation[place] > 0 and is_even and (look.lower > 0 or look.upper < 0):
            name = VerdictName.PROVEN if look.lower > 0 else VerdictName.HARMFUL
            return Verdict(name, place, looks, None, remaining, "")
    return Verdict(
        VerdictName.NOT_PROVEN_YET,
        None,
        looks,
        None if remaining or wished_effect is None else more_customers(effects, bounds[-1], wished_effect * elapsed),
        remaining,
        "" if remaining else skewed(effects),
    )


def more_customers(effects: Effects, critical_value: float, wished_effect: float) -> int | None:
    """Customers that a run as long needs besides these to show the effect at 80% power; None if no more."""
    count = effects.treated_count + effects.control_count
    of_wished = float(effects.deviation[-1]) * (critical_value + float(ndtri(POWER))) / wished_effect
    return max(math.ceil(round(count * of_wished**2, 6)) - count, 0) or None


def skewed(effects: Effects) -> str:
    """Why the last look has no verdict: a few customers weigh too much; empty where they do not."""
    skewness = abs(float(effects.skewness[-1]))
    if skewness <= LARGEST_SKEWNESS:
        return ""
    count = effects.treated_count + effects.control_count
    needed = math.ceil(count * (skewness / LARGEST_SKEWNESS) ** 2)
    return (
        "a few customers weigh so much in it that its interval cannot be relied on:"
        f" {needed:,} customers would be needed, and {count:,} took part"
    )
