from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from genome_pipeline.settings import SourceColumns, SourceSettings
from genome_pipeline.sources.source import find_files, read_file

COLUMNS = SourceColumns(customer_id="Customer ID", ordered_at="When", amount="Paid")


class Landing:
    """A folder in which files land, and what is read from them."""

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.folder = folder
        self.connection = connection

    def put(self, name: str, data: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def source(self, pattern: str, **options: Any) -> SourceSettings:
        return SourceSettings(path=str(self.folder / pattern), **{"columns": COLUMNS, **options})

    def names(self, pattern: str) -> list[str]:
        return [file.name for file in find_files(self.source(pattern))]

    def read(self, pattern: str, columns: str = "raw_customer_id, raw_ordered_at, raw_amount", **options: Any) -> Any:
        """``source_row`` and the columns, of every file that the pattern names."""
        return self.read_source(self.source(pattern, **options), columns)

    def read_source(self, source: SourceSettings, columns: str) -> Any:
        found: list[Any] = []
        for file in find_files(source):
            with read_file(self.connection, file, source) as rows:
                assert rows.columns[0] == "source_row"
                found += self.connection.execute(f"SELECT source_row, {columns} FROM rows").fetchall()
        return found


@pytest.fixture
def landing(tmp_path: Path) -> Iterator[Landing]:
    with duckdb.connect(config={"threads": 2}) as connection:
        yield Landing(tmp_path, connection)
