"""The Dagster instance: its home and its configuration; removing old runs, and ending runs whose process died."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from dagster import AssetKey, DagsterInstance, DagsterInvalidConfigError, DagsterRunStatus, RunsFilter
from dagster_shared.check import CheckError
from filelock import FileLock, Timeout
from sqlalchemy import Engine, QueuePool, event
from yaml import YAMLError

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.assets.stage import WAREHOUSE_POOL
from genome_pipeline.orchestration.internals import SqliteEventLogStorage, sqlite_event_log
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings

POSTGRES_VARIABLE = "DAGSTER_POSTGRES_URL"
"""Environment variable with the URL of Dagster's database in production; ``dagster.yaml`` holds only its name."""

RUNS_KEPT = timedelta(days=90)
"""Age at which a run is removed, unless it made something still in use."""

AT_WORK = [DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING]
"""States of a run that has a process, or is about to."""

logger = logging.getLogger(__name__)

_POSTGRES_SCHEME = "postgresql+psycopg2://"
_CREATE = "create_engine"  # name of SQLAlchemy's function in Dagster's module
_DISPOSE = "dispose"
_STARTUP = timedelta(minutes=10)
_CONFIG = f"""\
# Written by `genome` where there is none; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
instance_class:               # a run that somebody stopped is not tried again
  module: genome_pipeline.orchestration.dagster_instance
  class: Instance
concurrency:
  pools:
    granularity: run          # a run has the warehouse to itself; others wait in the queue, in order
    default_limit: 1
run_monitoring:
  enabled: true
  start_timeout_seconds: {_STARTUP.seconds}  # one given up too early starts beside its replacement
  free_slots_after_run_end_seconds: 60
run_retries:
  enabled: true
  max_retries: 2              # of a run whose process died; a failed check or a user's mistake is not tried again
  retry_on_asset_or_op_failure: false
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days: {{skipped: 7, success: 90, failure: 90}}
  auto_materialize:
    purge_after_days: {{skipped: 7, success: 90, failure: 90}}
freshness:
  enabled: true
"""
_PATIENCE_VARIABLE = "DAGSTER_GRPC_TIMEOUT_SECONDS"
_PATIENCE_SECONDS = 300
"""By default 60. On a busy machine the process of a run takes longer to start, and the run is given up as failed."""
_POSTGRES_CONFIG = f"""\
storage:
  postgres:
    postgres_url: {{env: {POSTGRES_VARIABLE}}}
"""


def prepare_home(settings: Settings) -> Path:
    """Set ``DAGSTER_HOME`` unless it is set, write a ``dagster.yaml`` into it, and return it."""
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home).absolute()
    config = home / "dagster.yaml"
    if "?" in str(home) or unquote(str(home)) != str(home):
        raise ConfigError(
            f"Dagster cannot keep its records in {home}, whose name has a '?' or an escape such as '%41' in it: set"
            " GENOME_HOME, or DAGSTER_HOME, to another folder"
        )
    if not os.environ.get(POSTGRES_VARIABLE, _POSTGRES_SCHEME).startswith(_POSTGRES_SCHEME):
        raise ConfigError(f"{POSTGRES_VARIABLE} does not begin with {_POSTGRES_SCHEME}: name the driver in it")
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not config.exists():
            in_postgres = POSTGRES_VARIABLE in os.environ
            # Replaced in one step: another process may be reading it.
            new_config = config.with_name(f"dagster-{os.getpid()}.yaml")
            new_config.write_text(_CONFIG + (_POSTGRES_CONFIG if in_postgres else ""), encoding="utf-8")
            new_config.replace(config)
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be written ({error.strerror}): set GENOME_HOME to a folder you may write"
        ) from None
    os.environ["DAGSTER_HOME"] = str(home)
    return home


@contextmanager
def open_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """The instance of a prepared home. One process at a time creates its storage; others wait for it.

    Raises :class:`ConfigError` where Dagster cannot use ``dagster.yaml``.
    """
    home = prepare_home(settings)
    with ExitStack() as stack:
        with FileLock(home / "opening.lock"):
            try:
                instance = stack.enter_context(DagsterInstance.get())
            except (YAMLError, DagsterInvalidConfigError, CheckError) as error:
                reason = str(error).strip().splitlines()[0].removeprefix("Failure condition: ")
                raise ConfigError(
                    f"{home / 'dagster.yaml'} is no configuration of Dagster's ({reason}): correct it, or delete it to"
                    " have it written anew"
                ) from None
            limit_warehouse_pool(instance)
        yield instance


def prepare_server(settings: Settings) -> Path:
    """As :func:`prepare_home`, for a server about to start: its first runs also create storage one at a time.

    Dagster gives its own processes longer to answer each other than by default, unless the environment says how long.
    """
    os.environ.setdefault(_PATIENCE_VARIABLE, str(_PATIENCE_SECONDS))
    with open_instance(settings) as instance:
        return Path(instance.root_directory)


