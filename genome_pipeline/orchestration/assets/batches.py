"""Periods or snapshots of a run taken together, as many as fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ibis.backends.duckdb import Backend


def cut_by_rows(database: Backend, table: str, slices: Sequence[date], most_rows: int) -> list[list[date]]:
    """The slices in order, as many together as have ``most_rows`` in the table; a larger one by itself.

    One that was never written has no rows. At least one slice has to be given.
    """
    row_counts = dict(
        database.con.execute("SELECT slice_key, row_count FROM written_slices WHERE table_name = ?", [table]).fetchall()
    )
    cut: list[list[date]] = [[]]
    together = 0
    for day in slices:
        rows = row_counts.get(str(day), 0)
        if cut[-1] and together + rows > most_rows:
            cut.append([])
            together = 0
        cut[-1].append(day)
        together += rows
    return cut
