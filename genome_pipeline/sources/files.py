"""The source's files, or its table: which there are, and their rows as they came.

:func:`read_file` is a context: its relation is read within it, while the file is held ready, and whatever is
wrong with the file then is told as a :class:`SourceError`::

    for file in find_files(settings.source):
        with read_file(connection, file, settings.source) as rows:
            connection.execute("INSERT INTO raw BY NAME SELECT ? AS source_file, * FROM rows", [file.name])
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import duckdb

from genome_pipeline.duckdb_connection import connect
from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile, buckets, delimited, ndjson, parquet, postgresql, workbook
from genome_pipeline.sources.columns import choose
from genome_pipeline.sources.rows import Rows
from genome_pipeline.sources.text import unreadable

__all__ = [
    "Sample",
    "SourceError",
    "SourceFile",
    "check_is_no_source",
    "find_files",
    "read_file",
    "read_sample",
    "sniff",
]

_SUPPORTED = ".csv, .tsv, .txt, .ndjson, .jsonl, .json (each also with .gz or .zst), .parquet, .xlsx"
_LISTED = 10


class _Format(Enum):
    DELIMITED = auto()
    NDJSON = auto()
    PARQUET = auto()
    WORKBOOK = auto()


_FORMATS = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), _Format.DELIMITED),
    **dict.fromkeys((".ndjson", ".jsonl", ".json"), _Format.NDJSON),
    ".parquet": _Format.PARQUET,
    ".xlsx": _Format.WORKBOOK,
}


def find_files(source: SourceSettings) -> list[SourceFile]:
    """The files that ``source.path`` names, sorted by name; each sheet of a workbook that holds anything is one.

    A file and a pattern name what they match; a folder names the supported files directly in it and in its
    ``key=value`` folders. Hidden files are passed over. A database gives one. Raises :class:`SourceError` for a
    path that names nothing, or something that cannot be read, or is no supported file.
    """
    if source.is_database:
        return [postgresql.source_file(source)]
    if "://" in source.path:
        return _in_bucket(source.path)
    try:
        root, paths = _paths(Path(source.path))
        return [file for path in paths for file in _source_files(root, path)]
    except OSError as error:
        raise SourceError(unreadable(Path(error.filename or source.path), error)) from None


def check_is_no_source(path: Path, source: SourceSettings) -> None:
    """Raises :class:`SourceError` where a file written at ``path`` would replace one of the source, or be read as one.

    A pattern's ``*`` is taken to match folders as well: rather one place too many than a log that is lost.
    """
    if "://" in source.path:
        return
    log, target = (Path(place).resolve() for place in (source.path, path))
    if log.is_dir():
        is_inside = target.is_relative_to(log) and _format(target) is not None
        is_read = is_inside and all("=" in folder for folder in target.relative_to(log).parts[:-1])
    else:
        patterns = (str(log), str(log).replace("**/", ""))  # a "**" may be no folder at all
        is_read = target == log or any(fnmatch(str(target), pattern) for pattern in patterns)
    if is_read:
        raise SourceError(
            f"{path} is where source.path takes files from: it would be lost, or read as orders; name another folder"
        )


def landing_mark(source: SourceSettings) -> str | None:
    """A mark that is another one when files were added, removed or written to; None for a database, which has none.

    Costs a listing, and reads no file. Raises :class:`SourceError` as :func:`find_files` does.
    """
    if source.is_database:
        return None
    if "://" in source.path:
        marks = [f"{file.name} {file.content_hash}" for file in _in_bucket(source.path)]
    else:
        try:
            _, paths = _paths(Path(source.path))
            stats = [(path, path.stat()) for path in paths]
        except OSError as error:
            raise SourceError(unreadable(Path(error.filename or source.path), error)) from None
        marks = [f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()


@contextmanager
def read_file(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, source: SourceSettings
) -> Iterator[duckdb.DuckDBPyRelation]:
    """The file's rows as they came: ``source_row`` (BIGINT, 1 is the first row after the header) and the raw columns.

    Text formats and workbooks give VARCHAR as written, Parquet and databases their own types; a column that
    is not mapped is NULL. Nothing is read before the relation is used, which must be within the context, on
    ``connection``, and once: a database does not give its rows again. Raises :class:`SourceError` on entering
    for a file that cannot be opened or lacks a mapped column, within for rows that cannot be read, and on
    leaving for a file that changed meanwhile; what was written of it has to be rolled back.
    """
    with _opened(file, source) as rows:
        chosen = choose(rows.names, rows.types, file, source)
        try:
            yield rows.relation(connection, chosen)
        except duckdb.Error:
            fault = rows.fault(chosen)
            if fault is None:
                raise
            raise SourceError(fault) from None
    is_here = file.key is None and file.content_hash is not None
    if is_here and _content_hash(file.path, file.name) != file.content_hash:
        raise SourceError(f"{file.name} changed while it was read: run again when it is complete")


@dataclass(frozen=True)
class Sample:
    """All columns of a file's first rows: names, types, and values as text, None where there is none.

    ``layout`` says in words what was found out about the form of a text file.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    values: tuple[tuple[str | None, ...], ...]
    layout: str


