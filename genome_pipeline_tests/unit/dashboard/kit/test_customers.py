"""Customers, one by one."""

from __future__ import annotations

import duckdb

from genome_pipeline.dashboard.kit.customers import customer_genome
from genome_pipeline_tests.support.published_file import HOSTILE_ID, LATEST


def test_a_customer_is_one_row_or_none(connection: duckdb.DuckDBPyConnection) -> None:
    assert len(customer_genome(connection, LATEST, HOSTILE_ID)) == 1
    assert customer_genome(connection, LATEST, "nobody").empty
