"""Newline-delimited JSON: one object per line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile
from genome_pipeline.sources.rows import Chosen, QueriedRows, path_literal, raw_columns
from genome_pipeline.sources.text import compression, open_bytes, open_text, utf8_path
from genome_pipeline.sql import identifier, literal

_SAMPLE_LINES = 1_000
_KINDS = {list: "array", dict: "object", str: "string", int: "number", float: "number", bool: "boolean"}
_NESTED = "object or array"
# Beginnings of a text that looks like an object or an array; the bracket may be escaped.
_LIKE_NESTED = (b'"{', b'"[', b'"\\u00')
_CHUNK = 1 << 20
_SURROGATE = re.compile("[\ud800-\udfff]")
_TWICE = re.compile(r'in line (\d+): .*duplicate key "(.*?)"', re.DOTALL)


@contextmanager
def opened(file: SourceFile, source: SourceSettings) -> Iterator[NdjsonRows]:
    """The file's columns and rows, readable within the context.

    The columns are the keys of the first lines or, if a mapped one is missing there, of all lines. Raises
    :class:`SourceError` for a file that is not text, is empty, or does not have one JSON object per line.
    """
    wanted = set(source.columns.mapped.values())
    with utf8_path(file, source.encoding) as (path, _):
        names = _keys(file, path, wanted)
        yield NdjsonRows(names, ("VARCHAR",) * len(names), file, path, wanted)


@dataclass
class NdjsonRows(QueriedRows):
    """The rows of a UTF-8 file of newline-delimited JSON. Values of the ``wanted`` keys may not be nested."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    file: SourceFile
    path: Path
    wanted: set[str]

    def relation(self, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> duckdb.DuckDBPyRelation:
        """See :meth:`~genome_pipeline.sources.rows.Rows.relation`.

        Raises :class:`SourceError` for an object or array where one value should be.
        """
        if self._has_texts_like_nested():
            for number, item in _objects(self.file, self.path):
                _check_flat(self.file, number, item, self.wanted)
        return super().relation(connection, chosen)

    def query(self, chosen: Chosen) -> str:
        """See :meth:`QueriedRows.query`.

        DuckDB gives objects and arrays as text. A text that begins like one is taken for one, unless the file also has
        plain texts that begin so; a slower reader tells these apart beforehand.
        """
        theirs = {ours: self.names[position] for ours, position in chosen.items()}
        fields = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in theirs.values())
        columns = raw_columns({ours: identifier(name) for ours, name in theirs.items()})
        # Compared by order, which costs a third of a test of the first character.
        nested = [
            f"({name} >= '[' AND ({name} < '\\' OR ({name} >= '{{' AND {name} < '|')))"
            for name in map(identifier, sorted(self.wanted.intersection(theirs.values())))
        ]
        flat = (
            f" WHERE CASE WHEN {' OR '.join(nested)} THEN error({literal(_NESTED)}) ELSE true END"
            if nested and not self._has_texts_like_nested()
            else ""
        )
        return (
            f"SELECT row_number() OVER () AS source_row, {columns} FROM read_ndjson({path_literal(self.path)},"
            f" columns={{{fields}}}, compression={literal(compression(self.path))}, hive_partitioning=false){flat}"
        )

    def _has_texts_like_nested(self) -> bool:
        end = b""
        with open_bytes(self.path) as stream:
            for piece in iter(lambda: stream.read(_CHUNK), b""):
                whole = end + piece
                if any(text in whole for text in _LIKE_NESTED):
                    return True
                end = whole[1 - max(map(len, _LIKE_NESTED)) :]
        return False

    def sentence(self, message: str) -> str:
        """See :meth:`QueriedRows.sentence`."""
        try:
            for number, item in _objects(self.file, self.path):
                _check_flat(self.file, number, item, self.wanted)
        except SourceError as error:
            return str(error)
        twice = _TWICE.search(message)
        if twice:
            return (
                f"{self.file.name}, line {int(twice[1]):,}: key {twice[2]!r} stands twice in the object; write it once"
            )
        return f"{self.file.name} is not read as newline-delimited JSON ({message.splitlines()[0]}): export it again"


def _keys(file: SourceFile, path: Path, wanted: set[str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    count = 0
    for count, (number, item) in enumerate(_objects(file, path), 1):
        names |= dict.fromkeys(item)
        _check_flat(file, number, item, wanted)
        if count >= _SAMPLE_LINES and wanted <= names.keys():
            break
    if count == 0:
        raise SourceError(f"{file.name} is empty: remove it, or export it again with one JSON object a line")
    return tuple(names)


def _check_flat(file: SourceFile, line: int, item: dict[str, Any], wanted: set[str]) -> None:
    nested = next((key for key in sorted(wanted) if isinstance(item.get(key), list | dict)), None)
    if nested is not None:
        raise SourceError(
            f"{file.name}, line {line:,}: {nested!r} is a JSON {_KINDS[type(item[nested])]}, where one text or number"
            " is needed; flatten it, or map another key"
        )


def _objects(file: SourceFile, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of the file, with their line numbers. Raises :class:`SourceError` at the first line without one."""
    with open_text(path) as text:
        for number, line in enumerate(text, 1):
            # Only the white space of JSON, as DuckDB knows no other.
            text_of_line = line.strip(" \t\r\n")
            if not text_of_line:
                continue
            try:
                item = json.loads(text_of_line)
            except RecursionError:
                raise SourceError(
                    f"{file.name}, line {number:,}: values are nested too deep to be read; flatten them, or leave them"
                    " out"
                ) from None
            except json.JSONDecodeError as error:
                fault = f"not one whole JSON object ({error.msg.lower()} at column {error.colno:,})"
            else:
                if "\\ud" in line.lower() and _SURROGATE.search(json.dumps(item, ensure_ascii=False)):
                    raise SourceError(
                        f"{file.name}, line {number:,}: half a character (a \\ud… escape without its other half);"
                        " repair it, or export the file again"
                    )
                # A null is read as DuckDB reads it: as a row without values.
                if isinstance(item, dict | None):
                    yield number, item or {}
                    continue
                fault = f"a JSON {_KINDS[type(item)]}, not an object"
            raise SourceError(f"{file.name}, line {number:,}: {fault}; write one object on each line") from None
