"""Declaring a column: type, unit, bounds and meaning; and constructors for the common kinds of columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """The unit of a number."""

    DAYS = "days"
    COUNT = "count"
    ORDERS = "orders (purchase days)"
    CURRENCY = "currency of the source"
    PROBABILITY = "probability"
    SHARE = "share"
    RATIO = "ratio"
    SCORE = "score"


AS_READ = "AS_READ"
"""The type of a raw column: the source's own (text for text formats)."""

MONEY = "DECIMAL(18,2)"


@dataclass(frozen=True)
class Column:
    """One column of the dictionary.

    ``type`` is a DuckDB type or :data:`AS_READ`. ``minimum`` and ``maximum`` are inclusive bounds of every non-null
    value; ``values`` is the closed set of allowed values. If a column ``is_nullable``, a table may still declare it
    never null.
    """

    name: str
    type: str
    description: str
    unit: Unit | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None
    is_nullable: bool = False

    @property
    def comment(self) -> str:
        """What a reader of the published file is told of the column: its meaning, and its unit."""
        return f"{self.description} Unit: {self.unit}." if self.unit else self.description


def text(name: str, description: str, values: tuple[str, ...] | None = None, *, is_nullable: bool = False) -> Column:
    """Text; if ``values`` are given, no others are allowed."""
    return Column(name, "VARCHAR", description, values=values, is_nullable=is_nullable)


def date(name: str, description: str, *, is_nullable: bool = False) -> Column:
    """A day."""
    return Column(name, "DATE", description, is_nullable=is_nullable)


def at(name: str, description: str, *, is_nullable: bool = False) -> Column:
    """A moment, in UTC unless its description says otherwise."""
    return Column(name, "TIMESTAMP", description, is_nullable=is_nullable)


def flag(name: str, description: str, *, is_nullable: bool = False) -> Column:
    """True or false."""
    return Column(name, "BOOLEAN", description, is_nullable=is_nullable)


def count(name: str, description: str, minimum: float = 0, *, is_nullable: bool = False) -> Column:
    """A whole number of things."""
    return Column(name, "BIGINT", description, Unit.COUNT, minimum, is_nullable=is_nullable)


def days(name: str, description: str, type_: str = "BIGINT", *, is_nullable: bool = False) -> Column:
    """A number of days, from 0."""
    return Column(name, type_, description, Unit.DAYS, 0, is_nullable=is_nullable)


def money(name: str, description: str, minimum: float | None = None, *, is_nullable: bool = False) -> Column:
    """An exact amount in the currency of the source."""
    return Column(name, MONEY, description, Unit.CURRENCY, minimum, is_nullable=is_nullable)


def currency(name: str, description: str, minimum: float | None = None, *, is_nullable: bool = False) -> Column:
    """A computed amount in the currency of the source."""
    return Column(name, "DOUBLE", description, Unit.CURRENCY, minimum, is_nullable=is_nullable)


def orders(name: str, description: str, *, is_nullable: bool = False) -> Column:
    """An expected or realised number of orders, from 0."""
    return Column(name, "DOUBLE", description, Unit.ORDERS, 0, is_nullable=is_nullable)


def share(name: str, description: str, maximum: float | None = 1, *, is_nullable: bool = False) -> Column:
    """A part of a whole, from 0."""
    return Column(name, "DOUBLE", description, Unit.SHARE, 0, maximum, is_nullable=is_nullable)


def ratio(name: str, description: str, *, is_nullable: bool = False) -> Column:
    """One number over another, from 0."""
    return Column(name, "DOUBLE", description, Unit.RATIO, 0, is_nullable=is_nullable)


def probability(name: str, description: str, *, is_nullable: bool = False) -> Column:
    """A probability, from 0 to 1."""
    return Column(name, "DOUBLE", description, Unit.PROBABILITY, 0, 1, is_nullable=is_nullable)


def score(
    name: str, description: str, minimum: float | None = 0, maximum: float | None = 1, *, is_nullable: bool = False
) -> Column:
    """A measure without a unit."""
    return Column(name, "DOUBLE", description, Unit.SCORE, minimum, maximum, is_nullable=is_nullable)


def raw(name: str, description: str) -> Column:
    """A column of the source as it is written; any value may be missing."""
    return Column(name, AS_READ, description, is_nullable=True)
