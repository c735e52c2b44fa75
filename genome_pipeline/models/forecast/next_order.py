"""When a customer buys next: the curve of the chance to have bought within t days, for every t.

The curve passes through the forecast of each horizon. Between horizons it has the shape of the customer's Pareto/NBD:
whoever buys first between two horizons does so on the days on which Pareto/NBD would have them do it. Beyond the
longest horizon, those who have not bought by then go on as by Pareto/NBD. The chance that a customer never buys again
is part of the curve, which may therefore end below 1. It is followed for two years: what a log says of later days is
too little for a date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.tables.outlook import churn_within
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.btyd.pareto_nbd import ParetoNbd
from genome_pipeline.models.forecast.experts import BtydActivity
from genome_pipeline.models.forecast.risk import RiskModel
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.snapshots import purchase_history

LAST_DAY = 730
"""The curve is followed for two years, or for the longest horizon; an order after that counts as none."""

OVERDUE = 0.1
"""A customer is overdue if a silence as long as theirs is less likely than this."""

_GRID = np.unique(np.rint(np.geomspace(1, LAST_DAY, 24)))
_LEAST_GAIN = 1e-12
_DECIMALS = 6
"""Days are rounded so, as processors differ in the last bits of a probability and dates must not."""


class ArrivalCurve(NamedTuple):
    """``probability``, shape (days, customers), to have bought by the end of each of ``days``, shape (days,)."""

    days: Floats
    probability: Floats

    def quantile(self, share: float) -> Floats:
        """Days until the probability reaches ``share``, shape (customers,); infinite where it never does."""
        before = np.vstack([np.zeros_like(self.probability[:1]), self.probability[:-1]])
        has_reached = self.probability >= share
        step = has_reached.argmax(axis=0)
        customers = np.arange(self.probability.shape[1])
        low, high = before[step, customers], self.probability[step, customers]
        starts = np.concatenate([[0.0], self.days[:-1]])
        found = starts[step] + (share - low) / np.maximum(high - low, 1e-300) * (self.days - starts)[step]
        return np.where(has_reached.any(axis=0), found, np.inf)


def predict_next_order(model: RiskModel, features: pd.DataFrame, interval_level: float) -> pd.DataFrame:
    """Rows of contract table ``customer_next_order``, sorted by customer.

    ``features`` are the purchase histories of ``customer_features``, with the churn probability over each horizon
    beside them in columns named as :func:`genome_pipeline.contracts.tables.outlook.churn_within`.
    """
    features = by_customer(features)
    columns = {name: features[name] for name in ("as_of", "customer_id")}
    named = [name for name in features.columns if name.startswith(churn_within(0)[:-1])]
    buys = {int(name.rsplit("_", 1)[1]): 1 - numbers(features[name]) for name in named}
    buys = {days: values for days, values in buys.items() if np.isfinite(values).all()}
    btyd = model.experts.get("btyd")
    if not isinstance(btyd, BtydActivity) or not buys or features.empty:
        found: dict[str, Any] = {"abstain_reason": model.abstain_reason}
    else:
        history = purchase_history(features)
        curve = arrival_curve(btyd.purchases, history, buys)
        silence = silence_probability(btyd.purchases, history)
        low, high = (1 - interval_level) / 2, (1 + interval_level) / 2
        shares = {"next_order_date_lower": low, "next_order_date": 0.5, "next_order_date_upper": high}
        found = {name: _dates(features["as_of"], curve.quantile(share)) for name, share in shares.items()}
        found |= {
            "further_order_probability": curve.probability[-1],
            "silence_probability": silence,
            "is_overdue": silence.round(9) < OVERDUE,
        }
    return pd.DataFrame({**columns, **found}).reindex(columns=list(TABLES["customer_next_order"].columns))


def _dates(as_of: pd.Series[Any], days: Floats) -> pd.Series[Any]:
    """The day in which so many days from ``as_of`` end; none where they are not finite."""
    whole = np.where(np.isfinite(days), np.ceil(days.round(_DECIMALS)) - 1, np.nan)
    return pd.to_datetime(as_of) + pd.to_timedelta(np.maximum(whole, 0), unit="D")


def arrival_curve(
    purchases: ParetoNbd, history: tuple[Floats, Floats, Floats], buys: Mapping[int, Floats]
) -> ArrivalCurve:
    """The curve of each customer.

    Args:
        purchases: Pareto/NBD of all customers.
        history: frequency, recency and T of each customer, in days, shape (customers,) each.
        buys: for each horizon in days the probability to buy within it, shape (customers,), which must not fall with
            the horizon.
    """
    horizons = sorted(buys)
    days = np.unique(np.concatenate([_GRID, np.array(horizons, dtype=np.float64)]))
    shape = purchases.purchase_probabilities(*history, days.tolist())
    probability = np.empty_like(shape)
    begins, told, told_shape = 0, np.zeros_like(shape[0]), np.zeros_like(shape[0])
    for horizon in horizons:
        ends = int(np.searchsorted(days, horizon)) + 1
        # Where Pareto/NBD expects nothing between two horizons, the probability of it comes at the later one.
        gained = np.maximum(shape[ends - 1] - told_shape, _LEAST_GAIN)
        part = np.clip((shape[begins:ends] - told_shape) / gained, 0, 1)
        probability[begins:ends] = told + (buys[horizon] - told) * part
        begins, told, told_shape = ends, buys[horizon], shape[ends - 1]
        probability[begins - 1] = told
    left = np.clip((1 - shape[begins:]) / np.maximum(1 - told_shape, _LEAST_GAIN), 0, 1)
    probability[begins:] = 1 - (1 - told) * left
    return ArrivalCurve(days, np.maximum.accumulate(probability, axis=0))


def silence_probability(purchases: ParetoNbd, history: tuple[Floats, Floats, Floats]) -> Floats:
    """Probability that a customer of this rhythm who still buys is silent for so long, shape (customers,), in [0, 1].

    Right after the last purchase the rate is Gamma(r + x, alpha + t_x), so that the chance of no purchase from then to
    T is ``((alpha + t_x) / (alpha + T)) ** (r + x)`` (Schmittlein, Morrison and Colombo 1987).
    """
    x, t_x, t = history
    return np.asarray(((purchases.alpha + t_x) / (purchases.alpha + t)) ** (purchases.r + x))
