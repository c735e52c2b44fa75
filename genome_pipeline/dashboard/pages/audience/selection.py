"""Which customers, in which order, with which columns: what the Audience page shows, a link restores, an export holds.

As a query string: ``rule=<rule>``, ``where=<column>:<op>:<value>`` (repeated: all must hold), ``sort=<column>:asc`` or
``:desc``, ``top=<percent>`` and ``columns=<column>,<column>``. ``op`` is one of :data:`OPS`; ``in`` takes several
values, written as a line of a CSV file. A customer without a value fulfils no condition on it. ``first=<number>`` keeps
no more than that many. ``buys=<category>`` keeps those who have it among their next categories.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from genome_pipeline.contracts.column import MONEY
from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.dashboard.kit.request import LONGEST_LINK

COLUMN_NAMES = tuple(name for name in TABLES["customer_genome"].columns if name != "as_of")
"""The columns that can be filtered by, sorted by, shown and exported: those of contract ``customer_genome``."""

CATEGORY_COLUMNS = ("category_probability", "reorder_date")
"""Those of ``customer_next_category`` that are known of the category that customers are about to buy."""

DEFAULT_COLUMNS = (
    "customer_id",
    "segment_name",
    "revenue_at_stake_amount",
    "expected_spend",
    "churn_probability",
    "confidence",
    "action",
    "action_reason",
)
OPS = {"ge": "at least", "le": "at most", "eq": "is", "in": "is one of"}
_SQL_OPS = {"ge": ">=", "le": "<=", "eq": "="}
_DEFAULT_SORT = ("revenue_at_stake_amount", "desc")
_SMALLEST_TOP = Decimal("0.01")
_MOST_DIGITS = 9
_MOST_FAULTS = 10

MOST_CONDITIONS = 20
"""Each filter is shown with a link that holds all the others."""

MOST_VALUES = 1_000
"""Of a condition that takes several."""

_ALL_COLUMNS = (*COLUMN_NAMES, *CATEGORY_COLUMNS)

_BOOLEANS = {"true": True, "yes": True, "false": False, "no": False}


def is_number(column: str) -> bool:
    """Whether the column holds numbers."""
    return COLUMNS[column].type in ("BIGINT", "INTEGER", "DOUBLE", MONEY)


def ops_of(column: str) -> tuple[str, ...]:
    """The ops that make sense for the column: an order for numbers and dates only."""
    return tuple(OPS) if is_number(column) or COLUMNS[column].type == "DATE" else ("eq", "in")


@dataclass(frozen=True)
class Condition:
    """One condition on one column; ``values`` are typed, and several only for ``in``."""

    column: str
    op: str
    text: str
    values: tuple[Any, ...]

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition in ``<column>:<op>:<value>``. Raises :class:`ValueError`, with a sentence, for other text."""
        column, _, rest = text.partition(":")
        op, _, value = rest.partition(":")
        if column not in _ALL_COLUMNS:
            raise ValueError(f"there is no column {column!r} to filter by: choose one from the list")
        if op not in ops_of(column):
            raise ValueError(f"{column} cannot be filtered by {op!r}: use one of {', '.join(ops_of(column))}")
        written = next(csv.reader([value], strict=True), []) if op == "in" else [value]
        if len(written) > MOST_VALUES:
            raise ValueError(
                f"the filter on {column} has {len(written):,} values: give no more than {MOST_VALUES:,}, or filter by"
                " another column"
            )
        if not any(written):
            raise ValueError(f"the filter on {column} has no value: write one after {OPS[op]!r}")
        return cls(column, op, value, tuple(_typed(column, item.strip()) for item in written))

    def __str__(self) -> str:
        return f"{self.column}:{self.op}:{self.text}"

    @property
    def sql(self) -> str:
        """The condition, with a ``?`` for each of the values."""
        if self.op == "in":
            return f"{self.column} IN ({', '.join('?' for _ in self.values)})"
        return f"{self.column} {_SQL_OPS[self.op]} ?"


