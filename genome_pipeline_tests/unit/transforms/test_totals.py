"""Forecasts of customers added up over all, over segments and over cohorts."""

from __future__ import annotations

from datetime import date
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest

from genome_pipeline.calendar import Period
from genome_pipeline.models.forecast.totals import own_variances
from genome_pipeline.transforms.totals import group_sums

AS_OF = date(2020, 4, 1)
KEYS = {"as_of": AS_OF, "customer_id": ["a", "b", "c"]}


def sums(period: Period = Period.MONTH, **changes: list[float]) -> Any:
    outlook = pd.DataFrame(
        {
            **KEYS,
            "horizon_days": 28,
            "churn_probability": [0.5, 0.75, 1.0],
            "expected_orders": [1.0, 0.5, 0.0],
            "expected_spend": [20.0, 5.0, 0.0],
            "is_extrapolated": False,
            "abstain_reason": pd.Series([None] * 3, dtype="string"),
            **changes,
        }
    )
    features = pd.DataFrame({**KEYS, "first_order_date": [date(2020, 1, 31), date(2020, 1, 6), date(2020, 3, 1)]})
    segments = pd.DataFrame({**KEYS, "segment_id": [1, 2, 2], "segment_name": ["Loyal", "Rare", "Rare"]})
    firsts = pd.DataFrame({**KEYS, "cohort_kind": "first_country", "cohort": ["PT", "PT", "not known"]})
    first, second, third, fourth = map(ibis.memtable, (outlook, features, segments, firsts))
    found = group_sums(first, second, third, fourth, period, own_variances).execute()
    return found.set_index(["group_kind", "group_key"]).sort_index()


def test_each_group_has_the_sum_of_its_customers() -> None:
    found = sums()
    assert found[["group_name", "customer_count", "expected_buyer_count", "expected_spend_amount"]].reset_index().apply(
        tuple, axis=1
    ).tolist() == [
        ("cohort", "2020-01-01", "2020-01-01", 2, 0.75, 25.0),
        ("cohort", "2020-03-01", "2020-03-01", 1, 0.0, 0.0),
        ("company", "all", "All customers", 3, 0.75, 25.0),
        ("first_country", "PT", "PT", 2, 0.75, 25.0),
        ("first_country", "not known", "not known", 1, 0.0, 0.0),
        ("segment", "1", "Loyal", 1, 0.5, 20.0),
        ("segment", "2", "Rare", 2, 0.25, 5.0),
    ]


def test_cohorts_are_weeks_where_the_calendar_goes_by_weeks() -> None:
    assert sums(Period.WEEK).loc["cohort"].index.tolist() == ["2020-01-06", "2020-01-27", "2020-02-24"]
    assert sums(Period.DAY).loc["cohort"].index.tolist() == ["2020-01-01", "2020-03-01"]


def test_a_total_of_nothing_predicted_is_unknown_and_not_zero() -> None:
    found = sums(expected_spend=[np.nan] * 3)
    assert found["expected_spend_amount"].isna().all()
    assert found["expected_order_count"].notna().all()


def test_the_variance_of_customers_is_that_of_a_compound_poisson_variable() -> None:
    """p = 0.5, two purchase days if any, 20 each: E[N^2] = p (m^2 + m - 1), and amounts have the variance a^2."""
    of_buying, of_orders, of_spend = own_variances(0.5, 1.0, 20.0)
    assert of_buying == 0.25
    assert of_orders == pytest.approx(0.5 * (4 + 1) - 1)
    assert of_spend == pytest.approx(20**2 * (of_orders + 1))
    company = sums().loc[("company", "all")]
    assert company["buyers_variance"] == pytest.approx(0.25 + 0.25 * 0.75)
