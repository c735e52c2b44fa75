"""The value of all later years: the integral, and the longest horizon continued."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import hyperu

from genome_pipeline.models.btyd.pareto_nbd import ParetoNbd
from genome_pipeline.models.forecast.experts import BtydActivity, Expert
from genome_pipeline.models.forecast.lifetime_value import NO_AMOUNTS, lifetime_ratio, predict_lifetime_value
from genome_pipeline.models.forecast.risk import RiskModel
from genome_pipeline_tests.support.populations import AS_OF, assert_keeps_contract

DAILY = np.log(1.1) / 365.25


def pareto_nbd(s: float = 0.6, beta: float = 12.0) -> ParetoNbd:
    return ParetoNbd(r=0.55, alpha=10.0, s=s, beta=beta, log_likelihood=0.0, customer_count=100)


@pytest.mark.parametrize("s", [0.01, 0.6, 1.0, 3.0, 60.0])
@pytest.mark.parametrize("beta", [0.5, 12.0, 5_000.0])
@pytest.mark.parametrize("daily", [1e-3 / 365, DAILY, np.log(2) / 365])
def test_discounted_days_are_the_integral_and_of_a_long_time_the_papers_formula(
    s: float, beta: float, daily: float
) -> None:
    t = np.array([0.0, 400.0])
    model = pareto_nbd(s, beta)
    found, whole = (
        model.discounted_active_days(t, 90.0, 1_096.0, daily),
        model.discounted_active_days(t, 0.0, 40 / daily, daily),
    )
    for days, value, of_all in zip(t, found, whole, strict=True):
        scale = beta + days
        integral, _ = quad(
            lambda u, b=scale: (1 + u / b) ** -s * np.exp(-daily * u), 90, 1_096, epsrel=1e-11, limit=200
        )
        assert value == pytest.approx(integral, rel=1e-7)
        papers = scale * hyperu(1, 2 - s, daily * scale)
        if np.isfinite(papers) and 0.1 < s < 10:
            assert of_all == pytest.approx(papers, rel=1e-5)


def test_an_active_customer_without_dropout_is_worth_an_annuity_and_no_perpetuity() -> None:
    """1 unit a day: three years are worth 2.6 of them at 10% a year, all later years would be 10."""
    told = 365 * lifetime_ratio(pareto_nbd(1e-9), np.array([30.0]), 365.0, 3, 0.1)[0]
    annuity = 365 + (np.exp(-DAILY * 365) - np.exp(-DAILY * 3 * 365.25)) / DAILY
    assert told == pytest.approx(annuity, rel=1e-6)
    assert told / 365 == pytest.approx(2.66, abs=0.02)


def test_new_customers_buy_as_often_as_simulated_ones() -> None:
    rng, model, n, end = np.random.default_rng(0), pareto_nbd(s=1.5, beta=300.0), 200_000, 3 * 365.25
    lifetimes = np.minimum(rng.exponential(1 / rng.gamma(model.s, 1 / model.beta, n)), end)
    simulated = rng.gamma(model.r, 1 / model.alpha, n) * -np.expm1(-DAILY * lifetimes) / DAILY
    told = model.r / model.alpha * model.discounted_active_days(np.zeros(1), 0.0, end, DAILY)[0]
    assert told == pytest.approx(simulated.mean(), rel=0.02)


def test_later_years_add_to_the_horizon_and_less_so_where_money_is_dear() -> None:
    t = np.array([10.0, 300.0, 3_000.0])
    ratios = [lifetime_ratio(pareto_nbd(), t, 90.0, 3, rate) for rate in (0.01, 0.1, 1.0)]
    assert (np.diff(ratios, axis=0) < 0).all()
    # Whoever has been here for long is likelier to stay.
    assert (np.diff(ratios, axis=1) > 0).all()
    longer = [lifetime_ratio(pareto_nbd(), t, 90.0, years, 0.1) for years in (1, 3, 10, 50)]
    assert (np.diff(longer, axis=0) > 0).all()


@pytest.mark.parametrize("rate", [0.001, 1.0])
@pytest.mark.parametrize("horizon", [28.0, 365.0])
def test_a_lifetime_is_never_worth_less_than_the_forecast_it_continues(rate: float, horizon: float) -> None:
    """Customers who leave within days add nothing later, and what they buy within the horizon counts whole."""
    fleeting = lifetime_ratio(pareto_nbd(s=200.0, beta=100.0), np.array([0.0, 900.0]), horizon, 1, rate)
    assert (fleeting >= 1).all()
    assert fleeting[0] == pytest.approx(1, abs=1e-6)


def model_of(purchases: ParetoNbd | None, reason: str | None = None) -> RiskModel:
    experts: dict[str, Expert] = {} if purchases is None else {"btyd": BtydActivity(purchases)}
    weights = np.ones(len(experts))
    return RiskModel(90, experts, weights, 0.0, 0.0, np.empty(0), None, None, reason, ())


def customers(**columns: Any) -> pd.DataFrame:
    frame = {
        "as_of": pd.Timestamp(AS_OF),
        "customer_id": ["b", "a"],
        "t_days": [400, 30],
        "lifetime_horizon_days": pd.array([365, 90], "Int64"),
        "expected_spend": [100.0, 20.0],
        "expected_spend_lower": [np.nan, 0.0],
        "expected_spend_upper": [np.nan, 60.0],
        "outlook_abstain_reason": ["no snapshot has matured", None],
    }
    return pd.DataFrame(frame | columns)


def test_the_spend_over_the_longest_horizon_is_continued() -> None:
    found = predict_lifetime_value(model_of(pareto_nbd()), customers(), 3, 0.1)
    assert_keeps_contract("customer_lifetime_value", found)
    short, long = (
        lifetime_ratio(pareto_nbd(), np.array([days]), horizon, 3, 0.1)[0]
        for days, horizon in ((30.0, 90), (400.0, 365))
    )
    assert found["customer_id"].tolist() == ["a", "b"]
    np.testing.assert_allclose(found["lifetime_value_amount"], [20 * short, 100 * long])
    np.testing.assert_allclose(found["lifetime_value_amount_upper"], [60 * short, np.nan])
    assert found["abstain_reason"].isna().all()


@pytest.mark.parametrize(
    ("purchases", "spend", "reason", "said"),
    [
        (None, [100.0, 20.0], "fewer than 20 customers", ["fewer than 20 customers", "no snapshot has matured"]),
        (pareto_nbd(), [np.nan, np.nan], None, [NO_AMOUNTS, "no snapshot has matured"]),
    ],
)
def test_without_a_forecast_or_amounts_there_is_a_reason(
    purchases: ParetoNbd | None, spend: list[float], reason: str | None, said: list[str]
) -> None:
    known = customers(expected_spend=spend)
    found = predict_lifetime_value(model_of(purchases, reason), known, 3, 0.1)
    assert_keeps_contract("customer_lifetime_value", found)
    assert found["lifetime_value_amount"].isna().all()
    assert found["abstain_reason"].tolist() == said
