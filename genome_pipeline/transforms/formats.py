"""Text as a source writes it -> numbers and moments; null if it is not in the format."""

from __future__ import annotations

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from genome_pipeline.contracts.formats import NEGATIVE_SHAPES, POSITIVE_SHAPES, Formats

_AWARE = dt.Timestamp(timezone="UTC")
# The offset of an ISO moment follows its time of day: the end of a bare date could be taken for one.
# Any form of offset: the engine silently ignores those it does not understand.
_HAS_OFFSET = "(?i)[0-9]:[0-9]{2}(?:[.,][0-9]+)? ?(?:Z|UTC|[-+][0-9:]+)$"
# The offset of a real time zone: the engine would accept larger ones.
_OFFSET_OF_SOME_ZONE = "(?i)(?:Z|UTC|[-+](?:0[0-9]|1[0-5])(?::?[0-5][0-9])?(?::[0-5][0-9])?)$"


@ibis.udf.scalar.builtin(name="try_strptime", signature=(("string", "string"), "timestamp"))  # type: ignore[untyped-decorator]
def _try_strptime(text: str, format_: str) -> None:
    """DuckDB's own parser; null if the text does not match."""


@ibis.udf.scalar.builtin(name="try_strptime", signature=(("string", "string"), _AWARE))  # type: ignore[untyped-decorator]
def _try_strptime_aware(text: str, format_: str) -> None:
    """The same, for a format with an offset."""


@ibis.udf.scalar.builtin(name="timezone", signature=(("string", _AWARE), "timestamp"))  # type: ignore[untyped-decorator]
def _wall_time(zone: str, moment: str) -> None:
    """DuckDB's conversion to the time of a zone, for which Ibis has no expression."""


@ibis.udf.scalar.builtin(name="nfc_normalize", signature=(("string",), "string"))  # type: ignore[untyped-decorator]
def composed(text: str) -> None:
    """The text in Unicode's NFC form: an accent and its letter become one character. It ends at the first NUL."""


@ibis.udf.scalar.builtin(name="trim", signature=(("string",), "string"))  # type: ignore[untyped-decorator]
def _once(text: str) -> None:
    """The text unchanged. Ibis copies its own expressions to each place that reads the column, but not a function."""


def text(column: ir.Value) -> ir.StringValue:
    """Text without surrounding blanks, null if nothing is left; a whole float reads as an integer, NaN as null."""
    if column.type().is_floating():
        integer = column.try_cast("int64")
        whole = (column == integer.cast("float64")).fill_null(False) & (column.abs() < 2**53)
        written = ibis.ifelse(whole, integer.cast("string"), column.cast("string"))
        return ibis.ifelse(column.isnan(), ibis.null("string"), written)
    return column.strip().nullif("") if column.type().is_string() else column.cast("string")


def number(column: ir.Value, type_: dt.DataType, formats: Formats) -> ir.NumericValue:
    """The written number, rounded once to ``type_``; null if there is none, or if it is too large."""
    return written_number(column, formats).try_cast(type_)


def written_number(column: ir.Value, formats: Formats) -> ir.Value:
    """The written number in a form like "-1234.50"; null if there is none. A column of numbers is left unchanged.

    Accountants' negatives, "(12.50)" and "12.50-", are negative. After removing blanks and currency marks and replacing
    the digits by one "0", only a sign may be left: this rule alone tells "1,234" from two numbers.
    """
    if not column.type().is_string():
        return column
    digits = column.re_extract(formats.digits, 0)
    if formats.separators is not None:
        digits = digits.re_replace(formats.separators, "")
    if formats.decimal != ".":
        digits = digits.replace(formats.decimal, ".")
    shape = column.re_replace(formats.digits, "0").re_replace(formats.surroundings, "")
    signed = ibis.cases(
        (shape.isin(POSITIVE_SHAPES), digits),
        (shape.isin(NEGATIVE_SHAPES), ibis.literal("-").concat(digits)),
        else_=ibis.null("string"),
    )
    return _once(signed)


def moment(column: ir.Value, formats: Formats) -> ir.TimestampValue:
    """Wall time in the source's zone; a moment with an offset is converted to it, others already are in it."""
    if column.type().is_temporal():
        return wall_time(column, formats) if _is_aware(column) else column.cast(dt.timestamp)
    written = text(column)
    if formats.date_formats:
        return ibis.coalesce(*(_parsed(written, format_, formats) for format_ in formats.date_formats))
    aware = wall_time(written.try_cast(_AWARE), formats)
    aware = ibis.ifelse(written.re_search(_OFFSET_OF_SOME_ZONE), aware, ibis.null(dt.timestamp))
    return ibis.ifelse(written.re_search(_HAS_OFFSET), aware, written.try_cast(dt.timestamp))


def wall_time(aware: ir.TimestampValue, formats: Formats) -> ir.TimestampValue:
    """The time shown by a clock in the source's zone at a moment with a known offset."""
    return _wall_time(formats.time_zone, aware)


def _parsed(written: ir.StringValue, format_: str, formats: Formats) -> ir.TimestampValue:
    if "%z" in format_ or "%Z" in format_:
        return wall_time(_try_strptime_aware(written, format_), formats)
    return _try_strptime(written, format_)


def _is_aware(column: ir.Value) -> bool:
    return column.type().is_timestamp() and column.type().timezone is not None
