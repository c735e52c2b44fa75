"""Whom acting works on: found where it is plain, not used where it is not."""

import numpy as np
import pytest

from genome_pipeline.models.experiments.uplift import (
    Sample,
    choose_predicted,
    compare,
    fit_uplift,
    judge_uplift,
    parts_of_value,
)
from genome_pipeline.models.not_enough_data import NotEnoughData


def sample(count: int, gain: float, seed: int = 0) -> Sample:
    """Customers whose effect is ``gain`` if their first covariate is above 0, else as much of a loss."""
    generator = np.random.default_rng(seed)
    known = generator.normal(size=(count, 4))
    is_treated = generator.permutation(count) % 2 == 0
    effect = np.where(known[:, 0] > 0, gain, -gain)
    outcome = generator.poisson(np.exp(known[:, 1] / 2)) + effect * is_treated
    return Sample(known, outcome, is_treated, 0.5, known[:, 1])


def test_a_plain_effect_is_found_and_used() -> None:
    customers = sample(6_000, 1.0)
    effect = fit_uplift(customers, seed=0).effect(customers.known)
    assert np.corrcoef(effect, customers.known[:, 0] > 0)[0, 1] > 0.9
    found = judge_uplift(customers, cost=0.0, seed=0)
    assert found.is_used
    assert found.values["model"].estimate - found.values["none"].estimate == pytest.approx(0.5, abs=0.1)
    assert found.sentence.startswith("choose by the expected effect: it is worth +0.")


def test_where_the_effect_is_the_same_for_all_it_is_not_used_and_says_so() -> None:
    customers = sample(6_000, 0.0)
    customers = customers._replace(outcome=customers.outcome + 0.5 * customers.is_treated)
    found = judge_uplift(customers, cost=0.1, seed=0)
    assert not found.is_used
    assert found.sentence.startswith(
        "choosing by the expected effect is not shown to be worth more than treating all ("
    )
    assert found.sentence.endswith("it is not used")


def test_the_value_of_a_choice_is_that_of_making_it() -> None:
    customers = sample(40_000, 1.0)
    is_chosen = customers.known[:, 0] > 0
    untreated = customers.outcome - np.where(is_chosen, 1.0, -1.0) * customers.is_treated
    made = untreated + 1.0 * is_chosen - 0.2 * is_chosen
    parts = parts_of_value(customers, is_chosen, cost=0.2)
    assert parts.mean() == pytest.approx(made.mean(), abs=3 * parts.std() / 200)


def test_as_many_are_chosen_by_prediction_as_by_the_model() -> None:
    assert choose_predicted(np.array([0.1, 0.9, 0.5, 0.9]), 0.5).tolist() == [False, True, False, True]
    assert choose_predicted(np.array([1.0, 1.0, 1.0, 1.0]), 0.5).tolist() == [True, True, False, False]
    found = compare(sample(3_000, 0.0), np.full(3_000, -1.0), cost=0.0)
    assert found.chosen_share == 0
    assert found.values["model"] == found.values["predicted"] == found.values["none"]
    assert not found.is_used


def test_too_few_customers_carry_no_model() -> None:
    with pytest.raises(NotEnoughData, match="999 customers were treated and 999 left alone"):
        fit_uplift(sample(1_998, 1.0), seed=0)
