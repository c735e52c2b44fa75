"""How far each customer's predictions can be trusted: one number whose rise must go with smaller realised error.

``confidence`` is the weighted arithmetic mean of the parts that are known, each in [0, 1]:

* precision (0.60), the mean of what the models say about their own error: 1 / (1 + width of the interval of expected
  orders / (expected orders + 1)); the same for spend, where the customer's average order value takes the place of 1;
  and for churn (1 - 4 p (1 - p)) times (1 - width of its interval), where p (1 - p) is the Brier score to be expected
  of a calibrated probability p, and 1/4 its maximum.
* sufficiency (0.20), the mean of n / (n + 3) for n purchase days and T / (T + 90) for T days since the first: both
  saturate, as the tenth order tells more than the hundredth.
* familiarity (0.15), the mean cosine similarity of the nearest customers, with 0.5 mapped to 0 and 1 to 1: models
  have seen few customers like one with distant neighbours.
* membership (0.05), the membership probability of the segment.

Precision weighs most because it alone speaks of the prediction itself: in backtests on a grocer's log and on a
simulated shop, the realised Brier score and the absolute spend error over the customer's own scale (expected spend plus
an average order) fell across its deciles. History alone may even point the wrong way: where most customers buy once and
never return, the fewest purchases go with the safest predictions. The mean is arithmetic so that one weak part, such as
a customer between two segments, does not pull down a prediction that is sure for good reasons; a geometric mean
followed the errors no better on the grocer's log, and worse in the shop.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from genome_pipeline.models.genes import FloatArray, by_customer, numbers

WEIGHTS = {
    "sufficiency_confidence": 0.20,
    "precision_confidence": 0.60,
    "membership_confidence": 0.05,
    "familiarity_confidence": 0.15,
}

USED_COLUMNS = frozenset(
    (
        *("purchase_day_count", "t_days", "average_order_value_amount", "membership_probability", "abstain_reason"),
        *(
            f"{prediction}{bound}"
            for prediction in ("expected_orders", "expected_spend", "churn_probability")
            for bound in ("", "_lower", "_upper")
        ),
    )
)
"""What is read of the tables, besides keys and neighbours: no more of a large snapshot need be in memory."""

_HALFWAY_PURCHASE_DAYS = 3.0
_HALFWAY_T_DAYS = 90.0
_UNFAMILIAR_SIMILARITY = 0.5


def score_confidence(
    features: pd.DataFrame,
    value: pd.DataFrame,
    risk: pd.DataFrame,
    segments: pd.DataFrame,
    neighbors: pd.DataFrame,
) -> pd.DataFrame:
    """Contract ``customer_confidence``, one row per row of ``features``, by customer.

    A part that cannot be computed is null and left out of the mean. Where neither orders nor churn are predicted,
    ``confidence`` and its band are null and ``abstain_reason`` gives the reasons of both models.

    Args:
        features: contract ``customer_features`` of one snapshot; the other frames are about the same snapshot.
        value: contract ``customer_value``.
        risk: contract ``customer_risk``.
        segments: contract ``customer_segments``.
        neighbors: contract ``customer_neighbors``, or the mean ``similarity`` of each customer.
    """
    customers = by_customer(features)
    ids = customers["customer_id"]
    value = value.set_index("customer_id").reindex(ids)
    risk = risk.set_index("customer_id").reindex(ids)
    similarity = neighbors.groupby("customer_id")["similarity"].mean().reindex(ids)
    parts = pd.DataFrame(
        {
            "sufficiency_confidence": _sufficiency(customers),
            "precision_confidence": _precision(customers, value, risk),
            "membership_confidence": numbers(segments.set_index("customer_id")["membership_probability"].reindex(ids)),
            "familiarity_confidence": _familiarity(numbers(similarity)),
        }
    )
    weights = parts.notna() * pd.Series(WEIGHTS)
    confidence = (parts.fillna(0) * weights).sum(axis=1) / weights.sum(axis=1)
    is_abstained = np.isnan(numbers(value["expected_orders"])) & np.isnan(numbers(risk["churn_probability"]))
    confidence = confidence.mask(is_abstained)
    scored = pd.DataFrame({"as_of": customers["as_of"], "customer_id": ids, "confidence": confidence})
    scored = pd.concat([scored, parts], axis=1)
    bands = [confidence < 1 / 3, confidence < 2 / 3, confidence.notna()]
    scored["confidence_band"] = pd.Series(np.select(bands, ["low", "medium", "high"], ""), dtype=object).mask(
        is_abstained, None
    )
    reasons = _reason("value", value) + "; " + _reason("risk", risk)
    scored["abstain_reason"] = reasons.astype(object).where(is_abstained, None)
    return scored


def _sufficiency(customers: pd.DataFrame) -> FloatArray:
    days, age = numbers(customers["purchase_day_count"]), numbers(customers["t_days"])
    return (days / (days + _HALFWAY_PURCHASE_DAYS) + age / (age + _HALFWAY_T_DAYS)) / 2


def _precision(customers: pd.DataFrame, value: pd.DataFrame, risk: pd.DataFrame) -> FloatArray:
    """Mean of the known ones of the three precisions; NaN where none is known."""
    probability = numbers(risk["churn_probability"])
    # A probability that is offered without an interval still says how sure it is.
    width = numbers(risk["churn_probability_upper"]) - numbers(risk["churn_probability_lower"])
    each = np.column_stack(
        [
            _narrowness(value, "expected_orders", np.ones(len(customers))),
            _narrowness(value, "expected_spend", numbers(customers["average_order_value_amount"])),
            (1 - 4 * probability * (1 - probability)) * (1 - np.nan_to_num(width)),
        ]
    )
    known = ~np.isnan(each)
    count = known.sum(axis=1)
    mean: FloatArray = np.divide(np.nansum(each, axis=1), count, out=np.full(len(each), np.nan), where=count > 0)
    return mean


def _narrowness(value: pd.DataFrame, prediction: str, unit: FloatArray) -> FloatArray:
    """1 / (1 + interval width over the customer's own scale); NaN without an interval or a scale."""
    width = numbers(value[f"{prediction}_upper"]) - numbers(value[f"{prediction}_lower"])
    scale = numbers(value[prediction]) + unit
    narrowness: FloatArray = np.divide(scale, scale + width, out=np.full(len(value), np.nan), where=scale > 0)
    return narrowness


def _familiarity(similarity: FloatArray) -> FloatArray:
    return np.clip((similarity - _UNFAMILIAR_SIMILARITY) / (1 - _UNFAMILIAR_SIMILARITY), 0.0, 1.0)


def _reason(model: str, predictions: pd.DataFrame) -> pd.Series[str]:
    return f"{model}: " + predictions["abstain_reason"].fillna("no prediction").astype(str).reset_index(drop=True)
