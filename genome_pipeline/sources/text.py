"""Text files of any encoding -> UTF-8 that DuckDB can read; files in UTF-8 are not copied."""

from __future__ import annotations

import codecs
import gzip
import io
import logging
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from genome_pipeline.sources import SourceError, SourceFile

logger = logging.getLogger(__name__)

_CHUNK = 1 << 20
# UTF-32 first: its byte order mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# First bytes of files that are not text, and the extension each should have.
_KINDS = {
    b"PAR1": ("a Parquet file", ".parquet"),
    b"PK\3\4": ("a workbook or a ZIP archive", ".xlsx, or unpack it"),
    b"\xd0\xcf\x11\xe0": ("an old .xls workbook", ".xlsx, saved so by a spreadsheet program"),
    b"\x1f\x8b": ("a gzip file", ".gz after its own"),
    b"\x28\xb5\x2f\xfd": ("a Zstandard file", ".zst after its own"),
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def compression(path: Path) -> str:
    """DuckDB's name for the file's compression."""
    return _COMPRESSIONS.get(path.suffix.lower(), "uncompressed")


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, decompressed."""
    match compression(path):
        case "gzip":
            return cast(BinaryIO, gzip.open(path))
        case "zstd":
            return cast(BinaryIO, pa.input_stream(str(path), compression="zstd"))
        case _:
            return path.open("rb")


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """The UTF-8 file's text, decompressed, with line ends unchanged."""
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        yield text


@contextmanager
def utf8_path(file: SourceFile, encoding: str | None) -> Iterator[tuple[Path, str]]:
    """A UTF-8 file without byte order mark that holds the file's text: the file itself, or a temporary copy.

    Also gives the encoding in which the text was found.

    A byte order mark decides the encoding, then ``encoding``, then whether all bytes are valid UTF-8; the last resort
    is Windows-1252, with a warning in the log. Raises :class:`SourceError` for text that cannot be decoded, damaged
    UTF-8, NULs, and damaged compression.
    """
    found = _encoding(file, encoding)
    if found == "utf-8":
        yield file.path, found
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="genome-source-"))
            copy = Path(folder, "text")
            with copy.open("w", encoding="utf-8", newline="") as out:
                out.writelines(_decoded(file, found))
        except OSError as error:
            raise SourceError(
                f"{file.name} has to be copied to the folder for temporary files to be read, and that fails"
                f" ({error.strerror or error}): free some space there, or set TMPDIR to another folder"
            ) from None
        yield copy, found


def _encoding(file: SourceFile, encoding: str | None) -> str:
    """The encoding in which the whole file is readable text."""
    with _readable(file), open_bytes(file.path) as stream:
        start = stream.read(4)
    for beginning, (kind, ending) in _KINDS.items():
        if start.startswith(beginning):
            if compression(file.path) != "uncompressed":
                raise SourceError(
                    f"{file.name} holds {kind}, not text, when it is unpacked: unpack it, and name what comes out"
                )
            raise SourceError(f"{file.name} is {kind} by its content, not text: give it the ending {ending}")
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), None) or _unmarked_utf16(start)
    found = marked or (_known(encoding) if encoding else "utf-8")
    try:
        _read_through(file, found)
    except UnicodeDecodeError as error:
        if encoding or marked:
            raise SourceError(
                f"{file.name} is not {marked or encoding} text ({_place(file, found, error)}): set source.encoding to"
                " the encoding it was written in"
            ) from None
        if _has_utf8_before(file, error.start):
            raise SourceError(
                f"{file.name} is UTF-8 text with damage in it ({_place(file, found, error)}): repair that line, or"
                " export the file again"
            ) from None
        logger.warning(
            "%s is not UTF-8 text (%s): read as Windows-1252; if names look wrong, set source.encoding to the encoding"
            " it was written in",
            file.name,
            _place(file, found, error),
        )
        found = "cp1252"
        try:
            _read_through(file, found)
        except UnicodeDecodeError as second:
            raise SourceError(
                f"{file.name} is neither UTF-8 nor Windows-1252 text ({_place(file, found, second)}): set"
                " source.encoding to the encoding it was written in"
            ) from None
    return found


def _unmarked_utf16(start: bytes) -> str | None:
    """UTF-16 without a mark, recognised by NULs in every other byte, as in column names of Latin letters."""
    match [byte == 0 for byte in start]:
        case [False, True, False, True]:
            return "utf-16-le"
        case [True, False, True, False]:
            return "utf-16-be"
    return None


def _has_utf8_before(file: SourceFile, end: int) -> bool:
    """Whether the valid part before a fault has multi-byte characters, which other encodings hardly ever produce."""
    with open_bytes(file.path) as stream:
        while end > 0 and (piece := stream.read(min(_CHUNK, end))):
            if not piece.isascii():
                return True
            end -= len(piece)
    return False


def _known(encoding: str) -> str:
    try:
        # Refuses codecs that are not for text, which a mere look-up does not.
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        return codecs.lookup(encoding).name
    except LookupError:
        raise SourceError(
            f"source.encoding = {encoding!r} is not a text encoding: use a name such as 'utf-8', 'latin-1' or 'cp1252'"
        ) from None


def _read_through(file: SourceFile, encoding: str) -> None:
    line = 1
    for text in _decoded(file, encoding):
        nul = text.find("\0")
        if nul >= 0:
            line += text.count("\n", 0, nul)
            raise SourceError(
                f"{file.name} is not a text file (NUL in line {line:,}): give it the ending of what it is, or export it"
                " again as text"
            )
        line += text.count("\n")


def _decoded(file: SourceFile, encoding: str) -> Iterator[str]:
    """The file's text in pieces; the ``start`` of a decoding error counts from the beginning of the file."""
    decoder = codecs.getincrementaldecoder(encoding)()
    before = 0
    with _readable(file), open_bytes(file.path) as stream:
        while True:
            piece = stream.read(_CHUNK)
            pending = len(decoder.getstate()[0])
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                start = before - pending + error.start
                raise UnicodeDecodeError(
                    encoding, error.object[error.start :], start, start + 1, error.reason
                ) from None
            except UnicodeError:
                raise SourceError(
                    f"{file.name} has no byte order mark, which {encoding} needs: set source.encoding to"
                    f" '{encoding}-le' or '{encoding}-be'"
                ) from None
            yield text
            if not piece:
                return
            before += len(piece)


def _place(file: SourceFile, encoding: str, error: UnicodeDecodeError) -> str:
    line = 1
    remaining = error.start
    with open_bytes(file.path) as stream:
        while remaining and (piece := stream.read(min(_CHUNK, remaining))):
            line += piece.count(b"\n")
            remaining -= len(piece)
    return f"byte 0x{error.object[0]:02x} at offset {error.start:,}, line {line:,}"


@contextmanager
def _readable(file: SourceFile) -> Iterator[None]:
    """Turn exceptions from reading the bytes into :class:`SourceError`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise SourceError(damaged(file, "gzip")) from None
    except OSError as error:
        if compression(file.path) == "zstd" and error.errno is None:
            raise SourceError(damaged(file, "Zstandard")) from None
        raise SourceError(unreadable(file.path, error)) from None


def damaged(file: SourceFile, kind: str) -> str:
    """The error sentence for a file that is truncated, or not of the kind that its extension says."""
    return f"{file.name} is not a whole {kind} file: it was cut off, or is something else; copy or export it again"


def unreadable(path: Path, error: OSError) -> str:
    """The error sentence for a file or folder that may not be read."""
    return f"{path} cannot be read ({(error.strerror or 'input/output error').lower()}): check it and its permissions"
