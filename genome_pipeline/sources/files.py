"""The source's files: which there are, and their rows as they came.

:func:`read_file` is a context: its relation is read within it, while the file is held ready, and whatever is
wrong with the file then is told as a :class:`SourceError`::

    for file in find_files(settings.source):
        with read_file(connection, file, settings.source) as rows:
            connection.execute("INSERT INTO raw BY NAME SELECT ? AS source_file, * FROM rows", [file.name])
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto
from pathlib import Path

import duckdb

from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile, delimited, ndjson, parquet, workbook
from genome_pipeline.sources.columns import choose
from genome_pipeline.sources.rows import Rows
from genome_pipeline.sources.text import unreadable

__all__ = ["SourceError", "SourceFile", "find_files", "read_file", "sniff"]

_SUPPORTED = ".csv, .tsv, .txt, .ndjson, .jsonl, .json (each also with .gz or .zst), .parquet, .xlsx"
_LISTED = 10
# A path below the config's folder has lost one of the two slashes.
_BUCKET = re.compile(r"(?:^|/)([a-z][a-z0-9+.-]+):/+(.*)", re.IGNORECASE)


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

    A file and a pattern name what they match; a folder names the supported files directly in it. Hidden files
    are passed over. Raises :class:`SourceError` for a path that names nothing, or something that cannot be
    read, or is no supported file.
    """
    bucket = _BUCKET.search(source.path)
    if bucket:
        raise SourceError(
            f"source.path = '{bucket[1]}://{bucket[2]}' is a bucket, which is not supported by this version:"
            " copy the files to a local folder, and name that"
        )
    try:
        root, paths = _paths(Path(source.path))
        return [file for path in paths for file in _source_files(root, path)]
    except OSError as error:
        raise SourceError(unreadable(Path(error.filename or source.path), error)) from None


@contextmanager
def read_file(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, source: SourceSettings
) -> Iterator[duckdb.DuckDBPyRelation]:
    """The file's rows as they came: ``source_row`` (BIGINT, 1 is the first row after the header) and the raw columns.

    Text formats and workbooks give VARCHAR as written, Parquet its own types; a column that is not mapped is
    NULL. Nothing is read before the relation is used, which must be within the context and on
    ``connection``. Raises :class:`SourceError` on entering for a file that cannot be opened or lacks a mapped
    column, within for rows that cannot be read, and on leaving for a file that changed meanwhile; what was
    written of it has to be rolled back.
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
    if _content_hash(file.path) != file.content_hash:
        raise SourceError(f"{file.name} changed while it was read: run again when it is complete")


def sniff(file: SourceFile, source: SourceSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the file's columns, and their types.

    Raises :class:`SourceError` for a file that cannot be opened or lacks a mapped column.
    """
    with _opened(file, source) as rows:
        choose(rows.names, rows.types, file, source)
        return rows.names, rows.types


def _opened(file: SourceFile, source: SourceSettings) -> AbstractContextManager[Rows]:
    match _format(file.path):
        case _Format.DELIMITED:
            return delimited.opened(file, source)
        case _Format.NDJSON:
            return ndjson.opened(file, source)
        case _Format.PARQUET:
            return parquet.opened(file)
        case _Format.WORKBOOK:
            return workbook.opened(file)
        case None:
            raise SourceError(_unsupported(file.path))


def _paths(path: Path) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the paths of the files."""
    if path.is_dir():
        if _format(path):
            raise SourceError(_folder_named_like_file(path))
        found = sorted(item for item in path.iterdir() if _format(item) and not _is_hidden(item))
        if not found:
            raise SourceError(f"no supported file in {path}, which holds {_contents(path)}; supported: {_SUPPORTED}")
        return path, _checked(found)
    if path.exists():
        return path.parent, _checked([path])
    fixed = next((number for number, part in enumerate(path.parts) if glob.has_magic(part)), None)
    if fixed is None:
        raise SourceError(f"no file or folder {path}: {_nearest(path)}; correct source.path")
    root, pattern = Path(*path.parts[:fixed]), str(Path(*path.parts[fixed:]))
    if not root.is_dir():
        raise SourceError(f"no folder {root}: {_nearest(root)}; correct source.path")
    # Path.glob would leave out the files of a closing "**".
    matches = (root / match for match in glob.glob(pattern, root_dir=root, recursive=True))  # noqa: PTH207
    found = sorted(match for match in matches if not _is_hidden(match) and (_format(match) or not match.is_dir()))
    if not found:
        raise SourceError(f"no file matches {pattern!r} in {root}, which holds {_contents(root)}; correct source.path")
    return root, _checked(found)


def _checked(paths: Iterable[Path]) -> list[Path]:
    for path in paths:
        if path.is_dir():
            raise SourceError(_folder_named_like_file(path))
        if not path.is_file() and path.exists():
            raise SourceError(f"{path} is not a regular file: name files on disk")
        if _format(path) is None:
            raise SourceError(_unsupported(path))
    return list(paths)


def _source_files(root: Path, path: Path) -> Iterator[SourceFile]:
    name = path.relative_to(root).as_posix()
    content_hash = _content_hash(path)
    if _format(path) is _Format.WORKBOOK:
        sheets = workbook.sheets_with_cells(path)
        if not sheets:
            raise SourceError(f"{name} is empty: remove it, or save it again with column names in its first row")
        for sheet in sheets:
            yield SourceFile(f"{name}#{sheet}", path, sheet, content_hash)
    else:
        yield SourceFile(name, path, None, content_hash)


def _content_hash(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(unreadable(path, error)) from None


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


def _unsupported(path: Path) -> str:
    return f"{path} has an ending that is not supported: use one of {_SUPPORTED}"


def _nearest(path: Path) -> str:
    folder = next((parent for parent in path.parents if parent.is_dir()), Path())
    return f"{folder} holds {_contents(folder)}"


def _contents(folder: Path) -> str:
    names = sorted(item.name for item in folder.iterdir())
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + more if names else "nothing"
