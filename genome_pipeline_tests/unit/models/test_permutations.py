"""The two permutation tests of confidence, held to what 1,000 draws say."""

import numpy as np
import pytest
from numpy.typing import NDArray

from genome_pipeline.models.permutations import GROUP, permutation_metrics

Floats = NDArray[np.float64]

CUSTOMERS = 30 * GROUP


def drawn(predicted: Floats, actual: Floats, confidence: Floats) -> tuple[float, float]:
    """Both p-values by 1,000 permutations within groups, customers being in order of the covariate."""
    generator = np.random.default_rng(5)
    rank = confidence.reshape(-1, GROUP).argsort(axis=1).argsort(axis=1) - (GROUP - 1) / 2
    place = np.arange(GROUP) - (GROUP - 1) / 2
    slope = (rank * place).sum(axis=1) / (place**2).sum()
    weights = 1 + 2 * (rank - np.outer(slope, place)) / GROUP
    forecast, outcome = predicted.reshape(-1, GROUP), actual.reshape(-1, GROUP)
    errors = (forecast - outcome) ** 2
    observed = (weights * errors).sum()
    by_confidence = by_outcome = 0
    for _ in range(1_000):
        order = generator.random(forecast.shape).argsort(axis=1)
        by_confidence += (weights * np.take_along_axis(errors, order, axis=1)).sum() <= observed
        by_outcome += (weights * (forecast - np.take_along_axis(outcome, order, axis=1)) ** 2).sum() <= observed
    return by_confidence / 1_000, by_outcome / 1_000


@pytest.mark.parametrize("fall", [0.0, 0.05, 0.1])
def test_p_values_are_those_of_a_thousand_draws(fall: float) -> None:
    generator = np.random.default_rng(1)
    confidence = generator.random(CUSTOMERS)
    predicted = generator.normal(0, 0.1, CUSTOMERS)
    actual = predicted + generator.normal(size=CUSTOMERS) * (1 - fall * confidence)
    found = permutation_metrics(
        lambda rows, outcomes: (predicted[rows] - outcomes) ** 2, actual, confidence, np.arange(CUSTOMERS, dtype=float)
    )
    by_confidence, by_outcome = drawn(predicted, actual, confidence)
    # A share of 1,000 draws has a standard error of at most .016.
    assert found["confidence_p_value"] == pytest.approx(by_confidence, abs=0.05)
    assert found["outcome_p_value"] == pytest.approx(by_outcome, abs=0.05)


def test_a_confidence_that_repeats_the_covariate_has_nothing_to_show() -> None:
    given = np.random.default_rng(0).random(CUSTOMERS)
    found = permutation_metrics(lambda rows, outcomes: np.abs(outcomes), given, -given, given)
    assert found["confidence_error_ratio"] == pytest.approx(1)
    assert found["confidence_p_value"] == 1


def test_the_order_of_customers_within_a_group_does_not_matter_and_no_error_is_no_test() -> None:
    confidence = np.arange(GROUP, dtype=float)
    actual = confidence[::-1].copy()

    def error(rows: NDArray[np.intp], outcomes: Floats) -> Floats:
        return outcomes + 0 * rows

    found = permutation_metrics(error, actual, confidence)
    assert found == pytest.approx(permutation_metrics(error, confidence, actual))
    # Ranks 1 to 20 of confidence meet errors 19 to 0: sum of (rank - 10.5) x error over 10 x 190 less than 1.
    assert found["confidence_error_ratio"] == pytest.approx(1 - 665 / 1_900)
    assert permutation_metrics(error, np.zeros(GROUP), confidence) == {}
    assert permutation_metrics(error, actual[1:], confidence[1:]) == {}
