"""Who of each cohort came back, and what it spent so far."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import ibis
import pandas as pd

from genome_pipeline.calendar import Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.transforms.cohorts import cohorts

FEATURES = pd.DataFrame(
    {
        "customer_id": ["a", "b", "c", "d"],
        "first_order_date": [date(2020, 1, 31), date(2020, 1, 6), date(2020, 3, 1), date(2019, 12, 31)],
        "spend_amount": [Decimal("10.10"), Decimal("-2.00"), Decimal("5.05"), Decimal("1.00")],
    }
)
ACTIVITY = pd.DataFrame(
    {
        # b only returned something in March, d bought in February, c is new, a bought on two days.
        "period_start_date": [date(2020, 3, 1), date(2020, 3, 1), date(2020, 2, 1), date(2020, 3, 1)],
        "customer_id": ["a", "b", "d", "c"],
        "purchase_day_count": [2, 0, 1, 1],
    }
)


def found(
    as_of: date = date(2020, 4, 1), period: Period = Period.MONTH, activity: pd.DataFrame = ACTIVITY
) -> list[tuple[object, ...]]:
    rows = cohorts(ibis.memtable(FEATURES.assign(as_of=as_of)), ibis.memtable(activity), period).order_by(
        "cohort_start_date"
    )
    frame = rows.execute()
    assert list(frame.columns) == list(TABLES["cohorts"].columns)
    return [
        (
            str(row.cohort_start_date)[:10],
            row.cohort_age_count,
            row.cohort_customer_count,
            row.active_customer_count,
            str(row.cumulative_spend_amount),
        )
        for row in frame.itertuples()
    ]


def test_a_cohort_keeps_all_of_its_customers_and_counts_who_bought_in_the_latest_month() -> None:
    assert found() == [
        ("2019-12-01", 3, 1, 0, "1.00"),
        ("2020-01-01", 2, 2, 1, "8.10"),
        ("2020-03-01", 0, 1, 1, "5.05"),
    ]


def test_of_a_calendar_by_days_all_days_of_the_month_so_far_count() -> None:
    days = pd.DataFrame(
        {
            "period_start_date": [date(2020, 3, 2), date(2020, 3, 9), date(2020, 2, 28)],
            "customer_id": ["a", "a", "b"],
            "purchase_day_count": [1, 1, 1],
        }
    )
    assert found(date(2020, 3, 10), Period.DAY, days)[1] == ("2020-01-01", 2, 2, 1, "8.10")


def test_cohorts_of_a_calendar_by_weeks_are_weeks() -> None:
    weeks = ACTIVITY.assign(period_start_date=date(2020, 3, 23))
    assert [row[:4] for row in found(date(2020, 3, 30), Period.WEEK, weeks)] == [
        ("2019-12-30", 12, 1, 1),
        ("2020-01-06", 11, 1, 0),
        ("2020-01-27", 8, 1, 1),
        ("2020-02-24", 4, 1, 1),
    ]
