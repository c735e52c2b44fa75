"""XLSX workbooks: each sheet is a file."""

from __future__ import annotations

import logging
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import BinaryIO
from xml.etree import ElementTree

import duckdb
import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

from genome_pipeline.contracts.tables import RAW_COLUMNS
from genome_pipeline.sources import SourceError, SourceFile
from genome_pipeline.sources.rows import Chosen, Rows, numbered
from genome_pipeline.sources.text import unreadable

logger = logging.getLogger(__name__)

Cell = str | int | float | bool | date | time | datetime | timedelta

_OLD_OR_LOCKED = bytes.fromhex("d0cf11e0")


def sheets_with_cells(stream: BinaryIO, name: str) -> list[str]:
    """The names of the worksheets that are not empty, in the order of the workbook of that ``name``.

    Hidden sheets are skipped, as hidden files are, with a warning in the log. Reads only up to each sheet's first
    value: reading a sheet of a million rows takes seconds. Raises :class:`SourceError` for a file that is not an XLSX
    workbook.
    """
    try:
        with zipfile.ZipFile(stream) as parts:
            ((_, book),) = _targets(parts, "", "/officeDocument").items()
            worksheets = _targets(parts, book, "/worksheet")
            shown: list[str] = []
            hidden: list[str] = []
            for sheet in _xml(parts, book).iterfind(".//{*}sheet"):
                key = _relation(sheet)
                if key in worksheets and _has_values(parts, worksheets[key]):
                    is_shown = sheet.get("state", "visible") == "visible"
                    (shown if is_shown else hidden).append(sheet.attrib["name"])
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError, ValueError, ElementTree.ParseError):
        raise SourceError(_not_a_workbook(stream, name)) from None
    if hidden:
        logger.warning(
            "%s: %s hidden and left out: show what is to be read",
            name,
            f"sheet {hidden[0]!r} is" if len(hidden) == 1 else f"sheets {', '.join(map(repr, hidden))} are",
        )
    return shown


@contextmanager
def opened(file: SourceFile, has_header: bool) -> Iterator[SheetRows]:
    """The sheet's columns and rows; without a header, the columns are numbered.

    Raises :class:`SourceError` for a damaged or locked workbook.
    """
    try:
        # The reader's exceptions hide those of the operating system.
        file.path.open("rb").close()
        with CalamineWorkbook.from_path(file.path) as book:
            rows = enumerate(book.get_sheet_by_name(str(file.sheet)).iter_rows())
            filled = ((number, [_text(cell) for cell in row]) for number, row in rows if any(c != "" for c in row))
            if has_header:
                start, header = next(filled, (0, []))
                names, cells = tuple(name or "" for name in header), list(filled)
            else:
                start, cells = -1, list(filled)
                names = tuple(numbered(len(cells[0][1])))
            yield SheetRows(names, ("VARCHAR",) * len(names), start, cells)
    except OSError as error:
        raise SourceError(unreadable(file.path, error)) from None
    except CalamineError:
        with file.path.open("rb") as stream:
            raise SourceError(_not_a_workbook(stream, file.path.name)) from None


@dataclass
class SheetRows(Rows):
    """The rows of a sheet; ``start`` is the number of its header row, or -1; ``cells`` are the numbered rows below."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    start: int
    cells: list[tuple[int, list[str | None]]]

    def relation(self, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> duckdb.DuckDBPyRelation:
        """See :meth:`Rows.relation`. Blank rows are left out, but count in ``source_row``."""
        columns = {"source_row": pa.array([number - self.start for number, _ in self.cells], pa.int64())}
        for name in dict.fromkeys((*RAW_COLUMNS, *(f"raw_{ours}" for ours in chosen))):
            position = chosen.get(name.removeprefix("raw_"))
            values = [None if position is None else row[position] for _, row in self.cells]
            columns[name] = pa.array(values, pa.string())
        return connection.from_arrow(pa.table(columns))

    def fault(self, chosen: Chosen) -> str | None:
        """See :meth:`Rows.fault`. The sheet has been read already."""
        return None


def _text(cell: Cell) -> str | None:
    match cell:
        case bool():
            text = str(cell).lower()
        case float() if cell.is_integer():
            # A workbook stores integers as floats; an id must not end in ".0".
            text = str(int(cell))
        case datetime():
            text = cell.isoformat(sep=" ")
        case date() | time():
            text = cell.isoformat()
        case _:
            text = str(cell)
    return text or None


def _not_a_workbook(stream: BinaryIO, name: str) -> str:
    stream.seek(0)
    if stream.read(4) == _OLD_OR_LOCKED:
        return f"{name} is protected by a password, or an old .xls workbook: save it as .xlsx without a password"
    return f"{name} is not a whole .xlsx workbook: it was cut off, or is something else; copy or save it again"


def _targets(parts: zipfile.ZipFile, part: str, kind: str) -> dict[str, str]:
    """The parts that a part of the workbook refers to, by relation id; "" stands for the whole workbook."""
    folder, name = posixpath.split(part)
    relations = _xml(parts, posixpath.join(folder, "_rels", f"{name}.rels"))
    return {
        relation.attrib["Id"]: posixpath.normpath(posixpath.join("/", folder, relation.attrib["Target"])).lstrip("/")
        for relation in relations
        if relation.attrib["Type"].endswith(kind)
    }


def _relation(sheet: ElementTree.Element) -> str:
    # The id's namespace has two forms, transitional and strict.
    return next((value for name, value in sheet.attrib.items() if name.endswith("}id")), "")


def _xml(parts: zipfile.ZipFile, part: str) -> ElementTree.Element:
    return ElementTree.fromstring(parts.read(part))  # noqa: S314 - expat bounds the growth of entities


def _has_values(parts: zipfile.ZipFile, part: str) -> bool:
    with parts.open(part) as stream:
        events = ElementTree.iterparse(stream)  # noqa: S314 - expat bounds the growth of entities
        return any(element.tag.rpartition("}")[2] in ("v", "is") for _, element in events)
