import json

import numpy as np
import pytest

from genome_pipeline.models.btyd import NotEnoughData
from genome_pipeline.models.conformal import ConformalIntervals, fit_intervals


def heteroscedastic(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positive predictions, and outcomes whose spread grows with them."""
    generator = np.random.default_rng(seed)
    predicted = generator.uniform(10, 100, size)
    return predicted, predicted * generator.lognormal(-0.045, 0.3, size)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_coverage_is_the_level_in_every_bin(level: float) -> None:
    intervals = fit_intervals(*heteroscedastic(20_000, 1), level)
    predicted, actual = heteroscedastic(100_000, 2)
    lower, upper = intervals.apply(predicted)
    covered = (lower <= actual) & (actual <= upper)
    bins = np.searchsorted(intervals.edges, predicted, side="right")
    assert np.unique(bins).size == 10
    # Given the calibration rows, coverage of a bin is Beta distributed with variance near level (1 - level) / 2,000.
    error = np.sqrt(level * (1 - level) * (1 / 2_000 + 1 / 10_000))
    for index in range(10):
        assert abs(covered[bins == index].mean() - level) < 4 * error


def test_mean_coverage_over_small_calibration_sets_is_the_finite_sample_level() -> None:
    """With 99 exchangeable rows the guarantee is exact: 80 of 100 ranks."""
    generator = np.random.default_rng(5)
    covered = []
    for _ in range(2_000):
        residuals = generator.normal(size=100)
        intervals = fit_intervals(np.full(99, 50.0), 50 + residuals[:99], 0.8)
        lower, upper = intervals.apply([50.0])
        covered.append(lower[0] <= 50 + residuals[99] <= upper[0])
    assert np.mean(covered) == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 2_000))


def test_bounds_hold_the_prediction_and_are_not_negative() -> None:
    generator = np.random.default_rng(3)
    predicted = generator.gamma(0.5, 2.0, 5_000)
    intervals = fit_intervals(predicted, predicted + 5, 0.8)  # every prediction is too low
    lower, upper = intervals.apply(predicted)
    assert (lower >= 0).all()
    assert (lower <= predicted).all()
    assert (predicted <= upper).all()


def test_where_nothing_can_be_missed_below_the_upper_tail_has_all_misses() -> None:
    """Half buy nothing, the others an exponential amount: 20% are above log(2.5)."""
    generator = np.random.default_rng(4)
    actual = np.where(generator.uniform(size=20_000) < 0.5, 0.0, generator.exponential(size=20_000))
    ((lower,), (upper,)) = fit_intervals(np.full(20_000, 0.5), actual, 0.8).apply([0.5])
    assert lower == 0
    assert upper == pytest.approx(np.log(2.5), abs=0.04)


def test_few_rows_have_few_bins_and_ties_are_kept_together() -> None:
    predicted = np.arange(1.0, 121.0)
    assert len(fit_intervals(predicted, predicted, 0.8).edges) == 1
    tied = np.concatenate([np.zeros(400), np.arange(1.0, 101.0)])
    edges = fit_intervals(tied, tied, 0.8).edges
    bins = np.searchsorted(edges, tied, side="right")
    assert np.bincount(bins).min() >= 50


def test_too_few_outcomes() -> None:
    with pytest.raises(NotEnoughData, match="only 49 outcomes are known: intervals need 50"):
        fit_intervals(np.ones(49), np.ones(49), 0.8)
    with pytest.raises(NotEnoughData, match="intervals need 200"):
        fit_intervals(np.ones(100), np.ones(100), 0.99)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_levels_out_of_range(level: float) -> None:
    with pytest.raises(ValueError, match="interval level"):
        fit_intervals(np.ones(100), np.ones(100), level)


def test_intervals_survive_json() -> None:
    intervals = fit_intervals(*heteroscedastic(1_000, 6), 0.8)
    assert ConformalIntervals.from_dict(json.loads(json.dumps(intervals.to_dict()))) == intervals
