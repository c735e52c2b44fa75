"""Text files of any encoding -> UTF-8 that DuckDB can read, without a copy where they are that already."""

from __future__ import annotations

import codecs
import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from genome_pipeline.sources import SourceError, SourceFile

_CHUNK = 1 << 20
# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


def compression(path: Path) -> str:
    """DuckDB's name of the file's compression."""
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
    """The UTF-8 file's text, decompressed, with its line ends as they are."""
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        yield text


@contextmanager
def utf8_path(file: SourceFile, encoding: str | None) -> Iterator[Path]:
    """A UTF-8 file without byte order mark that holds the file's text: the file itself, or a temporary copy.

    A byte order mark decides the encoding, then ``encoding``, then whether all bytes are valid UTF-8; the
    last resort is Windows-1252. Raises :class:`SourceError` for text that cannot be decoded, for NULs, and
    for damaged compression.
    """
    found = _encoding(file, encoding)
    if found == "utf-8":
        yield file.path
        return
    with tempfile.TemporaryDirectory(prefix="genome-source-") as folder:
        copy = Path(folder, "text")
        with copy.open("w", encoding="utf-8", newline="") as out:
            out.writelines(_decoded(file, found))
        yield copy


def _encoding(file: SourceFile, encoding: str | None) -> str:
    """The encoding in which the whole file is readable text."""
    with _readable(file), open_bytes(file.path) as stream:
        start = stream.read(4)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    found = marked or (_known(encoding) if encoding else "utf-8")
    try:
        _read_through(file, found)
    except UnicodeDecodeError as error:
        if encoding or marked:
            raise SourceError(
                f"{file.name} is not {marked or encoding} text ({_place(file, found, error)}): set source.encoding to"
                " the encoding it was written in"
            ) from None
        found = "cp1252"
        try:
            _read_through(file, found)
        except UnicodeDecodeError as second:
            raise SourceError(
                f"{file.name} is neither UTF-8 nor Windows-1252 text ({_place(file, found, second)}): set"
                " source.encoding to the encoding it was written in"
            ) from None
    return found


def _known(encoding: str) -> str:
    try:
        # Refuses codecs that are not of text, which a bare look-up does not.
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
    """The file's text in pieces. The ``start`` of a decoding error counts from the beginning of the file."""
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
    """Turns what reading the bytes can raise into a :class:`SourceError`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise SourceError(damaged(file, "gzip")) from None
    except OSError as error:
        if compression(file.path) == "zstd" and error.errno is None:
            raise SourceError(damaged(file, "Zstandard")) from None
        raise SourceError(unreadable(file.path, error)) from None


def damaged(file: SourceFile, kind: str) -> str:
    """The sentence for a file that is cut off, or not of the kind that its ending says."""
    return f"{file.name} is not a whole {kind} file: it was cut off, or is something else; copy or export it again"


def unreadable(path: Path, error: OSError) -> str:
    """The sentence for a file or folder that the system does not let be read."""
    return f"{path} cannot be read ({(error.strerror or 'input/output error').lower()}): check it and its permissions"
