"""Logs that can hardly carry a model: value and risk abstain in words, or predict; they never raise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from genome_pipeline.models.risk import RiskModel, fit_risk_model
from genome_pipeline.models.value import ValueModel, fit_value_model

from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline_tests.models.histories import HORIZON_DAYS, START, History, history
from genome_pipeline_tests.models.populations import assert_keeps_contract

NOW = START + timedelta(days=390)
BTYD_NEEDS = "Pareto/NBD needs 10"


def fit_both(
    features: pd.DataFrame, learned: Sequence[LabelledSnapshot]
) -> tuple[tuple[ValueModel, pd.DataFrame], tuple[RiskModel, pd.DataFrame]]:
    """Both models and what they predict, which keeps the contract and survives storage."""
    value = fit_value_model(features, learned, HORIZON_DAYS, 0.8, seed=0)
    risk = fit_risk_model(features, learned, HORIZON_DAYS, seed=0)
    spend, churn = value.predict(features), risk.predict(features)
    for table, model, predictions in (("customer_value", value, spend), ("customer_risk", risk, churn)):
        assert_keeps_contract(table, predictions)
        assert len(predictions) == len(features)
        assert all(row.choice_reason.endswith(".") for row in model.rows)
        pd.testing.assert_frame_equal(type(model).from_bytes(model.to_bytes()).predict(features), predictions)
    known = spend.dropna(subset=["expected_spend_upper"])
    assert (known["expected_spend_lower"] <= known["expected_spend"]).all()
    assert (known["expected_spend"] <= known["expected_spend_upper"]).all()
    # What is not offered has a reason.
    assert spend.loc[spend["expected_spend_upper"].isna(), "abstain_reason"].notna().all()
    assert churn.loc[churn["churn_probability_upper"].isna(), "abstain_reason"].notna().all()
    return (value, spend), (risk, churn)


def log(customer: Sequence[int], day: Sequence[int]) -> History:
    order = np.lexsort([day, customer])
    return History(np.array(customer)[order], np.array(day)[order], np.full(len(day), 20.0))


@pytest.mark.parametrize("days", [45, 150, 390])
def test_fifty_customers(days: int) -> None:
    now = START + timedelta(days=days)
    small = history(seed=3, size=50)
    (_, spend), (_, churn) = fit_both(small.features(now), small.labelled(now))
    assert churn["churn_probability"].notna().all() or churn["abstain_reason"].str.contains("needs").all()
    assert spend["expected_spend"].notna().all() or spend["abstain_reason"].str.contains("needs").all()


def test_one_purchase_each() -> None:
    """Nobody ever came back: nothing is known of when anyone would."""
    once = log(range(300), [number % 380 for number in range(300)])
    (value, spend), (risk, churn) = fit_both(once.features(NOW), once.labelled(NOW))
    assert [row.candidate for row in value.rows if row.is_chosen] == ["naive"]
    assert [row.candidate for row in risk.rows if row.is_chosen] == ["naive"]
    assert (churn["churn_probability"] > 0.95).all()
    assert spend["abstain_reason"].str.contains("too few customers bought again").all()
    reasons = {row.candidate: row.choice_reason for row in value.rows}
    assert BTYD_NEEDS in reasons["btyd"]
    assert "nothing was bought in the horizons" in reasons["boosting"]


def test_one_purchase_each_before_a_snapshot_has_matured() -> None:
    once = log(range(300), [number % 50 for number in range(300)])
    (_, spend), (_, churn) = fit_both(once.features(START + timedelta(days=60)), [])
    for predictions in (spend, churn):
        assert predictions["abstain_reason"].str.endswith(f"customers bought again: {BTYD_NEEDS}").all()


@pytest.mark.parametrize("days", [1, 60, 150, 390])
def test_all_on_one_day(days: int) -> None:
    now = START + timedelta(days=days)
    flash = log(range(300), [0] * 300)
    (_, spend), (_, churn) = fit_both(flash.features(now), flash.labelled(now))
    assert spend["abstain_reason"].notna().all()
    assert churn["churn_probability"].isna().all() == (days < 150)


def test_all_twice_on_the_same_two_days() -> None:
    twice = log([*range(300)] * 2, [0] * 300 + [30] * 300)
    for days in (31, 100, 150, 390):
        now = START + timedelta(days=days)
        fit_both(twice.features(now), twice.labelled(now))


def test_everyone_buys_every_week() -> None:
    weekly = log(
        [number for number in range(100) for _ in range(60)], [7 * week for _ in range(100) for week in range(60)]
    )
    (_, spend), (_, churn) = fit_both(weekly.features(NOW), weekly.labelled(NOW))
    assert spend["expected_orders"].between(12, 14).all()
    assert (churn["churn_probability"] < 0.05).all()


def stopped(snapshot: LabelledSnapshot) -> LabelledSnapshot:
    """Nobody bought any more."""
    outcomes = snapshot.outcomes.assign(actual_orders=0.0, actual_spend=0.0, has_churned=True)
    return LabelledSnapshot(snapshot.as_of, snapshot.horizon_days, snapshot.features, outcomes)


@pytest.mark.parametrize("months", [3, 7])
def test_a_shop_that_closed(months: int) -> None:
    """Nobody bought within the last horizons: they teach no trees, and the level falls."""
    closed = NOW - timedelta(days=30 * months)
    learned = [stopped(s) if s.as_of >= closed else s for s in history().labelled(NOW)]
    features = history().features(NOW)
    (_, spend), (_, churn) = fit_both(features, learned)
    usual = fit_value_model(features, history().labelled(NOW), HORIZON_DAYS, 0.8, seed=0).predict(features)
    assert spend["expected_orders"].sum() < 0.7 * usual["expected_orders"].sum()
    assert churn["churn_probability"].mean() > 0.7


def test_candidates_that_cannot_be_told_apart_say_so() -> None:
    learned = [stopped(s) if s.horizon_days == HORIZON_DAYS else s for s in history().labelled(NOW)]
    (value, _), _ = fit_both(history().features(NOW), learned)
    (chosen,) = [row for row in value.rows if row.is_chosen]
    assert chosen.choice_reason.startswith("No better than another, as all customers ended alike, on 2023-")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_amounts_that_are_known_late_or_of_some(share: float) -> None:
    """Spend of earlier snapshots is not known, or not of everyone: predicted all the same, with a reason if not."""
    generator = np.random.default_rng(1)

    def partly(snapshot: LabelledSnapshot) -> LabelledSnapshot:
        is_known = generator.uniform(size=len(snapshot.features)) < share
        columns = [name for name in snapshot.features if str(name).endswith("_amount")]
        features = snapshot.features.copy()
        features.loc[~is_known, columns] = np.nan
        outcomes = snapshot.outcomes.assign(actual_spend=snapshot.outcomes["actual_spend"].where(is_known))
        return LabelledSnapshot(snapshot.as_of, snapshot.horizon_days, features, outcomes)

    (_, spend), _ = fit_both(history().features(NOW), [partly(s) for s in history().labelled(NOW)])
    assert spend["expected_orders_upper"].notna().all()
