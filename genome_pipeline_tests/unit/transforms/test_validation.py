import random
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import ibis
import pandas as pd
import pytest

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.formats import Formats
from genome_pipeline.contracts.names import as_name
from genome_pipeline.contracts.rules import RULES, active_rules
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.checks.input import amounts_multiplied
from genome_pipeline.transforms.names import names_changed
from genome_pipeline.transforms.reconciliation import (
    recounted_by_reason,
    recounted_repeats,
    row_and_cent_totals,
    source_totals,
)
from genome_pipeline.transforms.validation import (
    judged_lines,
    rejected_by_reason,
    rejected_lines,
    rejections,
    repeated_hashes,
    samples_by_reason,
    valid_lines,
)
from genome_pipeline_tests.support.logs import engine, raw, reasons, typed

GOOD = {
    "customer_id": "7",
    "order_id": "A1",
    "ordered_at": "2020-02-03 10:00:00",
    "quantity": "2",
    "unit_price": "1.25",
}


def test_a_good_row_has_no_reason() -> None:
    assert reasons([GOOD]) == [[]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"customer_id": None}, "missing_customer"),
        ({"customer_id": "  "}, "missing_customer"),
        ({"ordered_at": None}, "missing_date"),
        ({"ordered_at": "2020-02-31"}, "unreadable_date"),
        ({"ordered_at": "soon"}, "unreadable_date"),
        ({"ordered_at": "2019-12-31"}, "outside_calendar"),
        ({"ordered_at": "2030-01-01"}, "future_date"),
        ({"quantity": "two"}, "unreadable_number"),
        ({"unit_price": "1,25"}, "unreadable_number"),
        ({"quantity": "1e12"}, "absurd_number"),
        ({"unit_price": None}, "missing_amount"),
        ({"unit_price": "-1"}, "negative_price"),
        ({"unit_price": "0"}, "zero_amount"),
        ({"quantity": "0"}, "zero_quantity"),
    ],
)
def test_each_rule_names_what_is_wrong(change: dict[str, Any], reason: str) -> None:
    assert reason in reasons([{**GOOD, **change}])[0]


def test_an_amount_is_read_with_or_without_a_quantity() -> None:
    row = {"customer_id": "7", "ordered_at": "2020-02-03", "amount": "much"}
    assert reasons([row]) == [["unreadable_number"]]
    assert reasons([{**row, "quantity": None}, {**row, "quantity": "1"}]) == [["unreadable_number"]] * 2


def test_a_row_has_all_its_reasons() -> None:
    assert reasons([{**GOOD, "customer_id": None, "unit_price": "0"}]) == [["missing_customer", "zero_amount"]]


def test_a_repeated_row_is_a_duplicate_of_the_first() -> None:
    assert reasons([GOOD, GOOD, {**GOOD, "quantity": "3"}]) == [[], ["exact_duplicate"], []]


def test_without_order_ids_equal_rows_may_both_be_real() -> None:
    row = {"customer_id": "7", "ordered_at": "2020-02-03", "amount": "5"}
    assert reasons([row, row]) == [[], []]


def test_a_non_product_code_is_set_aside() -> None:
    rows = [{**GOOD, "product_id": "POST"}, {**GOOD, "product_id": "22423"}]
    assert reasons(rows, non_product_codes=["POST"]) == [["non_product_code"], []]


def test_a_row_that_was_in_the_future_for_an_earlier_file_counts_in_a_later_one() -> None:
    database = engine()
    rows = raw(database, [GOOD])
    database.con.execute("UPDATE raw_transactions SET ingested_at = TIMESTAMP '2020-02-01'")
    database.con.execute(
        "INSERT INTO raw_transactions SELECT * REPLACE ('next.csv' AS source_file,"
        " TIMESTAMP '2020-03-01' AS ingested_at) FROM raw_transactions"
    )
    judged = judged_lines(typed(rows, list(GOOD)), active_rules(list(GOOD), ())).order_by("source_file")
    assert judged.to_pyarrow().to_pydict()["reasons"] == [["future_date"], None]


