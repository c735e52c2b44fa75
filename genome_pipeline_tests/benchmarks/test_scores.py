import numpy as np
import pytest

from benchmarks.scores import activity_scores, mean_by_decile, resamples, spend_scores
from genome_pipeline.models.performance import amount_metrics, probability_metrics

ACTUAL = np.array([0.0, 0.0, 1.0, 3.0, 10.0])
PREDICTED = np.array([0.5, 2.0, 2.0, 1.0, 6.0])
ONCE = np.ones((1, 5))


def test_scores_of_a_few_customers() -> None:
    scores = spend_scores(ACTUAL, PREDICTED, ONCE)
    assert scores["mae"][0] == pytest.approx((0.5 + 2 + 1 + 2 + 4) / 5)
    assert scores["wape"][0] == pytest.approx(9.5 / 14)
    assert scores["total_ratio"][0] == pytest.approx(11.5 / 14)
    # Actual in order of prediction: 0, 3, then 0 and 1 sharing ranks 3 and 4, then 10; best order: 0 0 1 3 10.
    assert scores["gini"][0] == pytest.approx((0 * 1 + 3 * 2 + 1 * 3.5 + 10 * 5 - 3 * 14) / (1 * 3 + 3 * 4 + 50 - 42))


def test_perfect_and_reversed_ranking() -> None:
    assert spend_scores(ACTUAL, ACTUAL, ONCE)["gini"][0] == pytest.approx(1)
    assert spend_scores(ACTUAL, -ACTUAL, ONCE)["gini"][0] == pytest.approx(-1)
    assert activity_scores(ACTUAL > 0, ACTUAL / 10, ONCE)["auc"][0] == pytest.approx(1)


def test_calibration_error_is_the_mean_gap_of_ten_equal_bins() -> None:
    probability = np.repeat(np.arange(10) / 10, 10)
    is_active = np.tile(np.arange(10), 10) < np.repeat(np.arange(10), 10)  # as many as said in each bin
    assert activity_scores(is_active, probability, np.ones((1, 100)))["ece"][0] == pytest.approx(0)
    assert activity_scores(is_active, probability / 2, np.ones((1, 100)))["ece"][0] == pytest.approx(0.225)


def test_a_weight_is_a_repeated_customer() -> None:
    generator = np.random.default_rng(7)
    actual = np.maximum(generator.integers(-2, 4, 200), 0).astype(np.float64)
    predicted = np.round(actual + generator.uniform(0, 3, 200), 1)
    weights = resamples(200, 3, seed=1)
    assert weights.sum(axis=1).tolist() == [200.0] * 4
    assert (weights[0] == 1).all()
    spend, activity = spend_scores(actual, predicted, weights), activity_scores(actual > 0, predicted / 7, weights)
    for resample, weight in enumerate(weights):
        rows = np.repeat(np.arange(200), weight.astype(int))
        amounts = amount_metrics(actual[rows], predicted[rows])
        for metric in ("mae", "rmse", "total_ratio", "spearman", "gini"):
            assert spend[metric][resample] == pytest.approx(amounts[metric])
        probabilities = probability_metrics(actual[rows] > 0, predicted[rows] / 7)
        for metric in ("auc", "log_loss", "brier"):
            assert activity[metric][resample] == pytest.approx(probabilities[metric])
    # Bins are those of all customers in every resample, so that only the first can be compared.
    assert activity["ece"][0] == pytest.approx(probability_metrics(actual > 0, predicted / 7)["ece"])


def test_equal_customers_share_a_decile() -> None:
    by = np.array([5.0, 5.0, 5.0, 5.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    is_covered = np.array([True, True, False, False, False, True, True, True, False, True])
    assert mean_by_decile(by, is_covered) == {"1": 0.4, "6": 1.0, "7": 1.0, "8": 1.0, "9": 0.0, "10": 1.0}
