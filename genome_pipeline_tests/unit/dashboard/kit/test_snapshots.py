"""The run and the snapshots of a file."""

from __future__ import annotations

import duckdb

from genome_pipeline.dashboard.kit.snapshots import Run, all_snapshots
from genome_pipeline_tests.support.published_file import LATEST, SNAPSHOTS


def test_run_reads_the_parameters_of_the_file(connection: duckdb.DuckDBPyConnection) -> None:
    run = Run.of(connection)
    assert (run.horizon_days, run.interval_level, run.currency, run.period) == (28, 0.8, "USD", "month")
    assert (run.raw_row_count, run.validated_row_count, run.quarantined_row_count) == (20_001, 19_200, 801)
    assert run.as_of == LATEST


def test_snapshots_come_latest_first(connection: duckdb.DuckDBPyConnection) -> None:
    assert all_snapshots(connection) == list(reversed(SNAPSHOTS))
