"""Who resembles whom."""

from __future__ import annotations

import duckdb

from genome_pipeline.dashboard.kit.neighbors import neighbors
from genome_pipeline_tests.support.published_file import LATEST


def test_neighbors_come_by_rank(connection: duckdb.DuckDBPyConnection) -> None:
    found = neighbors(connection, LATEST, "C0010")
    assert found["neighbor_rank"].tolist() == [1, 2, 3, 4, 5]
    assert found["similarity"].is_monotonic_decreasing
