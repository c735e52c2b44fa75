from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.published.versions import PublishedFile
from genome_pipeline_tests.support.published_file import build_published_file


@pytest.fixture(scope="session")
def published_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small published file; tests read it and leave it as it is."""
    return build_published_file(tmp_path_factory.mktemp("published") / "genome.duckdb")


@pytest.fixture
def connection(published_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with PublishedFile(published_path).connect() as opened:
        yield opened