def read_sample(file: SourceFile, source: SourceSettings, row_count: int) -> Sample:
    """The first ``row_count`` rows of the file, mapped or not.

    Raises :class:`SourceError` for a file that cannot be opened or read.
    """
    with _opened(file, source) as rows, connect() as connection:
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
    with _opened(file, source) as rows:
        choose(rows.names, rows.types, file, source)
        return rows.names, rows.types


@contextmanager
def _opened(file: SourceFile, source: SourceSettings) -> Iterator[Rows]:
    with ExitStack() as stack:
        if source.is_database:
            yield stack.enter_context(postgresql.opened(file, source))
            return
        if file.key is not None:
            file = stack.enter_context(buckets.copied(file, source.path))
        yield stack.enter_context(_opened_file(file, source))


def _opened_file(file: SourceFile, source: SourceSettings) -> AbstractContextManager[Rows]:
    format_ = _format(file.path)
    if not source.header and format_ in (_Format.NDJSON, _Format.PARQUET):
        raise SourceError(
            f"{file.name} names its columns itself: take source.header = false out, and map them by their names"
        )
    match format_:
        case _Format.DELIMITED:
            return delimited.opened(file, source)
        case _Format.NDJSON:
            return ndjson.opened(file, source)
        case _Format.PARQUET:
            return parquet.opened(file)
        case _Format.WORKBOOK:
            return workbook.opened(file, source.header)
        case None:
            raise SourceError(_unsupported(file.path))


