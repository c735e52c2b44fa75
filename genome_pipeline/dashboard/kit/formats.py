"""Numbers as people read them: unit, thousands marks, and a dash where there is no number."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import date, datetime
from decimal import Decimal

import pandas as pd

from genome_pipeline.contracts.column import Unit
from genome_pipeline.contracts.columns import COLUMNS

NOTHING = "\u2013"
MINUS = "\u2212"
_SYMBOLS = {"EUR": "€", "GBP": "£", "JPY": "¥", "USD": "$"}

Number = int | float | Decimal


def is_missing(value: object) -> bool:
    """Whether a cell of a frame holds no value."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def integer(value: Number | None) -> str:
    """``12,345``."""
    return NOTHING if value is None or is_missing(value) else f"{value:,.0f}"


def decimal(value: Number | None, digits: int = 2) -> str:
    """``1,234.50``."""
    return NOTHING if value is None or is_missing(value) else f"{value:,.{digits}f}"


def percent(value: Number | None, digits: int = 1) -> str:
    """``12.5%`` from 0.125."""
    return NOTHING if value is None or is_missing(value) else f"{float(value) * 100:.{digits}f}%"


def currency_prefix(currency: str | None) -> str:
    """The text before an amount: a symbol, or the code and a space, or nothing."""
    if not currency:
        return ""
    return _SYMBOLS.get(currency, f"{currency} ")


def _sign(value: Number) -> str:
    return MINUS if value < 0 else ""


def money(value: Number | None, currency: str | None = None) -> str:
    """``£1,234.50``; without cents from 1,000 on."""
    if value is None or is_missing(value):
        return NOTHING
    amount = abs(float(value))
    digits = 0 if amount >= 1000 else 2
    return f"{_sign(value)}{currency_prefix(currency)}{amount:,.{digits}f}"


def compact_money(value: Number | None, currency: str | None = None) -> str:
    """``£1.23M``: three significant digits, for headline figures."""
    if value is None or is_missing(value):
        return NOTHING
    amount = abs(float(value))
    for limit, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if amount >= limit:
            scaled = amount / limit
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
            return f"{_sign(value)}{currency_prefix(currency)}{scaled:.{digits}f}{suffix}"
    return money(value, currency)


def signed(column_name: str, value: Number | None, currency: str | None = None) -> str:
    """A difference between values of a contract column, with its sign: ``+£12.30``, or points for a probability."""
    if value is None or is_missing(value):
        return NOTHING
    amount = abs(float(value))
    match COLUMNS[column_name].unit:
        case Unit.CURRENCY:
            text = money(amount, currency)
        case Unit.SHARE | Unit.PROBABILITY:
            text = f"{amount * 100:.1f} points"
        case Unit.DAYS:
            text = column_value(column_name, amount)
        case _:
            text = integer(amount) if COLUMNS[column_name].type in ("INTEGER", "BIGINT") else decimal(amount)
    # A difference that rounds to zero has no minus.
    is_less = value < 0 and any(digit in text for digit in "123456789")
    return f"{MINUS if is_less else '+'}{text}"


def day(value: date | datetime | None) -> str:
    """``1 Mar 2017``."""
    return NOTHING if value is None or is_missing(value) else f"{value.day} {value:%b %Y}"


def snapshot(as_of: date, provisional: Collection[date]) -> str:
    """A snapshot's day, marked if it is among the ``provisional`` ones: ``"1 Jan 2018 (provisional)"``."""
    return f"{day(as_of)} (provisional)" if as_of in provisional else day(as_of)


def moment(value: datetime | None) -> str:
    """``1 Mar 2017, 14:05 UTC``."""
    return NOTHING if value is None or is_missing(value) else f"{day(value)}, {value:%H:%M} UTC"


def column_value(column_name: str, value: Number | None, currency: str | None = None) -> str:
    """A value of a contract column, in the column's unit."""
    if value is None or is_missing(value):
        return NOTHING
    match COLUMNS[column_name].unit:
        case Unit.CURRENCY:
            return money(value, currency)
        case Unit.SHARE | Unit.PROBABILITY:
            return percent(value)
        case Unit.DAYS:
            digits = 0 if float(value).is_integer() else 1
            return f"{value:,.{digits}f} {'day' if value == 1 else 'days'}"
        case _:
            return integer(value) if float(value).is_integer() else decimal(value)
