"""Parquet: columns with their own types, and columns of partition folders as text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from genome_pipeline.duckdb_connection import connect
from genome_pipeline.sources import SourceError, SourceFile
from genome_pipeline.sources.rows import Chosen, QueriedRows, path_literal, raw_columns
from genome_pipeline.sources.text import damaged, unreadable
from genome_pipeline.sql import identifier

_NOT_UTF8 = "is not valid UTF8"
_ROW_NUMBER = "file_row_number"
# DuckDB reads a decimal with more digits as a double, which loses digits.
_MOST_DIGITS = 38
_SchemaElement = tuple[str, int | None, int | None, int | None]


@contextmanager
def opened(file: SourceFile) -> Iterator[ParquetRows]:
    """The file's columns and rows. Raises :class:`SourceError` for a file that is not a complete Parquet file."""
    try:
        file.path.open("rb").close()
        with connect() as connection:
            path = path_literal(file.path)
            schema = connection.execute(
                f"SELECT name, num_children, precision, scale FROM parquet_schema({path})"
            ).fetchall()
            described = connection.execute(f"DESCRIBE SELECT * FROM {_scan(file)}").fetchall()
    except OSError as error:
        raise SourceError(unreadable(file.path, error)) from None
    except duckdb.Error:
        raise SourceError(damaged(file, "Parquet")) from None
    columns = _top_level(schema)
    # Columns of folders come last; a folder's column replaces the file's column of the same name.
    own, of_folders = described[: len(columns)], described[len(columns) :]
    types = [
        f"DECIMAL({precision},{scale})" if (precision or 0) > _MOST_DIGITS else type_
        for (_, type_, *_), (_, _, precision, scale) in zip(own, columns, strict=True)
    ]
    yield ParquetRows(
        tuple(name for name, *_ in (*columns, *of_folders)),
        (*types, *(type_ for _, type_, *_ in of_folders)),
        file,
        tuple(name for name, *_ in described),
    )


@dataclass
class ParquetRows(QueriedRows):
    """The rows of a Parquet file; ``unique_names`` are DuckDB's names for its columns."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    file: SourceFile
    unique_names: tuple[str, ...]

    def query(self, chosen: Chosen) -> str:
        """See :meth:`QueriedRows.query`."""
        columns = raw_columns({ours: identifier(self.unique_names[position]) for ours, position in chosen.items()})
        # A column of this name in the file hides DuckDB's row number.
        is_hidden = _ROW_NUMBER in (name.lower() for name in self.names)
        number = "row_number() OVER ()" if is_hidden else f"{_ROW_NUMBER} + 1"
        return f"SELECT {number} AS source_row, {columns} FROM {_scan(self.file)}"

    def sentence(self, message: str) -> str:
        """See :meth:`QueriedRows.sentence`."""
        if _NOT_UTF8 in message:
            return (
                f"{self.file.name}{_first_not_utf8(self.file)}: the text is not UTF-8, as all text in Parquet has to"
                " be; write the file again, with the text decoded from the encoding it was in"
            )
        return damaged(self.file, "Parquet")


def _first_not_utf8(file: SourceFile) -> str:
    """The place of the first text that is not UTF-8, in words: in the first column that has one."""
    parquet = pq.ParquetFile(file.path)
    for field in parquet.schema_arrow:
        if pa.types.is_string(field.type):
            row = 0
            for batch in parquet.iter_batches(columns=[field.name]):
                for text in batch.column(0).cast(pa.binary()).to_pylist():
                    row += 1
                    if text is not None and text != text.decode(errors="ignore").encode():
                        return f", row {row:,}, column {field.name!r}"
    return ""


def partition_folders(path: PurePath) -> list[str]:
    """The ``key=value`` folders that contain a file, outermost first."""
    return [part for part in path.parent.parts if "=" in part]


def _scan(file: SourceFile) -> str:
    # As text, since types of all files must agree: "01" must not become 1 in one file beside "1a" in another.
    return f"read_parquet({path_literal(file.path)}, hive_partitioning=true, hive_types_autocast=false)"


def _top_level(schema: list[_SchemaElement]) -> list[_SchemaElement]:
    """The columns, from a schema listed depth first: DuckDB renames columns that differ only in case."""
    columns = []
    inside = 0
    for element in schema[1:]:
        if inside == 0:
            columns.append(element)
        else:
            inside -= 1
        inside += element[1] or 0
    return columns
