"""Splitting the periods or snapshots of a run into batches that fit in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ibis.backends.duckdb import Backend


def cut_by_rows(database: Backend, table: str, slices: Sequence[date], most_rows: int) -> list[list[date]]:
    """The slices in order, in batches of at most ``most_rows`` rows of the table; a larger slice is a batch by itself.

    A slice that was never written has no rows. There must be at least one slice.
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
