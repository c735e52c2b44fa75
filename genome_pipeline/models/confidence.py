"""How far each customer's forecast can be trusted: the higher the confidence, the smaller the error to expect.

The confidence in one forecast is max(0, 1 - expected error / error of a forecast that knows nothing of the customer).
The expected error is learned from the errors of such forecasts at earlier dates
(:mod:`genome_pipeline.models.forecast.errors`). ``confidence`` is the mean of the confidences in churn, orders and
spend, or in those of the three that are predicted.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.forecast.errors import LARGEST, Forecasts, expected_errors
from genome_pipeline.models.forecast.value import ValueModel
from genome_pipeline.models.genes import by_customer, numbers


def score_confidence(model: ValueModel, customers: pd.DataFrame) -> pd.DataFrame:
    """Contract ``customer_confidence``, one row per row of ``customers``, by customer.

    Where neither orders nor churn are predicted, all confidences are null and ``abstain_reason`` gives the reasons of
    both models.

    Args:
        model: the value model of the snapshot.
        customers: contract ``customer_features`` of the snapshot with, beside it, ``churn_probability`` and
            ``abstain_reason`` of ``customer_risk`` (as ``risk_abstain_reason``), and ``orders_if_retained``,
            ``spend_per_order_amount`` and ``abstain_reason`` of ``customer_value`` (as ``value_abstain_reason``).
    """
    customers = by_customer(customers)
    forecasts = Forecasts(
        1 - numbers(customers["churn_probability"]),
        numbers(customers["orders_if_retained"]),
        numbers(customers["spend_per_order_amount"]),
    )
    errors = expected_errors(model.error_factors, customers, forecasts)
    parts = pd.DataFrame({f"{name}_confidence": np.clip(1 - errors[name] / LARGEST[name], 0, 1) for name in LARGEST})
    confidence = parts.mean(axis=1)
    bands = [confidence < 1 / 3, confidence < 2 / 3, confidence.notna()]
    is_abstained = confidence.isna()
    reasons = _reason(customers, "value") + "; " + _reason(customers, "risk")
    return pd.DataFrame(
        {
            "as_of": customers["as_of"],
            "customer_id": customers["customer_id"],
            "confidence": confidence,
            **parts,
            "confidence_band": pd.Series(np.select(bands, ["low", "medium", "high"], ""), dtype=object).mask(
                is_abstained, None
            ),
            "abstain_reason": reasons.astype(object).where(is_abstained, None),
        },
        columns=list(TABLES["customer_confidence"].columns),
    )


def _reason(customers: pd.DataFrame, model: str) -> pd.Series[str]:
    return f"{model}: " + customers[f"{model}_abstain_reason"].fillna("no prediction").astype(str)
