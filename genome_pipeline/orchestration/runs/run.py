"""``genome run``: find the periods that have to be made, and make them through Dagster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from threading import Thread

import dagster as dg

# Imported before any thread imports it with Great Expectations: concurrent first imports may see half a module.
import sqlalchemy.orm  # noqa: F401
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
from genome_pipeline.orchestration.internals import make_new_run_id, open_event_logs
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.at_work import alone_at_work, release_dead_runs
from genome_pipeline.orchestration.runs.staleness import PlannedRun, Span, check_boundaries, find_stale, latest_snapshot
from genome_pipeline.quality.gate import obstacles_in_words
from genome_pipeline.quality.own_suites import load_own_suites
from genome_pipeline.quality.suites import load_great_expectations
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.published_changes import is_current
from genome_pipeline.warehouse.publishing import (
    are_contacts_published,
    are_costs_published,
    check_replaceable,
)

_LOGGER = "progress"

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
    definitions = _definitions(settings, progress)
    # The first check needs it seconds from now; until then a core is idle.
    Thread(target=load_great_expectations, daemon=True).start()
    with open_instance(settings) as instance:
        release_dead_runs(instance)
        _execute(definitions, INGEST_JOB, instance, {})
        stale = find_stale(pipeline, span)
        planned = stale.runs(settings.time)
        for part in planned:
            run_id = _execute(definitions, REFRESH_JOB, instance, part.range_tags, part.asset_names)
        if not stale.snapshots:
            if not planned and _is_published(pipeline):
                _refuse_obstacles(pipeline)
                return Outcome((), None)
            run_id = _execute(definitions, PUBLISH_JOB, instance, {})
    return Outcome(tuple(map(settings.time.as_of, stale.snapshots)), run_id)


def publish_again(settings: Settings, as_of: date, stages: Sequence[Stage], progress: Progress) -> None:
    """Read the record of experiments, make some stages again from a snapshot on, and publish; for a command at work.

    Raises as :func:`run` does.
    """
    check_replaceable(settings.published_path)
    definitions = _definitions(settings, progress)
    with Pipeline.of(settings).warehouse.open() as database:
        latest = latest_snapshot(database) or as_of
    first, last = (settings.time.period_start(day) for day in (as_of, latest))
    part = PlannedRun(first, last, (experiment_record, *stages, *PUBLISHING_STAGES))
    with open_instance(settings) as instance:
        release_dead_runs(instance)
        _execute(definitions, REFRESH_JOB, instance, part.range_tags, part.asset_names)


def _definitions(settings: Settings, progress: Progress) -> dg.Definitions:
    return dg.Definitions.merge(build_graph(settings), dg.Definitions(loggers={_LOGGER: _progress_logger(progress)}))


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
    job: str,
    instance: DagsterInstance,
    tags: dict[str, str],
    assets: Sequence[str] | None = None,
) -> str:
    run_id = make_new_run_id()
    with open_event_logs(instance, run_id):
        result = definitions.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_id=run_id,
            run_config={"loggers": {_LOGGER: {}}},
            tags={**tags, REASON_TAG: ON_COMMAND},
            raise_on_error=False,
            asset_selection=None if assets is None else [dg.AssetKey(name) for name in assets],
        )
    if result.success:
        return result.run_id
    raise first_cause(result.all_events)


def _progress_logger(progress: Progress) -> dg.LoggerDefinition:
    """A Dagster logger that reports the start and end of each step to ``progress`` and writes nothing."""
    states = {
        DagsterEventType.STEP_START: "started",
        DagsterEventType.STEP_SUCCESS: "done",
        DagsterEventType.STEP_FAILURE: "failed",
        DagsterEventType.STEP_SKIPPED: "skipped",
    }

    class _Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event = getattr(record, "dagster_event", None) or getattr(record, "dagster_meta", {}).get("dagster_event")
            if event is not None and event.event_type in states and event.step_key:
                progress(event.step_key, states[event.event_type])

    def progress_logger(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger(_LOGGER)
        logger.addHandler(_Handler())
        return logger

    return dg.LoggerDefinition(progress_logger, description="Progress of a run on the command line.")
