"""What customers spend on, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import ibis.expr.types as ir
import pytest

from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables.taste import KEPT_CATEGORIES, OTHER_CATEGORIES, TASTE_SHARES
from genome_pipeline.transforms.taste import (
    bought_categories,
    category_activity,
    category_histories,
    category_sums,
    customer_categories,
    customer_taste,
    leading_categories,
    segment_tastes,
    taste_shares,
)
from genome_pipeline.transforms.validation import judged_lines, rejections, valid_lines
from genome_pipeline_tests.support.logs import CALENDAR, engine, raw, typed

AS_OF, HORIZON_DAYS = date(2020, 4, 1), 31

Row = tuple[str, str, str, str]

ANN: Sequence[Row] = (
    ("ann", "2020-01-04 09:00", "fruit", "6.00"),
    ("ann", "2020-01-04 10:00", "fruit", "2.00"),
    ("ann", "2020-01-05 10:00", "bread", "2.00"),
    ("ann", "2020-03-04 09:00", "bread", "9.00"),
    ("ann", "2020-03-06 09:00", "fruit", "3.00"),
    ("ann", "2020-03-07 09:00", "fruit", "-2.00"),
    ("ann", "2020-03-07 09:00", "", "50.00"),  # a line without a category is in none
    ("ann", "2020-04-01 00:00", "fruit", "70.00"),  # not known yet
)


def lines_of(rows: Sequence[Row]) -> ir.Table:
    names = ("customer_id", "ordered_at", "category", "amount")
    mapped = names if any(row[3] for row in rows) else names[:3]
    database = engine()
    given = [{name: value or None for name, value in zip(names, row, strict=True)} for row in rows]
    lines = typed(raw(database, given), mapped)
    return valid_lines(lines, rejections(judged_lines(lines, active_rules(mapped, []))))


def activity_of(rows: Sequence[Row]) -> ir.Table:
    return category_activity(lines_of(rows))


def listed(rows: ir.Table, *by: str) -> list[dict[str, Any]]:
    return rows.order_by(*by).to_pyarrow().to_pylist()  # type: ignore[no-any-return]


def taste_of(rows: Sequence[Row]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The shares and the genes."""
    sums = category_sums(activity_of(rows), CALENDAR, AS_OF, HORIZON_DAYS)
    return (
        listed(customer_categories(sums, AS_OF), "customer_id", "category_rank"),
        listed(customer_taste(sums, AS_OF), "customer_id"),
    )


def test_a_month_of_a_category_is_summed_up_by_day() -> None:
    (january, *others) = listed(activity_of(ANN), "category", "period_start_date")
    assert len(others) == 4
    assert january == {
        "period_start_date": date(2020, 1, 1),
        "customer_id": "ann",
        "category": "bread",
        "purchase_day_count": 1,
        "first_order_date": date(2020, 1, 5),
        "last_order_date": date(2020, 1, 5),
        "net_amount": Decimal("2.00"),
    }
    march = others[2]
    assert (march["category"], march["purchase_day_count"], march["net_amount"]) == ("fruit", 1, Decimal("1.00"))


def test_shares_are_of_the_spend_in_categories() -> None:
    shares, _ = taste_of(ANN)
    assert [(row["category"], row["category_rank"], row["net_amount"]) for row in shares] == [
        ("bread", 1, Decimal("11.00")),
        ("fruit", 2, Decimal("9.00")),
    ]
    assert [row["category_spend_share"] for row in shares] == [11 / 20, 9 / 20]


def test_the_genes_of_taste() -> None:
    _, (ann,) = taste_of(ANN)
    assert ann == {
        "as_of": AS_OF,
        "customer_id": "ann",
        "category_count": 2,
        "category_concentration": pytest.approx((11 / 20) ** 2 + (9 / 20) ** 2),
        "top_category": "bread",
        "top_category_share": 11 / 20,
        # Before: 8 of 10 in fruit. In March: 1 of 10.
        "taste_shift_share": pytest.approx(0.7),
    }


def test_periods_can_be_summed_up_one_by_one() -> None:
    whole = listed(activity_of(ANN), "period_start_date", "category")
    months = [[row for row in ANN if row[1].startswith(month)] for month in ("2020-01", "2020-03", "2020-04")]
    parts = [row for rows in months for row in listed(activity_of(rows), "period_start_date", "category")]
    assert parts == whole


def test_a_category_with_more_back_counts_as_nothing_and_without_spend_there_is_no_taste() -> None:
    shares, genes = taste_of(
        [
            ("bob", "2020-01-04 09:00", "fruit", "5.00"),
            ("bob", "2020-01-04 09:00", "bread", "5.00"),
            ("bob", "2020-02-04 09:00", "bread", "-6.00"),
            ("cay", "2020-01-04 09:00", "bread", "1.00"),
            ("cay", "2020-01-05 09:00", "bread", "-1.00"),
        ]
    )
    assert [(row["customer_id"], row["category"], row["category_spend_share"]) for row in shares] == [
        ("bob", "fruit", 1.0)
    ]
    (bob,) = genes
    assert (bob["category_count"], bob["category_concentration"], bob["taste_shift_share"]) == (2, 1.0, None)


