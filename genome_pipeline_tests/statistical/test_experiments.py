"""Experiments on simulated shops whose truth is known: false verdicts, coverage, and the plan's promise.

Theory: of 600 experiments without an effect 5% show one, with a standard error of .9%; a share of .8 has one of 1.6%.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from genome_pipeline.models.experiments.effect import Effects, adjusted_effects
from genome_pipeline.models.experiments.power import Before, spread_of, visible_lift
from genome_pipeline.models.experiments.sequential import SINGLE_LOOK, Verdict, VerdictName, judge

TIMES, CUSTOMERS, CONTROLS = 600, 1_000, 200
SHARES = (1 / 3, 2 / 3, 1.0)


class Simulated(NamedTuple):
    effects: Effects
    verdict: Verdict
    truth: float


def experiments(lift: float, seed: int) -> Iterator[Simulated]:
    """Customers with a rate of their own, which their forecast knows but for a factor, looked at three times."""
    generator = np.random.default_rng(seed)
    for _ in range(TIMES):
        expected = generator.gamma(1, 2, CUSTOMERS)
        rate = expected * generator.gamma(3, 1 / 3, CUSTOMERS)
        is_treated = generator.permutation(CUSTOMERS) >= CONTROLS
        alone = bought(rate, generator)
        further = bought(rate * lift, generator)
        effects = adjusted_effects(alone + further * is_treated[:, None], expected, is_treated)
        yield Simulated(effects, judge(effects, SHARES), float(further[:, -1].mean()))


def bought(rate: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    return np.cumsum(generator.poisson(rate[:, None] / 3, (rate.size, 3)), axis=1).astype(float)


@pytest.mark.slow
def test_without_an_effect_one_in_twenty_shows_one_however_often_one_looks() -> None:
    found = list(experiments(0.0, seed=0))
    false = np.mean([each.verdict.name is not VerdictName.NOT_PROVEN_YET for each in found])
    assert 0.03 < false < 0.07
    # Three looks, each as if it were the only one, would show more.
    naive = [(np.abs(each.effects.estimate) > SINGLE_LOOK * each.effects.deviation).any() for each in found]
    assert np.mean(naive) > 0.08


@pytest.mark.slow
def test_intervals_cover_the_effect_and_the_plan_keeps_its_promise() -> None:
    generator = np.random.default_rng(1)
    expected = generator.gamma(1, 2, 5_000)
    before = Before(90, expected, bought(expected * generator.gamma(3, 1 / 3, 5_000), generator)[:, -1], 2.0, 3)
    lift = visible_lift(spread_of(before), CUSTOMERS - CONTROLS, CONTROLS, len(SHARES))
    found = list(experiments(lift, seed=2))
    covered = [each.verdict.looks[-1].lower <= each.truth <= each.verdict.looks[-1].upper for each in found]
    assert 0.93 < np.mean(covered) < 0.975
    assert np.mean([each.verdict.name is VerdictName.PROVEN for each in found]) == pytest.approx(0.8, abs=0.05)
