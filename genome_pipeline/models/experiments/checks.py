"""Whether an experiment went as it was drawn: how many are left of each arm, alike before, reached as drawn.

Each check gives a :class:`Finding`; the verdict of an experiment that fails one is not to be relied on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import hypergeom

from genome_pipeline.models import genes
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.experiments.effect import Flags
from genome_pipeline.models.not_enough_data import NotEnoughData

SAMPLE_RATIO_ALPHA = 0.001
"""A mismatch spoils every number of the experiment, so that a false alarm is to be rare (Fabijan et al. 2019)."""

BALANCE_ALPHA = 0.01

MOST_CONTACTED_CONTROLS = 0.01
MOST_UNREACHED_TREATED = 0.2


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        passed: whether it did.
        sentence: what was found, with its numbers; where it failed, what that means.
        numbers: the same as numbers, by name.
    """

    passed: bool
    sentence: str
    numbers: dict[str, float]


def sample_ratio(
    drawn_treated: int, drawn_controls: int, treated: int, controls: int, alpha: float = SAMPLE_RATIO_ALPHA
) -> Finding:
    """Whether customers were lost from both arms alike, since the draw: by an exact test (mid-p).

    The numbers of treated and controls are fixed by the draw. What chance leaves open is who was lost: if losses have
    nothing to do with the draw, the controls among those who are left are hypergeometric.

    Args:
        drawn_treated: customers drawn to be treated.
        drawn_controls: customers drawn to be left alone.
        treated: those of the former who have an outcome.
        controls: those of the latter who have one.
        alpha: chance of a false alarm.
    """
    lost = drawn_treated + drawn_controls - treated - controls
    chance = _mid_p(drawn_treated, drawn_controls, treated + controls, controls)
    share = drawn_controls / (drawn_treated + drawn_controls)
    left = controls / (treated + controls) if treated + controls else 0.0
    numbers = {"p_value": chance, "lost_count": float(lost), "drawn_control_share": share, "control_share": left}
    if lost == 0:
        return Finding(True, "all who were drawn have an outcome", numbers)
    said = (
        f"{lost:,} of the drawn have no outcome: controls were {share:.2%} of the drawn and are {left:.2%} of the rest"
    )
    if chance < alpha:
        return Finding(False, f"{said}, which chance explains once in {1 / max(chance, 1e-12):,.0f}", numbers)
    return Finding(True, f"{said}, as chance would have it", numbers)


def _mid_p(drawn_treated: int, drawn_controls: int, left: int, controls: int) -> float:
    """Probability, in [0, 1], of as many controls or of a number as far out, counting what was seen by half."""
    seen = hypergeom(drawn_treated + drawn_controls, drawn_controls, left)
    at = float(seen.pmf(controls))
    below, above = float(seen.cdf(controls)) - at / 2, float(seen.sf(controls)) + at / 2
    return min(2 * min(below, above), 1.0)


def balance(covariates: Mapping[str, Floats], is_treated: Flags, alpha: float = BALANCE_ALPHA) -> Finding:
    """Whether treated and controls were alike before the start, by every covariate.

    A standardised difference is that of the means over the root of the mean of both variances. Of a draw by chance it
    is normal with the standard error sqrt(1 / treated + 1 / controls), or less for what the draw was stratified by.

    Args:
        covariates: by name, what was known of each customer at the start, shape (customers,); NaN is left out.
        is_treated: shape (customers,).
        alpha: chance of a false alarm by all covariates together (Bonferroni).
    """
    differences, heights = {}, {}
    for name, values in covariates.items():
        treated, controls = (values[arm & np.isfinite(values)] for arm in (is_treated, ~is_treated))
        if min(treated.size, controls.size) < 2:
            continue
        spread = np.sqrt((treated.var(ddof=1) + controls.var(ddof=1)) / 2)
        differences[name] = float((treated.mean() - controls.mean()) / spread) if spread > 0 else 0.0
        heights[name] = abs(differences[name]) / float(np.sqrt(1 / treated.size + 1 / controls.size))
    if not differences:
        return Finding(True, "nothing was known of the customers before the start", {})
    worst = max(heights, key=lambda name: heights[name])
    limit = -float(ndtri(alpha / (2 * len(heights))))
    said = f"{worst} of the treated and of the controls differ by {differences[worst]:+.3f} standard deviations"
    if heights[worst] > limit:
        return Finding(False, f"{said}: a draw by chance hardly ever does that", differences)
    return Finding(True, f"{said}, at most", differences)


def contamination(
    treated: int,
    controls: int,
    unreached_treated: int,
    contacted_controls: int,
    most_controls: float = MOST_CONTACTED_CONTROLS,
    most_unreached: float = MOST_UNREACHED_TREATED,
) -> Finding:
    """Whether controls were left alone and treated were reached, by the contact log.

    Args:
        treated: customers drawn to be treated.
        controls: customers drawn to be left alone.
        unreached_treated: those of the former who were not contacted for this action while the experiment ran.
        contacted_controls: those of the latter who were.
        most_controls: share of controls who may have been contacted.
        most_unreached: share of treated who may not have been.

    Raises:
        NotEnoughData: nobody treated, or nobody left alone, is left.
    """
    if not treated or not controls:
        raise NotEnoughData("nobody of one arm is left: there is nothing to compare")
    contacted, missed = contacted_controls / controls, unreached_treated / treated
    numbers = {"contacted_control_share": contacted, "unreached_treated_share": missed}
    said = f"{contacted:.1%} of the controls were contacted and {missed:.1%} of the treated were not"
    if contacted > most_controls or missed > most_unreached:
        return Finding(False, f"{said}: the effect of the action is diluted, and greater than what is shown", numbers)
    return Finding(True, said, numbers)


_COVARIATES = ("expected_orders", "expected_spend", "churn_probability", "days_since_last_order")


def as_drawn(
    experiment: Mapping[Any, Any], members: pd.DataFrame, look: Mapping[Any, Any] | None
) -> dict[str, Finding]:
    """Whether an experiment went as it was drawn, by the name of each check.

    Args:
        experiment: its row of contract ``experiments``.
        members: its rows of contract ``experiment_members``.
        look: its latest row of contract ``experiment_results``; None before the first. Only with a contact log there is
            a check of contamination.
    """
    is_treated = members["is_treated"].to_numpy(bool)
    treated, controls = int(is_treated.sum()), int((~is_treated).sum())
    found = {
        "sample ratio": sample_ratio(experiment["treated_count"], experiment["control_count"], treated, controls),
        "balance": balance({name: genes.numbers(members[name]) for name in _COVARIATES}, is_treated),
    }
    if look is not None and not pd.isna(look["reached_share"]):
        found["contamination"] = contamination(
            int(look["treated_count"]),
            int(look["control_count"]),
            int(look["unreached_treated_count"]),
            int(look["contacted_control_count"]),
        )
    return found
