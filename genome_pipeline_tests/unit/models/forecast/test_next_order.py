"""When customers order next: one curve through the forecast of every horizon."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from genome_pipeline.contracts.tables.outlook import churn_within
from genome_pipeline.models.btyd.pareto_nbd import ParetoNbd
from genome_pipeline.models.forecast.next_order import (
    ArrivalCurve,
    arrival_curve,
    predict_next_order,
    silence_probability,
)
from genome_pipeline.models.forecast.risk import RiskModel, fit_risk_model
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline_tests.support.histories import HORIZON_DAYS, START, history
from genome_pipeline_tests.support.populations import assert_keeps_contract

AS_OF = START + timedelta(days=330)
LENGTH_DAYS = 900
RHYTHM = ParetoNbd(r=1.0, alpha=20.0, s=0.5, beta=200.0, log_likelihood=0.0, customer_count=3)
THREE = (np.array([0.0, 4.0, 12.0]), np.array([0.0, 80.0, 100.0]), np.array([100.0, 100.0, 100.0]))
"""One-time, occasional and frequent; the last one bought a moment ago."""


@cache
def model() -> RiskModel:
    log = history(length_days=LENGTH_DAYS)
    return fit_risk_model(log.features(AS_OF), log.labelled(AS_OF), HORIZON_DAYS, seed=0)


@cache
def predicted() -> pd.DataFrame:
    features = by_customer(history(length_days=LENGTH_DAYS).features(AS_OF))
    churn = model().predict(features)["churn_probability"]
    return predict_next_order(model(), features.assign(**{churn_within(HORIZON_DAYS): churn}), 0.8)


def next_days() -> np.ndarray:
    """The day of each customer's next order, counted from ``AS_OF``; infinite for none in the log."""
    log, now = history(length_days=LENGTH_DAYS), (AS_OF - START).days
    first = pd.Series(log.day[log.day >= now], log.customer[log.day >= now]).groupby(level=0).min() - now
    customers = by_customer(log.features(AS_OF))["customer_id"].str[1:].astype(int)
    return first.reindex(customers).fillna(np.inf).to_numpy()


def test_a_quantile_is_where_the_curve_reaches_it() -> None:
    curve = ArrivalCurve(np.array([1.0, 2.0, 4.0]), np.array([[0.2, 0.0], [0.6, 0.0], [0.8, 0.4]]))
    assert curve.quantile(0.1).tolist() == [0.5, 2.5]
    assert curve.quantile(0.5).tolist() == [1.75, np.inf]
    assert curve.quantile(0.9).tolist() == [np.inf, np.inf]


@settings(deadline=None)
@given(
    hnp.arrays(np.float64, (3, 3), elements=st.floats(0, 1)),
    st.lists(st.integers(1, 4_000), min_size=3, max_size=3, unique=True),
)
def test_the_curve_rises_through_every_horizon(buys: np.ndarray, horizons_days: list[int]) -> None:
    rising = np.maximum.accumulate(buys, axis=0)
    told = dict(zip(sorted(horizons_days), rising, strict=True))
    curve = arrival_curve(RHYTHM, THREE, told)
    assert (np.diff(curve.probability, axis=0) >= 0).all()
    assert ((curve.probability >= 0) & (curve.probability <= 1)).all()
    for days, probability in told.items():
        np.testing.assert_array_equal(curve.probability[curve.days == days][0], probability)


def test_without_a_difference_at_the_horizon_the_curve_is_that_of_pareto_nbd() -> None:
    curve = arrival_curve(RHYTHM, THREE, {90: RHYTHM.purchase_probability(*THREE, 90)})
    alone = RHYTHM.purchase_probabilities(*THREE, curve.days.tolist())
    np.testing.assert_allclose(curve.probability, alone, atol=1e-12)


def test_the_curve_ends_after_two_years_or_the_longest_horizon() -> None:
    for horizon_days, last in ((90, 730), (900, 900)):
        buys = {horizon_days: RHYTHM.purchase_probability(*THREE, horizon_days)}
        assert arrival_curve(RHYTHM, THREE, buys).days[-1] == last


def test_the_chance_of_a_silence_is_that_of_simulated_customers() -> None:
    """Rates of customers like these after their last purchase, and the share of them who buy nothing until T."""
    x, t_x, t = THREE
    rate = np.random.default_rng(0).gamma(RHYTHM.r + x, 1 / (RHYTHM.alpha + t_x), (200_000, 3))
    simulated = np.exp(-rate * (t - t_x)).mean(axis=0)
    np.testing.assert_allclose(silence_probability(RHYTHM, THREE), simulated, atol=0.003)
    assert silence_probability(RHYTHM, THREE)[2] == 1.0


def test_next_orders_come_as_predicted() -> None:
    """Of those for whom a bound lies in the log, about a tenth order before the lower one and after the upper one."""
    found, actual = predicted(), next_days()
    assert_keeps_contract("customer_next_order", found)
    length = LENGTH_DAYS - (AS_OF - START).days
    lower, middle, upper = (
        (found[f"next_order_date{end}"] - pd.Timestamp(AS_OF)).dt.days.fillna(10_000).to_numpy()
        for end in ("_lower", "", "_upper")
    )
    assert np.mean(actual[lower < length] < lower[lower < length]) == pytest.approx(0.1, abs=0.05)
    assert np.mean(actual[middle < length] <= middle[middle < length]) == pytest.approx(0.5, abs=0.08)
    assert np.mean(actual[upper < length] <= upper[upper < length]) == pytest.approx(0.9, abs=0.05)
    # Permuted customers are not told apart: the intervals are about each of them.
    shuffled = np.random.default_rng(0).permutation(actual)
    assert np.mean(shuffled[upper < length] <= upper[upper < length]) < 0.8


def test_whoever_is_not_likely_to_order_again_has_no_date() -> None:
    found = predicted()
    is_unlikely = numbers(found["further_order_probability"]) < 0.5
    assert 0 < is_unlikely.sum() < len(found)
    assert (found["next_order_date"].isna().to_numpy() == is_unlikely).all()


def test_only_a_silence_that_is_rare_for_the_rhythm_is_overdue() -> None:
    found, features = predicted(), by_customer(history(length_days=LENGTH_DAYS).features(AS_OF))
    overdue = found["is_overdue"].to_numpy(bool)
    assert 0.05 < overdue.mean() < 0.6
    assert (numbers(found["silence_probability"])[overdue] < 0.1).all()
    # A silence of two months is long for some and usual for others.
    two_months = features["days_since_last_order"].between(50, 70)
    assert 0 < overdue[two_months].mean() < 1


def test_without_a_forecast_there_is_no_date_and_a_reason() -> None:
    few = by_customer(history(length_days=LENGTH_DAYS).features(AS_OF).head(10))
    abstaining = fit_risk_model(few, (), HORIZON_DAYS, seed=0)
    found = predict_next_order(abstaining, few.assign(**{churn_within(HORIZON_DAYS): np.nan}), 0.8)
    assert_keeps_contract("customer_next_order", found)
    assert found["next_order_date"].isna().all()
    assert found["is_overdue"].isna().all()
    assert found["abstain_reason"].str.contains("only 10 customers").all()
