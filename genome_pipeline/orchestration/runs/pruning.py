"""Removing old runs from Dagster's records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dagster import AssetKey, DagsterInstance, DagsterRunStatus, RunsFilter

from genome_pipeline.orchestration.resources import Pipeline

RUNS_KEPT = timedelta(days=90)
"""Age at which a run is removed, unless it made something still in use."""


def prune_runs(instance: DagsterInstance, pipeline: Pipeline) -> int:
    """Remove runs that ended more than :data:`RUNS_KEPT` ago and made nothing still in use; returns their number.

    Removing a run removes its materialisations. So a run is kept if it made a slice of the warehouse, or was the last
    to make an asset without periods.
    """
    with pipeline.warehouse.open() as database:
        in_use = {run_id for (run_id,) in database.con.execute("SELECT DISTINCT run_id FROM written_slices").fetchall()}
    for name in ("raw_transactions", "published_genome", "genome_report"):
        latest = instance.get_latest_materialization_event(AssetKey(name))
        in_use |= {latest.run_id} if latest else set()
    ended = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
    old = instance.get_run_records(RunsFilter(statuses=ended, created_before=datetime.now(UTC) - RUNS_KEPT))
    removable = [record.dagster_run.run_id for record in old if record.dagster_run.run_id not in in_use]
    for run_id in removable:
        instance.delete_run(run_id)
    return len(removable)
