"""Logs that can hardly carry a model: value and risk abstain in words, or predict; they never raise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.forecast.value import fit_value_model
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline_tests.support.fitted_forecasts import Forecast, assert_coherent, forecast
from genome_pipeline_tests.support.histories import HORIZON_DAYS, START, History, history

NOW = START + timedelta(days=390)
BTYD_NEEDS = "Pareto/NBD needs 10"


def checked(features: pd.DataFrame, learned: Sequence[LabelledSnapshot]) -> Forecast:
    """The forecast, which is coherent and survives storage."""
    found = forecast(features, learned)
    assert_coherent(found)
    for model in (found.risk, found.value):
        assert all(row.choice_reason.endswith(".") for row in model.rows)
        assert type(model).from_bytes(model.to_bytes()).to_bytes() == model.to_bytes()
    return found


def log(customer: Sequence[int], day: Sequence[int]) -> History:
    order = np.lexsort([day, customer])
    return History(np.array(customer)[order], np.array(day)[order], np.full(len(day), 20.0))


@pytest.mark.parametrize("days", [45, 150, 390])
def test_fifty_customers(days: int) -> None:
    now = START + timedelta(days=days)
    small = history(seed=3, size=50)
    found = checked(small.features(now), small.labelled(now))
    assert found.churn["churn_probability"].notna().all() or found.churn["abstain_reason"].str.contains("needs").all()


def test_one_purchase_each() -> None:
    """Nobody ever came back: nothing is known of when anyone would."""
    once = log(range(300), [number % 380 for number in range(300)])
    found = checked(once.features(NOW), once.labelled(NOW))
    for predictions in (found.churn, found.spend):
        assert predictions["abstain_reason"].str.endswith(f"customers bought again: {BTYD_NEEDS}").all()
    assert {row.choice_reason for row in found.risk.rows} == {
        f"Not fitted: only 0 of 300 customers bought again: {BTYD_NEEDS}."
    }


def test_one_purchase_each_before_a_snapshot_has_matured() -> None:
    once = log(range(300), [number % 50 for number in range(300)])
    found = checked(once.features(START + timedelta(days=60)), [])
    for predictions in (found.churn, found.spend):
        assert predictions["abstain_reason"].str.endswith(f"customers bought again: {BTYD_NEEDS}").all()


@pytest.mark.parametrize("days", [1, 60, 150, 390])
def test_all_on_one_day(days: int) -> None:
    now = START + timedelta(days=days)
    flash = log(range(300), [0] * 300)
    found = checked(flash.features(now), flash.labelled(now))
    assert found.spend["abstain_reason"].notna().all()
    assert found.churn["churn_probability"].isna().all()


@pytest.mark.parametrize("days", [31, 100, 150, 390])
def test_all_twice_on_the_same_two_days(days: int) -> None:
    twice = log([*range(300)] * 2, [0] * 300 + [30] * 300)
    now = START + timedelta(days=days)
    checked(twice.features(now), twice.labelled(now))


def test_everyone_buys_every_week() -> None:
    weekly = log(
        [number for number in range(100) for _ in range(60)], [7 * week for _ in range(100) for week in range(60)]
    )
    found = checked(weekly.features(NOW), weekly.labelled(NOW))
    assert found.spend["expected_orders"].between(12, 14).all()
    assert (found.churn["churn_probability"] < 0.05).all()


def stopped(snapshot: LabelledSnapshot) -> LabelledSnapshot:
    """Nobody bought any more."""
    outcomes = snapshot.outcomes.assign(actual_orders=0.0, actual_spend=0.0, has_churned=True)
    return LabelledSnapshot(snapshot.as_of, snapshot.horizon_days, snapshot.features, outcomes)


def test_nobody_bought_within_any_horizon() -> None:
    """They teach no trees, no weights and no intervals; and of a log as old as a horizon, that nothing is known."""
    small = history(size=200)
    learned = [stopped(one) for one in small.labelled(NOW)]
    found = checked(small.features(NOW), learned)
    assert found.churn["abstain_reason"].str.endswith(" and 0% did").all()
    assert found.spend["abstain_reason"].equals(found.churn["abstain_reason"])
    young = checked(small.features(NOW), [one for one in learned if (one.as_of - START).days < HORIZON_DAYS])
    assert [*young.risk.experts] == ["btyd"]
    assert set(young.spend["abstain_reason"]) == {"only 0 customers bought again: intervals need 50"}


def test_everybody_bought_within_every_horizon() -> None:
    small = history(size=200)
    learned = [
        LabelledSnapshot(one.as_of, one.horizon_days, one.features, one.outcomes.assign(has_churned=False))
        for one in small.labelled(NOW)
    ]
    checked(small.features(NOW), learned)


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

    small = history(size=200)
    found = checked(small.features(NOW), [partly(one) for one in small.labelled(NOW)])
    assert found.spend["expected_orders_upper"].notna().all()


def _bought_again(days: Sequence[int], now_day: int) -> Forecast:
    """What is forecast at a day of a log in which 120 customers buy, one after the other, on the days given."""
    numbered = [number for number in range(120) for _ in days]
    found = log(numbered, [day + number % 10 for number in range(120) for day in days])
    now = START + timedelta(days=now_day)
    return checked(found.features(now), found.labelled(now))


def test_a_shop_that_sells_in_january_only_foretells_nothing_after_it() -> None:
    """At the same season a year before, nobody did what all histories said."""
    found = _bought_again([*range(0, 21, 5), *range(365, 386, 5), *range(730, 751, 5)], 790)
    said = (
        r"the share who will buy within 90 days is not known: of the customers at 2024-0[23]-\d\d, a year before,"
        r" [3-9]\d% were forecast to buy, and 0% did$"
    )
    for predictions in (found.churn, found.spend):
        assert predictions["abstain_reason"].str.match(said).all()
    assert found.churn["churn_probability"].isna().all()
    assert found.spend["expected_orders"].isna().all()


def test_after_a_year_in_which_nobody_bought_nothing_is_foretold_by_that_season() -> None:
    without = [*range(0, 1_100, 30)]
    found = _bought_again([day for day in without if not 360 <= day < 720], 780)
    assert found.churn["abstain_reason"].str.endswith(" and 0% did").all()
    found = _bought_again(without, 780)
    assert found.churn["churn_probability"].notna().all()


def test_a_log_that_ends_over_half_a_horizon_before_the_snapshot() -> None:
    small = history(size=50)
    features, learned = small.features(NOW), small.labelled(NOW)
    assert fit_risk_model(features, learned, HORIZON_DAYS, 0, unobserved_days=45).experts
    why = (
        "the log ends 46 days before the snapshot, over half of the horizon of 90: who has left cannot be told from who"
        " is not in it yet"
    )
    assert fit_risk_model(features, learned, HORIZON_DAYS, 0, unobserved_days=46).abstain_reason == why
    assert fit_value_model(features, learned, HORIZON_DAYS, 0.8, 0, unobserved_days=46).abstain_reason == why