def test_non_product_codes_are_patterns_of_the_whole_code_in_any_case() -> None:
    codes = ["GIFT_0001_20", "gift_x", "AGIFT_1", "B", "b", "BX", "a.b", "axb", "D?"]
    rows = [{**GOOD, "order_id": str(i), "product_id": code} for i, code in enumerate(codes)]
    found = reasons(rows, non_product_codes=["gift_*", "b", "a.b"])
    assert [code for code, reason in zip(codes, found, strict=True) if reason] == [
        "GIFT_0001_20",
        "gift_x",
        "B",
        "b",
        "a.b",
    ]


def test_amounts_in_another_currency_are_set_aside_where_one_is_chosen() -> None:
    rows = [{**GOOD, "order_id": str(i), "currency": code} for i, code in enumerate(["EUR", " eur", "USD", None])]
    assert reasons(rows, formats=Formats(currency="EUR")) == [[], [], ["other_currency"], ["other_currency"]]
    assert reasons(rows) == [[], [], [], []]


def test_reasons_counted_from_the_lines_are_those_of_the_judged_rows() -> None:
    database = engine()
    nobody: dict[str, Any] = {**GOOD, "customer_id": None}
    rows: list[dict[str, Any]] = [GOOD, GOOD, GOOD, nobody, nobody, {**GOOD, "ordered_at": "x"}]
    lines = typed(raw(database, rows), list(GOOD))
    rules = active_rules(list(GOOD), ())
    recounted = [
        row
        for found in (recounted_repeats(lines, repeated_hashes(lines)), recounted_by_reason(lines, rules))
        for row in found.order_by("reason", "period_start_date").to_pyarrow().to_pylist()
    ]
    period = date(2020, 2, 1)
    assert recounted == [
        {"period_start_date": period, "row_count": 3, "cents": 750, "reason": "exact_duplicate"},
        {"period_start_date": period, "row_count": 2, "cents": 500, "reason": "missing_customer"},
        {"period_start_date": None, "row_count": 1, "cents": 250, "reason": "unreadable_date"},
    ]
    rejected = rejected_by_reason(
        rejected_lines(rejections(judged_lines(lines, rules)), database.table("raw_transactions"))
    )
    assert [
        (row["reason"], row["row_count"], row["amount_sum"] * 100)
        for row in rejected.order_by("reason").to_pyarrow().to_pylist()
    ] == [(row["reason"], row["row_count"], row["cents"]) for row in recounted]


def test_samples_are_the_first_rows_of_each_reason_as_they_came() -> None:
    database = engine()
    nobody: dict[str, Any] = {**GOOD, "customer_id": " "}
    rows = [*[{**nobody, "order_id": str(number)} for number in range(7)], {**nobody, "ordered_at": "x"}]
    judged = judged_lines(typed(raw(database, rows), list(GOOD)), active_rules(list(GOOD), ()))
    samples = samples_by_reason(rejected_lines(rejections(judged), database.table("raw_transactions"))).order_by(
        "reason", "source_row"
    )
    found = samples.to_pyarrow().to_pylist()
    assert [(row["reason"], row["source_row"]) for row in found] == [
        *[("missing_customer", number) for number in range(1, 6)],
        ("unreadable_date", 8),
    ]
    assert (found[0]["raw_customer_id"], found[-1]["raw_ordered_at"]) == (" ", "x")


def test_a_disabled_rule_does_not_fire() -> None:
    assert reasons([{**GOOD, "unit_price": "0"}], disabled=["zero_amount"]) == [[]]


def test_the_end_of_the_calendar_is_exclusive() -> None:
    calendar = Calendar(Period.MONTH, date(2020, 1, 1), date(2020, 3, 1))
    rows = [{**GOOD, "ordered_at": "2020-02-29 23:59:59"}, {**GOOD, "ordered_at": "2020-03-01 00:00:00"}]
    assert reasons(rows, calendar=calendar) == [[], ["outside_calendar"]]


