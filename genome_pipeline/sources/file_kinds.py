"""The formats of source files, recognised by file extension."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import Enum, auto
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile, delimited, ndjson, parquet, workbook
from genome_pipeline.sources.rows import Rows

SUPPORTED = ".csv, .tsv, .txt, .ndjson, .jsonl, .json (each also with .gz or .zst), .parquet, .xlsx"
_LISTED = 10


class Format(Enum):
    """The format of a file."""

    DELIMITED = auto()
    NDJSON = auto()
    PARQUET = auto()
    WORKBOOK = auto()


_FORMATS = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), Format.DELIMITED),
    **dict.fromkeys((".ndjson", ".jsonl", ".json"), Format.NDJSON),
    ".parquet": Format.PARQUET,
    ".xlsx": Format.WORKBOOK,
}


def opened(file: SourceFile, source: SourceSettings) -> AbstractContextManager[Rows]:
    """The columns and rows of a file on this machine. Raises :class:`SourceError` for one that cannot be opened."""
    format_ = format_of(file.path)
    if not source.header and format_ in (Format.NDJSON, Format.PARQUET):
        raise SourceError(
            f"{file.name} names its columns itself: take source.header = false out, and map them by their names"
        )
    match format_:
        case Format.DELIMITED:
            return delimited.opened(file, source)
        case Format.NDJSON:
            return ndjson.opened(file, source)
        case Format.PARQUET:
            return parquet.opened(file)
        case Format.WORKBOOK:
            return workbook.opened(file, source.header)
        case None:
            raise SourceError(unsupported(file.path))


def sheet_names(stream: BinaryIO, name: str) -> list[str]:
    """The sheets of a workbook that are not empty. Raises :class:`SourceError` if all are."""
    sheets = workbook.sheets_with_cells(stream, PurePosixPath(name).name)
    if not sheets:
        raise SourceError(
            f"{name} is empty: remove it, or save it again with column names in the first row of a sheet that is not"
            " hidden"
        )
    return sheets


def in_its_partition(path: Path, name: str, content_hash: str | None) -> str:
    """A hash that includes the partition of a Parquet file: the same bytes in another partition are other rows."""
    folders = parquet.partition_folders(PurePosixPath(name)) if format_of(path) is Format.PARQUET else []
    return " ".join([*folders, str(content_hash)])


def format_of(path: Path) -> Format | None:
    """The format for a file name; None if it is not supported."""
    name = path.name.lower()
    plain = Path(name.removesuffix(".gz").removesuffix(".zst"))
    found = _FORMATS.get(plain.suffix)
    is_text = found in (Format.DELIMITED, Format.NDJSON)
    return found if is_text or plain.name == name else None


def is_hidden(path: Path) -> bool:
    """Whether the file is hidden, or the lock file of a workbook open in an office program."""
    return path.name.startswith((".", "~$"))


def folder_named_like_file(path: Path) -> str:
    """The error sentence for a folder whose name has the extension of a file."""
    return f"{path} is a folder named like a file: name the files in it, such as '{path}/*{path.suffix}'"


def unsupported(path: Path | str) -> str:
    """The error sentence for a file whose name has no supported extension."""
    return f"{path} has an ending that is not supported: use one of {SUPPORTED}"


def listed(names: list[str]) -> str:
    """The first names, for a sentence, and the number of further ones."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + more if names else "nothing"
