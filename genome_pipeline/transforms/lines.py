"""Raw rows -> typed lines: every row with its values read, including rows that cannot be read properly.

Lines are computed again for each use instead of stored. A copy would double the warehouse, would have to follow the
config by which it was typed, and would be one more table with customers to forget.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.formats import Formats
from genome_pipeline.contracts.rules import ABSURD
from genome_pipeline.transforms.amounts import FACTOR, MONEY, amount_columns, line_total
from genome_pipeline.transforms.formats import moment, text, wall_time, written_number
from genome_pipeline.transforms.names import label

_ISO = Formats()

NAMES = ("customer_id", "order_id", "product_id", "category", "country", "currency")
"""Columns of ids and names, which are read by the rule of :mod:`genome_pipeline.contracts.names`."""

_NUMBERS = ("quantity", "unit_price", "amount")


def period_start(moment: ir.TimestampValue, period: Period) -> ir.DateValue:
    """First day of the period of each moment."""
    unit = {Period.MONTH: "M", Period.WEEK: "W", Period.DAY: "D"}[period]
    return moment.truncate(unit).date()


def typed_lines(
    raw: ir.Table,
    *,
    mapped: Sequence[str],
    calendar: Calendar,
    formats: Formats = _ISO,
    non_product_codes: Sequence[str] = (),
) -> ir.Table:
    """Every raw row with its typed columns beside it; rows with faults are kept, nothing is dropped.

    Adds ``customer_id``, ``order_id``, ``ordered_at``, ``product_id``, ``category``, ``country``, ``currency``,
    ``quantity``, ``unit_price``, ``amount`` (null where unreadable or absurd), ``is_return``, ``period_start_date``
    (null without a usable date), and the flags that rules read. ``amount`` is the mapped amount, else the exact product
    of quantity and price, rounded once, half away from zero, to cents; it is negative in a return.
    """
    lines = raw.mutate(
        **{name: label(raw[f"raw_{name}"]) for name in NAMES},
        ordered_at=moment(raw.raw_ordered_at, formats),
        raw_ordered_at=text(raw.raw_ordered_at) if raw.raw_ordered_at.type().is_string() else raw.raw_ordered_at,
        **{f"written_{name}": written_number(raw[f"raw_{name}"], formats) for name in _NUMBERS},
    )
    quantity, price = (lines[f"written_{name}"].try_cast(FACTOR) for name in ("quantity", "unit_price"))
    parts = amount_columns(mapped)
    lines = lines.mutate(
        quantity=lines.written_quantity.try_cast(dt.Decimal(18, 3)),
        unit_price=lines.written_unit_price.try_cast(dt.Decimal(18, 4)),
        total=line_total(lines, mapped),
        has_amount_text=ibis.and_(*(_is_written(lines[f"raw_{name}"]) for name in parts)),
        is_zero_quantity=(quantity == 0).fill_null(False),
        is_negative_quantity=(quantity < 0).fill_null(False),
        is_negative_price=(price < 0).fill_null(False),
    )
    sizes = [lines.quantity, *(lines[name] for name in parts if name == "unit_price"), lines.total]
    is_absurd = ibis.or_(*(size.abs() >= ABSURD for size in sizes)).fill_null(False)
    is_return = lines.is_negative_quantity | (lines.total < 0).fill_null(False)
    amount = ibis.ifelse(is_absurd, ibis.null(MONEY), lines.total.try_cast(MONEY))
    is_outside = lines.ordered_at < ibis.date(calendar.start)
    if calendar.end is not None:
        is_outside = is_outside | (lines.ordered_at >= ibis.date(calendar.end))
    # The time of reading a file is stored in UTC, orders in the source's wall time.
    is_future = lines.ordered_at > wall_time(lines.ingested_at.cast(dt.Timestamp(timezone="UTC")), formats)
    return lines.mutate(
        is_absurd=is_absurd,
        is_return=is_return,
        amount=ibis.ifelse(is_return, -amount.abs(), amount).cast(MONEY),
        is_outside_calendar=is_outside,
        is_in_future=is_future,
        is_non_product=lines.product_id.re_search(_any_of(non_product_codes)) if non_product_codes else False,
        is_other_currency=((lines.currency.upper() != formats.currency).fill_null(True) if formats.currency else False),
        period_start_date=ibis.ifelse(
            is_outside | is_future, ibis.null(dt.date), period_start(lines.ordered_at, calendar.period)
        ),
    ).drop("total", "is_negative_quantity", *(f"written_{name}" for name in _NUMBERS))


def _any_of(patterns: Sequence[str]) -> str:
    """A regular expression, valid in any engine, for texts that match one of the patterns, ignoring case."""
    marks = {"*": ".*", "?": "."}
    return f"(?is)^({'|'.join(''.join(marks.get(c) or re.escape(c) for c in pattern) for pattern in patterns)})$"


def _is_written(column: ir.Value) -> ir.BooleanValue:
    """Whether the column has a value; tests numbers without converting them to text."""
    is_there = column.notnull()
    if column.type().is_floating():
        return is_there & ~column.isnan().fill_null(False)
    return text(column).notnull() if column.type().is_string() else is_there
