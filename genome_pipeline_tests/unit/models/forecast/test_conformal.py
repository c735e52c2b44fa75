import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from genome_pipeline.models.forecast.conformal import ConformalIntervals, fit_intervals
from genome_pipeline.models.not_enough_data import NotEnoughData

Draw = tuple[np.ndarray, np.ndarray, np.ndarray]

LEVEL = 0.8


def amounts(size: int, seed: int, shift: float = 0.0) -> Draw:
    """Expected spend, probability to buy, and spend, 0 for more than half; ``shift`` moves all log-odds to buy."""
    generator = np.random.default_rng(seed)
    activity = expit(generator.normal(shift - 0.5, 1.5, size))
    basket = generator.lognormal(3, 0.8, size)
    spend = np.where(generator.uniform(size=size) < activity, basket * generator.gamma(2.0, 0.5, size), 0.0)
    return activity * basket, activity, spend


def counts(size: int, seed: int, shift: float = 0.0) -> Draw:
    """Expected orders, probability to buy, and orders, 0 for nearly half; ``shift`` moves all logarithms of rates."""
    generator = np.random.default_rng(seed)
    rate = generator.gamma(0.7, 2.0 * np.exp(shift), size)
    return rate, -np.expm1(-rate), generator.poisson(rate).astype(float)


def covered_by_bin(draw: Callable[..., Draw], is_count: bool, level: float, shift: float) -> tuple[np.ndarray, ...]:
    """Share of new customers that intervals cover, and share that bought nothing, in each of ten bins."""
    intervals = fit_intervals(*draw(20_000, 1), level, is_count)
    predicted, activity, actual = draw(100_000, 2, shift)
    lower, upper = intervals.apply(predicted, activity)
    bins = np.searchsorted(intervals.edges, predicted, side="right")
    size = np.bincount(bins)
    assert size.size == 10
    is_covered = (lower <= actual) & (actual <= upper)
    return np.bincount(bins, is_covered) / size, np.bincount(bins, actual == 0) / size


@pytest.mark.parametrize("level", [0.6, 0.8, 0.95])
@pytest.mark.parametrize(("draw", "is_count"), [(amounts, False), (counts, True)])
def test_coverage_is_the_level_in_every_bin(draw: Callable[..., Draw], is_count: bool, level: float) -> None:
    covered, _ = covered_by_bin(draw, is_count, level, shift=0.0)
    # About 2,000 customers calibrate each bin, and fewer than 10,000 are new.
    error = np.sqrt(level * (1 - level) * (1 / 2_000 + 1 / 5_000))
    assert covered.min() > level - 3 * error


def test_mean_coverage_over_small_calibration_sets_is_at_least_the_level() -> None:
    generator = np.random.default_rng(5)
    covered = []
    for _ in range(200):
        amount = generator.gamma(4.0, 12.5, 100)
        intervals = fit_intervals(np.full(99, 50.0), np.ones(99), amount[:99], LEVEL, is_count=False)
        (lower,), (upper,) = intervals.apply(np.array([50.0]), np.ones(1))
        covered.append(lower <= amount[99] <= upper)
    assert np.mean(covered) > LEVEL - 2 * np.sqrt(0.16 / 200)


@pytest.mark.parametrize("shift", [-0.7, 0.7])
@pytest.mark.parametrize(("draw", "is_count"), [(amounts, False), (counts, True)])
def test_coverage_holds_where_more_or_fewer_buy_than_in_calibration(
    draw: Callable[..., Draw], is_count: bool, shift: float
) -> None:
    """Twice or half the odds to buy, as predictions say."""
    covered, _ = covered_by_bin(draw, is_count, LEVEL, shift)
    assert covered.min() > LEVEL - 0.05


def test_intervals_are_not_wider_than_the_share_who_buy_nothing_demands() -> None:
    """An interval from 0 covers all of those."""
    covered, nothing = covered_by_bin(amounts, False, LEVEL, shift=0.0)
    assert (covered < np.maximum(LEVEL, nothing) + 0.06).all()