def test_a_date_format_is_taken_at_its_word() -> None:
    assert reasons([{**GOOD, "ordered_at": "03/02/2020"}], formats=Formats(date_formats=("%d/%m/%Y",))) == [[]]


def test_valid_lines_are_typed() -> None:
    database = engine()
    row = {**GOOD, "order_id": None, "quantity": "-3", "unit_price": "0.335", "product_id": " 22423 "}
    lines = typed(raw(database, [row]), list(row))
    rejected = rejections(judged_lines(lines, active_rules(list(row), [])))
    (line,) = valid_lines(lines, rejected).to_pyarrow().to_pylist()
    assert line["period_start_date"] == date(2020, 2, 1)
    assert line["ordered_at"] == datetime(2020, 2, 3, 10)
    assert line["order_id"] == "2020-02-03"
    assert line["product_id"] == "22423"
    assert line["amount"] == Decimal("-1.01")
    assert line["is_return"] is True
    assert tuple(line) == TABLES["validated_transactions"].columns


@pytest.mark.parametrize(
    ("written", "customer_id"),
    [
        ("C-1", "C-1"),
        ("Nora", "Nora"),
        ("N/A", None),
        ("None", None),
        ("None of us", "None of us"),
        ("#N/A", None),
        ("12345 ", "12345"),
        ("  12345", "12345"),
        ("12345\n", "12345"),
        ("12345\u00a0", "12345"),
        ("Anne Marie", "Anne Marie"),
        ("Zoë Müller", "Zoë Müller"),
        (" NaN\u00a0", None),
        ("x", "x"),
        ("50", "50"),
        ("17850\0", "17850"),
        ("\0", None),
        ("\ufeff17850", "17850"),
        ("\u200b17850\u200b", "17850"),
        ("178\u200b50", "17850"),
        ("\u300017850\u202f", "17850"),
        ("\u200bNULL", None),
        ("Anne\u202fMarie", "Anne Marie"),
        ("Anne\tMarie\x85", "Anne Marie"),
        ("Jose\u0301", "Jos\u00e9"),
        ("Jose\u0301\0b", "Jos\u00e9b"),
        ("17850.0", "17850"),
        ("0.0", "0"),
        ("007.0", "007.0"),
        ("17850.00", "17850.00"),
        ("17850.5", "17850.5"),
        ("A.0", "A.0"),
        ("\u200d17850\u200c", "17850"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647"),
        ("😀", "😀"),
    ],
)
def test_ids_are_what_is_seen_of_them(written: str, customer_id: str | None) -> None:
    lines = typed(raw(engine(), [{**GOOD, "customer_id": written}]), list(GOOD))
    assert lines.customer_id.to_pyarrow().to_pylist() == [customer_id]
    assert as_name(written) == customer_id or customer_id is None


def test_what_is_taken_for_another_name_is_told_with_its_first_place() -> None:
    written = ["7", " 7 ", "NULL", "17850.0", None, "7\u200b"]
    rows = raw(engine(), [{**GOOD, "customer_id": name} for name in written])
    (found,) = names_changed(rows, "customer_id").to_pyarrow().to_pylist()
    assert found == {"source_file": "log.csv", "row_count": 2, "first_row": 4}
    assert names_changed(rows, "order_id").to_pyarrow().to_pylist() == []


@pytest.mark.parametrize(
    ("quantity", "unit_price", "amount"),
    [
        ("1", "0.125", "0.13"),
        ("-1", "0.125", "-0.13"),
        ("3", "1.115", "3.35"),
        ("0.5", "0.01", "0.01"),
        ("9999.999", "99999.9999", "999999899.00"),
        ("100000", "0.125", "12500.00"),
        ("1", "123456789.125", "123456789.13"),
        ("123456789", "0.005", "617283.95"),
        ("10000", "0.12345", "1234.50"),
        ("100", "1.2345", "123.45"),
        ("1000000", "0.00004", "40.00"),
        ("0.0004", "1000000", "400.00"),
        ("1000000", "1.5e-7", "0.15"),
        ("1", "0.00499999999", "0.00"),
        ("10", "0.00049999999", "0.00"),
        ("10", "4999999e-10", "0.00"),
        ("0.000000001", "999999999.9", "1.00"),
        ("3", "0.33333333333333331", "1.00"),
        ("-0.0004", "1000000", "-400.00"),
    ],
)
def test_amounts_are_rounded_half_away_from_zero_whatever_their_size(
    quantity: str, unit_price: str, amount: str
) -> None:
    lines = typed(raw(engine(), [{**GOOD, "quantity": quantity, "unit_price": unit_price}]), list(GOOD))
    assert lines.amount.to_pyarrow().to_pylist() == [Decimal(amount)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"quantity": "0.0004", "unit_price": "1000000"}, []),
        ({"quantity": "1000000", "unit_price": "0.00004"}, []),
        ({"quantity": "1000000", "unit_price": "-0.00004"}, ["negative_price"]),
        ({"quantity": "0.000", "unit_price": "5"}, ["zero_quantity"]),
        ({"quantity": "0.0004", "unit_price": "0"}, ["zero_amount"]),
        ({"quantity": "1", "unit_price": "1000000000"}, ["absurd_number"]),
        ({"quantity": "100000", "unit_price": "100000"}, ["absurd_number"]),
        ({"quantity": "0.001", "unit_price": "2000000000"}, ["absurd_number"]),
        ({"quantity": "1", "unit_price": "999999999.99"}, []),
    ],
)
def test_rules_judge_what_is_written_not_what_is_left_of_it(row: dict[str, Any], reason: list[str]) -> None:
    assert reasons([{**GOOD, **row}]) == [reason]


