"""Runs of a rule together, held to a simulation of endless looks; groups of customers drawn to their mean."""

import numpy as np
import pytest

from genome_pipeline.models.experiments.pooling import (
    Run,
    between_variance,
    confidence_sequence,
    effects_by_group,
    pooled,
)
from genome_pipeline.models.experiments.sequential import VerdictName
from genome_pipeline.models.not_enough_data import NotEnoughData


def test_the_pooled_effect_is_what_the_runs_brought_over_whom_they_treated() -> None:
    found = pooled([Run(100, 0.5, 0.01, 1.0), Run(300, 0.1, 0.01, 3.0)])
    assert found.estimate == pytest.approx((100 * 0.5 + 300 * 0.1) / 400)
    assert (found.run_count, found.treated_count) == (2, 400)
    assert found.lift_share == pytest.approx(found.estimate / 2.5)
    assert found.next_lower is None


def test_more_runs_prove_what_one_does_not() -> None:
    one = Run(800, 0.02, 0.01**2, 1.0)
    assert [pooled([one] * count).verdict for count in (1, 2, 3)] == [
        VerdictName.NOT_PROVEN_YET,
        VerdictName.NOT_PROVEN_YET,
        VerdictName.PROVEN,
    ]
    assert pooled([Run(800, -0.02, 0.01**2, 0.0)] * 3).verdict is VerdictName.HARMFUL


def test_the_interval_holds_at_every_run_of_two_hundred() -> None:
    generator = np.random.default_rng(0)
    sums = np.cumsum(generator.normal(size=(4_000, 200)), axis=1)
    widths = np.array([confidence_sequence(runs, tuned_to=4.0) for runs in range(1, 201)])
    left = (np.abs(sums) > widths).any(axis=1).mean()
    assert 0.005 < left < 0.05
    # An interval of one look would be left by most of them.
    assert (np.abs(sums) > 1.96 * np.sqrt(np.arange(1, 201))).any(axis=1).mean() > 0.4


def test_it_is_narrowest_where_it_is_tuned_to() -> None:
    variances = np.arange(1, 17, dtype=float)
    widths = [confidence_sequence(value, tuned_to=4.0) / np.sqrt(value) for value in variances]
    assert int(np.argmin(widths)) == 3
    assert widths[3] == pytest.approx(3.03, abs=0.01)


def test_the_variance_between_runs_is_that_of_dersimonian_and_laird() -> None:
    # Two runs: Q - 1 over w1 + w2 - (w1^2 + w2^2) / (w1 + w2).
    assert between_variance(np.array([0.0, 1.0]), np.array([0.1, 0.1])) == pytest.approx((5 - 1) / 10)
    assert between_variance(np.array([0.5, 0.5]), np.array([0.1, 0.1])) == 0
    generator = np.random.default_rng(2)
    variances = generator.uniform(0.5, 2, 20_000)
    estimates = generator.normal(1, np.sqrt(0.3 + variances))
    assert between_variance(estimates, variances) == pytest.approx(0.3, abs=0.03)


def test_the_next_run_is_less_sure_than_the_mean_of_those_so_far() -> None:
    found = pooled([Run(500, value, 0.001, 1.0) for value in (0.1, 0.3, 0.6, 0.2)])
    assert found.next_lower is not None
    assert found.next_upper is not None
    assert found.next_lower < found.lower < found.upper < found.next_upper
    assert found.between_deviation == pytest.approx(np.std([0.1, 0.3, 0.6, 0.2], ddof=1), abs=0.02)


def test_no_run_is_no_answer() -> None:
    with pytest.raises(NotEnoughData, match="no run of this rule has ended"):
        pooled([])


def test_groups_that_differ_by_chance_are_drawn_together_and_others_stay_apart() -> None:
    generator = np.random.default_rng(4)
    count = 8_000
    groups = np.array(list("abcdefgh"), dtype=object)[np.arange(count) % 8]
    is_treated = generator.random(count) < 0.5
    expected = generator.gamma(2, 1, count)
    alike = generator.poisson(expected) + 0.2 * is_treated
    found = effects_by_group(alike, expected, is_treated, groups)
    assert [each.name for each in found] == list("abcdefgh")
    own, drawn = ([getattr(each, name) for each in found] for name in ("own_estimate", "estimate"))
    assert np.std(drawn) < 0.6 * np.std(own)
    assert sum(each.lower <= 0.2 <= each.upper for each in found) >= 7
    apart = alike + np.where(groups == "a", 2.0, 0.0) * is_treated
    first = effects_by_group(apart, expected, is_treated, groups)[0]
    assert first.estimate == pytest.approx(first.own_estimate, abs=0.1)
    assert first.lower > 1.5


def test_groups_with_too_few_customers_say_nothing() -> None:
    groups = np.array(["few"] * 40 + ["many"] * 420, dtype=object)
    is_treated = np.arange(460) % 2 == 0
    outcome = np.random.default_rng(0).poisson(2.0, 460).astype(float)
    assert effects_by_group(outcome, np.ones(460), is_treated, groups) == []
    groups[40:200] = "others"
    found = effects_by_group(outcome, np.ones(460), is_treated, groups)
    assert [each.name for each in found] == ["many", "others"]
