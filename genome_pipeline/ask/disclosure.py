"""Which groups of customers are too small to be shown, and which others would give them away.

A group of fewer than :data:`LEAST_GROUP` customers is hidden. Its numbers would still follow from a total less the
groups beside it. Of a table by several columns, therefore, each line (all columns but one held fixed) hides either no
group or at least two, of :data:`LEAST_GROUP` customers together; the smallest of those shown are hidden for that. As a
filter shows one group of the same table, filters tell no more than the table does.

Not prevented: what follows from several tables by other columns together, from two snapshots, or from what the asker
knows otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

LEAST_GROUP = 10
"""Least number of customers of a group that is shown."""


def hidden(cells: Sequence[tuple[Hashable, ...]], counts: Sequence[int], least: int = LEAST_GROUP) -> set[int]:
    """Positions of the cells that are not shown.

    ``cells`` are the groups of a table, each by its value of every column, and ``counts`` their customers; a cell
    without customers has nothing to hide. Where a line has nothing left to hide, it is hidden whole.

    >>> sorted(hidden([("a",), ("b",), ("c",)], [40, 12, 3]))
    [1, 2]
    """
    found = {position for position, count in enumerate(counts) if 0 < count < least}
    lines: dict[tuple[int, tuple[Hashable, ...]], list[int]] = defaultdict(list)
    for position, cell in enumerate(cells):
        if counts[position]:
            for column in range(len(cell)):
                lines[column, (*cell[:column], *cell[column + 1 :])].append(position)
    # In an order of their own, so that the same groups are hidden whatever the order of the rows.
    ordered = [lines[line] for line in sorted(lines, key=str)]
    before = -1
    while before < len(found):
        before = len(found)
        for line in ordered:
            _hide_enough(line, cells, counts, least, found)
    return found


def _hide_enough(
    line: Sequence[int], cells: Sequence[tuple[Hashable, ...]], counts: Sequence[int], least: int, found: set[int]
) -> None:
    """Add to ``found`` the smallest groups of a line that hides too little."""
    gone = [position for position in line if position in found]
    shown = sorted(
        (position for position in line if position not in found),
        key=lambda position: (counts[position], str(cells[position])),
    )
    while gone and shown and (len(gone) == 1 or sum(counts[position] for position in gone) < least):
        gone.append(shown.pop(0))
    found |= set(gone)
