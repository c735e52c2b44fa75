"""What has changed since the last publication: the next one copies the published file and writes that alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb
from ibis.backends.duckdb import Backend

from genome_pipeline import __version__
from genome_pipeline.contracts.published import PUBLISHED_VERSION, version_in
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.warehouse.database import Slice, open_database
from genome_pipeline.warehouse.errors import WarehouseError

MOST_FREE = 1 / 3
"""A file of which more is free, as slices in it were replaced, is written anew, without the free part."""

_LAST_RUN = "SELECT run_id, published_at, version FROM pipeline_runs ORDER BY published_at DESC LIMIT 1"
_SLICES = "SELECT table_name, slice_key, row_count, run_id, settings_hash, written_at FROM"
_COPY_BYTES = 1 << 30


def is_current(path: Path) -> bool:
    """Whether there is a published file with this program's schema."""
    if not path.exists():
        return False
    try:
        with open_database(path, read_only=True) as published:
            return version_in(published.con) == PUBLISHED_VERSION
    except (WarehouseError, duckdb.Error):
        return False


def is_kept(table: Table) -> bool:
    """Whether the slices of a table that did not change stay in the published file; other tables are written whole."""
    return table.is_published and table.is_by_period and not table.is_made_at_publishing


def changed_slices(database: Backend, path: Path) -> Mapping[str, list[Slice]] | None:
    """The slices by table, of tables that are kept, which the published file lacks, has otherwise, or should not have.

    None if the file must be written whole: there is none, it is not of this warehouse's last publication or of another
    version of the program, customers were forgotten since, or too much of it is free.
    """
    connection = database.con
    if not is_current(path) or not connection.execute("SELECT 1 FROM published_slices LIMIT 1").fetchall():
        return None
    with open_database(path, read_only=True) as published:
        last = published.con.execute(_LAST_RUN).fetchall()
        ((total, free),) = published.con.execute(
            "SELECT total_blocks, free_blocks FROM pragma_database_size()"
        ).fetchall()
    if last != connection.execute(_LAST_RUN).fetchall() or last[0][2] != __version__ or free > MOST_FREE * total:
        return None
    now, then = f"{_SLICES} written_slices", f"{_SLICES} published_slices"
    changed = connection.execute(
        f"SELECT DISTINCT table_name, slice_key FROM (({now} EXCEPT {then}) UNION ALL ({then} EXCEPT {now}))"
        " ORDER BY ALL"
    ).fetchall()
    return {
        table.name: [_slice(key) for name, key in changed if name == table.name]
        for table in TABLES.values()
        if is_kept(table)
    }


def remember_published_slices(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep which slices were published; to be called with the publication recorded."""
    connection.execute("DELETE FROM published_slices")
    connection.execute(f"INSERT INTO published_slices BY NAME {_SLICES} written_slices")


def copy_file(source: Path, target: Path) -> None:
    """Copy a file; where the file system can share blocks between files, it does.

    Raises :class:`OSError` as the system does.
    """
    try:
        with source.open("rb") as read, target.open("wb") as written:
            left = source.stat().st_size
            while left and (copied := os.copy_file_range(read.fileno(), written.fileno(), min(left, _COPY_BYTES))):
                left -= copied
    except (AttributeError, OSError):  # not every system, or pair of file systems, has the call
        left = 1
    if left:
        shutil.copyfile(source, target)


def _slice(key: str) -> Slice:
    return None if key == "undated" else date.fromisoformat(key)
