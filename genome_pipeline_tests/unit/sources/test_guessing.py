from collections import Counter
from decimal import Decimal

import pytest

from genome_pipeline.contracts.formats import Formats
from genome_pipeline.settings import SourceColumns
from genome_pipeline.sources.guessing import (
    KNOWN_NAMES,
    guess_columns,
    guess_currency,
    guess_date_formats,
    guess_number_format,
    is_order_total,
    looks_like_data,
    read_number,
)
from genome_pipeline.sources.source import Sample

OURS = list(SourceColumns.model_fields)


def sample(columns: dict[str, str], rows: int = 60) -> Sample:
    """Text columns of ``rows`` rows, by name; "{}" in a value is the row's number, modulo 50."""
    values = tuple(tuple(text.replace("{}", str(number % 50)) for number in range(rows)) for text in columns.values())
    return Sample(tuple(columns), ("VARCHAR",) * len(columns), values, "")


def guessed(columns: dict[str, str], rows: int = 60) -> tuple[dict[str, str], list[str]]:
    """What is guessed, ours -> "theirs, how", and the doubts."""
    doubts: list[str] = []
    found = guess_columns(sample(columns, rows), {}, OURS, doubts)
    return {ours: f"{guess.theirs}, {guess.sureness}" for ours, guess in found.items()}, doubts


