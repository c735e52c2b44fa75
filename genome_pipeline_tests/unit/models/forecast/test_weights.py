import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.forecast.weights import (
    _DISCOUNT,
    STANDARD,
    Evidence,
    learned_weights,
    start_weights,
    weighted,
)

EXPERTS = [*STANDARD]
START = np.array([0.5, 0.5])
PENALTY = 5_000.0


def test_standard_weights_sum_to_one() -> None:
    assert sum(STANDARD.values()) == pytest.approx(1)


def test_with_few_who_came_back_the_start_is_pareto_nbd() -> None:
    assert start_weights(STANDARD, EXPERTS, 0).tolist() == [1, 0, 0, 0, 0]


def test_with_150_who_came_back_it_is_half_of_both() -> None:
    found = start_weights(STANDARD, EXPERTS, 150)
    assert found == pytest.approx([0.6, 0.125, 0.1, 0.075, 0.1])


def test_with_many_it_is_the_standard() -> None:
    assert start_weights(STANDARD, EXPERTS, 1e9) == pytest.approx([*STANDARD.values()], abs=1e-6)


def test_what_is_missing_is_shared_by_the_others() -> None:
    assert start_weights(STANDARD, ["btyd", "boosting_half", "regression_half"], 1e9) == pytest.approx(
        [0.2 / 0.55, 0.15 / 0.55, 0.2 / 0.55], abs=1e-6
    )
    assert start_weights(STANDARD, ["btyd"], 1e9) == pytest.approx([1])


def evidence(size: int, slopes: tuple[float, float], seed: int = 0, offset: float = 0.0) -> Evidence:
    """Two experts that know different things; the truth is the sum of both by the slopes."""
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(0, 1.5, (size, 2))
    bought = generator.uniform(size=size) < expit(log_odds @ np.array(slopes) + offset)
    return Evidence(log_odds, bought, offset, 1.0)


def learned(start: Floats, dates: list[Evidence]) -> Floats:
    return learned_weights(start, dates, PENALTY)


def test_without_evidence_the_start_is_kept() -> None:
    assert learned(START, []) is START


def test_the_better_expert_gains_and_the_more_the_more_customers() -> None:
    found = [learned(START, [evidence(size, (1.0, 0.0))]) for size in (100, 3_000, 100_000)]
    good, bad = np.array(found).T
    assert 0.5 < good[0] < good[1] < good[2]
    assert 0.5 > bad[0] > bad[1] > bad[2]
    assert good[0] == pytest.approx(0.5, abs=0.01)
    assert (good[2], bad[2]) == pytest.approx((1.0, 0.0), abs=0.2)


def test_a_larger_penalty_holds_them_nearer_to_the_start() -> None:
    dates = [evidence(3_000, (1.0, 0.0))]
    assert START[0] < learned_weights(START, dates, 20_000.0)[0] < learned_weights(START, dates, 1_000.0)[0]


def test_weights_are_never_negative() -> None:
    """The second expert says the opposite of what happens."""
    found = learned(np.array([0.9, 0.1]), [evidence(100_000, (1.0, -1.0))])
    assert found[0] > 0
    assert found[1] == 0


def test_experts_who_are_overconfident_together_count_less() -> None:
    assert learned(START, [evidence(50_000, (0.2, 0.2))]).sum() < 0.7


def test_the_order_of_customers_and_of_dates_does_not_matter() -> None:
    first, second = evidence(2_000, (0.8, 0.1)), evidence(1_000, (0.2, 0.9), seed=1)
    order = np.random.default_rng(3).permutation(2_000)
    shuffled = first._replace(log_odds=first.log_odds[order], bought=first.bought[order])
    found = learned(START, [first, second])
    assert learned(START, [shuffled, second]).tolist() == found.tolist()
    assert learned(START, [second, first]).tolist() == found.tolist()


def test_how_many_buy_teaches_nothing() -> None:
    one = evidence(2_000, (0.8, 0.1))
    assert learned(START, [one._replace(offset=1.5)]) == pytest.approx(learned(START, [one]), abs=1e-8)


def test_a_date_of_the_same_season_counts_as_three() -> None:
    season, other = evidence(2_000, (1.0, 0.0)), evidence(2_000, (0.0, 1.0), seed=1)
    good, bad = learned(START, [season._replace(weight=3.0), other])
    assert good > learned(START, [season, other])[0]
    assert good > bad


def test_they_are_at_the_maximum_of_the_penalised_likelihood() -> None:
    one = evidence(2_000, (0.7, 0.2))

    def loss(parameters: Floats) -> float:
        score = one.log_odds @ parameters[:2] + one.offset + parameters[2]
        likelihood = np.where(one.bought, -np.logaddexp(0, -score), -np.logaddexp(0, score)).sum()
        return float(PENALTY / 2 * np.sum((parameters[:2] - START) ** 2) - _DISCOUNT * likelihood)

    found = minimize(loss, np.array([*START, 0.0]), tol=1e-10).x
    assert learned(START, [one]) == pytest.approx(found[:2], abs=1e-4)


def test_the_weighted_sum() -> None:
    values = {"b": np.array([1.0, 2.0]), "a": np.array([10.0, 20.0])}
    assert weighted(values, ["a", "b"], np.array([0.5, 2.0])).tolist() == [7.0, 14.0]
