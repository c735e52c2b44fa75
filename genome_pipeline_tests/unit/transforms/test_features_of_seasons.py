"""Genes of season and rhythm, worked out by hand, on every calendar."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.features import customer_features
from genome_pipeline.transforms.validation import judged_lines, rejections, valid_lines
from genome_pipeline_tests.support.logs import CALENDAR, engine, raw, typed

COLUMNS = ("customer_id", "order_id", "ordered_at", "quantity", "unit_price")
GENES = ("last_gap_days", "active_year_share", "year_ago_purchase_day_count", "two_years_ago_purchase_day_count")
AS_OF, HORIZON_DAYS = date(2022, 3, 1), 31

Log = Mapping[str, Sequence[str]]


def lines_of(log: Log, calendar: Calendar, returned: Log | None = None) -> ir.Table:
    """Valid lines of the days on which each customer bought, and of those on which they returned."""
    rows = [
        dict(zip(COLUMNS, (customer, f"{customer}{day}", f"{day} 09:00:00", quantity, "1.00"), strict=True))
        for days, quantity in ((log, "1"), (returned or {}, "-1"))
        for customer, each in days.items()
        for day in each
    ]
    lines = typed(raw(engine(), rows), COLUMNS, calendar)
    return valid_lines(lines, rejections(judged_lines(lines, active_rules(COLUMNS, []))))


def genes_of(activity: ir.Table, calendar: Calendar, as_of: date, horizon_days: int) -> dict[str, tuple[Any, ...]]:
    rows = customer_features(activity, calendar, as_of, horizon_days).to_pyarrow().to_pylist()
    return {row["customer_id"]: tuple(row[gene] for gene in GENES) for row in rows}


BOUGHT: Log = {
    # Both Marches before, and twice in February 2022; what follows the snapshot is not known.
    "dee": ("2020-03-10", "2021-03-05", "2021-03-20", "2022-02-10", "2022-02-14", "2022-03-05"),
    # The last two days are in two months.
    "eve": ("2020-06-01", "2022-01-31", "2022-02-02"),
    # One purchase, in the last days of the season a year before.
    "fay": ("2021-03-31",),
    # A customer before both seasons, in which they did not buy.
    "gus": ("2020-02-01", "2022-02-01"),
    # Two days in one month, and one in a later one: the gap between those counts, not the one before.
    "hal": ("2021-05-01", "2021-05-04", "2022-01-10"),
    # The same without: a later return is no purchase.
    "ida": ("2021-05-01", "2021-05-04"),
    # Between two months, after a gap of 1 in an earlier one, and then again within one.
    "joe": ("2021-05-01", "2021-05-02", "2021-07-02", "2021-08-02", "2021-08-12"),
    # First bought after the season of a year before had passed.
    "kim": ("2021-04-01",),
}
RETURNED: Log = {"ida": ("2022-02-03",)}

EXPECTED = {
    "dee": (4, 1.0, 2, 1),
    "eve": (2, 1.0, 0, None),
    "fay": (None, 1.0, 1, None),
    "gus": (731, 2 / 3, 0, 0),  # 25 months: the third year before is begun
    "hal": (251, 1.0, None, None),
    "ida": (3, 1.0, None, None),
    "joe": (10, 1.0, None, None),
    "kim": (None, 1.0, None, None),
}


@pytest.fixture(scope="module")
def lines() -> ir.Table:
    return lines_of(BOUGHT, CALENDAR, RETURNED)


def test_of_months(lines: ir.Table) -> None:
    found = genes_of(customer_activity(lines), CALENDAR, AS_OF, HORIZON_DAYS)
    assert found == {customer: pytest.approx(values) for customer, values in EXPECTED.items()}


def test_they_are_made_of_periods_that_are_summed_up_alone(lines: ir.Table) -> None:
    """A new month is added to those before, which are not read again."""
    months = lines.period_start_date.to_pyarrow().unique().to_pylist()
    apart = ibis.union(*(customer_activity(lines.filter(lines.period_start_date == month)) for month in months))
    assert genes_of(apart, CALENDAR, AS_OF, HORIZON_DAYS) == genes_of(
        customer_activity(lines), CALENDAR, AS_OF, HORIZON_DAYS
    )


def test_a_window_of_several_months() -> None:
    """91 days are three months: March, April and May of the years before."""
    log = {"dee": ("2020-02-28", "2020-03-01", "2020-05-31", "2020-06-01", "2021-04-15", "2021-06-01", "2022-02-01")}
    (values,) = genes_of(customer_activity(lines_of(log, CALENDAR)), CALENDAR, AS_OF, 91).values()
    assert values == pytest.approx((245, 1.0, 1, 2))


def test_of_weeks() -> None:
    """A year is 52 weeks: the week of Monday 2021-06-07 is that of 2020-06-08."""
    weeks = Calendar(Period.WEEK, date(2019, 12, 30))
    log = {
        "ann": ("2020-06-07", "2020-06-08", "2020-06-14", "2020-06-15", "2021-06-06"),
        "bob": ("2020-06-14", "2021-06-01", "2021-06-05"),
        "cay": ("2020-06-15",),
    }
    found = genes_of(customer_activity(lines_of(log, weeks)), weeks, date(2021, 6, 7), 7)
    assert found == {
        "ann": pytest.approx((356, 1.0, 2, None)),  # 53 weeks are two years, in both of which they bought
        "bob": pytest.approx((4, 1.0, 1, None)),
        "cay": pytest.approx((None, 1.0, None, None)),
    }


def test_of_days() -> None:
    """A year is 365 days: the three from 2021-06-07 on are those from 2020-06-07 on."""
    days = Calendar(Period.DAY, date(2019, 1, 1))
    log = {
        "ann": ("2019-06-08", "2020-06-06", "2020-06-07", "2020-06-09", "2020-06-10"),
        "bob": ("2020-06-10", "2021-06-01", "2021-06-06"),
    }
    found = genes_of(customer_activity(lines_of(log, days)), days, date(2021, 6, 7), 3)
    assert found == {
        # Of 2021-06-06 back to 2019-06-08 are 730 days: two years, in both of which they bought.
        "ann": pytest.approx((1, 1.0, 2, 1)),
        "bob": pytest.approx((5, 1.0, None, None)),
    }


@pytest.mark.parametrize("horizon_days", [31, 400])
def test_what_follows_the_snapshot_changes_nothing(horizon_days: int) -> None:
    """Though a window of more than a year reaches past it."""
    before = {name: [day for day in days if day < "2022-03-01"] for name, days in BOUGHT.items()}
    later = {name: [*days, "2022-03-02", "2022-04-30"] for name, days in before.items()}
    found = [
        genes_of(customer_activity(lines_of(log, CALENDAR, RETURNED)), CALENDAR, AS_OF, horizon_days)
        for log in (before, later)
    ]
    assert found[0] == found[1]
