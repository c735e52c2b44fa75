from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.drivers import PURCHASE_RATE, SILENCE, TERMS, explain_customers
from genome_pipeline.models.forecast.risk import RiskModel
from genome_pipeline.models.forecast.value import ValueModel
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline_tests.support.fitted_forecasts import MONETARY, Forecast, forecast, forecast_by
from genome_pipeline_tests.support.histories import START, history
from genome_pipeline_tests.support.populations import assert_keeps_contract, customers

NOW, BEFORE = START + timedelta(days=390), START + timedelta(days=360)


@pytest.fixture(scope="module")
def found() -> Forecast:
    return forecast(history().features(NOW), history().labelled(NOW))


def rows_of(found: Forecast, previous: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of ``customer_drivers``."""
    batches = explain_customers(
        lambda features: found.of(features).explained(), found.features, previous, currency="GBP"
    )
    return pd.concat(batches, ignore_index=True)


def assert_adds_up(found: Forecast, previous: pd.DataFrame | None) -> pd.DataFrame:
    """Drivers of each customer add up to the prediction, and their changes to how it moved; returns the rows."""
    rows = rows_of(found, previous)
    assert_keeps_contract("customer_drivers", rows)
    for prediction, each in rows.groupby("prediction", observed=True):
        ids = found.features["customer_id"]
        now = pd.Series(found.predicted(str(prediction)), ids)
        by_customer = each.groupby("customer_id")
        np.testing.assert_allclose(by_customer["contribution"].sum().reindex(ids), now, rtol=1e-9, atol=1e-9)
        if previous is None:
            continue
        earlier = found.of(previous)
        then = pd.Series(earlier.predicted(str(prediction)), earlier.features["customer_id"])
        moved = (now - then).dropna()
        changed = by_customer["contribution_change"].sum(min_count=1).dropna()
        assert set(changed.index) == set(moved.index)
        np.testing.assert_allclose(changed.reindex(moved.index), moved, rtol=1e-9, atol=1e-8)
    return rows


def test_contributions_add_up_to_churn_and_spend(found: Forecast) -> None:
    rows = assert_adds_up(found, history().features(BEFORE).iloc[:500])
    assert set(rows["prediction"]) == {"churn_probability", "expected_spend"}
    assert rows["contribution_change"].isna().any()


def test_the_average_customer_is_in_the_middle(found: Forecast) -> None:
    for prediction, explanation in found.explained().items():
        predicted = found.predicted(prediction)
        assert predicted.min() < explanation.base < predicted.max()


def test_without_amounts_orders_are_explained() -> None:
    def plain(features: pd.DataFrame) -> pd.DataFrame:
        return features.assign(**dict.fromkeys(MONETARY, np.nan))

    learned = [
        LabelledSnapshot(one.as_of, one.horizon_days, plain(one.features), one.outcomes.assign(actual_spend=np.nan))
        for one in history(size=200).labelled(NOW)
    ]
    rows = assert_adds_up(forecast(plain(history(size=200).features(NOW)), learned), None)
    assert set(rows["prediction"]) == {"churn_probability", "expected_orders"}


def test_pareto_nbd_alone_is_explained_by_rate_silence_and_amounts() -> None:
    rows = assert_adds_up(forecast(history().features(NOW), []), history().features(BEFORE))
    told = {
        prediction: set(each["driver"]) - {"average_customer"}
        for prediction, each in rows.groupby("prediction", observed=True)
    }
    assert told == {
        "churn_probability": {PURCHASE_RATE, SILENCE, "everything_else"},
        "expected_spend": {PURCHASE_RATE, SILENCE, "everything_else", "average_order_value_amount"},
    }


@pytest.mark.parametrize("learned", [True, False])
def test_no_silence_is_told_against_the_customers_own_facts(found: Forecast, learned: bool) -> None:
    """Who has been silent for longer than usual is not told that it is a reason to expect them, nor the reverse."""
    forecasted = found if learned else forecast(history().features(NOW), [])
    rows = rows_of(forecasted, None)
    silence = rows[rows["driver"] == SILENCE].merge(forecasted.features[["customer_id", "overdue_ratio"]])
    helps = silence["contribution"] * silence["prediction"].map({"churn_probability": -1, "expected_spend": 1})
    assert len(silence) > 500
    assert (helps[silence["overdue_ratio"] > 1.5] <= 0).all()
    assert (helps[silence["overdue_ratio"] < 0.5] >= 0).all()


def test_nothing_is_told_of_what_is_withheld() -> None:
    few = customers([str(number) for number in range(29)])
    assert forecast(few, []).explained() == {}


def test_stored_models_explain_alike(found: Forecast) -> None:
    risk, value = RiskModel.from_bytes(found.risk.to_bytes()), ValueModel.from_bytes(found.value.to_bytes())
    again = forecast_by(risk, value, found.features).explained()
    for prediction, explanation in found.explained().items():
        assert again[prediction].base == explanation.base
        assert again[prediction].contributions.shape == (len(found.features), len(TERMS))
        assert np.array_equal(again[prediction].contributions, explanation.contributions)
