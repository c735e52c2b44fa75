"""``genome run``: which periods have to be made, and making them through Dagster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Thread

import dagster as dg
import duckdb

# Before a thread imports it with Great Expectations: of a module half imported by another thread one gets the half.
import sqlalchemy.orm  # noqa: F401
from dagster import DagsterEventType, DagsterInstance
from dagster._core.utils import make_new_run_id

from genome_pipeline.assets.stage import ON_COMMAND, REASON_TAG
from genome_pipeline.automation import INGEST_JOB, PUBLISH_JOB, REFRESH_JOB
from genome_pipeline.checks import gate
from genome_pipeline.definitions import build_definitions
from genome_pipeline.errors import ConfigError, RunFailed
from genome_pipeline.failures import first_cause
from genome_pipeline.instance import (
    alone_at_work,
    open_event_logs,
    open_instance,
    release_dead_runs,
    runs_in_progress,
)
from genome_pipeline.quality.gate import in_words
from genome_pipeline.quality.validation import load_great_expectations
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.staleness import Span, check_boundaries, find_stale
from genome_pipeline.warehouse.database import SOURCE_SETTING, WarehouseBusy, WarehouseError, open_database
from genome_pipeline.warehouse.forgotten import Forgotten
from genome_pipeline.warehouse.ingestion import PRESENT_FILES
from genome_pipeline.warehouse.publishing import check_replaceable, is_current

_LOGGER = "progress"

Progress = Callable[[str, str], None]
"""Told of each step and its state: ``started``, ``done``, ``failed`` or ``skipped``."""


@dataclass(frozen=True)
class Outcome:
    """What a run did: the snapshots made, oldest first (none when all was up to date), and its id."""

    as_of: tuple[date, ...]
    run_id: str | None


def run(settings: Settings, span: Span, progress: Progress) -> Outcome:
    """Take in what is new in the source, make the snapshots that are missing, stale or asked for, and publish.

    Raises :class:`~genome_pipeline.errors.ConfigError` for a mistake of the user's and
    :class:`~genome_pipeline.errors.RunFailed` when a check failed; in both
    cases what was published before stays.
    """
    check_boundaries(settings, span)
    with alone_at_work(settings, "`genome run`"):
        return _run(settings, span, progress)


def _run(settings: Settings, span: Span, progress: Progress) -> Outcome:
    """As :func:`run`, by a command that holds the home."""
    check_replaceable(settings.published_path)
    pipeline = Pipeline.of(settings)
    definitions = dg.Definitions.merge(
        build_definitions(settings), dg.Definitions(loggers={_LOGGER: _progress_logger(progress)})
    )
    # The first check needs it seconds from now, and the stages before it leave a core idle.
    Thread(target=load_great_expectations, daemon=True).start()
    with open_instance(settings) as instance:
        release_dead_runs(instance)
        _execute(definitions, INGEST_JOB, instance, {})
        stale = find_stale(pipeline, span)
        planned = stale.runs(settings.time)
        for part in planned:
            run_id = _execute(definitions, REFRESH_JOB, instance, part.range_tags, part.asset_names)
        if not stale.snapshots:
            if not planned and is_current(settings.published_path):
                _refuse_obstacles(pipeline)
                return Outcome((), None)
            run_id = _execute(definitions, PUBLISH_JOB, instance, {})
    return Outcome(tuple(map(settings.time.as_of, stale.snapshots)), run_id)


def _refuse_obstacles(pipeline: Pipeline) -> None:
    """Raises :class:`RunFailed` where all that was asked for is made, but something else may not be published."""
    with pipeline.warehouse.open() as database:
        obstacles = gate().obstacles(database.con, pipeline.settings.time)
    if obstacles:
        raise RunFailed(f"{in_words(obstacles)}: `genome run` without dates makes and checks it again")


def rebuild(settings: Settings, progress: Progress, own_run_id: str | None = None) -> Outcome:
    """Make the warehouse anew from the source, and publish.

    The old warehouse, damaged or not, stands aside until this is done; what was published stays until the new is. Who
    was forgotten stays forgotten. Waits for another command that is at work, as :func:`run` does. Raises as that does,
    and :class:`~genome_pipeline.errors.ConfigError`, with all as before, where another run than ``own_run_id`` of
    Dagster's server is at work, and without the key under which customers were forgotten.
    """
    with alone_at_work(settings, "`genome rebuild`"):
        return _rebuild(settings, progress, own_run_id)


def _rebuild(settings: Settings, progress: Progress, own_run_id: str | None) -> Outcome:
    with open_instance(settings) as instance:
        release_dead_runs(instance)
        others = [run_id for run_id in runs_in_progress(instance) if run_id != own_run_id]
    if others:
        raise ConfigError(f"run {others[0]} is in progress: let it finish, or cancel it, and rebuild again")
    check_replaceable(settings.published_path)
    warehouse = settings.warehouse_path
    forgotten = Forgotten.beside(warehouse)
    _take_old_list(forgotten, warehouse)
    forgotten.check_key(settings.privacy_key)
    aside = warehouse.with_name("warehouse-before-rebuild.duckdb")
    # Where one stands aside already, this one is of a rebuild that stopped on the way, unless it was published since.
    is_whole = not aside.exists() or _has_published(warehouse)
    for path, kept in ((_log_of(warehouse), _log_of(aside)), (warehouse, aside)):
        if is_whole:
            kept.unlink(missing_ok=True)
            if path.exists():
                path.replace(kept)
        path.unlink(missing_ok=True)
    if _place_of(aside) in (None, settings.source.place):
        _remember_published_files(settings)
    outcome = _run(settings, Span(), progress)
    aside.unlink(missing_ok=True)
    _log_of(aside).unlink(missing_ok=True)
    return outcome


def _take_old_list(forgotten: Forgotten, warehouse: Path) -> None:
    """Who was forgotten stood in the warehouse in older versions; one that is damaged cannot tell."""
    if warehouse.exists():
        try:
            with open_database(warehouse) as database:
                forgotten.take_from(database)
        except WarehouseBusy:
            raise
        except (WarehouseError, duckdb.Error):
            pass


def _has_published(warehouse: Path) -> bool:
    """Whether anything was published from the warehouse; of one that cannot be read, nothing is known."""
    try:
        with open_database(warehouse, read_only=True) as database:
            return bool(database.con.execute("SELECT count(*) > 0 FROM pipeline_runs").fetchall()[0][0])
    except WarehouseBusy:
        raise
    except (WarehouseError, duckdb.Error):
        return False


def _place_of(warehouse: Path) -> str | None:
    """Where the rows of a warehouse came from; None where it cannot tell."""
    try:
        with open_database(warehouse, read_only=True) as database:
            query = "SELECT setting_value FROM warehouse_identity WHERE setting_name = ?"
            found = database.con.execute(query, [SOURCE_SETTING]).fetchone()
    except (WarehouseError, duckdb.Error):
        return None
    return str(found[0]) if found else None


def _remember_published_files(settings: Settings) -> None:
    """Tell the new warehouse which files were published last, so that those which are gone are missed by it, too."""
    try:
        with open_database(settings.published_path, read_only=True) as published:
            files = published.con.execute(PRESENT_FILES).fetchall()
    except (WarehouseError, duckdb.Error):
        return  # none is there, or of another version
    with Pipeline.of(settings).warehouse.open() as database:
        for file in files:
            database.con.execute("INSERT INTO published_files VALUES (?, ?, ?)", file)


def _log_of(database: Path) -> Path:
    """DuckDB's log of what is not in the file yet."""
    return database.with_name(f"{database.name}.wal")


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
    """A Dagster logger that hands the start and end of each step to ``progress`` and writes nothing."""
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
