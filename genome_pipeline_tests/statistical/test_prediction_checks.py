"""How often the checks of predictions fail on forecasts that are right, and pass on those that are not.

Each population has 1,500 customers. A forecast that knows every chance fails a check of many slices by chance less than
one time in 50; outcomes of other customers pass each permutation test at most one time in 100.
"""

from collections.abc import Callable, Iterator
from datetime import date

import duckdb
import numpy as np
import pytest
from scipy.special import expit, logit

from genome_pipeline.quality.performance import (
    Finding,
    judge_bounds,
    judge_calibration,
    judge_confidence,
    judge_coverage,
    judge_naive,
)
from genome_pipeline_tests.support.forecasts import LEVEL, MATURED, deal_anew, measured, perfect_forecast

pytestmark = pytest.mark.slow

SEEDS = range(100)
CUSTOMERS = 1_500

Judge = Callable[[duckdb.DuckDBPyConnection, list[date]], list[Finding]]

JUDGES: dict[str, Judge] = {
    "churn_is_calibrated": judge_calibration,
    "intervals_cover": lambda connection, dates: judge_coverage(connection, dates, LEVEL),
    "bounds": judge_bounds,
    "confidence_means_something": judge_confidence,
    "beats_naive": judge_naive,
}


def passes(connection: duckdb.DuckDBPyConnection) -> dict[str, bool]:
    return {name: all(one.is_passed for one in judge(connection, [MATURED])) for name, judge in JUDGES.items()}


def count(databases: Iterator[duckdb.DuckDBPyConnection]) -> dict[str, int]:
    """How many of the databases each check passes on."""
    found = [passes(connection) for connection in databases]
    return {name: sum(one[name] for one in found) for name in JUDGES}


def test_a_forecast_that_knows_the_chances_passes() -> None:
    passed = count(measured(perfect_forecast(CUSTOMERS, seed)) for seed in SEEDS)
    assert min(passed.values()) >= 95, passed


def test_outcomes_of_others_fail_whatever_is_asked_of_them() -> None:
    forecast = perfect_forecast(CUSTOMERS, seed=0)
    passed = count(measured(deal_anew(forecast, seed)) for seed in SEEDS)
    assert max(passed.values()) <= 5, passed


def test_a_season_that_the_forecast_could_not_know_fails_as_seldom() -> None:
    """Log-odds of all are moved by a draw with the deviation that is allowed for."""

    def season(seed: int) -> duckdb.DuckDBPyConnection:
        shift = np.random.default_rng(seed).normal(0, 0.1)
        outcomes = perfect_forecast(CUSTOMERS, seed)
        said = {
            name: expit(logit(outcomes[name].clip(1e-9, 1 - 1e-9)) + shift)
            for name in ("churn_probability", "churn_probability_lower", "churn_probability_upper")
        }
        return measured(outcomes.assign(**said, expected_orders=None, expected_spend=None))

    databases = [season(seed) for seed in SEEDS[:50]]
    for judge in (judge_calibration, judge_bounds):
        assert sum(all(one.is_passed for one in judge(database, [MATURED])) for database in databases) >= 47
