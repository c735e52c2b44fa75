"""The aggregates of the Overview page beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

import duckdb
import pandas as pd

from genome_pipeline.dashboard.pages.data_quality import queries as quality_queries
from genome_pipeline.dashboard.pages.overview import queries
from genome_pipeline_tests.support.published_file import LATEST, SNAPSHOTS


def test_performance_pairs_model_and_naive_on_the_last_matured_snapshot(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    performance = queries.performance(connection, LATEST).set_index(["target", "metric"])
    assert performance["as_of"].unique().tolist() == [pd.Timestamp(SNAPSHOTS[2])]
    assert list(performance.loc[("spend", "mae"), ["model", "naive"]]) == [21.3, 26.8]
    assert performance["naive"].isna().loc[("orders", "coverage")]


def test_the_genes_that_moved_leave_out_what_the_calendar_moves(connection: duckdb.DuckDBPyConnection) -> None:
    assert queries.moved_genes(connection, LATEST)["gene"].tolist() == ["order_count", "spend_amount"]
    assert len(quality_queries.gene_drift(connection, SNAPSHOTS[1], "training")) == 3
