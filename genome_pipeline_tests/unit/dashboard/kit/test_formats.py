from __future__ import annotations

import math
from datetime import date

import pandas as pd
import pytest

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.glossary import description, label, plot_text


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        (0.5, "GBP", "£0.50"),
        (1234.5, "GBP", "£1,234"),
        (-12, "EUR", "−€12.00"),  # noqa: RUF001
        (3, "CHF", "CHF 3.00"),
        (3, None, "3.00"),
        (None, "GBP", "–"),  # noqa: RUF001
        (math.nan, "GBP", "–"),  # noqa: RUF001
    ],
)
def test_money(value: float | None, currency: str | None, expected: str) -> None:
    assert formats.money(value, currency) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(999, "$999.00"), (1_234, "$1.23k"), (45_678, "$45.7k"), (456_789, "$457k"), (1.5e6, "$1.50M"), (2e9, "$2.00B")],
)
def test_compact_money(value: float, expected: str) -> None:
    assert formats.compact_money(value, "USD") == expected


def test_columns_are_written_in_their_unit() -> None:
    assert formats.column_value("t_days", 1) == "1 day"
    assert formats.column_value("order_gap_mean_days", 8.25) == "8.2 days"
    assert formats.column_value("weekend_share", 0.256) == "25.6%"
    assert formats.column_value("spend_amount", 1234.0, "USD") == "$1,234"
    assert formats.column_value("order_count", 1234) == "1,234"
    assert formats.column_value("overdue_ratio", 1.5) == "1.50"


def test_differences_have_a_sign() -> None:
    assert formats.signed("churn_probability", 0.183) == "+18.3 points"
    assert formats.signed("expected_spend", -12.3, "GBP") == f"{formats.MINUS}£12.30"
    assert formats.signed("expected_orders", 0.0) == "+0.00"
    assert formats.signed("days_since_last_order", 18) == "+18 days"
    assert formats.signed("order_count", -3) == f"{formats.MINUS}3"
    assert formats.signed("churn_probability", -0.0001) == "+0.0 points"
    assert formats.signed("expected_orders", math.nan) == formats.NOTHING


def test_days_and_missing_values() -> None:
    assert formats.day(date(2018, 1, 1)) == "1 Jan 2018"
    assert formats.is_missing(pd.NaT)
    assert formats.is_missing(pd.NA)
    assert not formats.is_missing(0)


def test_labels_and_descriptions_come_from_the_contract() -> None:
    assert label("days_since_last_order") == "Days since last order"
    assert label("expected_spend") == "Expected spend"
    assert description("t_days").startswith("BTYD T: days from first purchase to as_of.")


def test_markup_in_data_becomes_text() -> None:
    assert plot_text("<b>A & B</b>") == "&lt;b&gt;A &amp; B&lt;/b&gt;"
