from datetime import datetime
from decimal import Decimal
from typing import Any

import ibis
import pytest

from genome_pipeline.contracts.formats import Formats
from genome_pipeline.transforms.formats import moment, number
from genome_pipeline_tests.support.logs import engine, reasons

PLAIN = Formats()
ENGLISH = Formats(thousands=",")
GERMAN = Formats(decimal=",", thousands=".")
FRENCH = Formats(decimal=",", thousands=" ")
SWISS = Formats(thousands="'")
BERLIN = Formats(time_zone="Europe/Berlin")


def value(expression: Any) -> Any:
    return engine().to_pyarrow(expression).as_py()


def read(text: str, formats: Formats) -> Decimal | None:
    found = value(number(ibis.literal(text), ibis.dtype("decimal(18, 4)"), formats))
    assert found is None or isinstance(found, Decimal)
    return found


@pytest.mark.parametrize(
    ("text", "formats", "expected"),
    [
        ("1234.5", PLAIN, "1234.5"),
        (" .5 ", PLAIN, "0.5"),
        ("5.", PLAIN, "5"),
        ("+5", PLAIN, "5"),
        ("1.5E+03", PLAIN, "1500"),
        ("0.1234", PLAIN, "0.1234"),
        ("1,234.50", ENGLISH, "1234.50"),
        ("12,34,567.8", ENGLISH, "1234567.8"),
        ("1234567", ENGLISH, "1234567"),
        ("1.234,50", GERMAN, "1234.50"),
        ("1.234", GERMAN, "1234"),
        ("12,5", Formats(decimal=","), "12.5"),
        ("1 234,50", FRENCH, "1234.50"),
        ("1\u00a0234,50", FRENCH, "1234.50"),
        ("1\u202f234,50", FRENCH, "1234.50"),
        ("1'234.50", SWISS, "1234.50"),
        ("1\u2019234.50", SWISS, "1234.50"),
        ("1_000", Formats(thousands="_"), "1000"),
        ("-12.50", PLAIN, "-12.50"),
        ("\u221212.50", PLAIN, "-12.50"),
        ("12.50-", PLAIN, "-12.50"),
        ("(12.50)", PLAIN, "-12.50"),
        ("£1,234.50", Formats(thousands=",", currency="GBP"), "1234.50"),
        ("-£5", Formats(currency="GBP"), "-5"),
        ("£-5", Formats(currency="GBP"), "-5"),
        ("(£5.00)", Formats(currency="GBP"), "-5"),
        ("1.234,50 €", Formats(decimal=",", thousands=".", currency="EUR"), "1234.50"),
        ("1.234,50\u00a0€", Formats(decimal=",", thousands=".", currency="EUR"), "1234.50"),
        ("EUR 12", Formats(currency="EUR"), "12"),
        ("Rs. 99.50", Formats(currency="INR"), "99.50"),
    ],
)
def test_numbers_as_they_are_written(text: str, formats: Formats, expected: str) -> None:
    assert read(text, formats) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("1,234", PLAIN),
        ("1_000", PLAIN),
        ("1 000", PLAIN),
        ("1,23", ENGLISH),
        ("12345,678", ENGLISH),
        ("1234.50", GERMAN),
        ("1.234.50", GERMAN),
        ("1.2.3", PLAIN),
        ("(12.50", PLAIN),
        ("--5", PLAIN),
        ("(-5)", PLAIN),
        ("5e", PLAIN),
        (".", PLAIN),
        ("-", PLAIN),
        ("£", Formats(currency="GBP")),
        ("1£50", Formats(currency="GBP")),
        ("£5", PLAIN),
        ("€5", Formats(currency="GBP")),
        ("5 kg", PLAIN),
        ("nan", PLAIN),
        ("", PLAIN),
    ],
)
def test_what_is_not_written_so_is_no_number(text: str, formats: Formats) -> None:
    assert read(text, formats) is None