@pytest.mark.parametrize("factor", [0.87, 1.15])
def test_on_average_the_level_of_all_may_be_off_a_little(factor: float) -> None:
    intervals = fit_intervals(*amounts(20_000, 1), LEVEL, is_count=False)
    predicted, activity, actual = amounts(100_000, 2)
    lower, upper = intervals.apply(predicted * factor, activity)
    assert np.mean((lower <= actual) & (actual <= upper)) > LEVEL - 0.01


def even(is_count: bool = False) -> ConformalIntervals:
    """One bin, in which those who buy do evenly between none and twice what is expected of them."""
    return ConformalIntervals(LEVEL, is_count, (), (tuple(np.linspace(0.0, 2.0, 81).tolist()),), (LEVEL,))


def bounds(activity: float, predicted: float = 10.0, is_count: bool = False) -> tuple[float, float]:
    (lower,), (upper,) = even(is_count).apply(np.array([predicted]), np.array([activity]))
    return float(lower), float(upper)


def test_half_of_the_misses_are_on_either_side_of_a_certain_purchase() -> None:
    assert bounds(1.0) == pytest.approx((2.0, 18.0))


def test_who_buys_nothing_counts_as_missed_below() -> None:
    """With 5% who do, another 5% of all are: 1/19 of the buyers, expected to spend 10 / 0.95."""
    lower, upper = bounds(0.95)
    assert lower == pytest.approx(10 / 0.95 * 2 / 19)
    assert upper == pytest.approx(10 / 0.95 * 2 * (1 - 0.1 / 0.95))


@pytest.mark.parametrize(("activity", "above"), [(0.899, 0.101), (0.801, 0.199), (0.5, 0.2), (0.21, 0.2)])
def test_the_lower_bound_is_zero_where_buying_nothing_is_likelier_than_half_of_the_misses(
    activity: float, above: float
) -> None:
    lower, upper = bounds(activity)
    assert lower == 0
    assert upper == pytest.approx(max(10 / activity * 2 * (1 - above / activity), 10))


def test_who_buys_more_rarely_than_the_misses_is_covered_by_nothing_at_all() -> None:
    assert bounds(0.1) == (0.0, 10.0)
    assert bounds(0.0) == (0.0, 10.0)
    assert bounds(0.0, predicted=0.0) == (0.0, 0.0)


def test_bounds_of_counts_are_whole_numbers() -> None:
    assert bounds(1.0, predicted=2.8, is_count=True) == (1.0, 5.0)  # 0.56 and 5.04
    assert bounds(1.0, predicted=0.1, is_count=True) == (0.0, 1.0)  # who buys, buys once
    assert bounds(0.1, predicted=0.3, is_count=True) == (0.0, 0.3)  # but where the prediction is the bound
    assert bounds(1.0, predicted=1.5, is_count=True)[0] == 0.0  # 0.3


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), min_size=1, max_size=30),
    st.floats(0.51, 0.999),
    st.booleans(),
    st.integers(0, 3),
)
def test_bounds_hold_the_prediction_and_are_not_negative(
    customers: list[tuple[float, float]], level: float, is_count: bool, seed: int
) -> None:
    predicted, activity = np.array(customers).T
    intervals = fit_intervals(*(counts if is_count else amounts)(400, seed), level, is_count)
    lower, upper = intervals.apply(predicted, activity)
    assert (lower >= 0).all()
    assert (lower <= predicted).all()
    assert (predicted <= upper).all()
    assert np.isfinite(upper).all()
    if is_count:
        for bound in (lower, upper):
            assert ((bound == np.rint(bound)) | (bound == predicted)).all()


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1e4), st.floats(0, 1), st.floats(0.5, 0.99), st.floats(0, 0.49))
@example(1.0, 0.875, 0.5625, 0.1875)
def test_intervals_of_a_higher_level_hold_those_of_a_lower(
    predicted: float, activity: float, level: float, more: float
) -> None:
    """The search for a level relies on it."""
    one, quantiles = np.array([predicted]), even().quantiles
    low, high = (
        ConformalIntervals(LEVEL, False, (), quantiles, (found,)) for found in (level, min(level + more, 0.995))
    )
    (inner_lower, inner_upper), (lower, upper) = (found.apply(one, np.array([activity])) for found in (low, high))
    assert lower[0] <= inner_lower[0] + 1e-9 * predicted
    assert upper[0] >= inner_upper[0] - 1e-9 * predicted


