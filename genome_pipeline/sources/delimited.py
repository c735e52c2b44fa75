"""Delimited text: every field as it is written, and every row accounted for."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import duckdb

from genome_pipeline.duckdb_connection import connect
from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources import SourceError, SourceFile
from genome_pipeline.sources.rows import Chosen, QueriedRows, numbered, path_literal, raw_columns
from genome_pipeline.sources.text import compression, open_bytes, open_text, utf8_path
from genome_pipeline.sql import literal

_DELIMITERS = ",;\t|"
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SAMPLE_ROWS = 100
_CHUNK = 1 << 20
# A text that no field has, so that an empty field differs from a missing one.
_NO_NULL = "\x1f"
_RAGGED = "row with too few or too many fields"


@contextmanager
def opened(file: SourceFile, source: SourceSettings) -> Iterator[DelimitedRows]:
    """The file's columns and rows, readable within the context.

    Raises :class:`SourceError` for a file that is not text, is empty, or has no column names in its first line.
    """
    if source.delimiter is not None and (len(source.delimiter) != 1 or source.delimiter in '"\r\n'):
        raise SourceError(f"source.delimiter = {source.delimiter!r} must be one character, such as ',', ';' or \"\\t\"")
    with utf8_path(file, source.encoding) as (path, encoding):
        names, delimiter = _header(path, file, source)
        yield DelimitedRows(names, ("VARCHAR",) * len(names), file, path, delimiter, encoding, source.header)


@dataclass
class DelimitedRows(QueriedRows):
    """The rows of a UTF-8 file of delimited text; the first may be a ``header``."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    file: SourceFile
    path: Path
    delimiter: str
    encoding: str
    header: bool

    def relation(self, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> duckdb.DuckDBPyRelation:
        """See :meth:`~genome_pipeline.sources.rows.Rows.relation`.

        Raises :class:`SourceError` where a quote is left open to the end of the file.
        """
        if self._has_quotes():
            self._check_quotes()
        return super().relation(connection, chosen)

    @property
    def layout(self) -> str:
        """See :attr:`~genome_pipeline.sources.rows.Rows.layout`."""
        return f"fields separated by {_DELIMITER_NAMES.get(self.delimiter, repr(self.delimiter))}, {self.encoding}"

    def query(self, chosen: Chosen) -> str:
        """See :meth:`QueriedRows.query`.

        DuckDB's own handling of a row with too few or too many fields is not used: it drops an extra empty field, which
        silently shifts the fields after it. Here one column more than expected is read, missing fields become NULL and
        empty ones stay empty text, so that any such row can be recognised. Only a single reader handles quoted line
        ends and missing fields together, and numbers rows in the order of the file.
        """
        count = len(self.names)
        columns = raw_columns({ours: f"nullif(c{position}, '')" for ours, position in chosen.items()})
        scan = self._scan(count + 1, f"nullstr={literal(_NO_NULL)}, null_padding=true, parallel=false")
        return (
            f"SELECT row_number() OVER () AS source_row, {columns} FROM {scan}"
            f" WHERE CASE WHEN c{count} IS NULL AND c{count - 1} IS NOT NULL THEN true"
            f" ELSE error({literal(_RAGGED)}) END"
        )

    def _scan(self, column_count: int, options: str) -> str:
        fields = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(column_count))
        return (
            f"read_csv({path_literal(self.path)}, auto_detect=false, header={self.header}, columns={{{fields}}},"
            f" delim={literal(self.delimiter)}, quote='\"', escape='\"', strict_mode=true,"
            f" compression={literal(compression(self.path))}, hive_partitioning=false, {options})"
        )

    def _has_quotes(self) -> bool:
        with open_bytes(self.path) as stream:
            return any(b'"' in piece for piece in iter(lambda: stream.read(_CHUNK), b""))

    def _check_quotes(self) -> None:
        """Raise :class:`SourceError` where a quote is left open to the end of the file.

        A single reader silently drops the text after such a quote. Parallel readers notice it, but may also reject a
        sound file with long quoted fields, so that the slower single reader decides.
        """
        with connect() as connection:
            try:
                connection.execute(f"SELECT count(*) FROM {self._scan(len(self.names), 'parallel=true')}")
            except duckdb.Error:
                fault = self._first_fault()
                if fault:
                    raise SourceError(fault) from None

    def sentence(self, message: str) -> str:
        """See :meth:`QueriedRows.sentence`."""
        return (
            self._first_fault()
            or self._mixed_line_ends()
            or (f"{self.file.name} is not read as delimited text ({message.splitlines()[0]}): export it again")
        )

    def _first_fault(self) -> str | None:
        """The first malformed row, found by a slower reader that knows line numbers."""
        field_count = len(self.names)
        start = 1
        with open_text(self.path) as text:
            reader = csv.reader(text, delimiter=self.delimiter, skipinitialspace=True, strict=True)
            try:
                for row in reader:
                    if row and len(row) != field_count:
                        fields = "1 field" if len(row) == 1 else f"{len(row)} fields"
                        first = "header" if self.header else "first row"
                        return (
                            f"{self.file.name}, line {start:,}: the row has {fields} where the {first} has"
                            f" {field_count}; repair it, or quote the field that holds a {self.delimiter!r} or a line"
                            " end"
                        )
                    start = reader.line_num + 1
            except csv.Error as error:
                if "field limit" in str(error):
                    return (
                        f"{self.file.name}, line {start:,}: a field runs over {csv.field_size_limit():,} characters;"
                        " close the quote that was left open, or repair the row"
                    )
                return (
                    f"{self.file.name}, line {start:,}: a quoted field is not closed, or more follows its closing"
                    " quote; close it, and double each quote inside it"
                )
        return None

    def _mixed_line_ends(self) -> str | None:
        with open_text(self.path) as text:
            ends: set[str] = set()
            for number, line in enumerate(text, 1):
                ends.add(line[len(line.rstrip("\r\n")) :])
                if len(ends - {""}) > 1:
                    return (
                        f"{self.file.name}, line {number:,}: the line ends otherwise than those before it (LF, CR LF"
                        " or CR); save the file with one kind of line end"
                    )
        return None


