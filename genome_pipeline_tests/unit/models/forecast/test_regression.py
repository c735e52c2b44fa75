import json

import numpy as np
import pytest
from scipy.special import expit

from genome_pipeline.models.forecast.regression import LogRegression, fit_log_regression
from genome_pipeline.models.not_enough_data import NotEnoughData

MODEL = LogRegression(-1.0, slope=(2.0, 1.0), centre=(1.0, 0.0), low=(0.0, -1.0), high=(3.0, 1.0))


def test_contributions_are_slopes_times_logarithms_and_add_up() -> None:
    matrix = np.array([[np.e - 1, 0.0], [np.e**2 - 1, -(np.sqrt(np.e) - 1)]])
    assert MODEL.contributions(matrix) == pytest.approx(np.array([[0, 0, -1], [2, -0.5, -1]]))
    assert MODEL.linear(matrix) == pytest.approx([-1, 0.5])


def test_a_missing_gene_adds_nothing_and_one_beyond_what_was_seen_counts_as_the_bound() -> None:
    assert MODEL.contributions(np.array([[np.nan, 1e9]])) == pytest.approx(np.array([[0, 1, -1]]))


def test_it_finds_the_odds_that_rise_with_a_logarithm() -> None:
    """Log-odds are log(1 + x) less 1; the second gene is missing for half and tells nothing, the third is constant."""
    generator = np.random.default_rng(0)
    logarithm = generator.uniform(0, 4, 40_000)
    noise = np.where(generator.uniform(size=40_000) < 0.5, generator.normal(size=40_000), np.nan)
    matrix = np.column_stack([np.expm1(logarithm), noise, np.full(40_000, 7.0)])
    model = fit_log_regression(matrix, generator.uniform(size=40_000) < expit(logarithm - 1))
    asked = np.array([[np.expm1(x), np.nan, 7.0] for x in (0.5, 2.0, 3.5)])
    # A line through 40,000 outcomes: standard errors are below 0.03.
    assert model.linear(asked) == pytest.approx([-0.5, 1.0, 2.5], abs=0.09)
    assert model.slope[2] == pytest.approx(0, abs=1e-9)


def test_a_gene_nobody_has_adds_nothing() -> None:
    matrix = np.column_stack([np.arange(20.0), np.full(20, np.nan)])
    model = fit_log_regression(matrix, np.arange(20) % 3 == 0)
    assert np.isfinite(model.linear(np.array([[3.0, np.nan], [3.0, 5.0]]))).all()


@pytest.mark.parametrize("outcome", [False, True])
def test_one_outcome_teaches_nothing(outcome: bool) -> None:
    with pytest.raises(NotEnoughData, match="ended alike"):
        fit_log_regression(np.ones((5, 2)), np.full(5, outcome))


def test_it_comes_back_from_json() -> None:
    assert LogRegression.from_dict(json.loads(json.dumps(MODEL.to_dict()))) == MODEL