def test_the_categories_beyond_the_largest_are_one() -> None:
    many = [("ann", "2020-01-04 09:00", f"c{number:02d}", f"{100 - number}.00") for number in range(KEPT_CATEGORIES)]
    # A category of the log may be called as the others are.
    rows = [*many, ("ann", "2020-01-04 09:00", OTHER_CATEGORIES, "99.50"), ("bob", "2020-01-04 09:00", "c11", "0.50")]
    shares, genes = taste_of(rows)
    of_ann = [row for row in shares if row["customer_id"] == "ann"]
    assert [row["category"] for row in of_ann] == [
        "c00",
        OTHER_CATEGORIES,
        *(f"c{n:02d}" for n in range(1, 11)),
        OTHER_CATEGORIES,
    ]
    assert [row["category_rank"] for row in of_ann] == [*range(1, KEPT_CATEGORIES + 2)]
    assert sum(row["category_spend_share"] for row in of_ann) == pytest.approx(1, abs=1e-12)
    assert [(row["category_rank"], row["category_spend_share"]) for row in shares if row["customer_id"] == "bob"] == [
        (KEPT_CATEGORIES + 1, 1.0)
    ]
    assert [row["category_count"] for row in genes] == [KEPT_CATEGORIES + 1, 1]


def test_of_equal_spend_the_first_by_name_is_the_top_category() -> None:
    _, (ann,) = taste_of([("ann", "2020-01-04 09:00", name, "2.00") for name in ("b", "a", "c")])
    assert ann["top_category"] == "a"


@pytest.mark.parametrize(
    "rows",
    [
        [("ann", "2020-01-04 09:00", "", "2.00")],
        [("ann", "2020-01-04 09:00", "fruit", "")],
    ],
    ids=["no categories", "no amounts"],
)
def test_without_categories_or_amounts_there_is_no_taste(rows: Sequence[Row]) -> None:
    assert taste_of(rows) == ([], [])


def test_one_category_is_a_single_row() -> None:
    shares, (ann,) = taste_of([("ann", "2020-01-04 09:00", "fruit", "2.00"), ("ann", "2020-03-04 09:00", "fruit", "1")])
    assert [row["category_spend_share"] for row in shares] == [1.0]
    assert (ann["category_concentration"], ann["top_category_share"], ann["taste_shift_share"]) == (1.0, 1.0, 0.0)


def test_shares_stand_side_by_side_with_a_zero_for_what_was_not_bought() -> None:
    rows = [*ANN, ("bob", "2020-02-09 09:00", "bread", "4.00")]
    sums = category_sums(activity_of(rows), CALENDAR, AS_OF, HORIZON_DAYS)
    (ann, bob) = listed(taste_shares(customer_categories(sums, AS_OF)), "customer_id")
    # Bread, with 15.00, is the first of the log; fruit has 9.00.
    assert (ann["category_share_1"], ann["category_share_2"]) == (11 / 20, 9 / 20)
    assert (bob["category_share_1"], bob["category_share_2"]) == (1.0, 0.0)
    assert [bob[name] for name in TASTE_SHARES[2:]] == [0.0] * (KEPT_CATEGORIES - 1)


def test_segments_are_summed_up_over_members_with_any_taste() -> None:
    rows = [*ANN, ("bob", "2020-02-09 09:00", "bread", "4.00")]
    sums = category_sums(activity_of(rows), CALENDAR, AS_OF, HORIZON_DAYS)
    sums.get_backend().con.execute(
        "CREATE TABLE segments AS SELECT unnest(['ann', 'bob', 'cay']) AS customer_id, 3 AS segment_id"
    )
    categories = customer_categories(sums, AS_OF)
    bread, fruit = listed(segment_tastes(categories, sums.get_backend().table("segments")), "category")
    assert bread == {
        "segment_id": 3,
        "category": "bread",
        "buyer_count": 2,
        "share_sum": pytest.approx(1.55),
        "squared_share_sum": pytest.approx(1 + 0.55**2),
        "taster_count": 2,
    }
    assert (fruit["buyer_count"], fruit["share_sum"], fruit["taster_count"]) == (1, pytest.approx(0.45), 2)


