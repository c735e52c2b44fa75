"""Several effects together: the runs of one rule, and the groups of one run.

**Runs.** What a rule brought over all its runs is the sum of what the runs brought, and per customer the mean of their
effects, weighted by the customers treated. So the pooled number and the totals of the runs agree, and it is right
whether or not the effect was the same in each (a "fixed effects" mean: Rice, Higgins and Lumley 2018, "A Re-evaluation
of Fixed Effect(s) Meta-analysis", JRSS A 181(1)). A random-effects mean answers another question, what the next run
will bring, and with the few runs there are it hangs on a variance between runs that is hardly known. That variance is
given beside it, with an interval for the next run from three runs on (Higgins, Thompson and Spiegelhalter 2009, JRSS A
172(1), eq. 12).

Nobody knows how many runs a rule will have, and it is looked at after each. Runs are drawn independently, so that their
sum is a martingale: its interval is an asymptotic confidence sequence, which holds after any number of runs
(Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform Central Limit Theory and Asymptotic Confidence
Sequences", Annals of Statistics 52(6), with Robbins' normal mixture): with V the variance of the sum,

    half width = sqrt((V + r) log((V + r) / (r alpha^2))) / customers treated

with r such that it is narrowest, for its variance, at four runs like the first (Howard et al. 2021, eq. 14). A run
enters once its end has passed, with its last estimate.

**Groups.** The effect in a group of customers is its own estimate drawn towards that of all groups, the more so the
less of the differences between groups is beyond chance (empirical Bayes: Efron and Morris 1975).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import lambertw, stdtrit

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.experiments.effect import Flags, adjusted_effects
from genome_pipeline.models.experiments.sequential import ALPHA, SINGLE_LOOK, VerdictName
from genome_pipeline.models.not_enough_data import NotEnoughData

_TUNED_TO_RUNS = 4
_DIGITS = 9


class Run(NamedTuple):
    """A run that has ended: customers treated, effect per customer, its variance, and what a control did on average."""

    treated_count: int
    estimate: float
    variance: float
    control_mean: float


class Pooled(NamedTuple):
    """What a rule brought over its runs, per treated customer.

    Attributes:
        run_count: runs that ended.
        treated_count: customers treated in all of them; who was treated twice counts twice.
        estimate, lower, upper: effect per treated customer; the interval holds after any number of runs (95%).
        lift_share: the effect as a share of what the treated would have done otherwise; None if that is nothing.
        between_deviation: standard deviation of the effect between runs.
        next_lower, next_upper: interval of the effect in the next run (95%); None below three runs.
        verdict: of all runs together.
    """

    run_count: int
    treated_count: int
    estimate: float
    lower: float
    upper: float
    lift_share: float | None
    between_deviation: float
    next_lower: float | None
    next_upper: float | None
    verdict: VerdictName


def pooled(runs: Sequence[Run]) -> Pooled:
    """All runs of one rule together, oldest first; each has a variance above 0.

    Raises:
        NotEnoughData: no run has ended.
    """
    if not runs:
        raise NotEnoughData("no run of this rule has ended")
    counts, estimates, variances, controls = (np.array(each, dtype=np.float64) for each in zip(*runs, strict=True))
    treated = float(counts.sum())
    estimate, variance = float(counts @ estimates) / treated, float(counts**2 @ variances)
    width = confidence_sequence(variance, _TUNED_TO_RUNS * float(counts[0] ** 2 * variances[0])) / treated
    lower, upper = round(estimate - width, _DIGITS), round(estimate + width, _DIGITS)
    between = between_variance(estimates, variances)
    next_lower = next_upper = None
    if len(runs) >= 3:
        weights = 1 / (variances + between)
        mean = float(weights @ estimates / weights.sum())
        reach = float(stdtrit(len(runs) - 2, 1 - ALPHA / 2)) * math.sqrt(between + 1 / float(weights.sum()))
        next_lower, next_upper = mean - reach, mean + reach
    verdict = VerdictName.PROVEN if lower > 0 else VerdictName.HARMFUL if upper < 0 else VerdictName.NOT_PROVEN_YET
    return Pooled(
        len(runs),
        int(treated),
        estimate,
        lower,
        upper,
        estimate / alone if (alone := float(counts @ controls) / treated) > 0 else None,
        math.sqrt(between),
        next_lower,
        next_upper,
        verdict,
    )


def confidence_sequence(variance: float, tuned_to: float, alpha: float = ALPHA) -> float:
    """Half width about a sum of independent terms of that variance, at whatever number of terms one looks.

    ``tuned_to`` is the variance at which the width in standard errors is least.
    """
    ratio = tuned_to / (-float(lambertw(-(alpha**2) / math.e, -1).real) - 1)
    return math.sqrt((variance + ratio) * math.log((variance + ratio) / (ratio * alpha**2)))


def between_variance(estimates: Floats, variances: Floats) -> float:
    """Variance of the true effects, at least 0 (DerSimonian and Laird 1986, "Meta-analysis in Clinical Trials")."""
    weights = 1 / variances
    mean = float(weights @ estimates / weights.sum())
    beyond = float(weights @ (estimates - mean) ** 2) - (estimates.size - 1)
    scale = float(weights.sum() - (weights @ weights) / weights.sum())
    return max(beyond / scale, 0.0) if scale > 0 else 0.0


class Group(NamedTuple):
    """The effect in one group of customers, per customer.

    Attributes:
        name: of the group.
        treated_count, control_count: its customers.
        own_estimate, own_deviation: from the group alone, with its standard error.
        estimate, lower, upper: drawn towards that of all groups, with its interval (95%, of one look).
    """

    name: str
    treated_count: int
    control_count: int
    own_estimate: float
    own_deviation: float
    estimate: float
    lower: float
    upper: float


def effects_by_group(outcome: Floats, expected: Floats, is_treated: Flags, groups: NDArray[np.object_]) -> list[Group]:
    """The effect in each group that has 30 customers of each kind, in order of its name; empty below two such groups.

    Where the groups differ no more than chance makes them, all get nearly the same.

    Args:
        outcome: shape (customers,), at one look.
        expected: frozen forecast of it, shape (customers,); NaN where it was withheld.
        is_treated: shape (customers,).
        groups: the name of each customer's group, fixed before the start, shape (customers,).
    """
    found = []
    for name in sorted(set(groups)):
        mine = groups == name
        try:
            effects = adjusted_effects(outcome[mine, None], expected[mine], is_treated[mine])
        except NotEnoughData:
            continue
        if effects.deviation[0] > 0:
            found.append((name, effects))
    if len(found) < 2:
        return []
    estimates = np.array([effects.estimate[0] for _, effects in found])
    variances = np.array([effects.covariance[0, 0] for _, effects in found])
    shrunk, deviations = _shrunk(estimates, variances)
    return [
        Group(
            str(name),
            effects.treated_count,
            effects.control_count,
            float(own),
            float(effects.deviation[0]),
            float(estimate),
            float(estimate - SINGLE_LOOK * deviation),
            float(estimate + SINGLE_LOOK * deviation),
        )
        for (name, effects), own, estimate, deviation in zip(found, estimates, shrunk, deviations, strict=True)
    ]


def _shrunk(estimates: Floats, variances: Floats) -> tuple[Floats, Floats]:
    """Estimates drawn to their mean, and standard errors: of the group's own part, the mean, and the variance between.

    The last is Morris's (1983, "Parametric Empirical Bayes Inference", JASA 78, eq. 5.2) for a variance between groups
    that is estimated. Below four groups it cannot be estimated, and each keeps its own estimate.
    """
    if estimates.size < 4:
        return estimates, np.sqrt(variances)
    between = between_variance(estimates, variances)
    weights = 1 / (variances + between)
    mean = float(weights @ estimates / weights.sum())
    count = estimates.size
    # Morris's factor keeps a little of the group's own estimate also where no variance between groups was seen.
    toward = (count - 3) / (count - 1) * variances * weights
    own = (1 - toward) * variances
    of_mean = toward**2 / float(weights.sum())
    of_between = 2 / (count - 3) * toward**2 * (estimates - mean) ** 2
    return mean + (1 - toward) * (estimates - mean), np.sqrt(own + of_mean + of_between)
