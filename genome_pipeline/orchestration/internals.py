"""What is used of Dagster that has no public name: a newer version that takes it away fails here first."""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Any

from dagster import DagsterInstance
from dagster._check import CheckError
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.repository_definition.valid_definitions import SINGLETON_REPOSITORY_NAME
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.api import execute_run_iterator
from dagster._core.instance import InstanceRef
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.tags import MAX_RETRIES_TAG, PARENT_RUN_ID_TAG, RUN_KEY_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import make_new_run_id
from sqlalchemy import Connection, Engine, QueuePool, event

__all__ = [
    "MAX_RETRIES_TAG",
    "PARENT_RUN_ID_TAG",
    "RUN_KEY_TAG",
    "AssetCheckEvaluationTargetMaterializationData",
    "CheckError",
    "DagsterEvent",
    "DagsterEventBatchMetadata",
    "DagsterExecutionInterruptedError",
    "EventLogEntry",
    "InMemoryJob",
    "InstanceRef",
    "RemoteJobOrigin",
    "UnresolvedAssetJobDefinition",
    "dev_module",
    "event_log_connection",
    "execute_run_iterator",
    "job_origin",
    "make_new_run_id",
    "open_event_logs",
    "webserver_module",
]

_CREATE = "create_engine"  # name of SQLAlchemy's function in Dagster's module
_DISPOSE = "dispose"
_KEEPING_OPEN = Lock()


def dev_module() -> Any:
    """The module behind ``dagster dev``; loaded on demand, as it takes a second."""
    return importlib.import_module("dagster._cli.dev")


def webserver_module() -> Any:
    """The module behind ``dagster-webserver``."""
    return importlib.import_module("dagster_webserver.cli")


def job_origin(module: str, job: str) -> RemoteJobOrigin:
    """The origin of a run of ``job`` in the code location that ``dagster dev -m MODULE`` loads."""
    target = LoadableTargetOrigin(module_name=module)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target)
    return RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME).get_job_origin(job)


@contextmanager
def event_log_connection(instance: DagsterInstance) -> Iterator[Connection | None]:
    """A connection to the database of Dagster's events; None where they are SQLite files, of which each run has one."""
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        yield None
        return
    with storage.index_connection() as connection:  # type: ignore[attr-defined]
        yield connection


@contextmanager
def open_event_logs(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """Keep the SQLite files of a run's events open, if Dagster's records are SQLite files.

    Dagster reopens them for each event, which takes longer than writing it. Whenever the last connection closes, SQLite
    merges and deletes its write-ahead log. This also stops SQLite from waiting for the disk at each event: a crash of
    the machine may lose the last lines of the log but not its integrity; a crash of the process loses nothing.
    """
    storage = instance.event_log_storage
    if not _KEEPING_OPEN.acquire(blocking=False):
        yield  # a run that a command starts in its own process, or another thread of the webserver
        return
    with ExitStack() as stack:
        stack.callback(_KEEPING_OPEN.release)
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
