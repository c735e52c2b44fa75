"""Plans, held to simulated experiments and to the textbook's formula; what they refuse, and what they say would do."""

import numpy as np
import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.models.experiments.power import (
    Before,
    Spread,
    answer,
    customers_needed,
    plan,
    power_of,
    spread_of,
    visible_lift,
)
from genome_pipeline.models.not_enough_data import NotEnoughData

SPREAD = Spread(mean=1.0, deviation=1.0, unadjusted_deviation=2.0, skewness=3.0)


def before(count: int = 4_000, days: int = 90, seed: int = 0, now: float = 2.0) -> Before:
    generator = np.random.default_rng(seed)
    expected = generator.gamma(1, 2, count)
    return Before(days, expected, generator.poisson(expected).astype(float), now, max(days // 30, 1))


def test_the_least_lift_is_that_of_the_textbook() -> None:
    # A lift so small that it hardly widens the spread: (z(.975) + z(.8)) sqrt(1/n + 1/n), for one look.
    assert visible_lift(SPREAD, 10**6, 10**6, looks=1) == pytest.approx(2.8016 * np.sqrt(2e-6), rel=0.01)


def test_power_lift_and_customers_agree() -> None:
    lift = visible_lift(SPREAD, 4_000, 1_000, looks=3)
    assert power_of(SPREAD, lift, 4_000, 1_000, looks=3) == pytest.approx(0.8)
    assert customers_needed(SPREAD, lift, 0.2, looks=3) == pytest.approx(5_000, abs=1)
    assert visible_lift(SPREAD, 2_500, 2_500, looks=3) < lift
    assert visible_lift(SPREAD, 4_000, 1_000, looks=12) > lift


def test_no_lift_is_visible_where_treating_widens_the_spread_faster_than_it_moves_the_mean() -> None:
    assert visible_lift(Spread(0.1, 3.0, 3.0, 0.0), 60, 60, looks=1) == np.inf


def test_the_spread_is_what_the_forecast_leaves_brought_to_the_mean_of_today() -> None:
    spread = spread_of(before(40_000))
    # A Poisson variable about its own mean of 2 on average, and that mean spread by gamma(1, 2).
    assert (spread.mean, spread.deviation) == pytest.approx((2.0, np.sqrt(2)), rel=0.02)
    assert spread.unadjusted_deviation == pytest.approx(np.sqrt(2 + 4), rel=0.03)
    assert spread_of(before(40_000, now=0.5)).deviation == pytest.approx(np.sqrt(2) / 2, rel=0.02)


def test_a_plan_says_what_each_share_and_horizon_can_show() -> None:
    rows = plan({"orders": [before(days=28, now=0.6), before()]}, 2_000, [0.2, 0.5], lift=0.1)
    assert [(row.horizon_days, row.control_share, row.treated_count, row.control_count) for row in rows] == [
        (28, 0.2, 1_600, 400),
        (28, 0.5, 1_000, 1_000),
        (90, 0.2, 1_600, 400),
        (90, 0.5, 1_000, 1_000),
    ]
    assert [row.is_enough for row in rows] == [False, False, False, True]
    assert all(row.smallest_lift_share < row.unadjusted_lift_share for row in rows)
    assert rows[3].smallest_effect == pytest.approx(2.0 * rows[3].smallest_lift_share)
    assert answer(rows, rows[3], 0.1).startswith(
        "2,000 customers, 50% of them left alone for 90 days, show a lift in orders of "
    )
    assert answer(rows, rows[0], 0.1) == (
        f"2,000 customers, 20% of them left alone for 28 days, cannot show a lift of 10% in orders:"
        f" {rows[0].needed_count:,} customers, as many as 5 such runs have, or a control of 50% for 90 days would"
    )


def test_a_plan_promises_nothing_that_needs_a_lift_of_more_than_half() -> None:
    generator = np.random.default_rng(0)
    wild = Before(90, np.full(500, 100.0), generator.lognormal(2, 2, 500), 100.0, 3)
    rows = plan({"spend": [wild]}, 300, [0.2])
    assert not rows[0].is_enough
    assert answer(rows, rows[0], None) == (
        "300 customers, 20% of them left alone for 90 days, can show no plausible lift in spend: widen the rule, or let"
        " several runs of it add up"
    )


def test_a_few_customers_who_weigh_too_much_are_no_promise_but_equal_arms_are() -> None:
    spend = np.r_[np.full(9_990, 10.0), np.full(10, 20_000.0)]
    rows = plan({"spend": [Before(90, np.full(10_000, 30.0), spend, 30_000.0, 3)]}, 1_000, [0.1, 0.5])
    assert [row.is_enough for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("count", "share", "error"), [(12, 0.2, NotEnoughData), (2_000, 0.0, ConfigError), (2_000, 1.0, ConfigError)]
)
def test_what_no_experiment_can_be_made_of_has_no_plan(count: int, share: float, error: type[Exception]) -> None:
    with pytest.raises(error):
        plan({"orders": [before()]}, count, [share])


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (before(99), "the rule matched 99 customers at the snapshot that has matured: a plan needs 100"),
        (
            Before(90, np.full(200, np.nan), np.ones(200), 1.0, 3),
            "all customers of this audience did the same: there is no spread to plan by",
        ),
        (Before(90, np.ones(200), np.zeros(200), 1.0, 3), "nothing is bought by this audience within 90 days"),
    ],
)
def test_an_audience_without_a_past_has_no_plan(known: Before, message: str) -> None:
    with pytest.raises(NotEnoughData) as refused:
        spread_of(known)
    assert str(refused.value) == message


@pytest.mark.parametrize("lift", [0.0, -0.1, 10.0])
def test_a_lift_out_of_bounds_is_refused(lift: float) -> None:
    with pytest.raises(ConfigError, match="a lift of"):
        plan({"orders": [before()]}, 2_000, [0.2], lift=lift)