# Column, value, and which of ours it is.
LAYOUTS: dict[str, list[tuple[str, str, str | None]]] = {
    "gift wholesaler": [
        ("InvoiceNo", "5{}", "order_id"),
        ("StockCode", "A{}", "product_id"),
        ("Description", "Mug", None),
        ("Quantity", "3", "quantity"),
        ("InvoiceDate", "12/1/2010 8:26", "ordered_at"),
        ("UnitPrice", "2.55", "unit_price"),
        ("CustomerID", "17{}", "customer_id"),
        ("Country", "France", "country"),
    ],
    "gift wholesaler, second edition": [
        ("Invoice", "5{}", "order_id"),
        ("StockCode", "A{}", "product_id"),
        ("Quantity", "3", "quantity"),
        ("InvoiceDate", "2010-12-01 08:26:00", "ordered_at"),
        ("Price", "2.55", "unit_price"),
        ("Customer ID", "17{}", "customer_id"),
    ],
    "grocery panel": [
        ("household_id", "9{}", "customer_id"),
        ("store_id", "330", None),
        ("basket_id", "31{}", "order_id"),
        ("product_id", "10{}", "product_id"),
        ("quantity", "1", "quantity"),
        ("sales_value", "0.99", "amount"),
        ("retail_disc", "0.10", None),
        ("week", "1", None),
        ("transaction_timestamp", "2017-01-01 11:53:26", "ordered_at"),
        ("department", "PASTRY", "category"),
    ],
    "music shop": [
        ("customer_id", "0{}", "customer_id"),
        ("order_date", "1997-01-01", "ordered_at"),
        ("cds", "1", None),
        ("amount", "11.77", "amount"),
    ],
    "web shop": [
        ("Name", "#10{}", None),
        ("Email", "a{}@shop.example", "customer_id"),
        ("Created at", "2024-01-31 10:00:00 -0500", "ordered_at"),
        ("Lineitem sku", "S{}", "product_id"),
        ("Lineitem quantity", "1", "quantity"),
        ("Lineitem price", "9.99", "unit_price"),
        ("Shipping", "4.00", None),
        ("Shipping Country", "US", "country"),
        ("Currency", "USD", "currency"),
    ],
    "market place": [
        ("order_id", "o{}", "order_id"),
        ("customer_unique_id", "c{}", "customer_id"),
        ("order_purchase_timestamp", "2017-10-02 10:56:33", "ordered_at"),
        ("order_delivered_customer_date", "2017-10-10 21:25:13", None),
        ("product_id", "p{}", "product_id"),
        ("product_category_name", "toys", "category"),
        ("price", "29.99", "unit_price"),
        ("freight_value", "8.72", None),
    ],
    "superstore": [
        ("Order ID", "CA{}", "order_id"),
        ("Order Date", "11/8/2016", "ordered_at"),
        ("Ship Date", "11/11/2016", None),
        ("Customer ID", "CG{}", "customer_id"),
        ("Customer Name", "Claire", None),
        ("Product ID", "FUR{}", "product_id"),
        ("Category", "Furniture", "category"),
        ("Sales", "261.96", "amount"),
        ("Quantity", "2", "quantity"),
        ("Discount", "0", None),
        ("Profit", "41.91", None),
    ],
    "German till": [
        ("Kundennummer", "4{}", "customer_id"),
        ("Belegnummer", "9{}", "order_id"),
        ("Belegdatum", "31.12.2023", "ordered_at"),
        ("Artikelnummer", "A{}", "product_id"),
        ("Warengruppe", "Obst", "category"),
        ("Menge", "2", "quantity"),
        ("Einzelpreis", "1.234,99 €", "unit_price"),
        ("Währung", "EUR", "currency"),
    ],
    "accounting": [
        ("Cust. No.", "4{}", "customer_id"),
        ("Invoice #", "9{}", "order_id"),
        ("Invoice Date", "20231231", "ordered_at"),
        ("Item Code", "A{}", "product_id"),
        ("Qty", "2", "quantity"),
        ("Net Amount", "(1,234.50)", "amount"),
        ("Tax Amount", "12.50", None),
    ],
    "payments": [
        ("member", "m{}", "customer_id"),
        ("transaction_id", "t{}", "order_id"),
        ("timestamp", "2024-01-31T10:00:00Z", "ordered_at"),
        ("total", "£12.50", "amount"),
    ],
    "app": [
        ("user_id", "u{}", "customer_id"),
        ("order_number", "o{}", "order_id"),
        ("created_at", "2024-01-31", "ordered_at"),
        ("sku", "s{}", "product_id"),
        ("units", "2", "quantity"),
        ("line_total", "5.00", "amount"),
        ("total_discount", "1", None),
    ],
    "French till": [
        ("Code client", "4{}", "customer_id"),
        ("Date commande", "31/12/2023", "ordered_at"),
        ("Quantité", "2", "quantity"),
        ("Prix unitaire", "1 234,50", "unit_price"),
        ("Montant", "2 469,00", "amount"),
        ("Pays", "France", "country"),
    ],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_well_known_layouts_by_name(name: str) -> None:
    found, _ = guessed({theirs: value for theirs, value, _ in LAYOUTS[name]})
    assert found == {ours: f"{theirs}, known name" for theirs, _, ours in LAYOUTS[name] if ours}


def test_similar_names_are_guesses_of_less_weight() -> None:
    found, _ = guessed({"shop_customer_id": "7{}", "order_date_utc": "2024-01-31", "custom": "x", "list_price": "5"})
    assert found == {
        "customer_id": "shop_customer_id, similar name",
        "ordered_at": "order_date_utc, similar name",
    }


def test_values_decide_where_no_name_does() -> None:
    found, doubts = guessed({"A": "7{}", "B": "31/01/2024", "C": "5.50", "D": "yes"})
    assert found == {"customer_id": "A, values only", "ordered_at": "B, values only"}
    assert doubts == []


def test_values_that_could_be_several_columns_are_no_guess() -> None:
    found, doubts = guessed({"A": "7{}", "B": "8{}", "C": "31/01/2024"})
    assert found == {"ordered_at": "C, values only"}
    assert doubts == ["customer_id could be 'A' or 'B', none of which is named like it"]


def test_a_name_is_not_believed_against_the_values() -> None:
    found, doubts = guessed({"customer": "7{}", "date": "yes", "when": "2024-01-31", "amount": "much"})
    assert found == {"customer_id": "customer, known name", "ordered_at": "when, values only"}
    assert doubts == [
        "column 'date' is named like ordered_at, but its values do not look like it",
        "column 'amount' is named like amount, but its values do not look like it",
    ]


def test_other_candidates_are_named() -> None:
    _, doubts = guessed(
        {"customer_id": "7{}", "email": "{}@b.example", "order_date": "2024-01-31", "created_at": "2024-01-31"}
    )
    assert doubts == [
        "customer_id is taken from 'customer_id'; it could also be 'email'",
        "ordered_at is taken from 'order_date'; it could also be 'created_at'",
    ]


def test_a_customer_comes_back() -> None:
    once = {"customer_id": "7{}", "customer_unique_id": "yes{}", "date": "2024-01-31"}
    assert (
        guessed(once, rows=50)[1][-1]
        == "no value of 'customer_id' comes twice in the sample, as those of a customer should"
    )
    table = sample({"customer_id": "-", "customer_unique_id": "c{}"}, rows=60)
    each_once = tuple(map(str, range(60)))
    doubts: list[str] = []
    found = guess_columns(Sample(table.names, table.types, (each_once, table.values[1]), ""), {}, OURS, doubts)
    assert found["customer_id"].theirs == "customer_unique_id"


def test_columns_that_are_mapped_are_left_alone() -> None:
    table = sample({"customer_id": "7{}", "account": "8{}", "date": "2024-01-31"})
    found = guess_columns(table, {"customer_id": "account"}, OURS, [])
    assert list(found) == ["ordered_at"]


def test_no_name_means_two_things() -> None:
    counts = Counter(name for names in KNOWN_NAMES.values() for name in names)
    assert [name for name, count in counts.items() if count > 1] == []
    assert list(KNOWN_NAMES.keys() - set(OURS)) == []


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["2024-01-31", "2024-02-01 10:00:00", "2024-02-01T10:00:00Z"], ()),
        (["31/01/2024", "01/02/2024"], ("%d/%m/%Y",)),
        (["01/31/2024 9:05", "02/01/2024 10:00"], ("%m/%d/%Y %H:%M",)),
        (["31.01.24"], ("%d.%m.%y",)),
        (["1/31/2024 9:05:01 PM"], ("%m/%d/%Y %I:%M:%S %p",)),
        (["03-Feb-2024"], ("%d-%b-%Y",)),
        (["20240131"], ("%Y%m%d",)),
        (["2024-01-31 10:00:00 -0500"], ("%Y-%m-%d %H:%M:%S %z",)),
        (["31/01/2024", "2024-02-01", "2024-02-02", "30/01/2024"], ("%Y-%m-%d", "%d/%m/%Y")),
        (["03/03/2024"], ("%d/%m/%Y",)),
        ([*["31/01/2024"] * 99, "rubbish"], ("%d/%m/%Y",)),
        ([], ()),
    ],
)
def test_date_formats(values: list[str], formats: tuple[str, ...]) -> None:
    doubts: list[str] = []
    assert guess_date_formats("day", values, doubts) == formats
    assert doubts == []