def test_a_segment_that_buys_in_the_tail_alone_is_counted() -> None:
    day = "2020-02-09 09:00"
    rows = [("ann", day, f"shelf {number:02d}", "50.00") for number in range(KEPT_CATEGORIES)]
    sums = category_sums(activity_of([*rows, ("bob", day, "pins", "1.00")]), CALENDAR, AS_OF, HORIZON_DAYS)
    database = sums.get_backend()
    database.con.execute(
        "CREATE TABLE segments AS SELECT unnest(['ann', 'bob']) AS customer_id, unnest([1, 2]) AS segment_id"
    )
    found = listed(segment_tastes(customer_categories(sums, AS_OF), database.table("segments")), "segment_id")
    assert [row["segment_id"] for row in found] == [1] * KEPT_CATEGORIES + [2]
    assert (found[-1]["category"], found[-1]["taster_count"]) == (None, 1)


def test_large_amounts_are_exact() -> None:
    large = "999999999.99"
    _, (ann,) = taste_of([("ann", f"2020-0{month}-04 09:00", name, large) for month in (1, 3) for name in ("a", "b")])
    assert (ann["category_concentration"], ann["taste_shift_share"]) == (pytest.approx(0.5), 0.0)


@pytest.mark.parametrize(
    ("last_order_dates", "suggested"),
    [
        ([date(2020, 3, 2), None, date(2020, 1, 1), None], "b"),
        ([date(2020, 3, 2), date(2020, 3, 2), date(2020, 1, 1), date(2020, 2, 29)], "c"),
        ([date(2020, 3, 2), date(2020, 3, 1), date(2020, 3, 3), date(2020, 3, 4)], "a"),
    ],
    ids=["never bought", "not bought in the recent window", "all bought lately"],
)
def test_to_suggest_is_what_is_new_to_the_customer_if_anything_is(
    last_order_dates: list[date | None], suggested: str
) -> None:
    database = engine()
    database.con.execute(
        "CREATE TABLE listed (as_of DATE, customer_id VARCHAR, next_category_rank INTEGER, category VARCHAR,"
        " category_probability DOUBLE, last_order_date DATE)"
    )
    rows = [
        (AS_OF, "ann", place + 1, "abcd"[place], 0.5 - place / 10, day) for place, day in enumerate(last_order_dates)
    ]
    database.con.executemany("INSERT INTO listed VALUES (?, ?, ?, ?, ?, ?)", reversed(rows))
    database.con.execute(
        f"CREATE TABLE features AS SELECT DATE '{AS_OF}' AS as_of, unnest(['ann', 'nobody']) AS customer_id,"
        " 31 AS recent_window_days"
    )
    (ann,) = listed(leading_categories(database.table("listed"), database.table("features")), "customer_id")
    assert ann == {
        "as_of": AS_OF,
        "customer_id": "ann",
        "next_category": "a",
        "next_category_probability": 0.5,
        "suggested_category": suggested,
        "suggested_category_probability": pytest.approx(0.5 - "abcd".index(suggested) / 10),
    }


def test_histories_list_a_customers_categories_the_most_frequent_first() -> None:
    rows = [*ANN, ("ann", "2020-02-09 09:00", "jam", "1.00"), ("ann", "2020-02-10 09:00", "oil", "1.00")]
    sums = category_sums(activity_of(rows), CALENDAR, AS_OF, HORIZON_DAYS)
    database = sums.get_backend()
    database.con.execute("CREATE TABLE customers AS SELECT unnest(['ann', 'nobody']) AS customer_id, 7 AS kept")
    found = category_histories(sums, database.table("customers"), AS_OF)
    ann, nobody = listed(found, "customer_id")
    assert ann == {
        "customer_id": "ann",
        "kept": 7,
        # Two days each of fruit and bread, the first of which was bought later; of one day each, oil.
        "categories": ["fruit", "bread", "oil", "jam"],
        "counts": [2, 2, 1, 1],
        "recent_counts": [1, 1, 0, 0],
        "previous_counts": [0, 0, 1, 1],
        "first_days": [88, 87, 51, 52],
        "last_days": [26, 28, 51, 52],
    }
    assert nobody == dict.fromkeys(ann) | {"customer_id": "nobody", "kept": 7}


def test_what_is_bought_within_the_horizon_is_that_of_buyers_without_returns() -> None:
    lines = lines_of(
        [
            ("ann", "2020-04-01 00:00", "fruit", "1.00"),
            ("ann", "2020-05-01 23:59", "bread", "1.00"),
            ("ann", "2020-05-02 00:00", "jam", "1.00"),
            ("bob", "2020-04-02 09:00", "", "1.00"),
            ("cay", "2020-04-02 09:00", "fruit", "-1.00"),
            ("dan", "2020-04-02 09:00", "fruit", "1.00"),
        ]
    )
    customers = lines.select("customer_id").distinct().filter(lambda t: t.customer_id != "dan")
    found = listed(bought_categories(lines, customers, AS_OF, HORIZON_DAYS), "customer_id")
    assert found == [
        {"customer_id": "ann", "categories": ["bread", "fruit"]},
        {"customer_id": "bob", "categories": None},
    ]
