"""Customers with lifelike purchase histories: drawn once, seen at any date, with what they did next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd

from genome_pipeline.models.snapshots import LabelledSnapshot, snapshots_to_learn_from
from genome_pipeline_tests.support.populations import customers

START = date(2023, 1, 1)
HORIZON_DAYS = 90
WINDOW_DAYS = 90
YEAR_DAYS = 365


@dataclass(frozen=True, eq=False)
class History:
    """Purchase days (customer number, day number since START, amount), one row each, in order."""

    customer: np.ndarray
    day: np.ndarray
    amount: np.ndarray

    def features(self, as_of: date) -> pd.DataFrame:
        """Contract ``customer_features``; genes that no model here depends on keep typical values."""
        now = (as_of - START).days
        seen = pd.DataFrame({"customer": self.customer, "day": self.day, "amount": self.amount})
        seen = seen[seen["day"] < now]
        by_customer = seen.groupby("customer")
        first, last, count = by_customer["day"].min(), by_customer["day"].max(), by_customer.size()
        spend = by_customer["amount"].sum()
        repeat = seen[seen["day"] > seen["customer"].map(first)].groupby("customer")["amount"].mean()
        frame = customers([f"c{number:05d}" for number in first.index])
        frame["as_of"] = as_of
        frame["recent_window_days"] = WINDOW_DAYS
        columns = {
            "order_count": count,
            "purchase_day_count": count,
            "frequency_count": count - 1,
            "recency_days": last - first,
            "t_days": now - first,
            "days_since_last_order": now - last,
            "spend_amount": spend.round(2),
            "monetary_value_amount": repeat.reindex(first.index),
            "average_order_value_amount": spend / count,
            "order_gap_mean_days": ((last - first) / (count - 1)).where(count > 1),
            "overdue_ratio": (now - last) / ((last - first) / (count - 1)).where(count > 1),
            "last_gap_days": by_customer["day"].diff().groupby(seen["customer"]).last(),
            "active_year_share": ((now - 1 - seen["day"]) // YEAR_DAYS).groupby(seen["customer"]).nunique()
            / ((now - 1 - first) // YEAR_DAYS + 1),
        }
        for name, values in columns.items():
            frame[name] = values.to_numpy()
        for name, start in (("recent", now - WINDOW_DAYS), ("previous", now - 2 * WINDOW_DAYS)):
            window = seen[(seen["day"] >= start) & (seen["day"] < start + WINDOW_DAYS)].groupby("customer")["amount"]
            frame[f"{name}_purchase_day_count"] = window.size().reindex(first.index, fill_value=0).to_numpy()
            frame[f"{name}_spend_amount"] = window.sum().reindex(first.index, fill_value=0.0).round(2).to_numpy()
        for name, years in (("year_ago", 1), ("two_years_ago", 2)):
            start = now - years * YEAR_DAYS
            days = seen[(seen["day"] >= start) & (seen["day"] < start + WINDOW_DAYS)].groupby("customer").size()
            was_there = first < start + WINDOW_DAYS
            frame[f"{name}_purchase_day_count"] = days.reindex(first.index, fill_value=0).where(was_there).to_numpy()
        return frame

    def snapshot(self, as_of: date, horizon_days: int = HORIZON_DAYS) -> LabelledSnapshot:
        """Features at ``as_of`` and what followed within the horizon."""
        features = self.features(as_of)
        now = (as_of - START).days
        log = pd.DataFrame({"customer": self.customer, "day": self.day, "amount": self.amount})
        log = log[(log["day"] >= now) & (log["day"] < now + horizon_days)]
        log["customer_id"] = [f"c{number:05d}" for number in log["customer"]]
        future = log.groupby("customer_id")["amount"].agg(["size", "sum"])
        future = future.reindex(features["customer_id"].to_numpy(), fill_value=0)
        outcomes = pd.DataFrame(
            {
                "customer_id": features["customer_id"],
                "actual_orders": future["size"].to_numpy(float),
                "actual_spend": future["sum"].to_numpy(float).round(2),
                "has_churned": future["size"].to_numpy() == 0,
            }
        )
        return LabelledSnapshot(as_of, horizon_days, features, outcomes)

    def labelled(self, as_of: date, horizon_days: int = HORIZON_DAYS) -> tuple[LabelledSnapshot, ...]:
        """What a model at ``as_of`` learns from, of snapshots every thirty days; the same ones each time."""
        return _labelled(self, as_of, horizon_days)


@cache
def _labelled(log: History, as_of: date, horizon_days: int) -> tuple[LabelledSnapshot, ...]:
    dates = [START + timedelta(days=days) for days in range(60, (as_of - START).days, 30)]
    return tuple(log.snapshot(*wanted) for wanted in snapshots_to_learn_from(dates, as_of, as_of, horizon_days))


@cache
def history(gap_shape: float = 1.0, seed: int = 1, size: int = 800, length_days: int = 540) -> History:
    """Customers who join in the first four months, buy at a rate of their own, and may stop after any purchase.

    Gaps between purchases are Gamma distributed: as BG/NBD assumes with shape 1, regular (which it knows nothing of)
    with a larger one.
    """
    generator = np.random.default_rng(seed)
    now = generator.integers(0, 120, size).astype(float)
    rate = generator.gamma(1.0, 1 / 25, size)
    dropout = generator.beta(0.6, 8.0, size)
    basket = generator.gamma(4.0, 10.0, size)
    rows = []
    is_alive = np.ones(size, dtype=bool)
    while is_alive.any():
        number = np.flatnonzero(is_alive)
        rows.append(
            (number, np.floor(now[number]).astype(int), basket[number] * generator.gamma(5.0, 0.2, number.size))
        )
        is_alive &= generator.uniform(size=size) >= dropout
        now += 1 + generator.gamma(gap_shape, 1 / (gap_shape * rate))
        is_alive &= now < length_days
    customer, day, amount = (np.concatenate(column) for column in zip(*rows, strict=True))
    order = np.lexsort([day, customer])
    return History(customer[order], day[order], amount[order])
