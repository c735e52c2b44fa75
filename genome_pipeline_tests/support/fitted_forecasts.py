"""Both halves of the forecast, fitted together, and what must hold of every one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from genome_pipeline.models.drivers import Explanation
from genome_pipeline.models.forecast.explanations import explain_forecast
from genome_pipeline.models.forecast.risk import RiskModel, fit_risk_model
from genome_pipeline.models.forecast.value import ValueModel, fit_value_model
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline_tests.support.histories import HORIZON_DAYS
from genome_pipeline_tests.support.populations import assert_keeps_contract

LEVEL = 0.8
MONETARY = ("spend_amount", "monetary_value_amount", "average_order_value_amount", "recent_spend_amount")


class Forecast(NamedTuple):
    """The models of one snapshot, and their predictions of some customers: ``customer_risk`` and ``customer_value``."""

    risk: RiskModel
    value: ValueModel
    features: pd.DataFrame
    churn: pd.DataFrame
    spend: pd.DataFrame

    def of(self, features: pd.DataFrame) -> Forecast:
        """The same models, of other customers."""
        return forecast_by(self.risk, self.value, features)

    def explained(self) -> dict[str, Explanation]:
        return explain_forecast(self.risk, self.value, self.features)

    def predicted(self, prediction: str) -> np.ndarray:
        frame = self.churn if prediction == "churn_probability" else self.spend
        return numbers(frame[prediction])


def forecast(features: pd.DataFrame, learned: Sequence[LabelledSnapshot], horizon_days: int = HORIZON_DAYS) -> Forecast:
    risk = fit_risk_model(features, learned, horizon_days, seed=0)
    value = fit_value_model(features, learned, horizon_days, LEVEL, seed=0)
    return forecast_by(risk, value, features)


def forecast_by(risk: RiskModel, value: ValueModel, features: pd.DataFrame) -> Forecast:
    features = by_customer(features)
    churn = risk.predict(features)
    spend = value.predict(features.assign(churn_probability=churn["churn_probability"].to_numpy()))
    return Forecast(risk, value, features, churn, spend)


def assert_coherent(found: Forecast, horizon_days: int = HORIZON_DAYS) -> None:
    """One number follows from the others, bounds hold it, and what is withheld has a reason."""
    churn, spend = found.churn, found.spend
    for table, predictions in (("customer_risk", churn), ("customer_value", spend)):
        assert_keeps_contract(table, predictions)
        assert predictions["customer_id"].tolist() == found.features["customer_id"].tolist()
    probability, if_retained, amount = (
        numbers(values)
        for values in (1 - churn["churn_probability"], spend["orders_if_retained"], spend["spend_per_order_amount"])
    )
    orders, total = numbers(spend["expected_orders"]), numbers(spend["expected_spend"])
    # Withheld together or not at all: of churn and orders, and of amounts and spend.
    assert (np.isnan(probability) == np.isnan(orders)).all()
    assert (np.isnan(orders) == np.isnan(if_retained)).all()
    assert (np.isnan(amount) == np.isnan(total)).all()
    is_known = np.isfinite(orders)
    assert (orders[is_known] >= probability[is_known]).all()
    assert ((if_retained[is_known] >= 1) & (if_retained[is_known] <= horizon_days)).all()
    np.testing.assert_allclose(orders, probability * if_retained, rtol=1e-9)
    np.testing.assert_allclose(total, probability * if_retained * amount, rtol=1e-9)
    own = numbers(found.features["spend_amount"]) / numbers(found.features["purchase_day_count"])
    if found.value.amounts is not None:
        assert np.nanmax(amount, initial=0) <= found.value.amounts.mean.largest * (1 + 1e-9)
        assert np.nanmax(own, initial=0) == 0 or found.value.amounts.mean.largest > 0
    for frame, target in ((churn, "churn_probability"), (spend, "expected_orders"), (spend, "expected_spend")):
        lower, predicted, upper = (numbers(frame[f"{target}{end}"]) for end in ("_lower", "", "_upper"))
        has_bounds = np.isfinite(upper)
        assert (has_bounds == np.isfinite(lower)).all()
        assert (lower[has_bounds] <= predicted[has_bounds]).all()
        assert (predicted[has_bounds] <= upper[has_bounds]).all()
        assert frame.loc[~has_bounds, "abstain_reason"].notna().all()
