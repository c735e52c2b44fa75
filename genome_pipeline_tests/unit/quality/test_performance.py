"""What the checks of matured predictions say: each passes on a forecast that is right, and fails where it should."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.quality.performance import (
    HEADLINE,
    LEAST_CUSTOMERS,
    Finding,
    judge_bounds,
    judge_calibration,
    judge_confidence,
    judge_coverage,
    judge_errors,
    judge_naive,
    judge_outlook,
)
from genome_pipeline_tests.support.forecasts import (
    LEVEL,
    MATURED,
    deal_anew,
    measured,
    perfect_forecast,
    with_confidence,
)

MAY, AUGUST = date(2021, 5, 1), date(2021, 8, 1)

Judge = Callable[[duckdb.DuckDBPyConnection, Sequence[date]], list[Finding]]


@pytest.fixture(scope="module")
def forecast() -> pd.DataFrame:
    return perfect_forecast(4_000, seed=1)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(TABLES["model_performance"].ddl())
    return connection


def judge_intervals(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date]) -> list[Finding]:
    return judge_coverage(connection, matured_as_of, LEVEL)


def failed(judge: Judge, outcomes: pd.DataFrame) -> set[str]:
    return {finding.target for finding in judge(measured(outcomes), [MATURED]) if not finding.is_passed}


@pytest.mark.parametrize(
    ("judge", "targets"),
    [
        (judge_calibration, ["total", "tenths"]),
        (judge_intervals, ["orders", "spend"]),
        (judge_bounds, ["churn"]),
        (judge_confidence, ["churn", "orders", "spend"]),
        (judge_naive, ["orders", "spend", "churn"]),
    ],
)
def test_a_forecast_that_knows_the_chances_passes(forecast: pd.DataFrame, judge: Judge, targets: list[str]) -> None:
    connection = measured(forecast)
    found = judge(connection, [MATURED])
    assert [finding.target for finding in found] == targets
    assert [finding.observed for finding in found if not finding.is_passed] == []
    assert {finding.customer_count for finding in found} == {4_000}
    assert judge(connection, [MAY]) == []


# Calibration


def test_a_level_that_is_off_fails_and_its_tenths_do_not(forecast: pd.DataFrame) -> None:
    shifted = expit(logit(forecast["churn_probability"]) + 0.5)
    assert failed(judge_calibration, forecast.assign(churn_probability=shifted)) == {"total"}


def test_tenths_that_are_off_fail_where_the_total_is_right(forecast: pd.DataFrame) -> None:
    too_sure = expit(logit(forecast["churn_probability"]) * 1.6 + 0.15)
    assert failed(judge_calibration, forecast.assign(churn_probability=too_sure)) == {"tenths"}


def said_and_did(said: float, did: float, customers: int) -> list[tuple[object, ...]]:
    metrics = {"predicted_rate": said, "base_rate": did, "expected_brier": said * (1 - said)}
    return [
        (AUGUST, MAY, "churn", "model", name, value, metric, number, customers)
        for name, value in (("all", "all"), ("prediction_decile", "1"))
        for metric, number in metrics.items()
    ]


def write(connection: duckdb.DuckDBPyConnection, rows: Sequence[tuple[object, ...]]) -> None:
    connection.executemany("INSERT INTO model_performance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


@pytest.mark.parametrize(
    ("said", "did", "customers", "is_passed", "observed"),
    [
        # Sampling .05, season .025, together .0559; half a customer is free.
        (0.5, 0.67, 100, True, "churn at 2021-05-01: 50.0% were to churn, 67.0% did (+3.0 standard errors)"),
        (0.5, 0.68, 100, False, "churn at 2021-05-01: 50.0% were to churn, 68.0% did (+3.1 standard errors)"),
        # Of a million the season is all there is: .025.
        (0.5, 0.43, 1_000_000, True, "churn at 2021-05-01: 50.0% were to churn, 43.0% did (-2.8 standard errors)"),
        (0.5, 0.42, 1_000_000, False, "churn at 2021-05-01: 50.0% were to churn, 42.0% did (-3.2 standard errors)"),
        (0.0, 0.0, 100, True, "churn at 2021-05-01: 0.0% were to churn, 0.0% did (+0.0 standard errors)"),
    ],
)
def test_the_total_may_be_off_by_sampling_and_by_a_season(
    connection: duckdb.DuckDBPyConnection, said: float, did: float, customers: int, is_passed: bool, observed: str
) -> None:
    write(connection, said_and_did(said, did, customers))
    total, tenths = judge_calibration(connection, [AUGUST])
    assert (total.is_passed, total.observed) == (is_passed, observed)
    assert tenths.is_passed  # one tenth alone misses what all miss


# Intervals


@pytest.mark.parametrize("target", ["orders", "spend"])
def test_intervals_without_end_fail(forecast: pd.DataFrame, target: str) -> None:
    assert failed(judge_intervals, forecast.assign(**{f"expected_{target}_upper": np.inf})) == {target}


def test_intervals_that_are_too_wide_fail(forecast: pd.DataFrame) -> None:
    wide = {
        "expected_orders_upper": forecast["expected_orders_upper"] + 1,
        "expected_spend_upper": forecast["expected_spend_upper"] * 1.5,
    }
    assert failed(judge_intervals, forecast.assign(**wide)) == {"orders", "spend"}


def test_intervals_that_are_too_narrow_fail(forecast: pd.DataFrame) -> None:
    narrow = {f"expected_{name}_upper": forecast[f"expected_{name}_upper"] * 0.6 for name in ("orders", "spend")}
    assert failed(judge_intervals, forecast.assign(**narrow)) == {"orders", "spend"}


def test_intervals_too_narrow_for_some_and_too_wide_for_others_fail(forecast: pd.DataFrame) -> None:
    is_high = forecast["expected_spend"] > forecast["expected_spend"].median()
    bound = forecast["expected_spend_upper"] * np.where(is_high, 0.8, 3)
    (finding,) = (
        one
        for one in judge_intervals(measured(forecast.assign(expected_spend_upper=bound)), [MATURED])
        if one.target == "spend"
    )
    assert not finding.is_passed
    too_few, too_many = finding.observed.split("too few in ")[1].split(", too many in ")
    assert "prediction_decile 9" in too_few
    assert "prediction_decile 4" in too_many


def nearly_all_churn() -> pd.DataFrame:
    """95% of 4,000 customers buy nothing; {0} is an interval that covers as many."""
    outcomes = perfect_forecast(4_000, seed=2)
    bought = np.arange(4_000) % 20 == 0
    nothing = {f"expected_{name}_{bound}": 0.0 for name in ("orders", "spend") for bound in ("lower", "upper")}
    return outcomes.assign(
        churn_probability=0.95,
        has_churned=~bought,
        actual_orders=np.where(bought, 1.0, 0.0),
        actual_spend=np.where(bought, 30.0, 0.0),
        **nothing,
    )


def test_where_most_buy_nothing_more_coverage_is_unavoidable_and_said(forecast: pd.DataFrame) -> None:
    orders, spend = judge_intervals(measured(nearly_all_churn()), [MATURED])
    assert orders.is_passed
    assert spend.is_passed
    assert orders.observed.startswith(
        "orders at 2024-05-01: 95.0% of all within intervals of 80% (the narrowest that hold what is likeliest: 95.0%)"
    )


def test_where_most_buy_nothing_intervals_without_end_still_fail() -> None:
    endless = {"expected_orders_upper": np.inf, "expected_spend_upper": np.inf}
    assert failed(judge_intervals, nearly_all_churn().assign(**endless)) == {"orders", "spend"}


def test_bounds_of_churn_that_miss_fail(forecast: pd.DataFrame) -> None:
    too_sure = expit(logit(forecast["churn_probability"]) * 1.8)
    bounds = {"churn_probability_lower": too_sure - 0.01, "churn_probability_upper": too_sure + 0.01}
    assert failed(judge_bounds, forecast.assign(**bounds)) == {"churn"}


def test_bounds_of_churn_that_say_nothing_fail(forecast: pd.DataFrame) -> None:
    bounds = {"churn_probability_lower": 0.0, "churn_probability_upper": 1.0}
    assert failed(judge_bounds, forecast.assign(**bounds)) == {"churn"}


def test_probabilities_without_bounds_are_not_judged_by_them(forecast: pd.DataFrame) -> None:
    bounds = {"churn_probability_lower": None, "churn_probability_upper": None}
    assert judge_bounds(measured(forecast.assign(**bounds)), [MATURED]) == []


# Confidence


def test_confidence_beside_the_outcomes_of_others_fails(forecast: pd.DataFrame) -> None:
    assert failed(judge_confidence, deal_anew(forecast, seed=1)) == {"churn", "orders", "spend"}


def test_confidence_at_random_fails(forecast: pd.DataFrame) -> None:
    at_random = np.random.default_rng(0).random(len(forecast))
    assert failed(judge_confidence, with_confidence(forecast, at_random)) == {"churn", "orders", "spend"}


def test_confidence_that_only_repeats_the_churn_probability_tells_nothing_of_orders(forecast: pd.DataFrame) -> None:
    p = forecast["churn_probability"]
    assert failed(judge_confidence, with_confidence(forecast, 1 - p)) >= {"orders", "spend"}
    assert failed(judge_confidence, with_confidence(forecast, 1 - 4 * p * (1 - p))) == {"orders", "spend"}


def test_confidence_that_is_highest_where_errors_are_largest_fails(forecast: pd.DataFrame) -> None:
    assert failed(judge_confidence, with_confidence(forecast, -forecast["confidence"])) == {"churn", "orders", "spend"}


def test_an_error_that_falls_with_confidence_whosever_outcomes_they_are_is_no_merit() -> None:
    """A base where nine in ten stay: to say so of all but some is right for most, whoever they are."""
    generator = np.random.default_rng(3)
    outcomes = perfect_forecast(4_000, seed=3)
    is_bold = generator.random(4_000) < 0.3
    has_churned = generator.random(4_000) < 0.1
    bold = outcomes.assign(churn_probability=np.where(is_bold, 0.7, 0.1), has_churned=has_churned)
    bold = with_confidence(bold, np.where(is_bold, 0.2, 0.9))
    (churn,) = (one for one in judge_confidence(measured(bold), [MATURED]) if one.target == "churn")
    assert not churn.is_passed
    assert "as small by chance in 0.0% of draws of confidence" in churn.observed


def test_too_few_customers_are_not_judged() -> None:
    few = deal_anew(perfect_forecast(LEAST_CUSTOMERS - 1, seed=1), seed=0)
    found = judge_confidence(measured(few), [MATURED])
    assert all(finding.is_passed for finding in found)
    assert all(finding.observed.endswith("not judged below 200 customers") for finding in found)


# Naive


def test_a_forecast_worse_than_the_naive_one_fails(forecast: pd.DataFrame) -> None:
    names = ("expected_orders", "expected_spend", "churn_probability")
    swapped = {name: forecast[f"naive_{name}"] for name in names} | {f"naive_{name}": forecast[name] for name in names}
    assert failed(judge_naive, forecast.assign(**swapped)) == {"orders", "spend", "churn"}


def test_a_forecast_as_good_as_the_naive_one_but_for_chance_passes(forecast: pd.DataFrame) -> None:
    generator = np.random.default_rng(0)
    p = forecast["churn_probability"]
    first, second = (expit(logit(p) + generator.normal(0, 0.3, len(p))) for _ in range(2))
    assert failed(judge_naive, forecast.assign(churn_probability=first, naive_churn_probability=second)) == set()
    # The same noise in one of them only is more than chance.
    assert failed(judge_naive, forecast.assign(churn_probability=first, naive_churn_probability=p)) == {"churn"}


# Steadiness


def test_an_error_far_above_those_before(connection: duckdb.DuckDBPyConnection) -> None:
    days = [MAY + timedelta(days=30 * step) for step in range(8)]
    errors = [0.10, 0.12, 0.10, 0.12, 0.10, 0.12, 0.13, 0.20]
    rows = [
        (day + timedelta(days=90), day, "churn", "model", "all", "all", "brier", error, 50)
        for day, error in zip(days, errors, strict=True)
    ]
    write(connection, rows)
    found = judge_errors(connection, [day + timedelta(days=90) for day in days], HEADLINE)
    assert [finding.is_passed for finding in found] == [True, False]  # the first six have too few before them
    assert found[1].observed == (
        "churn at 2021-11-27: brier 0.2, on the snapshots before 0.1129 on average, give or take 0.01254"
    )


@pytest.mark.parametrize(
    ("said", "did", "is_passed"),
    [(0.30, 0.30, True), (0.30, 0.34, True), (0.30, 0.40, False), (0.50, 0.40, False)],
)
def test_each_further_horizon_is_judged_by_its_total(said: float, did: float, is_passed: bool) -> None:
    """Of 4,000 customers 30% are known to within 2.2 points, most of which is the season's."""
    connection = duckdb.connect()
    connection.execute(TABLES["outlook_performance"].ddl())
    row = {"matured_as_of": AUGUST, "as_of": MAY, "horizon_days": 90, "customer_count": 4_000}
    shares = {"mean_churn_probability": said, "actual_churn_share": did, "expected_brier_score": said * (1 - said)}
    row |= shares
    connection.execute(
        f"INSERT INTO outlook_performance ({', '.join(row)}) VALUES ({', '.join('?' for _ in row)})", list(row.values())
    )
    (found,) = judge_outlook(connection, [AUGUST])
    assert found.target == "90_days"
    assert found.is_passed == is_passed
    assert f"over 90 days from 2021-05-01: {said:.1%} were to churn, {did:.1%} did" in found.observed
