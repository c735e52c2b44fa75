"""``genome run``: find the periods that have to be made, and make them through Dagster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg
from dagster import DagsterEventType, DagsterInstance

from genome_pipeline.errors import RunFailed
from genome_pipeline.orchestration.assets.experiments import experiment_record
from genome_pipeline.orchestration.assets.flow import PUBLISHING_STAGES
from genome_pipeline.orchestration.assets.stage import ON_COMMAND, REASON_TAG, Stage
from genome_pipeline.orchestration.automation.jobs import INGEST_JOB, PUBLISH_JOB, REFRESH_JOB
from genome_pipeline.orchestration.checks.declared import gate
from genome_pipeline.orchestration.failures import first_cause
from genome_pipeline.orchestration.graph import build_graph
from genome_pipeline.orchestration.home import open_instance
from genome_pipeline.orchestration.internals import (
    MAX_RETRIES_TAG,
    InMemoryJob,
    execute_run_iterator,
    job_origin,
    make_new_run_id,
    open_event_logs,
)
from genome_pipeline.orchestration.place import ALONE
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.at_work import alone_at_work, release_dead_runs
from genome_pipeline.orchestration.runs.staleness import PlannedRun, Span, check_boundaries, find_stale, latest_snapshot
from genome_pipeline.quality.gate import obstacles_in_words
from genome_pipeline.quality.own_suites import load_own_suites
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.published_changes import is_current
from genome_pipeline.warehouse.publishing import (
    are_contacts_published,
    are_costs_published,
    check_replaceable,
)

CODE_LOCATION = "genome_pipeline.definitions"
"""Name of the code location: what Dagster calls a module that it loads, so that no way of starting it names another."""

_STATES = {
    DagsterEventType.STEP_START: "started",
    DagsterEventType.STEP_SUCCESS: "done",
    DagsterEventType.STEP_FAILURE: "failed",
    DagsterEventType.STEP_SKIPPED: "skipped",
}
_SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Config of a run whose events are recorded, but not printed."""

Progress = Callable[[str, str], None]
"""Called with each step and its state: ``started``, ``done``, ``failed`` or ``skipped``."""


@dataclass(frozen=True)
class Outcome:
    """Result of a run: the snapshots made, oldest first (empty if all was up to date), and the run's id."""

    as_of: tuple[date, ...]
    run_id: str | None


def run(settings: Settings, span: Span, progress: Progress) -> Outcome:
    """Ingest what is new in the source, make the snapshots that are missing, stale or asked for, and publish.

    Raises :class:`~genome_pipeline.errors.ConfigError` for a mistake of the user and
    :class:`~genome_pipeline.errors.RunFailed` when a check failed; in both cases the previously published file stays.
    """
    check_boundaries(settings, span)
    with alone_at_work(settings, "`genome run`"):
        return run_alone(settings, span, progress)


def run_alone(settings: Settings, span: Span, progress: Progress) -> Outcome:
    """As :func:`run`, for a command that already holds the home."""
    check_replaceable(settings.published_path)
    settings.acquisition.costs(settings.calendar.period)  # a mistake in its file is told before hours of work
    load_own_suites(settings.quality.suites)  # and so is one in a suite
    pipeline = Pipeline.of(settings)
    definitions = build_graph(settings, ALONE)
    with open_instance(settings) as instance:
        release_dead_runs(instance, ALONE)
        _execute(definitions, INGEST_JOB, instance, progress)
        stale = find_stale(pipeline, span)
        planned = stale.runs(settings.time)
        for part in planned:
            run_id = _execute(definitions, REFRESH_JOB, instance, progress, part.range_tags, part.asset_names)
        if not stale.snapshots:
            if not planned and _is_published(pipeline):
                _refuse_obstacles(pipeline)
                return Outcome((), None)
            run_id = _execute(definitions, PUBLISH_JOB, instance, progress)
    return Outcome(tuple(map(settings.time.as_of, stale.snapshots)), run_id)


def publish_again(settings: Settings, as_of: date, stages: Sequence[Stage], progress: Progress) -> None:
    """Read the record of experiments, make some stages again from a snapshot on, and publish; for a command at work.

    Raises as :func:`run` does.
    """
    check_replaceable(settings.published_path)
    definitions = build_graph(settings, ALONE)
    with Pipeline.of(settings).warehouse.open() as database:
        latest = latest_snapshot(database) or as_of
    first, last = (settings.time.period_start(day) for day in (as_of, latest))
    part = PlannedRun(first, last, (experiment_record, *stages, *PUBLISHING_STAGES))
    with open_instance(settings) as instance:
        release_dead_runs(instance, ALONE)
        _execute(definitions, REFRESH_JOB, instance, progress, part.range_tags, part.asset_names)


def _is_published(pipeline: Pipeline) -> bool:
    """Whether the published file is of this program's schema, with the contacts and the costs that there are now."""
    settings = pipeline.settings
    if not is_current(settings.published_path):
        return False
    with pipeline.warehouse.open() as database:
        return are_contacts_published(database) and are_costs_published(settings.published_path, database, settings)


def _refuse_obstacles(pipeline: Pipeline) -> None:
    """Raises :class:`RunFailed` if everything asked for is up to date but something else blocks publication."""
    with pipeline.warehouse.open() as database:
        obstacles = gate().obstacles(database.con, pipeline.settings.time)
    if obstacles:
        raise RunFailed(f"{obstacles_in_words(obstacles)}: `genome run` without dates makes and checks it again")


def _execute(
    definitions: dg.Definitions,
    job_name: str,
    instance: DagsterInstance,
    progress: Progress,
    tags: Mapping[str, str] | None = None,
    assets: Sequence[str] | None = None,
) -> str:
    """Run a job in this process, and record it as a run of the code location, among whose runs the UI shows it."""
    job = definitions.resolve_job_def(job_name)
    chosen = None if assets is None else frozenset(map(dg.AssetKey, assets))
    run_id, events = make_new_run_id(), list[dg.DagsterEvent]()
    with open_event_logs(instance, run_id):
        run = instance.create_run_for_job(
            job,
            run_id=run_id,
            run_config=_SILENT,
            tags={**job.run_tags, **(tags or {}), REASON_TAG: ON_COMMAND, MAX_RETRIES_TAG: "0"},
            asset_selection=chosen,
            remote_job_origin=job_origin(CODE_LOCATION, job_name),
        )
        for event in execute_run_iterator(InMemoryJob(job), run, instance):
            if event.event_type in _STATES and event.step_key:
                progress(event.step_key, _STATES[event.event_type])
            events.append(event)
    if any(event.event_type is DagsterEventType.RUN_SUCCESS for event in events):
        return run_id
    raise first_cause(events)
