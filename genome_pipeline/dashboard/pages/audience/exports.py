"""A selection of customers as a file: exactly the rows and columns that the Audience page shows."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb

from genome_pipeline.dashboard.kit.snapshots import Run, provisional_snapshots
from genome_pipeline.dashboard.pages.audience import queries
from genome_pipeline.dashboard.pages.audience.selection import Selection, in_words
from genome_pipeline.dashboard.pages.audience.trial import held_back
from genome_pipeline.published.export import write_rows

EXPORT_SECONDS = 600.0
"""How long one export may take to be made."""

MADE_AT_ONCE = 1
"""Number of exports made at the same time: each takes memory beside the pages'."""

HELD_AT_ONCE = 8
"""Number of exports that are being made, waiting or being downloaded: each may hold a file on the disk, or a thread."""

MOST_CELLS = 100_000_000
"""Customers times columns of one export: some 2 GB as CSV."""

MEMORY = "200MB"
"""Memory of the database that reads, sorts and writes one export; rows beyond it are put aside on the disk."""


class ExportRefused(Exception):
    """An export that is not made: a sentence for the visitor, and the HTTP status that fits it."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class Place:
    """One of the :data:`HELD_AT_ONCE` places: free again when the export has failed, or its file is closed."""

    def __init__(self, release: Callable[[], None]) -> None:
        self.release = release
        self.has_file = False


class Exports:
    """How many exports of one server there are."""

    def __init__(self, made_at_once: int = MADE_AT_ONCE, held_at_once: int = HELD_AT_ONCE) -> None:
        self._makers = threading.BoundedSemaphore(made_at_once)
        self._places = threading.BoundedSemaphore(held_at_once)

    @contextmanager
    def turn(self) -> Iterator[Place]:
        """Wait for the turn of one export. Raises :class:`ExportRefused` where too many are under way."""
        if not self._places.acquire(blocking=False):
            raise ExportRefused("Too many exports are under way: try again in a minute.", 503)
        place = Place(self._places.release)
        try:
            with self._makers:
                yield place
        finally:
            if not place.has_file:
                place.release()


def audience_file(
    connection: duckdb.DuckDBPyConnection, folder: Path, as_of: date, selection: Selection, kind: str, place: Place
) -> tuple[io.FileIO, int]:
    """The customers of a selection as an open file, deleted when closed, and their number; ``kind``: csv or parquet.

    The head of the file states the snapshot, the selection and the number of customers. ``connection`` and ``folder``
    come from :meth:`genome_pipeline.published.versions.PublishedFile.connect_alone`. The database that sorts the rows
    also writes them: handing them over in batches fragments the heap until it is as large as all rows together. Raises
    :class:`ExportRefused` where the selection was not understood, has too many rows and columns, or would name those
    whom an experiment leaves alone by now for its action.
    """
    if selection.faults:
        raise ExportRefused(f"Nothing is exported, as a part of the link is wrong: {selection.faults[0]}.", 400)
    _, size = queries.audience_size(connection, as_of, selection)
    if size * len(selection.columns) > MOST_CELLS:
        raise ExportRefused(
            f"{size:,} customers with {len(selection.columns)} columns are more than can be downloaded at once:"
            " choose fewer of either, or use `genome export`.",
            413,
        )
    if reason := held_back(connection, as_of, selection):
        raise ExportRefused(reason, 409)
    run = Run.of(connection)
    is_provisional = as_of in provisional_snapshots(connection)
    notes = {
        "snapshot": f"{as_of} (provisional)" if is_provisional else str(as_of),
        "published": f"{run.published_at:%Y-%m-%d %H:%M} UTC from {run.source_name}",
        **{f"selection {number}": text for number, text in enumerate(in_words(selection), start=1)},
        "customers": str(size),
    }
    path = folder / f"audience.{kind}"
    write_rows(connection, *queries.audience_query(as_of, selection, size), path, notes)
    file = _Download(path, place.release)
    place.has_file = True
    return file, size


class _Download(io.FileIO):
    """A file that says when it is no longer needed."""

    def __init__(self, path: Path, when_closed: Callable[[], None]) -> None:
        super().__init__(path)
        self._when_closed = when_closed

    def close(self) -> None:
        is_first = not self.closed
        super().close()
        if is_first:
            self._when_closed()
