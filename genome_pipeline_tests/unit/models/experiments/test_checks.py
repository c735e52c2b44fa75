"""Each check on an experiment that passes it, and on one that fails."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from genome_pipeline.models.experiments.checks import balance, contamination, sample_ratio
from genome_pipeline.models.not_enough_data import NotEnoughData


def test_losses_from_both_arms_alike_pass_and_from_one_fail() -> None:
    assert sample_ratio(8_000, 2_000, 8_000, 2_000).sentence == "all who were drawn have an outcome"
    assert sample_ratio(8_000, 2_000, 7_920, 1_980).passed
    failed = sample_ratio(8_000, 2_000, 8_000, 1_950)
    assert not failed.passed
    assert failed.sentence.startswith(
        "50 of the drawn have no outcome: controls were 20.00% of the drawn and are 19.60% of the rest, which chance"
        " explains once in "
    )
    assert failed.numbers["lost_count"] == 50


def test_its_probability_is_fishers_with_what_was_seen_counted_by_half() -> None:
    exact = min(
        float(fisher_exact(np.array([[90, 10], [80, 20]]), alternative=side).pvalue) for side in ("less", "greater")
    )
    found = sample_ratio(100, 100, 90, 80).numbers["p_value"]
    assert exact < found < 2 * exact


def test_a_mismatch_raises_as_many_false_alarms_as_it_says() -> None:
    generator = np.random.default_rng(0)
    is_treated = np.arange(3_000) % 5 > 0
    alarms = 0
    for _ in range(600):
        left = generator.random(3_000) > 0.05
        alarms += not sample_ratio(
            2_400, 600, int((left & is_treated).sum()), int((left & ~is_treated).sum()), 0.05
        ).passed
    assert 0.03 < alarms / 600 < 0.07


def test_arms_that_were_alike_pass_and_others_fail_by_name() -> None:
    generator = np.random.default_rng(1)
    is_treated = generator.permutation(2_000) % 5 > 0
    spend = generator.lognormal(3, 1, 2_000)
    recency = np.where(generator.random(2_000) < 0.1, np.nan, generator.random(2_000))
    assert balance({"spend": spend, "recency": recency}, is_treated).passed
    found = balance({"spend": spend * np.where(is_treated, 2, 1), "recency": recency}, is_treated)
    assert not found.passed
    assert found.sentence.startswith("spend of the treated and of the controls differ by +0.")
    assert set(found.numbers) == {"spend", "recency"}
    assert balance({"nothing": np.full(2_000, np.nan)}, is_treated).passed


def test_unbalanced_draws_are_as_rare_as_it_says() -> None:
    generator = np.random.default_rng(2)
    covariates = {name: generator.gamma(1, 1, 800) for name in "abc"}
    failed = sum(not balance(covariates, generator.permutation(800) % 4 > 0, 0.1).passed for _ in range(600))
    assert 0.06 < failed / 600 < 0.14


@pytest.mark.parametrize(
    ("controls", "treated", "passed"), [(0, 900, True), (1, 820, True), (5, 900, False), (0, 700, False)]
)
def test_controls_who_were_contacted_and_treated_who_were_not_fail(controls: int, treated: int, passed: bool) -> None:
    found = contamination(1_000, 100, 1_000 - treated, controls)
    assert found.passed is passed
    assert found.numbers["contacted_control_share"] == controls / 100
    assert ("diluted" in found.sentence) is not passed


def test_an_arm_without_anybody_is_no_comparison() -> None:
    with pytest.raises(NotEnoughData, match="nobody of one arm is left"):
        contamination(10, 0, 0, 0)
    assert not sample_ratio(100, 100, 100, 0).passed
