"""The slices of published tables with their fingerprints, so that an export sends only what has changed."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.sql import identifier

_SLICE_COLUMNS = {
    table.published_name: table.slice_by
    for table in TABLES.values()
    if table.is_by_period and table.slice_by and table.slice_by not in table.nullable
}


@dataclass(frozen=True)
class Slices:
    """A table or view of the published file: what is sent of it together.

    ``column`` is the date that its rows are parted by: the snapshot or the period; None for a table that is sent whole.
    ``found`` has for each slice, named by its date, or "" for the whole, its fingerprint and row count. Equal
    fingerprints mean equal rows, if the same version of DuckDB made them.
    """

    name: str
    column: str | None
    found: dict[str, tuple[str, int]]

    @property
    def row_count(self) -> int:
        """Rows of all slices."""
        return sum(count for _, count in self.found.values())


def slices_of(connection: duckdb.DuckDBPyConnection, name: str) -> Slices:
    """The slices of a table or view of the published file that is open in DuckDB; an empty whole is a slice, too."""
    column = _SLICE_COLUMNS.get(name)
    named, grouped = (f"{identifier(column)}::VARCHAR", "GROUP BY 1 ORDER BY 1") if column else ("''", "")
    rows = connection.execute(
        f"SELECT {named}, coalesce(sum(hash(each)), 0)::VARCHAR, count(*) FROM {identifier(name)} AS each {grouped}"
    ).fetchall()
    return Slices(name, column, {key: (fingerprint, count) for key, fingerprint, count in rows})