def test_returns_beyond_purchases_are_missed() -> None:
    """A tenth take back more than they buy: no interval from 0 covers them, so that the others are covered wider."""
    predicted, activity, actual = amounts(20_000, 1)
    activity = np.full_like(activity, 0.99)
    returned = np.random.default_rng(3).uniform(size=actual.size) < 0.1
    actual = np.where(returned, -5.0, actual)
    intervals = fit_intervals(predicted, activity, actual, LEVEL, is_count=False)
    lower, upper = intervals.apply(predicted, activity)
    assert (lower >= 0).all()
    assert np.mean((lower <= actual) & (actual <= upper)) >= LEVEL


def test_few_rows_have_few_bins_and_ties_are_kept_together() -> None:
    predicted = np.arange(1.0, 121.0)
    assert len(fit_intervals(predicted, np.ones(120), predicted, LEVEL, is_count=False).edges) == 1
    tied = np.concatenate([np.ones(400), np.arange(2.0, 102.0)])
    edges = fit_intervals(tied, np.ones(500), tied, LEVEL, is_count=False).edges
    assert np.bincount(np.searchsorted(edges, tied, side="right")).min() >= 50


def test_bins_are_of_customers_of_whom_enough_bought() -> None:
    """Of 1,000 only the last 100 did: 50 of them are needed in each bin."""
    predicted = np.arange(1.0, 1001.0)
    bought = predicted > 900
    edges = fit_intervals(predicted, np.full(1000, 0.1), np.where(bought, predicted, 0.0), LEVEL, False).edges
    assert np.bincount(np.searchsorted(edges, predicted[bought], side="right")).min() >= 50


def test_a_level_that_few_rows_cannot_show_takes_the_widest_interval() -> None:
    predicted, actual = np.full(60, 10.0), np.linspace(1.0, 30.0, 60)
    intervals = fit_intervals(predicted, np.ones(60), actual, 0.999, is_count=False)
    assert intervals.levels == (0.999,)
    (lower, *_), (upper, *_) = intervals.apply(predicted, np.ones(60))
    assert lower <= 1.0
    assert upper >= 30.0


def test_too_few_buyers() -> None:
    predicted, activity = np.ones(100), np.full(100, 0.5)
    actual = np.where(np.arange(100) < 49, 1.0, 0.0)
    with pytest.raises(NotEnoughData, match="only 49 customers bought again: intervals need 50"):
        fit_intervals(predicted, activity, actual, LEVEL, is_count=True)
    with pytest.raises(NotEnoughData, match="only 0 customers bought again"):
        fit_intervals(np.zeros(100), activity, np.ones(100), LEVEL, is_count=True)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_levels_out_of_range(level: float) -> None:
    with pytest.raises(ValueError, match="interval level"):
        fit_intervals(np.ones(100), np.ones(100), np.ones(100), level, is_count=True)


def test_negative_predictions_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        fit_intervals(np.full(100, -1.0), np.ones(100), np.ones(100), LEVEL, is_count=True)


def test_intervals_survive_json() -> None:
    intervals = fit_intervals(*amounts(1_000, 6), LEVEL, is_count=False)
    assert ConformalIntervals.from_dict(json.loads(json.dumps(intervals.to_dict()))) == intervals
