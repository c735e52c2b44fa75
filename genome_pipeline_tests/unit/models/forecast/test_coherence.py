"""The parts of a forecast cannot contradict each other, whatever the log."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline_tests.support.fitted_forecasts import MONETARY, Forecast, assert_coherent, forecast
from genome_pipeline_tests.support.histories import HORIZON_DAYS, START, history
from genome_pipeline_tests.support.populations import customers

NOW = START + timedelta(days=390)


@pytest.fixture(scope="module")
def found() -> Forecast:
    return forecast(history().features(NOW), history().labelled(NOW))


def test_of_a_usual_log(found: Forecast) -> None:
    assert_coherent(found)
    for frame in (found.churn, found.spend):
        assert frame.drop(columns="abstain_reason").notna().all(axis=None)
        assert frame["abstain_reason"].isna().all()


def test_of_one_customer_of_a_log(found: Forecast) -> None:
    one = found.of(found.features.iloc[7:8])
    assert_coherent(one)
    for alone, together in ((one.churn, found.churn), (one.spend, found.spend)):
        pd.testing.assert_frame_equal(alone, together.iloc[7:8].reset_index(drop=True))


def test_of_customers_unlike_any_seen(found: Forecast) -> None:
    extremes = customers(
        list("abcd"),
        as_of=NOW,
        purchase_day_count=[1, 1, 3_000, 3_000],
        frequency_count=[0, 0, 2_999, 2_999],
        recency_days=[0, 0, 3_000, 10],
        t_days=[1, 9_000, 3_000, 9_000],
        days_since_last_order=[1, 9_000, 0, 8_990],
        spend_amount=[0.0, 1e9, 1e9, -1e9],
        order_gap_mean_days=[np.nan, np.nan, 1.0, 0.003],
        recent_purchase_day_count=[1, 0, 91, 0],
    )
    assert_coherent(found.of(extremes))


def test_of_no_customers_at_all(found: Forecast) -> None:
    assert_coherent(found.of(found.features.iloc[:0]))
    assert_coherent(forecast(customers([]), []))


def test_of_thirty_customers() -> None:
    few = history(seed=3, size=30)
    assert_coherent(forecast(few.features(NOW), few.labelled(NOW)))


def test_of_fewer_customers_than_are_predicted() -> None:
    few = forecast(customers([str(number) for number in range(29)]), [])
    assert_coherent(few)
    assert few.churn["churn_probability"].isna().all()
    assert few.spend["expected_orders"].isna().all()


def test_where_nothing_has_matured() -> None:
    found = forecast(history().features(NOW), [])
    assert_coherent(found)
    assert found.spend["expected_spend"].notna().all()
    assert found.spend["expected_spend_upper"].isna().all()
    assert found.churn["churn_probability_upper"].isna().all()


@pytest.mark.parametrize("amount", [np.nan, 0.0])
def test_without_amounts_and_where_all_are_nothing(amount: float) -> None:
    def plain(features: pd.DataFrame) -> pd.DataFrame:
        return features.assign(**dict.fromkeys(MONETARY, amount))

    learned = [
        LabelledSnapshot(one.as_of, one.horizon_days, plain(one.features), one.outcomes.assign(actual_spend=amount))
        for one in history(size=200).labelled(NOW)
    ]
    found = forecast(plain(history(size=200).features(NOW)), learned)
    assert_coherent(found)
    assert found.spend[["expected_orders", "expected_orders_upper"]].notna().all(axis=None)
    assert found.spend[["expected_spend", "spend_per_order_amount"]].isna().all(axis=None)
    assert set(found.spend["abstain_reason"]) == {
        "no amounts in the source: spend is not predicted"
        if np.isnan(amount)
        else "nothing was spent before the snapshot: spend is not predicted"
    }


@pytest.mark.parametrize("horizon_days", [1, 7])
def test_over_a_few_days_nobody_buys_on_more_days_than_there_are(horizon_days: int) -> None:
    regulars = history(size=200)
    learned = [regulars.snapshot(START + timedelta(days=day), horizon_days) for day in (300, 330, 360)]
    found = forecast(regulars.features(NOW), learned, horizon_days)
    assert_coherent(found, horizon_days)
    explained = found.explained()
    for prediction, explanation in explained.items():
        total = explanation.base + explanation.contributions.sum(axis=1)
        np.testing.assert_allclose(total, found.predicted(prediction), rtol=1e-9, atol=1e-9)


def test_value_stands_on_the_probability_of_risk(found: Forecast) -> None:
    """Half the odds of a purchase halve what follows from it, and change nothing else."""
    halved = found.value.predict(
        found.features.assign(churn_probability=1 - (1 - found.churn["churn_probability"]) / 2)
    )
    for target in ("expected_orders", "expected_spend"):
        np.testing.assert_allclose(halved[target], found.spend[target] / 2, rtol=1e-9)
    for same in ("orders_if_retained", "spend_per_order_amount"):
        assert halved[same].tolist() == found.spend[same].tolist()


def test_the_horizon_ahead_is_not_known() -> None:
    """What happens from the snapshot on changes nothing: the models are given what was known, in files of their own."""
    assert all(one.as_of + timedelta(days=one.horizon_days) <= NOW for one in history().labelled(NOW))
    late = history().snapshot(NOW - timedelta(days=HORIZON_DAYS - 1))
    with pytest.raises(ValueError, match="has not matured"):
        forecast(history().features(NOW), [*history().labelled(NOW), late])
