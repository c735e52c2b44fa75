"""Minimal XLSX workbooks, for no writer of them is installed."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_STYLES = {"date": 1, "moment": 2}
_CONTENT = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)

Cell = str | int | float | bool | tuple[float | str | None, str] | None


def write_workbook(path: Path, sheets: Mapping[str, list[list[Cell]]], hidden: Collection[str] = ()) -> Path:
    """A cell is a text, a number, a truth value, nothing, a serial number with "date" or "moment", or a formula.

    A formula stands behind the number that was stored with it, the mark of its error, or None. Sheets that are
    ``hidden`` are not shown.
    """
    entries = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"{state}/>'
        for n, name in enumerate(sheets, 1)
        for state in (' state="hidden"' if name in hidden else "",)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("[Content_Types].xml", _CONTENT)
        parts.writestr("_rels/.rels", _relations({"b": ("officeDocument", "xl/workbook.xml")}))
        parts.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{entries}</sheets></workbook>'
        )
        targets = {f"r{n}": ("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)}
        parts.writestr("xl/_rels/workbook.xml.rels", _relations({**targets, "s": ("styles", "styles.xml")}))
        formats = "".join(f'<xf numFmtId="{number}"/>' for number in (0, 14, 22))
        parts.writestr("xl/styles.xml", f'<styleSheet xmlns="{_MAIN}"><cellXfs>{formats}</cellXfs></styleSheet>')
        for n, rows in enumerate(sheets.values(), 1):
            cells = "".join(f'<row r="{r}">{_row(r, row)}</row>' for r, row in enumerate(rows, 1))
            sheet = f'<worksheet xmlns="{_MAIN}"><sheetData>{cells}</sheetData></worksheet>'
            parts.writestr(f"xl/worksheets/sheet{n}.xml", sheet)
    return path


def _relations(targets: Mapping[str, tuple[str, str]]) -> str:
    entries = "".join(
        f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for key, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_RELATIONS}">{entries}</Relationships>'


def _row(number: int, row: list[Cell]) -> str:
    return "".join(_cell(f"{chr(ord('A') + column)}{number}", cell) for column, cell in enumerate(row))


def _cell(place: str, cell: Cell) -> str:
    match cell:
        case None:
            return f'<c r="{place}"/>'
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
        case bool():
            return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
        case (result, formula) if formula.startswith("="):
            kind = ' t="e"' if isinstance(result, str) else ""
            stored = "" if result is None else f"<v>{result}</v>"
            return f'<c r="{place}"{kind}><f>{escape(formula[1:])}</f>{stored}</c>'
        case (serial, style):
            return f'<c r="{place}" s="{_STYLES[style]}"><v>{serial}</v></c>'
        case _:
            return f'<c r="{place}"><v>{cell}</v></c>'