def _header(path: Path, file: SourceFile, source: SourceSettings) -> tuple[tuple[str, ...], str]:
    """Column names and delimiter: the delimiter that finds most mapped columns, then even rows, then most columns.

    Without a header, the columns have their numbers as names.
    """
    wanted = set(source.columns.mapped.values())

    def merit(delimiter: str) -> tuple[int, bool, int]:
        header, *rows = samples[delimiter]
        return len(wanted.intersection(header)), all(len(row) == len(header) for row in rows if row), len(header)

    samples = {
        delimiter: _sample(path, file, delimiter, source.header) for delimiter in source.delimiter or _DELIMITERS
    }
    delimiter = max(samples, key=merit)
    if source.header and not wanted.intersection(samples[delimiter][0]):
        below = max(_header_row(rows, wanted) for rows in samples.values())
        if below:
            lines = "the line" if below == 1 else f"the {below} lines"
            raise SourceError(
                f"{file.name}: the column names do not stand in the first line; remove {lines} above them"
            )
    return tuple(samples[delimiter][0]), delimiter


def _header_row(rows: list[list[str]], wanted: set[str]) -> int:
    """The index of the first row that holds all wanted names; 0 if no row does."""
    return next((number for number, row in enumerate(rows) if wanted <= set(row)), 0)


def _sample(path: Path, file: SourceFile, delimiter: str, has_header: bool) -> list[list[str]]:
    """The first rows below a header, as far as they can be split by the delimiter."""
    rows: list[list[str]] = []
    with open_text(path) as text:
        try:
            rows.extend(islice(csv.reader(text, delimiter=delimiter, skipinitialspace=True), _SAMPLE_ROWS))
        except csv.Error:
            if not rows:
                raise SourceError(
                    f"{file.name} is not delimited text: its first line is no list of column names"
                ) from None
    if not has_header:
        first = next((row for row in rows if row), None)
        if first is None:
            raise SourceError(f"{file.name} is empty: remove it, or export it again")
        return [numbered(len(first)), *rows]
    if not rows:
        raise SourceError(f"{file.name} is empty: remove it, or export it again with column names in its first line")
    if not any(name.strip() for name in rows[0]):
        raise SourceError(f"{file.name}: the first line is blank; the column names must stand there")
    return rows
