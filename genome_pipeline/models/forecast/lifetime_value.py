"""What a customer will still spend, all later years included, discounted.

The forecast over the longest horizon is continued in the shape of the customer's Pareto/NBD: what they spend after it
relates to what they spend within it as Pareto/NBD's purchases do. No outcome of a lifetime is known to anyone, so that
the value is always an extrapolation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.btyd.pareto_nbd import ParetoNbd
from genome_pipeline.models.forecast.experts import BtydActivity
from genome_pipeline.models.forecast.risk import RiskModel
from genome_pipeline.models.genes import by_customer, numbers

YEAR_DAYS = 365.25
NO_AMOUNTS = "no amounts in the source"
_BOUNDS = ("", "_lower", "_upper")


def predict_lifetime_value(model: RiskModel, features: pd.DataFrame, discount_rate: float) -> pd.DataFrame:
    """Rows of contract table ``customer_lifetime_value``, sorted by customer.

    Args:
        model: the risk model of the snapshot, which holds Pareto/NBD.
        features: ``t_days`` of ``customer_features``; beside it, of each customer's longest horizon with a forecast of
            spend, ``lifetime_horizon_days`` and ``expected_spend`` with its bounds; and ``outlook_abstain_reason``.
        discount_rate: by how much a year's delay lowers the value of money, as a share, above 0.
    """
    features = by_customer(features)
    spend = numbers(features["expected_spend"])
    is_known = np.isfinite(spend)
    found: dict[str, Any] = {name: features[name] for name in ("as_of", "customer_id")}
    found["discount_rate_share"] = discount_rate
    btyd = model.experts.get("btyd")
    reasons = features["outlook_abstain_reason"].astype(object)
    if isinstance(btyd, BtydActivity) and is_known.any():
        days = numbers(features["lifetime_horizon_days"])
        longer = np.full(len(features), np.nan)
        for horizon in np.unique(days[is_known]).tolist():
            mine = is_known & (days == horizon)
            longer[mine] = lifetime_ratio(btyd.purchases, numbers(features["t_days"])[mine], horizon, discount_rate)
        found["lifetime_horizon_days"] = features["lifetime_horizon_days"]
        found |= {f"lifetime_value_amount{end}": numbers(features[f"expected_spend{end}"]) * longer for end in _BOUNDS}
    else:
        is_known[:] = False
    why = reasons.where(reasons.notna(), model.abstain_reason or NO_AMOUNTS)
    found["abstain_reason"] = why.mask(is_known, None)
    table = pd.DataFrame(found).reindex(columns=list(TABLES["customer_lifetime_value"].columns))
    return table.astype({f"lifetime_value_amount{end}": "float64" for end in _BOUNDS})


def lifetime_ratio(purchases: ParetoNbd, t_days: Floats, horizon_days: float, discount_rate: float) -> Floats:
    """Discounted purchases of all later days over the purchases within the horizon, shape (customers,).

    Of the customer's history only T matters: the rate of purchases and the probability to be active cancel out.
    """
    daily = np.log1p(discount_rate) / YEAR_DAYS
    return purchases.discounted_active_days(t_days, daily) / purchases.active_days(t_days, horizon_days)
