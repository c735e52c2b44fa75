"""DuckDB, as everything opens it."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import ibis
import pytest

from genome_pipeline.duckdb_connection import connect, name_as_ibis_does
from genome_pipeline_tests.test_architecture import PACKAGE


def test_nothing_is_fetched_that_a_query_would_need() -> None:
    with connect() as connection:
        with pytest.raises(duckdb.Error, match="extension"):
            connection.execute("FROM read_xlsx('some.xlsx')")
        settings = connection.execute(
            "SELECT value FROM duckdb_settings() WHERE name LIKE 'auto%known_extensions'"
        ).fetchall()
    assert settings == [("false",), ("false",)]


def test_the_pipeline_opens_duckdb_in_no_other_way() -> None:
    elsewhere = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"duckdb\.connect\(", path.read_text(encoding="utf-8")) and "dashboard" not in path.parts
    ]
    assert elsewhere == ["duckdb_connection.py"]


class OfDuckDB2:
    """A connection under the names of 2.0."""

    def to_arrow_table(self) -> str:
        return "a table"

    def to_arrow_reader(self, batch_size: int) -> str:
        return f"batches of {batch_size}"


def test_ibis_finds_the_names_that_it_calls() -> None:
    name_as_ibis_does(OfDuckDB2)
    connection: Any = OfDuckDB2()
    assert connection.fetch_arrow_table() == "a table"
    assert connection.fetch_record_batch(rows_per_batch=10) == "batches of 10"


def test_ibis_works_on_whichever_duckdb_is_installed() -> None:
    with connect() as connection:
        numbers = ibis.duckdb.from_connection(connection).sql("SELECT range AS number FROM range(5)")
        assert numbers.number.sum().execute() == 10
        assert [batch.num_rows for batch in numbers.to_pyarrow_batches(chunk_size=10)] == [5]
