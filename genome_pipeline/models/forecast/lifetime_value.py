"""What a customer will still spend in the years that are declared to be a lifetime, later money discounted.

The forecast over the longest horizon is continued in the shape of the customer's Pareto/NBD: what they spend after it
relates to what they spend within it as Pareto/NBD's purchases do. How long customers stay is what a log of a year or
two says least about: where hardly anyone was seen to leave, all later years together would be worth a perpetuity. So
the value ends after a declared number of years, which every reader is told. It is always an extrapolation.
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


def predict_lifetime_value(model: RiskModel, features: pd.DataFrame, years: int, discount_rate: float) -> pd.DataFrame:
    """Rows of contract table ``customer_lifetime_value``, sorted by customer.

    Args:
        model: the risk model of the snapshot, which holds Pareto/NBD.
        features: ``t_days`` of ``customer_features``; beside it, of each customer's longest horizon with a forecast of
            spend, ``lifetime_horizon_days`` and ``expected_spend`` with its bounds; and ``outlook_abstain_reason``.
        years: how many years the value ends after; no horizon is longer.
        discount_rate: by how much a year's delay lowers the value of money, as a share, above 0.
    """
    features = by_customer(features)
    spend = numbers(features["expected_spend"])
    is_known = np.isfinite(spend)
    found: dict[str, Any] = {name: features[name] for name in ("as_of", "customer_id")}
    found |= {"lifetime_year_count": years, "discount_rate_share": discount_rate}
    btyd = model.experts.get("btyd")
    reasons = features["outlook_abstain_reason"].astype(object)
    if isinstance(btyd, BtydActivity) and is_known.any():
        days = numbers(features["lifetime_horizon_days"])
        longer = np.full(len(features), np.nan)
        for horizon in np.unique(days[is_known]).tolist():
            mine = is_known & (days == horizon)
            t_days = numbers(features["t_days"])[mine]
            longer[mine] = lifetime_ratio(btyd.purchases, t_days, horizon, years, discount_rate)
        found["lifetime_horizon_days"] = features["lifetime_horizon_days"]
        found |= {f"lifetime_value_amount{end}": numbers(features[f"expected_spend{end}"]) * longer for end in _BOUNDS}
    else:
        is_known[:] = False
    why = reasons.where(reasons.notna(), model.abstain_reason or NO_AMOUNTS)
    found["abstain_reason"] = why.mask(is_known, None)
    table = pd.DataFrame(found).reindex(columns=list(TABLES["customer_lifetime_value"].columns))
    return table.astype({f"lifetime_value_amount{end}": "float64" for end in _BOUNDS})


def lifetime_ratio(
    purchases: ParetoNbd, t_days: Floats, horizon_days: float, years: float, discount_rate: float
) -> Floats:
    """Purchases of the years over those within the horizon, at least 1, shape (customers,).

    Those after the horizon are discounted; those within it are not, so that a lifetime is never worth less than the
    forecast that it continues. Of the customer's history only T matters: the rate of purchases and the probability to
    be active cancel out.
    """
    daily, end = np.log1p(discount_rate) / YEAR_DAYS, max(years * YEAR_DAYS, horizon_days)
    later = purchases.discounted_active_days(t_days, horizon_days, end, daily)
    return 1 + later / purchases.active_days(t_days, horizon_days)