@pytest.mark.parametrize(
    ("values", "doubt"),
    [
        (["01/02/2024", "03/04/2024"], "day or month first? '01/02/2024' can be read by '%d/%m/%Y' or '%m/%d/%Y'"),
        (["31/01/2024", "01/31/2024"], "some dates are written day first, others month first"),
        (["soon", "later"], "no date format reads 'soon'"),
    ],
)
def test_dates_in_doubt_are_not_decided(values: list[str], doubt: str) -> None:
    doubts: list[str] = []
    assert guess_date_formats("day", values, doubts) == ()
    assert doubts[0].startswith(f"day: {doubt}")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2.55", "12", "1e3"], (".", None)),
        (["12", "5"], (".", None)),
        (["1,234.50", "12"], (".", ",")),
        (["12,50", "8"], (",", None)),
        (["1.234,50 €", "12"], (",", ".")),
        (["1\u202f234,50", "12"], (",", " ")),
        (["1'234.50"], (".", "'")),
        (["1.000", "2,55"], (",", ".")),
        (["0.125"], (".", None)),
        ([], (".", None)),
    ],
)
def test_number_formats(values: list[str], expected: tuple[str, str | None]) -> None:
    doubts: list[str] = []
    assert guess_number_format(values, doubts) == expected
    assert doubts == []


def test_numbers_in_doubt_name_both_readings() -> None:
    doubts: list[str] = []
    assert guess_number_format(["1,234", "12"], doubts) == (".", ",")
    assert doubts == [
        'numbers such as \'1,234\' can be 1234 or 1.234: decimal = "." and thousands = "," is assumed; for the other,'
        ' set decimal = ","'
    ]


@pytest.mark.parametrize(
    ("numbers", "named", "currency", "doubt"),
    [
        (["£5", "£6.50"], [], "GBP", ""),
        (["EUR 12"], [], "EUR", ""),
        (["5"], ["usd", "usd"], "USD", ""),
        (["5"], [], "", ""),
        (["5 kg"], [], "", ""),
        (["$5"], [], "USD", "'$' is taken for USD; it also marks AUD"),
        (["£5", "£6", "€5"], [], "GBP", "amounts are in several currencies, '£' or '€'"),
        (["5"], ["EUR", "EUR", "USD"], "EUR", "amounts are in several currencies, 'EUR' or 'USD'"),
    ],
)
def test_currencies(numbers: list[str], named: list[str], currency: str, doubt: str) -> None:
    doubts: list[str] = []
    assert guess_currency(numbers, named, doubts) == currency
    assert "".join(doubts).startswith(doubt)
    assert bool(doubts) == bool(doubt)


def test_an_order_total_stands_on_every_line_of_the_order() -> None:
    orders = [str(number // 2) for number in range(20)]
    totals = [str(number // 2 + 0.5) for number in range(20)]
    assert is_order_total(orders, totals)
    assert not is_order_total(orders, [str(number) for number in range(20)])
    assert not is_order_total([str(number) for number in range(20)], totals)


def test_a_file_without_column_names_is_told() -> None:
    assert looks_like_data(("00001", "19970101", "11.77"))
    assert looks_like_data(("ab", "2024-01-31"))
    assert not looks_like_data(("customer", "Q1 2024", "amount"))


@pytest.mark.parametrize(
    ("text", "formats", "number"),
    [
        ("1.234,50 €", Formats(decimal=",", thousands=".", currency="EUR"), "1234.50"),
        ("(12.50)", Formats(), "-12.50"),
        ("1,234", Formats(), None),
    ],
)
def test_numbers_are_read_here_as_in_a_run(text: str, formats: Formats, number: str | None) -> None:
    assert read_number(text, formats) == (None if number is None else Decimal(number))
