"""Who of each cohort came back, and what it spent so far."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import ibis
import pandas as pd
import pytest

from genome_pipeline.calendar import Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.transforms.cohorts import cohorts, first_purchase_cohorts, first_purchase_groups

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


def groups(activity: pd.DataFrame, categories: pd.DataFrame, period: Period = Period.MONTH) -> list[tuple[str, ...]]:
    features = FEATURES.assign(as_of=date(2020, 4, 1))
    first, second, third = map(ibis.memtable, (features, activity, categories))
    found = first_purchase_groups(first, second, third, period)
    return sorted(found[["cohort_kind", "cohort", "customer_id"]].execute().itertuples(index=False, name=None))


def began(*rows: tuple[date, str, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["period_start_date", "customer_id", "country"])
    return frame.astype({"country": "string"}).assign(purchase_day_count=1)


def bought(*rows: tuple[date, str, str, date, float | None]) -> pd.DataFrame:
    frame = pd.DataFrame(
        rows, columns=["period_start_date", "customer_id", "category", "first_order_date", "net_amount"]
    )
    return frame.astype({"net_amount": "float64"})


JANUARY, FEBRUARY, MARCH, DECEMBER = date(2020, 1, 1), date(2020, 2, 1), date(2020, 3, 1), date(2019, 12, 1)
NO_CATEGORIES = bought((JANUARY, "somebody else", "Tea", JANUARY, None))


def test_the_first_purchase_decides_and_not_a_later_one() -> None:
    categories = bought(
        (JANUARY, "a", "Tea", date(2020, 1, 31), 5.0),
        (JANUARY, "a", "Cups", date(2020, 1, 31), 9.0),
        (FEBRUARY, "a", "Pots", date(2020, 2, 3), 99.0),
        # Bought later in the month of the first order; and of the first day, returned since.
        (JANUARY, "b", "Pots", date(2020, 1, 20), 99.0),
        (JANUARY, "b", "Tea", date(2020, 1, 6), -1.0),
        (MARCH, "c", "Pots", date(2020, 3, 1), None),
        (MARCH, "c", "Cups", date(2020, 3, 1), None),
    )
    activity = began((JANUARY, "a", "PT"), (FEBRUARY, "a", "ES"), (JANUARY, "b", None), (MARCH, "c", "PT"))
    assert groups(activity, categories) == [
        ("first_category", "Cups", "a"),
        ("first_category", "Cups", "c"),
        ("first_category", "Tea", "b"),
        ("first_category", "not known", "d"),
        ("first_country", "PT", "a"),
        ("first_country", "PT", "c"),
        ("first_country", "not known", "b"),
        ("first_country", "not known", "d"),
    ]


def test_a_kind_of_which_the_log_says_nothing_has_no_cohorts() -> None:
    assert groups(began((JANUARY, "a", None)), NO_CATEGORIES) == []


def test_the_first_period_is_found_in_a_calendar_by_days() -> None:
    activity = began((date(2020, 1, 31), "a", "PT"), (date(2020, 1, 30), "a", "ES"))
    assert ("first_country", "PT", "a") in groups(activity, NO_CATEGORIES, Period.DAY)


def test_the_largest_stand_for_themselves_and_a_value_called_as_the_rest_is_of_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("genome_pipeline.transforms.cohorts.KEPT_COHORTS", 1)
    activity = began((JANUARY, "a", "PT"), (JANUARY, "b", "ES"), (MARCH, "c", "ES"), (DECEMBER, "d", "all others"))
    assert groups(activity, NO_CATEGORIES) == [
        ("first_country", "ES", "b"),
        ("first_country", "ES", "c"),
        ("first_country", "all others", "a"),
        ("first_country", "all others", "d"),
    ]


def test_a_cohort_by_country_counts_who_bought_lately_and_what_all_spent() -> None:
    features = ibis.memtable(FEATURES.assign(as_of=date(2020, 4, 1)))
    of = pd.DataFrame({"as_of": date(2020, 4, 1), "customer_id": ["a", "b", "c", "d"], "cohort_kind": "first_country"})
    firsts = ibis.memtable(of.assign(cohort=["PT", "PT", "ES", "ES"]))
    rows = first_purchase_cohorts(features, ibis.memtable(ACTIVITY), firsts, Period.MONTH).order_by("cohort").execute()
    assert list(rows.columns) == list(TABLES["first_purchase_cohorts"].columns)
    assert [(row.cohort, row.active_customer_count, str(row.cumulative_spend_amount)) for row in rows.itertuples()] == [
        ("ES", 1, "6.05"),
        ("PT", 1, "8.10"),
    ]