def _paths(path: Path) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the paths of the files."""
    if path.is_dir():
        if _format(path):
            raise SourceError(_folder_named_like_file(path))
        found = sorted(_in_folder(path))
        if not found:
            raise SourceError(f"no supported file in {path}, which holds {_contents(path)}; supported: {_SUPPORTED}")
        return path, _checked(found)
    if path.exists():
        return path.parent, _checked([path])
    # A folder that is there is no pattern, whatever its name.
    there = next(parent for parent in path.parents if parent.is_dir())
    rest = path.relative_to(there).parts
    fixed = next((number for number, part in enumerate(rest) if glob.has_magic(part)), None)
    if fixed is None:
        raise SourceError(f"no file or folder {path}: {_nearest(path)}; correct source.path")
    root, pattern = Path(there, *rest[:fixed]), str(Path(*rest[fixed:]))
    if not root.is_dir():
        raise SourceError(f"no folder {root}: {_nearest(root)}; correct source.path")
    # Path.glob would leave out the files of a closing "**".
    matches = (root / match for match in glob.glob(pattern, root_dir=root, recursive=True))  # noqa: PTH207
    found = sorted(match for match in matches if not _is_hidden(match) and (_format(match) or not match.is_dir()))
    if not found:
        raise SourceError(f"no file matches {pattern!r} in {root}, which holds {_contents(root)}; correct source.path")
    return root, _checked(found)


def _in_folder(folder: Path) -> Iterator[Path]:
    for item in folder.iterdir():
        if "=" in item.name and item.is_dir():
            yield from _in_folder(item)
        elif _format(item) and not _is_hidden(item):
            yield item


def _in_bucket(url: str) -> list[SourceFile]:
    listing = buckets.listing(url)
    found = [file for file in listing.files if not _is_hidden(file.path)]
    if listing.is_folder:
        found = [file for file in found if _format(file.path)]
    if not found and listing.is_folder:
        holds = _listed([file.name for file in listing.files])
        raise SourceError(f"no supported file in {url}, which holds {holds}; supported: {_SUPPORTED}")
    if not found:
        raise SourceError(f"no file matches {url}: correct source.path")
    return [sheet for file in found for sheet in _sheets(file, url)]


def _sheets(file: SourceFile, url: str) -> list[SourceFile]:
    if _format(file.path) is None:
        raise SourceError(_unsupported(file.name))
    if _format(file.path) is not _Format.WORKBOOK:
        return [replace(file, content_hash=_in_its_partition(file.path, file.name, file.content_hash))]
    with buckets.opened(file, url) as stream:
        names = _sheet_names(stream, file.name)
    return [replace(file, name=f"{file.name}#{name}", sheet=name) for name in names]


def _checked(paths: Iterable[Path]) -> list[Path]:
    for path in paths:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        if shown != str(path):
            raise SourceError(f"the name of {shown} is not UTF-8: rename the file")
        if path.is_dir():
            raise SourceError(_folder_named_like_file(path))
        if not path.is_file() and path.exists():
            raise SourceError(f"{path} is not a regular file: name files on disk")
        if _format(path) is None:
            raise SourceError(_unsupported(path))
    return list(paths)


def _source_files(root: Path, path: Path) -> Iterator[SourceFile]:
    name = path.relative_to(root).as_posix()
    content_hash = _content_hash(path, name)
    if _format(path) is _Format.WORKBOOK:
        with path.open("rb") as stream:
            sheets = _sheet_names(stream, name)
        for sheet in sheets:
            yield SourceFile(f"{name}#{sheet}", path, sheet, content_hash)
    else:
        yield SourceFile(name, path, None, content_hash)


def _sheet_names(stream: BinaryIO, name: str) -> list[str]:
    sheets = workbook.sheets_with_cells(stream, PurePosixPath(name).name)
    if not sheets:
        raise SourceError(
            f"{name} is empty: remove it, or save it again with column names in the first row of a sheet that is not"
            " hidden"
        )
    return sheets


def _content_hash(path: Path, name: str) -> str:
    try:
        with path.open("rb") as stream:
            return _in_its_partition(path, name, hashlib.file_digest(stream, "sha256").hexdigest())
    except OSError as error:
        raise SourceError(unreadable(path, error)) from None


def _in_its_partition(path: Path, name: str, content_hash: str | None) -> str:
    """A hash that tells the partition of a Parquet file too: the same bytes in another are other rows."""
    folders = parquet.partition_folders(PurePosixPath(name)) if _format(path) is _Format.PARQUET else []
    return " ".join([*folders, str(content_hash)])


def _format(path: Path) -> _Format | None:
    name = path.name.lower()
    plain = Path(name.removesuffix(".gz").removesuffix(".zst"))
    found = _FORMATS.get(plain.suffix)
    is_text = found in (_Format.DELIMITED, _Format.NDJSON)
    return found if is_text or plain.name == name else None


def _is_hidden(path: Path) -> bool:
    """Hidden, or the lock of a workbook that is open in an office program."""
    return path.name.startswith((".", "~$"))


def _folder_named_like_file(path: Path) -> str:
    return f"{path} is a folder named like a file: name the files in it, such as '{path}/*{path.suffix}'"


def _unsupported(path: Path | str) -> str:
    return f"{path} has an ending that is not supported: use one of {_SUPPORTED}"


def _nearest(path: Path) -> str:
    folder = next((parent for parent in path.parents if parent.is_dir()), Path())
    return f"{folder} holds {_contents(folder)}"


def _contents(folder: Path) -> str:
    return _listed(sorted(item.name for item in folder.iterdir()))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + more if names else "nothing"
