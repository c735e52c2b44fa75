"""The mapping of the config, found in the columns of a file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile
from genome_pipeline.sources.rows import Chosen

_LISTED = 40


def choose(names: Sequence[str], file: SourceFile, source: SourceSettings) -> Chosen:
    """Our name -> position in the file, of every mapped column.

    Raises :class:`SourceError` for a mapped column that the file lacks, or has more than once.
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
        chosen[ours] = positions[0]
    return chosen


def _suggestion(theirs: str, names: Sequence[str]) -> str:
    folded = {name.strip().casefold(): name for name in names}
    close = difflib.get_close_matches(theirs.strip().casefold(), folded, 1)
    return f"; did you mean {folded[close[0]]!r}?" if close else "."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + more