@pytest.mark.parametrize("type_", ["DOUBLE", "DECIMAL(18,7)", "FLOAT"])
def test_typed_numbers_are_multiplied_as_they_read(type_: str) -> None:
    database = engine()
    pairs = [("10000", "0.12345"), ("100", "1.2345"), ("0.0004", "1000000"), ("3", "1.115"), ("1", "1.005")]
    raw(database, [{**GOOD, "quantity": quantity, "unit_price": price} for quantity, price in pairs])
    for name in ("raw_quantity", "raw_unit_price"):
        database.con.execute(f"ALTER TABLE raw_transactions ALTER {name} TYPE {type_}")
    lines = typed(database.table("raw_transactions"), list(GOOD)).order_by("source_row")
    expected = [Decimal("1234.50"), Decimal("123.45"), Decimal("400.00"), Decimal("3.35"), Decimal("1.01")]
    assert lines.amount.to_pyarrow().to_pylist() == expected
    (totals,) = source_totals(lines, mapped=list(GOOD), formats=Formats()).to_pyarrow().to_pylist()
    assert totals["miscounted_row_count"] == 0


@pytest.mark.parametrize("amount", ["0.00499999999", "1.004999999", "4.99999e-3"])
def test_an_amount_is_rounded_once(amount: str) -> None:
    lines = typed(raw(engine(), [{**GOOD, "amount": amount}]), [*GOOD, "amount"])
    (total,) = lines.amount.to_pyarrow().to_pylist()
    assert total == round(Decimal(amount), 2)


def test_an_amount_that_is_not_what_is_written_is_counted() -> None:
    row = {**GOOD, "quantity": "10000", "unit_price": "0.12345"}
    lines = typed(raw(engine(), [row, {**row, "unit_price": "x"}]), list(row))
    for tampered, count in (("1234.50", 0), ("1235.00", 1), ("1234.51", 1)):
        wrong = lines.mutate(amount=ibis.ifelse(lines.amount.isnull(), None, ibis.literal(Decimal(tampered))))
        (totals,) = source_totals(wrong, mapped=list(row), formats=Formats()).to_pyarrow().to_pylist()
        assert totals["miscounted_row_count"] == count
        assert amounts_multiplied(pd.DataFrame([totals])).is_passed == (not count)