def test_an_unreadable_price_sets_its_row_aside() -> None:
    row = {"customer_id": "7", "ordered_at": "2020-02-03", "unit_price": "1,234"}
    assert reasons([row]) == [["unreadable_number"]]
    assert reasons([row], formats=ENGLISH) == [[]]


def test_typed_numbers_need_no_format() -> None:
    assert value(number(ibis.literal(1234.5), ibis.dtype("decimal(18, 4)"), GERMAN)) == Decimal("1234.5")


@pytest.mark.parametrize(
    ("text", "formats", "expected"),
    [
        ("2020-07-01 10:00:00", PLAIN, datetime(2020, 7, 1, 10)),
        ("2020-07-01", PLAIN, datetime(2020, 7, 1)),
        ("2020-07-01T10:00:00Z", PLAIN, datetime(2020, 7, 1, 10)),
        ("2020-07-01 10:00:00+02", PLAIN, datetime(2020, 7, 1, 8)),
        ("2020-07-01 10:00:00", BERLIN, datetime(2020, 7, 1, 10)),
        ("2020-07-01", BERLIN, datetime(2020, 7, 1)),
        ("2020-07-01T10:00:00Z", BERLIN, datetime(2020, 7, 1, 12)),
        ("2020-01-01T10:00:00.250Z", BERLIN, datetime(2020, 1, 1, 11, 0, 0, 250_000)),
        ("2020-07-01 10:00:00-05:00", BERLIN, datetime(2020, 7, 1, 17)),
        # The clock goes forward at 01:00 UTC, and back at 01:00 UTC: 02:30 comes twice.
        ("2020-03-29T00:59:00Z", BERLIN, datetime(2020, 3, 29, 1, 59)),
        ("2020-03-29T01:00:00Z", BERLIN, datetime(2020, 3, 29, 3, 0)),
        ("2020-10-25T00:30:00Z", BERLIN, datetime(2020, 10, 25, 2, 30)),
        ("2020-10-25T01:30:00Z", BERLIN, datetime(2020, 10, 25, 2, 30)),
        ("2020-03-29 02:30:00", BERLIN, datetime(2020, 3, 29, 2, 30)),
        ("03/02/2020", Formats(("%d/%m/%Y",)), datetime(2020, 2, 3)),
        ("03/02/2020", Formats(("%m/%d/%Y",)), datetime(2020, 3, 2)),
        ("3.2.2020 9:05", Formats(("%d.%m.%Y %H:%M",)), datetime(2020, 2, 3, 9, 5)),
        ("20200203", Formats(("%d/%m/%Y", "%Y%m%d")), datetime(2020, 2, 3)),
        ("2020-07-01 10:00 -0500", Formats(("%Y-%m-%d %H:%M %z",), "America/New_York"), datetime(2020, 7, 1, 11)),
        ("13/13/2020", Formats(("%d/%m/%Y", "%m/%d/%Y")), None),
        ("2020-02-31", PLAIN, None),
        ("01/02/2020", PLAIN, None),
        ("2020-02-03", Formats(("%d/%m/%Y",)), None),
    ],
)
def test_moments_are_wall_time_in_the_zone(text: str, formats: Formats, expected: datetime | None) -> None:
    assert value(moment(ibis.literal(text), formats)) == expected


def test_a_typed_moment_with_a_zone_is_converted_and_one_without_is_not() -> None:
    aware = ibis.literal("2020-07-01 10:00:00+00").cast("timestamp('UTC')")
    assert value(moment(aware, BERLIN)) == datetime(2020, 7, 1, 12)
    assert value(moment(ibis.literal(datetime(2020, 7, 1, 10)), BERLIN)) == datetime(2020, 7, 1, 10)


def test_what_was_read_just_now_is_not_in_the_future_east_of_greenwich() -> None:
    row = {"customer_id": "7", "ordered_at": "2026-01-01 08:30:00", "amount": "1"}
    assert reasons([row]) == [["future_date"]]
    assert reasons([row], formats=Formats(time_zone="Asia/Tokyo")) == [[]]
