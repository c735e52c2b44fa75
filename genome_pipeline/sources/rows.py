"""The common interface of all formats: column names and types, rows as a DuckDB relation, and faults in words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from glob import escape
from pathlib import Path

import duckdb

from genome_pipeline.contracts.tables import RAW_COLUMNS
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.sql import literal

Chosen = Mapping[str, int]
"""The mapped columns: our name -> position in the file."""


class Rows(ABC):
    """A source file that has been opened: its columns are known, its rows are not read yet."""

    names: tuple[str, ...]
    types: tuple[str, ...]

    @property
    def layout(self) -> str:
        """The detected form of the file, in words; empty if its format says everything."""
        return ""

    @abstractmethod
    def relation(self, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> duckdb.DuckDBPyRelation:
        """``source_row`` and the raw columns, in the order of the file."""

    @abstractmethod
    def fault(self, chosen: Chosen) -> str | None:
        """The reason, in a sentence, why the file cannot be read to its end; None if it can."""


class QueriedRows(Rows):
    """Rows that DuckDB reads directly from the file."""

    @abstractmethod
    def query(self, chosen: Chosen) -> str:
        """The SELECT that gives ``source_row`` and the raw columns."""

    @abstractmethod
    def sentence(self, message: str) -> str:
        """The fault in words, for the error ``message`` that DuckDB gave."""

    def relation(self, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> duckdb.DuckDBPyRelation:
        """See :meth:`Rows.relation`."""
        return connection.sql(self.query(chosen))

    def fault(self, chosen: Chosen) -> str | None:
        """See :meth:`Rows.fault`. Reads the file again, alone: the first error may have come from another reader."""
        with connect() as connection:
            try:
                connection.execute(f"SELECT bit_xor(hash(rows)) FROM ({self.query(chosen)}) AS rows")
            except duckdb.Error as error:
                return self.sentence(str(error))
        return None


def numbered(count: int) -> list[str]:
    """Names for ``count`` columns without names: numbers, from 1."""
    return [str(number) for number in range(1, count + 1)]


def raw_columns(expressions: Mapping[str, str]) -> str:
    """The select list of the raw columns, from our name -> SQL expression; unmapped columns are NULL text.

    Names that are not ours follow, prefixed with ``raw_``.
    """
    names = dict.fromkeys((*RAW_COLUMNS, *(f"raw_{name}" for name in expressions)))
    return ", ".join(f"{expressions.get(name.removeprefix('raw_'), 'NULL::VARCHAR')} AS {name}" for name in names)


def path_literal(path: Path) -> str:
    """The path, quoted for SQL and with glob characters escaped, so that it names only this file."""
    return literal(escape(str(path.absolute())))