def test_amounts_are_the_exact_product_rounded_once() -> None:
    generator = random.Random(4)

    def decimal(digits: int, places: int) -> Decimal:
        return Decimal(generator.randrange(10**digits)).scaleb(-generator.randint(0, places))

    factors = [(decimal(generator.randint(1, 9), 9), decimal(generator.randint(1, 9), 11)) for _ in range(400)]
    factors = [(quantity, price) for quantity, price in factors if 0 < quantity * price < 10**9]
    rows = [{**GOOD, "quantity": f"{quantity:f}", "unit_price": f"{price}"} for quantity, price in factors]
    lines = typed(raw(engine(), rows), list(GOOD)).order_by("source_row")
    with localcontext(prec=60):
        expected = [(quantity * price).quantize(Decimal("0.01"), ROUND_HALF_UP) for quantity, price in factors]
    assert lines.amount.to_pyarrow().to_pylist() == expected
    found = source_totals(lines, mapped=list(GOOD), formats=Formats()).to_pyarrow().to_pylist()
    assert [row["miscounted_row_count"] for row in found] == [0]


def test_a_mapped_amount_prevails_and_is_negative_in_a_return() -> None:
    database = engine()
    row = {**GOOD, "quantity": "-1", "amount": "9.99"}
    lines = typed(raw(database, [row]), list(row))
    rejected = rejections(judged_lines(lines, active_rules(list(row), [])))
    (line,) = valid_lines(lines, rejected).to_pyarrow().to_pylist()
    assert line["amount"] == Decimal("-9.99")


def test_rejected_rows_stay_as_they_came_with_reasons_and_amounts() -> None:
    database = engine()
    rows = [{**GOOD, "customer_id": ""}, {**GOOD, "ordered_at": "?", "unit_price": "x"}]
    source = raw(database, rows)
    judged = judged_lines(typed(source, list(GOOD)), active_rules(list(GOOD), []))
    first, second = rejected_lines(rejections(judged), source).order_by("source_row").to_pyarrow().to_pylist()
    assert (first["reasons"], first["line_amount"]) == (["missing_customer"], Decimal("2.50"))
    assert (second["reasons"], second["raw_unit_price"]) == (["unreadable_date", "unreadable_number"], "x")
    assert second["period_start_date"] is None
    by_reason = (
        rejected_by_reason(rejected_lines(rejections(judged), source)).order_by("reason").to_pyarrow().to_pylist()
    )
    assert [(row["reason"], row["row_count"], row["amount_sum"]) for row in by_reason] == [
        ("missing_customer", 1, Decimal("2.50")),
        ("unreadable_date", 1, None),
        ("unreadable_number", 1, None),
    ]


def test_amounts_too_large_to_be_trade_are_set_aside_without_stopping_the_sums() -> None:
    database = engine()
    row: dict[str, Any] = {"customer_id": None, "ordered_at": "2020-02-03", "amount": "999999999999999.99"}
    source = raw(database, [row, *[{**row, "customer_id": "7"}] * 200])
    lines, rules = typed(source, list(row)), active_rules(list(row), [])
    rejected = rejected_lines(rejections(judged_lines(lines, rules)), source)
    found = rejected_by_reason(rejected).order_by("reason").to_pyarrow().to_pylist()
    assert [(each["reason"], each["row_count"]) for each in found] == [("absurd_number", 201), ("missing_customer", 1)]
    recounted = recounted_by_reason(lines, rules).order_by("reason").to_pyarrow().to_pylist()
    assert [(each["reason"], each["row_count"]) for each in recounted] == [(e["reason"], e["row_count"]) for e in found]
    (totals,) = row_and_cent_totals(lines, "amount").to_pyarrow().to_pylist()
    assert (totals["row_count"], totals["cents"]) == (201, 0)


def test_totals_are_in_rows_and_integer_cents() -> None:
    database = engine()
    lines = typed(raw(database, [GOOD, {**GOOD, "unit_price": "x"}]), list(GOOD))
    assert row_and_cent_totals(lines, "amount").to_pyarrow().to_pylist() == [
        {"period_start_date": date(2020, 2, 1), "source_file": "log.csv", "row_count": 2, "cents": 250}
    ]


def test_every_rule_says_what_it_means() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.description.endswith(".") for rule in RULES)
