import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from genome_pipeline.models.forecast.venn_abers import VennAbers


def test_venn_abers_is_isotonic_regression_with_one_more_row() -> None:
    generator = np.random.default_rng(1)
    scores = np.repeat(np.arange(20) / 20, 5)
    is_event = generator.uniform(size=100) < scores
    calibrator = VennAbers.fit(scores, is_event)
    for score in (0.0, 0.35, 0.95):
        (lower,), (upper,) = calibrator.apply([score])
        for outcome, bound in ((0, lower), (1, upper)):
            isotonic = IsotonicRegression().fit(np.append(scores, score), np.append(is_event, outcome))
            assert bound == pytest.approx(isotonic.predict([score])[0])


def test_venn_abers_is_calibrated() -> None:
    """Scores are a distortion of the true probability; in each tenth, the mean probability is the event share."""
    generator = np.random.default_rng(2)

    def draw(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        truth = generator.uniform(size=size)
        return truth**3, generator.uniform(size=size) < truth, truth

    calibrator = VennAbers.fit(*draw(20_000)[:2])
    scores, is_event, truth = draw(100_000)
    lower, upper = calibrator.apply(scores)
    assert (lower <= upper).all()
    probability = (lower + upper) / 2
    tenth = np.floor(truth * 10)
    for index in range(10):
        rows = tenth == index
        # 2,000 calibration rows in each tenth: standard error below .0112.
        assert abs(probability[rows].mean() - is_event[rows].mean()) < 4 * 0.0112


def test_two_scores_give_the_rule_of_succession() -> None:
    calibrator = VennAbers.fit([0.0] * 8 + [1.0] * 8, [0] * 6 + [1] * 2 + [0] * 2 + [1] * 6)
    (low_0, high_0), (low_1, high_1) = calibrator.apply([0.0, 1.0])
    assert (low_0, low_1) == pytest.approx((2 / 9, 3 / 9))
    assert (high_0, high_1) == pytest.approx((6 / 9, 7 / 9))
