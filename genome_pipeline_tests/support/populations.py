"""Small frames of contract ``customer_features``, written out or drawn from a seed, and their predictions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from genome_pipeline.contracts.tables import TABLES

AS_OF = date(2024, 7, 1)

_TYPICAL: dict[str, Any] = {
    "as_of": AS_OF,
    "first_order_date": date(2024, 1, 3),
    "last_order_date": date(2024, 6, 21),
    "country": None,
    "recent_window_days": 91,
    "order_count": 6,
    "purchase_day_count": 6,
    "frequency_count": 5,
    "active_period_count": 5,
    "active_period_share": 0.8,
    "recency_days": 170,
    "t_days": 180,
    "days_since_last_order": 10,
    "spend_amount": 300.0,
    "monetary_value_amount": 50.0,
    "average_order_value_amount": 50.0,
    "order_value_std_amount": 5.0,
    "items_per_order_count": 4.0,
    "products_per_order_count": 3.0,
    "category_count": 3,
    "order_gap_mean_days": 34.0,
    "order_gap_std_days": 10.0,
    "order_gap_cv_ratio": 0.3,
    "overdue_ratio": 0.3,
    "weekend_share": 0.3,
    "recent_purchase_day_count": 3,
    "previous_purchase_day_count": 3,
    "recent_spend_amount": 150.0,
    "previous_spend_amount": 150.0,
    "momentum_share": 0.5,
    "return_line_count": 0,
    "return_amount": 0.0,
    "return_share": 0.0,
    "last_gap_days": 34,
    "active_year_share": 1.0,
    "year_ago_purchase_day_count": np.nan,  # they first bought after that season
    "two_years_ago_purchase_day_count": np.nan,
}


def customers(ids: Sequence[str], **columns: Any) -> pd.DataFrame:
    """Customers who are typical but for the columns given, one value for all or one for each."""
    frame = pd.DataFrame({"customer_id": list(ids), **{name: [value] * len(ids) for name, value in _TYPICAL.items()}})
    for name, value in columns.items():
        frame[name] = value
    return frame[list(TABLES["customer_features"].columns)]


def shop(seed: int = 1, size: int = 60) -> pd.DataFrame:
    """Five clear groups of ``size`` customers: frequent, big baskets, new, lapsed, one-time long ago."""
    rng = np.random.default_rng(seed)
    # orders, recent days, days before, days since first, days since last, basket
    groups = {
        "a": (60, 30, 30, 360, 3, 25.0),
        "b": (12, 6, 6, 350, 12, 150.0),
        "c": (2, 2, 0, 30, 9, 30.0),
        "d": (25, 0, 6, 380, 120, 35.0),
        "e": (1, 0, 0, 300, 300, 20.0),
    }
    frames = []
    for name, (orders, recent, previous, age, away, basket) in groups.items():
        noise = np.exp(rng.normal(0, 0.08, (4, size)))
        order_count = np.maximum(1, np.rint(orders * noise[0])).astype(int)
        value = basket * noise[1]
        gap = np.where(order_count > 1, (age * noise[2] - away) / np.maximum(order_count - 1, 1), np.nan)
        frames.append(
            customers(
                [f"{name}{number:03d}" for number in range(size)],
                order_count=order_count,
                purchase_day_count=order_count,
                frequency_count=order_count - 1,
                recent_purchase_day_count=recent,
                previous_purchase_day_count=previous,
                t_days=np.rint(age * noise[2]).astype(int),
                days_since_last_order=np.rint(away * noise[3]).astype(int),
                spend_amount=(order_count * value).round(2),
                average_order_value_amount=value,
                recent_spend_amount=(recent * value).round(2),
                order_gap_mean_days=gap,
                order_gap_cv_ratio=np.where(order_count > 2, 0.4, np.nan),
                overdue_ratio=away / gap,
                momentum_share=recent / (recent + previous) if recent + previous else np.nan,
            )
        )
    return pd.concat(frames, ignore_index=True)


def value_of(features: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Contract ``customer_value`` without a reason to abstain."""
    frame = pd.DataFrame({"as_of": AS_OF, "customer_id": features["customer_id"]})
    defaults: dict[str, Any] = {
        "expected_orders": 3.0,
        "expected_orders_lower": 1.0,
        "expected_orders_upper": 5.0,
        "expected_spend": 150.0,
        "expected_spend_lower": 50.0,
        "expected_spend_upper": 250.0,
        "orders_if_retained": 3.0 / 0.9,
        "spend_per_order_amount": 50.0,
        "naive_expected_orders": 3.0,
        "naive_expected_spend": 150.0,
        "abstain_reason": None,
    }
    for name, value in (defaults | columns).items():
        frame[name] = value
    return frame


def risk_of(features: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Contract ``customer_risk`` without a reason to abstain."""
    frame = pd.DataFrame({"as_of": AS_OF, "customer_id": features["customer_id"]})
    defaults: dict[str, Any] = {
        "churn_probability": 0.1,
        "churn_probability_lower": 0.1,
        "churn_probability_upper": 0.1,
        "p_alive": 0.9,
        "risk_band": "low",
        "naive_churn_probability": 0.1,
        "abstain_reason": None,
    }
    for name, value in (defaults | columns).items():
        frame[name] = value
    return frame


def next_order_of(features: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Contract ``customer_next_order`` of customers who are not overdue."""
    frame = pd.DataFrame({"as_of": AS_OF, "customer_id": features["customer_id"]})
    defaults: dict[str, Any] = {
        "next_order_date": AS_OF + timedelta(days=24),
        "next_order_date_lower": AS_OF + timedelta(days=5),
        "next_order_date_upper": AS_OF + timedelta(days=70),
        "further_order_probability": 0.95,
        "silence_probability": 0.6,
        "is_overdue": False,
        "abstain_reason": None,
    }
    for name, value in (defaults | columns).items():
        frame[name] = value
    return frame


def estimates_of(features: pd.DataFrame) -> pd.DataFrame:
    """Contract ``neighbor_estimates`` of a snapshot before which none had matured."""
    frame = pd.DataFrame(
        {"as_of": AS_OF, "customer_id": features["customer_id"]}, columns=list(TABLES["neighbor_estimates"].columns)
    )
    return frame.assign(neighbor_count=0)


def segments_of(features: pd.DataFrame, membership: Any = 0.8) -> pd.DataFrame:
    """Contract ``customer_segments`` with everyone in one segment."""
    return pd.DataFrame(
        {
            "as_of": AS_OF,
            "customer_id": features["customer_id"],
            "segment_id": 1,
            "segment_name": "Regulars",
            "membership_probability": membership,
            "second_segment_id": None,
            "second_segment_name": None,
            "second_membership_probability": None,
            "previous_segment_id": None,
            "has_moved": None,
        }
    )


def assert_keeps_contract(table: str, frame: pd.DataFrame) -> None:
    """The frame has the table's columns in order, a unique key, no null where none may be, and values in bounds."""
    contract = TABLES[table]
    assert list(frame.columns) == list(contract.columns)
    assert not frame.duplicated(list(contract.key)).any()
    for column in contract.fields:
        values = frame[column.name]
        assert column.name in contract.nullable or values.notna().all(), column.name
        known = values.dropna()
        assert column.minimum is None or (known >= column.minimum).all(), column.name
        assert column.maximum is None or (known <= column.maximum).all(), column.name
        assert column.values is None or known.isin(column.values).all(), column.name
