"""Bounds of several looks, held to published ones and to simulation; verdicts, each on a case of its own."""

import numpy as np
import pytest

from genome_pipeline.models.experiments.effect import Effects
from genome_pipeline.models.experiments.sequential import (
    VerdictName,
    critical_values,
    final_critical_value,
    judge,
    spent,
)

THIRDS = (1 / 3, 2 / 3, 1.0)


def independent_increments(looks: int) -> np.ndarray:
    elapsed = np.arange(1, looks + 1) / looks
    return np.sqrt(np.minimum.outer(elapsed, elapsed) / np.maximum.outer(elapsed, elapsed))


def effects(estimates: list[float], deviation: float, skewness: float = 0.0) -> Effects:
    looks = len(estimates)
    covariance = deviation**2 * independent_increments(3)[:looks, :looks]
    return Effects(np.array(estimates), covariance, np.ones(looks), np.zeros(looks), np.full(looks, skewness), 800, 200)


def test_bounds_are_those_of_lan_and_demets() -> None:
    # Their O'Brien-Fleming type, five equal looks, both sides together 5%: published to three digits.
    found = critical_values(independent_increments(5), np.arange(1, 6) / 5)
    assert found == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=0.02)
    assert final_critical_value(1) == pytest.approx(1.96, abs=0.001)


def test_all_error_is_spent_at_the_end_and_hardly_any_at_the_start() -> None:
    assert spent(np.array([0.0, 0.5, 1.0])) == pytest.approx([0, 0.00305, 0.05], abs=2e-5)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
def test_the_error_of_all_looks_is_that_which_was_spent(correlation: float) -> None:
    shared = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
    bounds = critical_values(shared, np.array(THIRDS))
    drawn = np.random.default_rng(1).multivariate_normal(np.zeros(3), shared, 400_000)
    # A share of 400,000 has a standard error of .0003, the bounds one of .0006.
    assert (np.abs(drawn) > bounds).any(axis=1).mean() == pytest.approx(0.05, abs=0.0025)


def test_a_later_look_changes_no_earlier_bound() -> None:
    whole = critical_values(independent_increments(6), np.arange(1, 7) / 6)
    part = critical_values(independent_increments(6)[:4, :4], np.arange(1, 5) / 6)
    assert part.tolist() == whole[:4].tolist()


def test_a_look_on_the_first_days_of_a_year_has_a_bound() -> None:
    bounds = critical_values(independent_increments(3), np.array([1 / 365, 2 / 365, 1.0]))
    assert np.isfinite(bounds).all()
    assert bounds[0] > 30


def test_looks_that_are_all_but_the_same_need_no_further_error() -> None:
    bounds = critical_values(np.full((3, 3), 0.9999), np.array(THIRDS))
    assert bounds[-1] == pytest.approx(1.96, abs=0.02)


@pytest.mark.parametrize(("estimate", "name"), [(0.3, VerdictName.PROVEN), (-0.3, VerdictName.HARMFUL)])
def test_an_interval_beyond_nothing_decides(estimate: float, name: VerdictName) -> None:
    verdict = judge(effects([0.0, estimate / 2, estimate], 0.1), THIRDS)
    assert (verdict.name, verdict.decided_at, verdict.more_customers) == (name, 2, None)
    last = verdict.looks[-1]
    assert (last.lower, last.upper) == pytest.approx((estimate - 0.1 * 2, estimate + 0.1 * 2), abs=0.002)


def test_what_one_look_would_prove_several_do_not() -> None:
    assert judge(effects([0.197], 0.1), [1.0]).name is VerdictName.PROVEN
    assert judge(effects([0.0, 0.0, 0.197], 0.1), THIRDS).name is VerdictName.NOT_PROVEN_YET


def test_the_first_look_that_decides_stands() -> None:
    verdict = judge(effects([0.45, 0.1, 0.1], 0.1), THIRDS)
    assert (verdict.name, verdict.decided_at) == (VerdictName.PROVEN, 0)


def test_while_it_runs_the_rest_is_said_and_at_its_end_how_many_more() -> None:
    running = judge(effects([0.1], 0.1), THIRDS[:1], 0.2)
    assert running.name is VerdictName.NOT_PROVEN_YET
    assert running.remaining_share == pytest.approx(2 / 3)
    assert running.more_customers is None
    over = judge(effects([0.1, 0.1, 0.1], 0.1), THIRDS, 0.2)
    # 1,000 customers have a standard error of .1; to see .2 at 80% power, it must be .2 / (1.994 + .842) = .0705.
    assert over.more_customers == pytest.approx(1_000 * (0.1 / 0.0705) ** 2 - 1_000, abs=10)
    assert judge(effects([0.1, 0.1, 0.1], 0.1), THIRDS, 0.5).more_customers is None


def test_a_run_that_was_stopped_is_over_with_what_it_had_spent() -> None:
    verdict = judge(effects([0.1], 0.1), THIRDS[:1], 0.6, is_stopped=True)
    assert verdict.remaining_share == 0
    # A third of the wished effect was to be seen by then, by a bound of nearly four standard errors.
    assert verdict.more_customers == pytest.approx(1_000 * (0.1 / 0.2 * (3.71 + 0.84)) ** 2 - 1_000, rel=0.05)


def test_where_a_few_customers_weigh_too_much_there_is_no_verdict_and_it_says_so() -> None:
    verdict = judge(effects([0.0, 0.2, 0.4], 0.1, skewness=0.5), THIRDS)
    assert verdict.name is VerdictName.NOT_PROVEN_YET
    assert verdict.reason == (
        "a few customers weigh so much in it that its interval cannot be relied on: 4,000 customers would be needed,"
        " and 1,000 took part"
    )
    assert judge(effects([0.0, 0.2, 0.4], 0.1, skewness=0.2), THIRDS).name is VerdictName.PROVEN


def test_nothing_done_by_anybody_is_not_proven() -> None:
    assert judge(effects([0.0], 0.0), [1.0]).name is VerdictName.NOT_PROVEN_YET
