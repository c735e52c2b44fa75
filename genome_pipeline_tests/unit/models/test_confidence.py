"""Confidence in each prediction, and their mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.confidence import score_confidence
from genome_pipeline.models.forecast.errors import ErrorFactor
from genome_pipeline.models.forecast.value import Intervals, ValueModel
from genome_pipeline_tests.support.populations import assert_keeps_contract, customers, shop


def model(**log_factors: float) -> ValueModel:
    """A model whose errors were so many times those of theory, by the logarithm of that, whoever the customer."""
    nothing = (0.0,) * 13
    factors = {name: ErrorFactor(value, nothing, nothing, nothing) for name, value in log_factors.items()}
    return ValueModel(28, None, None, Intervals(None, None), np.empty((2, 0)), factors, {}, None, ())


def predicted(features: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Customers with typical predictions beside them, but for the columns given."""
    typical = {
        "churn_probability": 0.5,
        "orders_if_retained": 1.0,
        "spend_per_order_amount": 50.0,
        "risk_abstain_reason": None,
        "value_abstain_reason": None,
    }
    return features.assign(**{**typical, **columns})


def test_confidence_is_1_less_the_error_to_expect_over_that_of_knowing_nothing() -> None:
    """Who buys once or not at all, at even odds: squared error 1/4, and 1/2 of an order over 1 1/2."""
    scored = score_confidence(model(), predicted(customers(["a"]))).iloc[0]
    assert scored["churn_confidence"] == pytest.approx(0, abs=0.005)
    assert scored["orders_confidence"] == pytest.approx(1 - 0.5 / 1.5, abs=0.005)
    halved = score_confidence(model(orders=np.log(0.5)), predicted(customers(["a"]))).iloc[0]
    assert halved["orders_confidence"] == pytest.approx(1 - 0.25 / 1.5, abs=0.005)
    parts = ["churn_confidence", "orders_confidence", "spend_confidence"]
    assert halved["confidence"] == pytest.approx(halved[parts].mean())
    assert_keeps_contract("customer_confidence", halved.to_frame().T.infer_objects())


def test_surer_probabilities_raise_confidence() -> None:
    customers_ = predicted(customers(["a", "b", "c"]), churn_probability=[0.5, 0.2, 0.02])
    scored = score_confidence(model(), customers_)
    for part in ("churn_confidence", "confidence"):
        assert scored[part].is_monotonic_increasing and scored[part].is_unique


def test_errors_beyond_those_of_knowing_nothing_are_no_confidence() -> None:
    assert score_confidence(model(spend=9.0), predicted(customers(["a"])))["spend_confidence"].item() == 0


def test_what_is_not_predicted_is_left_out_of_the_mean() -> None:
    scored = score_confidence(model(), predicted(customers(["a"]), spend_per_order_amount=np.nan))
    assert_keeps_contract("customer_confidence", scored)
    row = scored.iloc[0]
    assert pd.isna(row["spend_confidence"])
    assert row["confidence"] == pytest.approx((row["churn_confidence"] + row["orders_confidence"]) / 2)
    assert pd.isna(row["abstain_reason"])


def test_where_both_models_abstain_there_is_no_confidence_but_both_reasons() -> None:
    nothing = dict.fromkeys(("churn_probability", "orders_if_retained", "spend_per_order_amount"), np.nan)
    reasons = {"value_abstain_reason": "only 1 customer", "risk_abstain_reason": "too few churned"}
    scored = score_confidence(model(), predicted(customers(["a"]), **nothing, **reasons))
    assert_keeps_contract("customer_confidence", scored)
    assert scored[["confidence", "confidence_band", "churn_confidence"]].isna().all(axis=None)
    assert scored["abstain_reason"].item() == "value: only 1 customer; risk: too few churned"


def test_the_order_of_rows_does_not_matter() -> None:
    features = shop()
    customers_ = predicted(features, churn_probability=np.linspace(0, 1, len(features)))
    straight = score_confidence(model(), customers_)
    pd.testing.assert_frame_equal(score_confidence(model(), customers_.sample(frac=1, random_state=4)), straight)
    assert straight["confidence"].between(0, 1).all()


@pytest.mark.parametrize(("log_factor", "band"), [(0.2, "low"), (-0.7, "medium"), (-3.0, "high")])
def test_bands_follow_thirds(log_factor: float, band: str) -> None:
    factors = dict.fromkeys(("churn", "orders", "spend"), log_factor)
    scored = score_confidence(model(**factors), predicted(customers(["a"]), orders_if_retained=3.0))
    assert scored["confidence_band"].item() == band
