"""What is made again where only contacts changed."""

from __future__ import annotations

from datetime import date, datetime

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.orchestration.runs.staleness import Stale

MONTHS = Calendar(Period.MONTH, date(2020, 1, 1))
JANUARY, FEBRUARY, MARCH, APRIL = (date(2020, month, 1) for month in range(1, 5))
RESULTS = ["experiment_results", "experiment_groups", "rule_proofs"]


def stale(looks: list[date], snapshots: list[date]) -> Stale:
    return Stale([], snapshots, None, datetime.min, looks)


def test_only_results_of_the_looks_are_made_and_not_where_the_snapshot_is() -> None:
    runs = stale([JANUARY, FEBRUARY, APRIL], []).runs(MONTHS)
    assert [(run.first, run.last, run.asset_names) for run in runs] == [
        (JANUARY, FEBRUARY, RESULTS),
        (APRIL, APRIL, RESULTS),
    ]
    looks, snapshots = stale([JANUARY, APRIL], [MARCH, APRIL]).runs(MONTHS)
    assert (looks.first, looks.last, looks.asset_names) == (JANUARY, JANUARY, RESULTS)
    assert (snapshots.first, snapshots.last) == (MARCH, APRIL)
    assert stale([], []).runs(MONTHS) == []


def test_one_run_of_looks_publishes_them() -> None:
    run = stale([JANUARY, FEBRUARY], []).one_run()
    assert run is not None
    assert (run.first, run.last) == (JANUARY, FEBRUARY)
    assert run.asset_names == [*RESULTS, "published_genome", "genome_report"]
    both = stale([JANUARY], [MARCH]).one_run()
    assert both is not None
    assert (both.first, both.last) == (JANUARY, MARCH)
    assert stale([], []).one_run() is None
