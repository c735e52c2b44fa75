"""The amount of a line: read, or multiplied exactly, and rounded to cents once."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from genome_pipeline.contracts.formats import Formats
from genome_pipeline.transforms.formats import written_number

MONEY = dt.Decimal(18, 2)

FACTOR = dt.Decimal(18, 9)
"""A quantity or price below a billion, to nine decimals; decides whether it is zero or negative."""

_PRECISE_PRICE = dt.Decimal(20, 11)  # the product with a quantity has 38 digits, the most a decimal can have
_SMALL_QUANTITY, _SMALL_PRICE = dt.Decimal(8, 3), dt.Decimal(9, 4)
_SMALL_PRODUCT = dt.Decimal(17, 7)
_PLAIN_LENGTH = 10  # characters: a text this short loses no significant digit, with or without an exponent
_HALF_A_CENT = 0.005
_UNREAD = {"quantity": 1e-9, "unit_price": 1e-11}  # largest value of the decimals that are cut off
_FLOAT_NOISE = 1e-14  # relative: more than two factors and their product lose in binary


def amount_columns(mapped: Sequence[str]) -> tuple[str, ...]:
    """The columns, by our names, that the line total is computed from."""
    if "amount" in mapped:
        return ("amount",)
    return ("unit_price", "quantity") if "quantity" in mapped else ("unit_price",)


def line_total(written: ir.Table, mapped: Sequence[str]) -> ir.DecimalValue:
    """The mapped amount of each line, else quantity x unit price, rounded half away from zero to cents.

    ``written`` has ``written_quantity``, ``written_unit_price`` and ``written_amount`` as :func:`written_number` gives
    them. In a product, quantities count to nine decimals and prices to eleven. Null if a part cannot be read, or is a
    billion or more.
    """
    parts = [written[f"written_{name}"] for name in amount_columns(mapped)]
    if len(parts) == 1:
        # Rounding to seven decimals first rounds a float as it reads: 1.005 is stored as slightly less in binary.
        return parts[0].try_cast(dt.Decimal(38, 7) if parts[0].type().is_floating() else MONEY).round(2)
    price, quantity = parts
    small_quantity = quantity.try_cast(FACTOR).try_cast(_SMALL_QUANTITY)
    small_price = price.try_cast(FACTOR).try_cast(_SMALL_PRICE)
    is_plain = _is_all_of(quantity, small_quantity) & _is_all_of(price, small_price)
    exact = _as_text(quantity).try_cast(FACTOR) * _as_text(price).try_cast(_PRECISE_PRICE)
    # 64 bits are several times faster than 128, and suffice for nearly every line.
    return ibis.ifelse(
        is_plain.fill_null(False),
        (small_quantity * small_price).cast(_SMALL_PRODUCT).round(2).cast(dt.Decimal(38, 2)),
        exact.round(2),
    )


def is_miscounted(lines: ir.Table, mapped: Sequence[str], formats: Formats) -> ir.BooleanValue:
    """Whether a typed line's amount differs by more than half a cent from the written numbers, multiplied in binary.

    Checks :func:`line_total` in a second way, with neither its decimals nor its rounding.
    """
    names = amount_columns(mapped)
    factors = [_double(written_number(lines[f"raw_{name}"], formats)).abs() for name in names]
    total = factors[0] if len(factors) == 1 else factors[0] * factors[1]
    allowed = _HALF_A_CENT + total * _FLOAT_NOISE
    if len(factors) > 1:
        allowed = allowed + factors[0] * _UNREAD[names[1]] + factors[1] * _UNREAD[names[0]]
    return ((lines.amount.cast("float64").abs() - total).abs() > allowed).fill_null(False)


def _is_all_of(written: ir.Value, small: ir.DecimalValue) -> ir.BooleanValue:
    """Whether ``small`` is the whole written number, with nothing rounded away."""
    type_ = written.type()
    if type_.is_floating():
        return small.cast(type_) == written
    is_all = small.cast(FACTOR) == written.try_cast(FACTOR)
    return is_all & (written.length() <= _PLAIN_LENGTH) if type_.is_string() else is_all


def _as_text(written: ir.Value) -> ir.Value:
    """A float as its shortest text, which is exact in every digit but slow to make."""
    return written.cast("string") if written.type().is_floating() else written


def _double(written: ir.Value) -> ir.FloatingValue:
    # A float of single precision is read through its text, which is what was written.
    return (_as_text(written) if written.type().is_float32() else written).try_cast("float64")
