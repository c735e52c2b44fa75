"""One customer whose genome is worked out by hand."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import ibis.expr.types as ir
import pytest

from genome_pipeline.contracts.rules import Rule, active_rules
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.transforms.activity import customer_activity, purchase_days
from genome_pipeline.transforms.features import customer_features, rfm_summary
from genome_pipeline.transforms.outcomes import realised_outcomes
from genome_pipeline.transforms.validation import judged_lines, rejections, valid_lines
from genome_pipeline_tests.support.logs import CALENDAR, engine, raw, typed

COLUMNS = ("customer_id", "order_id", "ordered_at", "product_id", "category", "quantity", "unit_price")
LOG = [
    dict(zip(COLUMNS, values, strict=True))
    for values in (
        ("ann", "1", "2020-01-04 09:00:00", "p1", "fruit", "2", "5.00"),  # a Saturday, 10.00
        ("ann", "1", "2020-01-04 09:00:00", "p2", "bread", "1", "4.00"),  # same order, 14.00 in all
        ("ann", "2", "2020-01-14 09:00:00", "p1", "fruit", "1", "6.00"),  # 10 days on, 6.00
        ("ann", "3", "2020-02-13 09:00:00", "p3", "fruit", "4", "2.50"),  # 30 days on, 10.00
        ("ann", "C3", "2020-02-20 09:00:00", "p3", "fruit", "-1", "2.50"),  # 2.50 back
        ("bob", "4", "2020-02-28 09:00:00", "p9", "bread", "1", "3.00"),
        ("cay", "C5", "2020-02-01 09:00:00", "p9", "bread", "-1", "3.00"),  # nothing but a return
        ("ann", "6", "2020-03-05 09:00:00", "p1", "fruit", "1", "7.00"),  # after the snapshot
        ("ann", "C6", "2020-03-06 09:00:00", "p1", "fruit", "-1", "7.00"),
        ("ann", "7", "2020-04-30 09:00:00", "p1", "fruit", "1", "99.00"),  # after the horizon
    )
]
AS_OF, HORIZON_DAYS = date(2020, 3, 1), 31


def valid(lines: ir.Table, rules: Sequence[Rule]) -> ir.Table:
    return valid_lines(lines, rejections(judged_lines(lines, rules)))


@pytest.fixture(scope="module")
def genomes() -> dict[str, dict[str, Any]]:
    database = engine()
    lines = valid(typed(raw(database, LOG), COLUMNS), active_rules(COLUMNS, []))
    features = customer_features(customer_activity(lines), CALENDAR, AS_OF, HORIZON_DAYS)
    return {row["customer_id"]: row for row in features.to_pyarrow().to_pylist()}


def test_customers_with_nothing_but_returns_have_no_genome(genomes: dict[str, dict[str, Any]]) -> None:
    assert sorted(genomes) == ["ann", "bob"]


@pytest.mark.parametrize(
    ("gene", "value"),
    [
        ("first_order_date", date(2020, 1, 4)),
        ("last_order_date", date(2020, 2, 13)),
        ("order_count", 3),
        ("purchase_day_count", 3),
        ("frequency_count", 2),
        ("recency_days", 40),
        ("t_days", 57),
        ("days_since_last_order", 17),
        ("active_period_count", 2),
        ("active_period_share", 1.0),
        ("spend_amount", Decimal("27.50")),
        ("monetary_value_amount", 8.0),
        ("average_order_value_amount", 10.0),
        ("order_value_std_amount", 4.0),
        ("items_per_order_count", 8 / 3),
        ("products_per_order_count", 4 / 3),
        ("category_count", 2),
        ("order_gap_mean_days", 20.0),
        ("order_gap_std_days", 200**0.5),
        ("order_gap_cv_ratio", 200**0.5 / 20),
        ("overdue_ratio", 17 / 20),
        ("weekend_share", 1 / 3),
        ("recent_window_days", 29),
        ("recent_purchase_day_count", 1),
        ("previous_purchase_day_count", 2),
        ("recent_spend_amount", Decimal("7.50")),
        ("previous_spend_amount", Decimal("20.00")),
        ("momentum_share", 1 / 3),
        ("return_line_count", 1),
        ("return_amount", Decimal("2.50")),
        ("return_share", 2.5 / 30),
    ],
)
def test_the_genome_of_ann(genomes: dict[str, dict[str, Any]], gene: str, value: Any) -> None:
    found = genomes["ann"][gene]
    assert found == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    "gene", ["monetary_value_amount", "order_value_std_amount", "order_gap_mean_days", "overdue_ratio"]
)
def test_what_one_purchase_cannot_tell_is_null(genomes: dict[str, dict[str, Any]], gene: str) -> None:
    assert genomes["bob"][gene] is None


def test_the_rfm_summary_is_that_of_the_genome(genomes: dict[str, dict[str, Any]]) -> None:
    lines = valid(typed(raw(engine(), LOG), COLUMNS), active_rules(COLUMNS, []))
    summary = rfm_summary(purchase_days(lines), AS_OF).to_pyarrow().to_pylist()
    assert sorted(row["customer_id"] for row in summary) == sorted(genomes)
    assert all(genomes[row["customer_id"]].items() >= row.items() for row in summary)


def test_outcomes_are_those_within_the_horizon_net_of_returns() -> None:
    database = engine()
    lines = valid(typed(raw(database, LOG), COLUMNS), active_rules(COLUMNS, []))
    features = customer_features(customer_activity(lines), CALENDAR, AS_OF, HORIZON_DAYS)
    outcomes = realised_outcomes(lines, features, HORIZON_DAYS).order_by("customer_id").to_pyarrow().to_pylist()
    assert [tuple(row.values()) for row in outcomes] == [
        (AS_OF, "ann", 1.0, Decimal("0.00"), False),
        (AS_OF, "bob", 0.0, Decimal("0.00"), True),
    ]


def test_a_log_without_amounts_has_no_spend() -> None:
    database = engine()
    columns = ("customer_id", "ordered_at")
    log = [{"customer_id": "ann", "ordered_at": "2020-01-04"}, {"customer_id": "ann", "ordered_at": "2020-02-04"}]
    lines = valid(typed(raw(database, log), columns), active_rules(columns, []))
    features = customer_features(customer_activity(lines), CALENDAR, AS_OF, HORIZON_DAYS)
    (ann,) = features.to_pyarrow().to_pylist()
    assert ann["order_count"] == 2
    assert {ann[gene] for gene in ("spend_amount", "recent_spend_amount", "average_order_value_amount")} == {None}
    (outcome,) = realised_outcomes(lines, features, HORIZON_DAYS).to_pyarrow().to_pylist()
    assert outcome["actual_spend"] is None


@pytest.mark.parametrize("price", ["9999999.99", "10000000", "25000000", "999999999.99"])
def test_the_largest_amounts_the_rules_accept_are_squared_and_summed_exactly(price: str) -> None:
    log = [
        dict(zip(COLUMNS, ("ann", order, f"2020-0{month}-05 09:00:00", "p1", "car", "1", price), strict=True))
        for month, order in ((1, "1"), (1, "1"), (1, "2"), (2, "3"))
    ]
    database = engine()
    lines = valid(typed(raw(database, log), COLUMNS), active_rules(COLUMNS, ["exact_duplicate"]))
    activity = customer_activity(lines)
    squares = activity.order_by("period_start_date").squared_order_amount_sum.to_pyarrow().to_pylist()
    assert squares == [5 * Decimal(price) ** 2, Decimal(price) ** 2]
    (genome,) = customer_features(activity, CALENDAR, AS_OF, HORIZON_DAYS).to_pyarrow().to_pylist()
    assert genome["spend_amount"] == 4 * Decimal(price)
    assert genome["order_value_std_amount"] == pytest.approx(float(price) / 3**0.5, rel=1e-12)


def test_squares_of_a_hundred_million_of_the_largest_lines_have_room() -> None:
    database = engine()
    database.con.execute(TABLES["validated_transactions"].ddl())
    database.con.execute(
        "INSERT INTO validated_transactions BY NAME SELECT DATE '2020-01-01' AS period_start_date,"
        " 'log' AS source_file, i AS source_row, 'ann' AS customer_id, '1' AS order_id,"
        " TIMESTAMP '2020-01-05' AS ordered_at, 99999999999999.99 AS amount, false AS is_return FROM range(100) t(i)"
    )
    (row,) = customer_activity(database.table("validated_transactions")).to_pyarrow().to_pylist()
    assert row["squared_order_amount_sum"] == Decimal("99999999999999980000000000000001")
