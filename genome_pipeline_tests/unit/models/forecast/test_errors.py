"""The errors a forecast is to have, learned from those it had."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.forecast.errors import (
    Forecasts,
    expected_errors,
    factors_from_dict,
    factors_to_dict,
    fit_factors,
    realised_errors,
    relative_error,
    theoretical_errors,
)
from genome_pipeline_tests.support.populations import customers

CUSTOMERS = 4_000


def drawn(seed: int, spread: float = 0.0) -> tuple[pd.DataFrame, Forecasts, pd.DataFrame]:
    """Customers who buy as they are expected to, but for amounts: ``spread`` larger for those with many purchases."""
    draws = np.random.default_rng(seed)
    days = draws.integers(1, 30, CUSTOMERS)
    features = customers([f"c{number}" for number in range(CUSTOMERS)], purchase_day_count=days)
    p, m = draws.uniform(0.6, 0.95, CUSTOMERS), 1 + draws.gamma(1.0, 2.0, CUSTOMERS)
    bought = draws.uniform(size=CUSTOMERS) < p
    orders = np.where(bought, 1 + draws.poisson(m - 1), 0)
    noise = draws.lognormal(-0.5, 1, CUSTOMERS) ** np.where(days > 15, spread, 0.0)
    outcomes = pd.DataFrame({"has_churned": ~bought, "actual_orders": orders, "actual_spend": 10.0 * orders * noise})
    return features, Forecasts(p, m, np.full(CUSTOMERS, 10.0)), outcomes


def test_errors_by_hand() -> None:
    forecasts = Forecasts(np.array([0.5, 0.5]), np.array([2.0, 2.0]), np.array([10.0, 10.0]))
    outcomes = pd.DataFrame({"has_churned": [True, False], "actual_orders": [0, 4], "actual_spend": [0.0, 30.0]})
    found = realised_errors(forecasts, outcomes)
    assert found["churn"].tolist() == [0.25, 0.25]
    assert found["orders"].tolist() == [0.5, 1.0]  # 1 order expected, and one more: over 2, and at most 1
    assert found["spend"].tolist() == [0.5, 1.0]
    assert relative_error(np.zeros(1), np.zeros(1), np.zeros(1)).tolist() == [0.0]


def test_errors_of_a_true_forecast_are_about_those_of_theory() -> None:
    _, forecasts, outcomes = drawn(seed=0)
    realised, theory = realised_errors(forecasts, outcomes), theoretical_errors(forecasts)
    assert realised["churn"].mean() == pytest.approx(theory["churn"].mean(), rel=0.05)
    assert realised["orders"].mean() < theory["orders"].mean()  # which is the most it can be


def test_whose_errors_were_large_is_learned() -> None:
    features, forecasts, outcomes = drawn(seed=0, spread=1.0)
    factors = fit_factors([features], [forecasts], [outcomes], seed=0)
    later_features, later, later_outcomes = drawn(seed=1, spread=1.0)
    expected = expected_errors(factors, later_features, later)
    realised = realised_errors(later, later_outcomes)
    has_many = later_features["purchase_day_count"] > 15
    for rows in (has_many, ~has_many):
        assert expected["spend"][rows].mean() == pytest.approx(realised["spend"][rows].mean(), rel=0.2)
    ratio = expected["spend"][has_many].mean() / expected["spend"][~has_many].mean()
    assert ratio > 1.1 * expected["orders"][has_many].mean() / expected["orders"][~has_many].mean()


def test_without_earlier_dates_errors_are_those_of_theory() -> None:
    features, forecasts, _ = drawn(seed=0)
    assert fit_factors([], [], [], seed=0) == {}
    found, theory = expected_errors({}, features, forecasts), theoretical_errors(forecasts)
    for name, values in theory.items():
        np.testing.assert_array_equal(found[name], values)


def test_where_spend_is_not_predicted_its_error_is_unknown() -> None:
    features, forecasts, outcomes = drawn(seed=0)
    without = forecasts._replace(amount=np.full(CUSTOMERS, np.nan))
    factors = fit_factors([features], [without], [outcomes.assign(actual_spend=np.nan)], seed=0)
    found = expected_errors(factors, features, without)
    assert [*factors] == ["orders"]
    assert np.isnan(found["spend"]).all()
    assert np.isfinite(found["orders"]).all()


def test_factors_come_back_from_json() -> None:
    features, forecasts, outcomes = drawn(seed=0)
    factors = fit_factors([features], [forecasts], [outcomes], seed=0)
    assert factors_from_dict(json.loads(json.dumps(factors_to_dict(factors)))) == factors