@contextmanager
def alone_at_work(
    settings: Settings, who: str, log: logging.Logger = logger, giving_up: str = "Ctrl-C"
) -> Iterator[None]:
    """Hold the home's write lock as ``who``, a command or a run; waits while another one holds it, and logs its name.

    The lock of a process that dies is released. A run that a command starts in its own thread shares the command's
    lock. ``log`` gets a message about the wait, with ``giving_up`` as the way to end it.
    """
    prepare_home(settings)
    home = settings.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    # Not a singleton: each thread needs its own lock object to tell whether it already holds the lock.
    lock, holder = FileLock(home / "at-work.lock", is_singleton=True), home / "at-work.txt"
    if lock.is_locked:
        yield
        return
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning(
            f"{_named(holder)} is at work in {home}: waiting for it to end; {giving_up} gives up and changes nothing"
        )
        lock.acquire()
    try:
        holder.write_text(f"{who} (process {os.getpid()})", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _named(holder: Path) -> str:
    """Who holds the home, from the file that the holder wrote; the holder may not have written it yet."""
    try:
        return holder.read_text(encoding="utf-8")
    except FileNotFoundError:
        return "another command or run"


def limit_warehouse_pool(instance: DagsterInstance) -> None:
    """Give the warehouse's pool its default limit, unless it has one already.

    Dagster would do so only when it first finds runs of the pool in its queue, and would let all of these start at
    once.
    """
    storage = instance.event_log_storage
    is_limited = any(pool.name == WAREHOUSE_POOL for pool in storage.get_pool_limits())
    if not is_limited and instance.global_op_concurrency_default_limit is not None:
        storage.initialize_concurrency_limit_to_default(WAREHOUSE_POOL)


@contextmanager
def open_event_logs(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """Keep the SQLite files of a run's events open, if Dagster's records are SQLite files.

    Dagster reopens them for each event, which takes longer than writing it. Whenever the last connection closes, SQLite
    merges and deletes its write-ahead log. This also stops SQLite from waiting for the disk at each event: a crash of
    the machine may lose the last lines of the log but not its integrity; a crash of the process loses nothing.
    """
    storage = instance.event_log_storage
    with ExitStack() as stack:
        event.listen(Engine, "connect", _without_waiting)
        stack.callback(event.remove, Engine, "connect", _without_waiting)
        if isinstance(storage, SqliteEventLogStorage):
            create = getattr(sqlite_event_log, _CREATE)
            stack.callback(setattr, sqlite_event_log, _CREATE, create)
            setattr(sqlite_event_log, _CREATE, stack.enter_context(_kept_open(create)))
            for shard in ("index", run_id):
                with storage.run_connection(shard):
                    pass  # creates the file if it does not exist
        yield


@contextmanager
def _kept_open(create: Callable[..., Engine]) -> Iterator[Callable[..., Engine]]:
    """``create``, but with one engine per database, which is reused and keeps its connection open."""
    engines: dict[str, Engine] = {}

    def engine_of(url: str, **options: Any) -> Engine:
        if url not in engines:
            engines[url] = create(url, **(options | {"poolclass": QueuePool}))
            # Dagster disposes of an engine after each use; this one has to stay open.
            setattr(engines[url], _DISPOSE, lambda: None)
        return engines[url]

    try:
        yield engine_of
    finally:
        for engine in engines.values():
            delattr(engine, _DISPOSE)
            engine.dispose()


def _without_waiting(connection: object, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def holding_run_lock(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold a lock that shows that the run's process is running; the system releases it however the process ends."""
    try:
        lock = FileLock(_lock_path(instance, run_id))
        lock.acquire(timeout=0)
    except Timeout:
        # Another process of the same run holds the lock.
        yield
        return
    try:
        yield
    finally:
        lock.release()


def release_dead_runs(instance: DagsterInstance) -> None:
    """After a crash or a loss of power: mark runs whose process is gone as failed, and release what they held."""
    records = instance.get_run_records(RunsFilter(statuses=AT_WORK))
    suspects = [
        record.dagster_run.run_id
        for record in records
        if _is_dead(instance, record.dagster_run.run_id, record.update_timestamp)
    ]
    if suspects:
        # A run that has just ended releases its lock a moment before it is recorded as done.
        time.sleep(1)
    for run_id in suspects:
        run = instance.get_run_by_id(run_id)
        if run is not None and run.status in AT_WORK:
            instance.report_run_failed(run, "the process of this run died")
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    running = {record.dagster_run.run_id for record in records} - set(suspects)
    for path in _lock_folder(instance).glob("*.lock"):
        if path.stem not in running and _is_free(path):
            path.unlink(missing_ok=True)


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


def _is_dead(instance: DagsterInstance, run_id: str, updated_at: datetime) -> bool:
    path = _lock_path(instance, run_id)
    if path.exists():
        return _is_free(path)
    # A run takes its lock only after it has loaded the code.
    return datetime.now(UTC) - updated_at.replace(tzinfo=UTC) > _STARTUP


def _is_free(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return True
    except Timeout:
        return False


def _lock_path(instance: DagsterInstance, run_id: str) -> Path:
    folder = _lock_folder(instance)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{run_id}.lock"


def _lock_folder(instance: DagsterInstance) -> Path:
    return Path(instance.root_directory) / "running"