def _typed(column: str, text: str) -> Any:
    kind = COLUMNS[column].type
    try:
        if is_number(column):
            number = float(text)
            if math.isfinite(number):
                return number
        elif kind == "DATE":
            return date.fromisoformat(text)
        elif kind == "BOOLEAN":
            return _BOOLEANS[text.lower()]
        else:
            return text
    except (ValueError, KeyError):
        pass
    wanted = "a date such as 2017-03-01" if kind == "DATE" else "true or false" if kind == "BOOLEAN" else "a number"
    raise ValueError(f"{text!r} is no value of {column}: write {wanted}")


@dataclass(frozen=True)
class Selection:
    """A selection; ``faults`` has a sentence for each part of the query string that was not understood and left out.

    ``buys`` is the category that customers are about to buy; empty for any.
    ``top`` is in percent of those who fulfil all conditions, in the order of ``sort``; 100 is all of them. ``first`` is
    the largest number of customers kept of these, in the same order; None is no limit.
    """

    conditions: tuple[Condition, ...] = ()
    rule: str = ""
    buys: str = ""
    sort: tuple[str, str] = _DEFAULT_SORT
    top: Decimal = Decimal(100)
    first: int | None = None
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    faults: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def about(cls, category: str) -> Selection:
        """Those who may buy a category next, the likeliest first; of an empty one, everybody."""
        if not category:
            return cls()
        first, second, *others = DEFAULT_COLUMNS
        return cls(
            buys=category, sort=(CATEGORY_COLUMNS[0], "desc"), columns=(first, second, *CATEGORY_COLUMNS, *others)
        )

    @classmethod
    def parse(cls, search: str) -> Selection:
        """A selection from a query string; parts that it does not name keep their defaults."""
        if len(search) > LONGEST_LINK:
            return cls(faults=(f"the link has more than {LONGEST_LINK:,} characters: make a shorter one",))
        pairs = parse_qsl(search.removeprefix("?"))
        selection = cls.about(dict(pairs).get("buys", ""))
        faults: list[str] = []
        for name, value in pairs:
            if len(faults) == _MOST_FAULTS:
                break
            try:
                selection = selection._with(name, value)
            except (ValueError, csv.Error) as error:
                faults.append(str(error))
        if not selection.buys and (unknown := selection._of_category()):
            faults.append(
                f"{unknown[0]} is known only of a category: choose one that customers are about to buy, or leave it out"
            )
            selection = selection.without_category()
        return replace(selection, faults=tuple(faults))

    def without_category(self) -> Selection:
        """The same without the category that customers are about to buy, and without what is known of it."""
        plain = Selection()
        columns = tuple(name for name in self.columns if name not in CATEGORY_COLUMNS)
        return replace(
            self,
            buys="",
            conditions=tuple(one for one in self.conditions if one.column not in CATEGORY_COLUMNS),
            sort=plain.sort if self.sort[0] in CATEGORY_COLUMNS else self.sort,
            columns=columns,
        )

    def _of_category(self) -> list[str]:
        """The columns that are known only of a category, where they are used."""
        used = {*self.columns, self.sort[0], *(condition.column for condition in self.conditions)}
        return [name for name in CATEGORY_COLUMNS if name in used]

    def _with(self, name: str, value: str) -> Selection:
        match name:
            case "where" if len(self.conditions) == MOST_CONDITIONS:
                raise ValueError(f"there are more than {MOST_CONDITIONS} filters: leave some out")
            case "where":
                changed = replace(self, conditions=(*self.conditions, Condition.parse(value)))
            case "rule":
                changed = replace(self, rule=value)
            case "sort":
                changed = self.sorted_by(*value.rpartition(":")[::2])
            case "top":
                changed = replace(self, top=_percent(value))
            case "first":
                changed = replace(self, first=_count(value))
            case "columns":
                changed = replace(self, columns=_columns(value))
            case _:
                changed = self
        return changed

    def sorted_by(self, column: str, direction: str) -> Selection:
        """The same in another order. Raises :class:`ValueError` for an unknown column or direction."""
        if column not in _ALL_COLUMNS or direction not in ("asc", "desc"):
            raise ValueError(f"cannot sort by {column!r}, {direction!r}: name a column, and asc or desc")
        return replace(self, sort=(column, direction))

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query parameters, without those that equal the default."""
        plain = Selection.about(self.buys)
        pairs = [("rule", self.rule)] if self.rule else []
        pairs += [("buys", self.buys)] if self.buys else []
        pairs += [("where", str(condition)) for condition in self.conditions]
        if self.sort != plain.sort:
            pairs.append(("sort", ":".join(self.sort)))
        if self.top != plain.top:
            pairs.append(("top", f"{self.top:f}"))
        if self.first is not None:
            pairs.append(("first", str(self.first)))
        if self.columns != plain.columns:
            pairs.append(("columns", ",".join(self.columns)))
        return pairs

    def chosen(self, as_of: date) -> tuple[str, list[Any]]:
        """What follows FROM in the SQL query of those who fulfil the conditions, and the values to bind to it."""
        tables, parts = "customer_genome_history", ["as_of = ?"]
        values: list[Any] = [as_of]
        if self.buys:
            tables += (
                f" JOIN (SELECT as_of, customer_id, {', '.join(CATEGORY_COLUMNS)} FROM customer_next_category_history"
                " WHERE as_of = ? AND category = ?) USING (as_of, customer_id)"
            )
            values = [as_of, self.buys, as_of]
        if self.rule:
            parts.append("action_rule = ?")
            values.append(self.rule)
        for condition in self.conditions:
            parts.append(condition.sql)
            values.extend(condition.values)
        return f"{tables} WHERE {' AND '.join(parts)}", values

    @property
    def order(self) -> str:
        """The SQL order: customers without a value last, equal ones by id, those equal to six decimals included."""
        column, direction = self.sort
        value = f"round({column}, 6)" if COLUMNS[column].type == "DOUBLE" else column
        return f"{value} {direction} NULLS LAST, customer_id"

    def size(self, matching: int) -> int:
        """How many of the ``matching`` customers are within the top percent, and the first of them."""
        size = math.ceil(matching * self.top / 100)
        return size if self.first is None else min(size, self.first)


def _percent(text: str) -> Decimal:
    try:
        percent = Decimal(text)
    except InvalidOperation:
        percent = Decimal(0)
    if percent.is_nan() or not _SMALLEST_TOP <= percent <= 100:
        raise ValueError(f"top {text!r} is no share of customers: write a percentage from {_SMALLEST_TOP} to 100")
    return percent


def _columns(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(["customer_id", *text.split(",")]))
    unknown = [column for column in names if column not in _ALL_COLUMNS]
    if unknown:
        raise ValueError(f"there is no column {unknown[0]!r} to show: choose from the list")
    return names


def _count(text: str) -> int:
    # Checked as text first: a link may hold more digits than Python converts.
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) > 0):
        raise ValueError(f"first {text!r} is no number of customers: write a whole number from 1 on")
    return int(text)


def in_words(selection: Selection) -> Sequence[str]:
    """The selection, a phrase each, for the head of an export."""
    column, direction = selection.sort
    return [
        *([f"rule is {selection.rule}"] if selection.rule else []),
        *([f"{selection.buys} is among the next categories"] if selection.buys else []),
        *(f"{condition.column} {OPS[condition.op]} {condition.text}" for condition in selection.conditions),
        f"sorted by {column}, {'lowest' if direction == 'asc' else 'highest'} first",
        f"top {selection.top:f}%" if selection.top < 100 else "all of them",
        *([f"no more than {selection.first}"] if selection.first is not None else []),
    ]


def chosen_by(search: str) -> dict[str, Any]:
    """The columns that an audience is chosen by, for the audit log: without values, which may name customers."""
    selection = Selection.parse(search)
    by = {condition.column for condition in selection.conditions} | ({"next_category"} if selection.buys else set())
    return {"rule": selection.rule, "filters": sorted(by)}
