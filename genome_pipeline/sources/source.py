"""The source: its files, or its table, and their rows as they are written.

:func:`read_file` is a context manager. Its relation must be read within it, while the file is open; faults of the file
are raised there as :class:`SourceError`::

    for file in find_files(settings.source):
        with read_file(connection, file, settings.source) as rows:
            connection.execute("INSERT INTO raw BY NAME SELECT ? AS source_file, * FROM rows", [file.name])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb

from genome_pipeline.duckdb_connection import connect
from genome_pipeline.privacy import FORGOTTEN_FILE
from genome_pipeline.settings import ContactSettings, Settings, SourceColumns, SourceKind, SourceSettings
from genome_pipeline.sources import SourceError, SourceFile, combined
from genome_pipeline.sources.buckets import Bucket
from genome_pipeline.sources.columns import choose
from genome_pipeline.sources.local import LocalFiles
from genome_pipeline.sources.postgresql import Database
from genome_pipeline.sources.rows import Rows

__all__ = [
    "Sample",
    "Source",
    "SourceError",
    "SourceFile",
    "check_may_be_written",
    "find_files",
    "mark_of",
    "read_contacts",
    "read_file",
    "read_sample",
    "sniff",
    "source_of",
]


class Source(Protocol):
    """A place that transactions come from. Another kind of source is another class with these methods."""

    def files(self) -> list[SourceFile]:
        """The files, sorted by name; each sheet of a workbook that is not empty is one, and so is a database.

        A path or a pattern names the files that it matches; a folder names the supported files directly in it and in
        its ``key=value`` folders. Hidden files are skipped. Raises :class:`SourceError` for a path without files, and
        for a file that cannot be read or has no supported format.
        """

    def mark(self) -> str | None:
        """A mark that changes when files are added, removed or written to; None if the source has none.

        Costs one listing and reads no file. Raises :class:`SourceError` as :meth:`files` does.
        """

    def opened(self, file: SourceFile) -> AbstractContextManager[Rows]:
        """The columns and rows of one of :meth:`files`, which stays available within the context.

        Raises :class:`SourceError` for a file that cannot be opened.
        """

    def check_unchanged(self, file: SourceFile) -> None:
        """Raise :class:`SourceError` if the file was written to since :meth:`files`."""

    def takes(self, path: Path) -> bool:
        """Whether a file written at ``path`` on this machine would replace, or become, one of :meth:`files`.

        ``*`` in a pattern is taken to match folders as well: refusing one place too many is better than losing a log.
        """


def source_of(settings: SourceSettings) -> Source:
    """The source that the settings name."""
    match settings.kind:
        case SourceKind.DATABASE:
            return Database(settings)
        case SourceKind.BUCKET:
            return Bucket(settings)
        case SourceKind.LOCAL:
            return LocalFiles(settings)


def find_files(source: SourceSettings) -> list[SourceFile]:
    """See :meth:`Source.files`."""
    return source_of(source).files()


def check_may_be_written(path: Path, settings: Settings) -> None:
    """Raise :class:`SourceError` if a file at ``path`` would replace one that is read or kept, or be read as orders."""
    if source_of(settings.source).takes(path):
        raise SourceError(
            f"{path} is where source.path takes files from: it would be lost, or read as orders; name another folder"
        )
    taken = {
        "the contact log, contacts.path": None if settings.contacts is None else settings.contacts.path,
        "the file of costs, acquisition.cost_file": settings.acquisition.cost_file,
        "the list of forgotten customers": settings.home / FORGOTTEN_FILE,
    }
    for what, kept in taken.items():
        if kept is not None and path.resolve() == Path(kept).resolve():
            raise SourceError(f"{path} is {what}: it would be lost; name another file")


@contextmanager
def read_file(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, source: SourceSettings
) -> Iterator[duckdb.DuckDBPyRelation]:
    """The file's rows as they are written: ``source_row`` (BIGINT, from 1 after the header) and the raw columns.

    Text formats and workbooks give VARCHAR as written, Parquet and databases their own types; a column that is not
    mapped is NULL. Nothing is read before the relation is used. Use it within the context, on ``connection``, and only
    once: a database does not give its rows again.

    Raises :class:`SourceError` on entering for a file that cannot be opened or lacks a mapped column, within for rows
    that cannot be read, and on leaving for a file that changed meanwhile; the caller then has to roll back.
    """
    with _read(connection, file, source, source.columns.mapped, "source.columns") as rows:
        yield rows


@contextmanager
def read_contacts(
    connection: duckdb.DuckDBPyConnection, contacts: ContactSettings
) -> Iterator[duckdb.DuckDBPyRelation]:
    """The rows of the contact log, as :func:`read_file` gives those of a source: ``source_row`` and the raw columns.

    A raw column is called ``raw_`` and its name in the config. Raises :class:`SourceError` as that does.
    """
    source = _source_of_contacts(contacts)
    files = find_files(source)
    if len(files) > 1:
        raise SourceError(f"{contacts.path} has {len(files)} sheets, and contacts are one: save that as a file")
    with _read(connection, files[0], source, contacts.columns.mapped, "contacts.columns") as rows:
        yield rows


def mark_of(source: SourceSettings, contacts: ContactSettings | None) -> str | None:
    """See :meth:`Source.mark`; it changes with the contact log, too, where the config names one."""
    of_source = source_of(source).mark()
    if of_source is None or contacts is None:
        return of_source
    return combined([of_source, str(source_of(_source_of_contacts(contacts)).mark())])


def _source_of_contacts(contacts: ContactSettings) -> SourceSettings:
    if not Path(contacts.path).is_file():
        raise SourceError(
            f"contacts.path = {contacts.path} is no file: correct it, put the log of contacts there, or take [contacts]"
            " out of the config"
        )
    # A delimiter is known by the columns it finds.
    columns = SourceColumns(customer_id=contacts.columns.customer_id, ordered_at=contacts.columns.contacted_at)
    return SourceSettings(path=contacts.path, columns=columns)


@contextmanager
def _read(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    source: SourceSettings,
    mapped: Mapping[str, str],
    section: str,
) -> Iterator[duckdb.DuckDBPyRelation]:
    place = source_of(source)
    with place.opened(file) as rows:
        chosen = choose(rows.names, rows.types, file, mapped, section)
        try:
            yield rows.relation(connection, chosen)
        except duckdb.Error:
            fault = rows.fault(chosen)
            if fault is None:
                raise
            raise SourceError(fault) from None
    place.check_unchanged(file)


@dataclass(frozen=True)
class Sample:
    """All columns of a file's first rows: names, types, and values as text, None for missing ones.

    ``layout`` says in words which form of a text file was detected.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    values: tuple[tuple[str | None, ...], ...]
    layout: str


def read_sample(file: SourceFile, source: SourceSettings, row_count: int) -> Sample:
    """The first ``row_count`` rows of the file, mapped or not.

    Raises :class:`SourceError` for a file that cannot be opened or read.
    """
    with source_of(source).opened(file) as rows, connect() as connection:
        chosen = {f"column_{position}": position for position in range(len(rows.names))}
        columns = ", ".join(f"raw_{name}::VARCHAR" for name in chosen)
        try:
            relation = rows.relation(connection, chosen)
            found = relation.limit(row_count).project(columns).fetchall()
        except duckdb.Error:
            fault = rows.fault(chosen)
            if fault is None:
                raise
            raise SourceError(fault) from None
        values = tuple(zip(*found, strict=True)) if found else ((),) * len(rows.names)
        return Sample(rows.names, rows.types, values, rows.layout)


def sniff(file: SourceFile, source: SourceSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the file's columns, and their types.

    Raises :class:`SourceError` for a file that cannot be opened or lacks a mapped column.
    """
    with source_of(source).opened(file) as rows:
        choose(rows.names, rows.types, file, source.columns.mapped, "source.columns")
        return rows.names, rows.types
