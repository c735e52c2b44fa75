"""What every format gives: names and types of its columns, its rows as a DuckDB relation, and its faults in words."""

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
        """What was found out about the form of the file, in words; empty where its kind says it all."""
        return ""

    @abstractmethod
    def relation(self, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> duckdb.DuckDBPyRelation:
        """``source_row`` and the raw columns, in the order of the file."""

    @abstractmethod
    def fault(self, chosen: Chosen) -> str | None:
        """What keeps the file from being read to its end, in a sentence; None where nothing does."""


class QueriedRows(Rows):
    """Rows that DuckDB reads from the file by itself."""

    @abstractmethod
    def query(self, chosen: Chosen) -> str:
        """The SELECT that gives ``source_row`` and the raw columns."""

    @abstractmethod
    def sentence(self, message: str) -> str:
        """The fault in words, where DuckDB gave ``message`` for it."""

    def relation(self, connection: duckdb.DuckDBPyConnection, chosen: Chosen) -> duckdb.DuckDBPyRelation:
        """See :meth:`Rows.relation`."""
        return connection.sql(self.query(chosen))

    def fault(self, chosen: Chosen) -> str | None:
        """See :meth:`Rows.fault`. Reads the file again, alone: what failed may have been the reader's own doing."""
        with connect() as connection:
            try:
                connection.execute(f"SELECT bit_xor(hash(rows)) FROM ({self.query(chosen)}) AS rows")
            except duckdb.Error as error:
                return self.sentence(str(error))
        return None


def numbered(count: int) -> list[str]:
    """The names of as many columns that have none: numbers, from 1."""
    return [str(number) for number in range(1, count + 1)]


def raw_columns(expressions: Mapping[str, str]) -> str:
    """The select list of the raw columns, from ours -> SQL expression; what is not mapped is NULL text.

    Names that are not ours follow, as ``raw_`` and the name.
    """
    names = dict.fromkeys((*RAW_COLUMNS, *(f"raw_{name}" for name in expressions)))
    return ", ".join(f"{expressions.get(name.removeprefix('raw_'), 'NULL::VARCHAR')} AS {name}" for name in names)


def path_literal(path: Path) -> str:
    """The path, quoted for SQL, so that it names this file only, whatever glob characters are in it."""
    return literal(escape(str(path.absolute())))
