"""The mapping of the config, found in the columns of a file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile
from genome_pipeline.sources.rows import Chosen

_LISTED = 40
# DuckDB holds decimals of up to 38 digits.
_UNUSABLE = re.compile(r"\]$|^(STRUCT|MAP|UNION)\(|^DECIMAL\((39|[4-9]\d|\d{3,}),")
_TIME_OF_DAY = re.compile(r"TIME\b|TIME_NS|BOOLEAN")


def choose(names: Sequence[str], types: Sequence[str], file: SourceFile, source: SourceSettings) -> Chosen:
    """Our name -> position in the file, of every mapped column.

    Raises :class:`SourceError` for a mapped column that the file lacks, has more than once, or has with a type
    that holds no single text, number or date.
    """
    chosen = {}
    for ours, theirs in source.columns.mapped.items():
        positions = [position for position, name in enumerate(names) if name == theirs]
        if not positions:
            raise SourceError(
                f"{file.name} has no column {theirs!r} (source.columns.{ours}){_suggestion(theirs, names)} It has:"
                f" {_listed(names)}"
            )
        if len(positions) > 1:
            numbers = " and ".join(str(position + 1) for position in positions)
            raise SourceError(
                f"{file.name} has {len(positions)} columns named {theirs!r} (source.columns.{ours}), number {numbers}:"
                " rename all but the one that is meant"
            )
        type_ = types[positions[0]]
        if _UNUSABLE.search(type_) or (ours == "ordered_at" and _TIME_OF_DAY.match(type_)):
            meant = "a date" if ours == "ordered_at" else "one text or number a row"
            raise SourceError(
                f"{file.name}: column {theirs!r} is {type_} (source.columns.{ours}), where {meant} is needed: map another"
                " column, or export the file again"
            )
        chosen[ours] = positions[0]
    return chosen


def _suggestion(theirs: str, names: Sequence[str]) -> str:
    folded = {name.strip().casefold(): name for name in names}
    close = difflib.get_close_matches(theirs.strip().casefold(), folded, 1)
    return f"; did you mean {folded[close[0]]!r}?" if close else "."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + more
