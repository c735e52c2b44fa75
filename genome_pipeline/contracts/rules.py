"""Row rules: why a source row is unfit to be counted, each with a name, a reason and an expression.

The quarantine split and the checks both use them. A rule's ``fails`` takes the typed lines of
:func:`genome_pipeline.transforms.lines.typed_lines` and gives a boolean column, never null.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import ibis.expr.types as ir

ABSURD = 1_000_000_000
"""Quantities, prices and amounts from here on count as damaged data, not as trade."""

NOTHING_MARKS = ("NULL", "null", "NaN", "nan", "None", "N/A", "#N/A", "\\N")
"""Placeholders that programs write for a missing id; taken as ids, they would be the best customer of all."""


@dataclass(frozen=True)
class Rule:
    """One row rule.

    ``needs`` lists the source columns of which at least one must be mapped for the rule to apply.
    ``concerns`` names the source columns that show why a row fails, if they are others than those it ``needs``.
    ``is_optional`` rules can be switched off in ``genome.toml``; all others guard assumptions of the pipeline.
    A row that fails a rule of severity ERROR is quarantined; a row that fails one of severity WARN is kept and
    reported. A rule of severity WARN takes validated lines, with its bound from ``genome.toml`` as an extra column.
    """

    name: str
    description: str
    fails: Callable[[ir.Table], ir.BooleanValue]
    needs: tuple[str, ...] = ()
    concerns: tuple[str, ...] = ()
    is_optional: bool = False
    severity: Literal["ERROR", "WARN"] = "ERROR"

    @property
    def shown_columns(self) -> tuple[str, ...]:
        """The source columns that show the reason."""
        return self.concerns or self.needs


def _unreadable(lines: ir.Table, *columns: str) -> ir.BooleanValue:
    """Whether one of the columns has a value that is not a number."""
    failures = [lines[f"raw_{name}"].notnull() & lines[name].isnull() for name in columns]
    result = failures[0]
    for failure in failures[1:]:
        result = result | failure
    return result


RULES: tuple[Rule, ...] = (
    Rule(
        "missing_customer",
        f"No customer is named, or only by a mark for nothing ({', '.join(NOTHING_MARKS)}).",
        lambda t: t.customer_id.isnull(),
        concerns=("customer_id",),
    ),
    Rule("missing_date", "No moment of order is given.", lambda t: t.raw_ordered_at.isnull(), concerns=("ordered_at",)),
    Rule(
        "unreadable_date",
        "The moment of order is not a date that exists, or not in the source's format.",
        lambda t: t.raw_ordered_at.notnull() & t.ordered_at.isnull(),
        concerns=("ordered_at",),
    ),
    Rule(
        "outside_calendar",
        "The order is dated before calendar.start, or on or after calendar.end.",
        lambda t: t.is_outside_calendar.fill_null(False),
        concerns=("ordered_at",),
    ),
    Rule(
        "future_date",
        "The order is dated after the moment its file was read; it is judged again when that moment has come.",
        lambda t: t.is_in_future.fill_null(False),
        concerns=("ordered_at",),
    ),
    Rule(
        "unreadable_number",
        "A quantity, price or amount is written that is not a number, or is too large to be one.",
        lambda t: _unreadable(t, "quantity", "unit_price") | (t.has_amount_text & t.amount.isnull() & ~t.is_absurd),
        needs=("quantity", "unit_price", "amount"),
    ),
    Rule(
        "absurd_number",
        f"The quantity, the line total or the price it is made of is {ABSURD:,} or more, in either direction.",
        lambda t: t.is_absurd,
        needs=("quantity", "unit_price", "amount"),
    ),
    Rule(
        "missing_amount",
        "No amount is given, or no price, or no quantity to go with the price.",
        lambda t: ~t.has_amount_text,
        needs=("unit_price", "amount"),
    ),
    Rule(
        "negative_price",
        "The price of one unit is below zero (returns are told by quantity or amount).",
        lambda t: t.is_negative_price,
        needs=("unit_price",),
    ),
    Rule(
        "zero_amount",
        "The line total is zero: a gift, a sample or a correction.",
        lambda t: (t.amount == 0).fill_null(False) & ~t.is_zero_quantity,
        needs=("unit_price", "amount"),
        is_optional=True,
    ),
    Rule(
        "zero_quantity",
        "The quantity is zero.",
        lambda t: t.is_zero_quantity,
        needs=("quantity",),
        is_optional=True,
    ),
    Rule(
        "non_product_code",
        "The product code matches one of rules.non_product_codes (postage, fees, adjustments).",
        lambda t: t.is_non_product.fill_null(False),
        needs=("product_id",),
        is_optional=True,
    ),
    Rule(
        "other_currency",
        "The amount is in another currency than source.currency, or in none that is named.",
        lambda t: t.is_other_currency,
        needs=("currency",),
    ),
    Rule(
        "exact_duplicate",
        "The row repeats an earlier one in every mapped column.",
        lambda t: t.is_repeated,
        needs=("order_id",),
        is_optional=True,
    ),
    Rule(
        "outlying_amount",
        "The line total is rules.outlier_amount or more, in either direction: a large order, or a slip of the pen.",
        lambda t: (t.amount.abs() >= t.outlier_amount).fill_null(False),
        needs=("unit_price", "amount"),
        is_optional=True,
        severity="WARN",
    ),
)

REASONS: tuple[str, ...] = tuple(rule.name for rule in RULES if rule.severity == "ERROR")
"""The reasons for which a row may be set aside."""

OPTIONAL_RULES: tuple[str, ...] = tuple(rule.name for rule in RULES if rule.is_optional)


def active_rules(mapped: Sequence[str], disabled: Sequence[str]) -> tuple[Rule, ...]:
    """The rules that apply to a source with the ``mapped`` columns."""
    return tuple(
        rule
        for rule in RULES
        if rule.name not in disabled and (not rule.needs or any(column in mapped for column in rule.needs))
    )


def quarantining(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules that set rows aside."""
    return tuple(rule for rule in rules if rule.severity == "ERROR")
