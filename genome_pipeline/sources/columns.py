"""Finding the configured columns among the columns of a file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from genome_pipeline.sources import SourceError, SourceFile
from genome_pipeline.sources.rows import Chosen

_LISTED = 40
_NUMBER = re.compile(r"VARCHAR|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(")
_DATE = re.compile(_NUMBER.pattern + "|DATE|TIMESTAMP")
_NESTED = re.compile(r".*\]$|STRUCT\(|MAP\(")
_MOMENTS = ("DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS")
# Each type can hold the values of the types before it.
_FAMILIES = (
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    ("FLOAT", "DOUBLE"),
)
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_MOST_DIGITS = 38
_LONG_DECIMAL = re.compile(r"DECIMAL\((39|[4-9]\d|\d{3,}),")


def choose(
    names: Sequence[str], types: Sequence[str], file: SourceFile, mapped: Mapping[str, str], section: str
) -> Chosen:
    """Our name -> position in the file, for every column that is ``mapped`` (ours -> theirs) in a ``section``.

    Raises :class:`SourceError` for a mapped column that the file does not have, has more than once, or has with a type
    that cannot be read as intended.
    """
    chosen = {}
    for ours, theirs in mapped.items():
        positions = [position for position, name in enumerate(names) if name == theirs]
        if not positions:
            raise SourceError(
                f"{file.name} has no column {theirs!r} ({section}.{ours}){_suggestion(theirs, names)} It has:"
                f" {_listed(names)}"
            )
        if len(positions) > 1:
            numbers = " and ".join(str(position + 1) for position in positions)
            raise SourceError(
                f"{file.name} has {len(positions)} columns named {theirs!r} ({section}.{ours}), number {numbers}:"
                " rename all but the one that is meant"
            )
        type_ = types[positions[0]]
        needed = _needed(ours, type_)
        if needed:
            raise SourceError(
                f"{file.name}: column {theirs!r} is {type_} ({section}.{ours}), where {needed} is needed: map"
                " another column, or export the file again"
            )
        chosen[ours] = positions[0]
    return chosen


def wider_type(one: str, other: str) -> str | None:
    """The DuckDB type that holds the values of both types, with moments to the microsecond; None if there is none."""
    if one == other:
        return one
    if one in _MOMENTS and other in _MOMENTS:
        return "TIMESTAMP"
    for family in _FAMILIES:
        if one in family and other in family:
            return max(one, other, key=family.index)
    decimals = [_DECIMAL.fullmatch(type_) for type_ in (one, other)]
    sizes = [(int(found[1]), int(found[2])) for found in decimals if found]
    if len(sizes) == 2:
        scale = max(scale for _, scale in sizes)
        precision = max(precision - scale for precision, scale in sizes) + scale
        return f"DECIMAL({precision},{scale})" if precision <= _MOST_DIGITS else None
    return None


def _needed(ours: str, type_: str) -> str | None:
    """The kind of values the column should have, if its type cannot be read as that."""
    if _LONG_DECIMAL.match(type_):
        return "a decimal of at most 38 digits"
    if ours in ("ordered_at", "contacted_at"):
        return None if _DATE.match(type_) else "a date"
    if ours in ("quantity", "unit_price", "amount", "cost"):
        return None if _NUMBER.match(type_) else "a number"
    return "one value a row" if _NESTED.match(type_) else None


def _suggestion(theirs: str, names: Sequence[str]) -> str:
    folded = {name.strip().casefold(): name for name in names}
    close = difflib.get_close_matches(theirs.strip().casefold(), folded, 1)
    return f"; did you mean {folded[close[0]]!r}?" if close else "."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + more
