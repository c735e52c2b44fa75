"""DuckDB, as everything opens it."""

from __future__ import annotations

import re

import duckdb
import pytest

from genome_pipeline.duckdb_connection import connect
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
