"""The Dagster instance: its home, its configuration, and what a run that died has left behind."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.storage.event_log import SqliteEventLogStorage

from genome_pipeline.settings import ConfigError, Settings

PID_TAG = "genome/pid"
"""Process of a run launched from the command line, so that its death can be told."""

_CONFIG = """\
# Written by `genome` where there is none; yours to change.
telemetry:
  enabled: false
concurrency:
  pools:
    granularity: op
    default_limit: 1          # one process at a time holds the warehouse
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 60
"""


def prepare_home(settings: Settings) -> Path:
    """Set ``DAGSTER_HOME`` (if none is set, to the settings' own), with a ``dagster.yaml`` in it; returns it."""
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home).absolute()
    config = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not config.exists():
            config.write_text(_CONFIG, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{home} cannot be written ({error.strerror}): set GENOME_HOME to a folder you may write"
        ) from None
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def release_dead_runs(instance: DagsterInstance) -> None:
    """Mark runs from the command line whose process is gone as failed, and free what they held."""
    for run in instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED, DagsterRunStatus.STARTING])):
        pid = run.tags.get(PID_TAG)
        if pid is not None and not _is_alive(int(pid)):
            instance.report_run_failed(run, "the process of this run died")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


@contextmanager
def open_event_logs(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """Hold the SQLite files open that Dagster writes a run's events to.

    Dagster opens them anew for each event, and whenever the last one closes a file, SQLite moves its write-ahead log
    into it and deletes it: that takes longer than to write the event.
    """
    storage = instance.event_log_storage
    with ExitStack() as stack:
        if isinstance(storage, SqliteEventLogStorage):
            for shard in ("index", run_id):
                with storage.run_connection(shard):
                    pass  # makes the file, where it is not there
                held = stack.enter_context(closing(sqlite3.connect(storage.path_for_shard(shard))))
                held.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield


def runs_in_progress(instance: DagsterInstance) -> list[str]:
    """Ids of the runs that have been started and have not ended."""
    at_work = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    return [run.run_id for run in instance.get_runs(RunsFilter(statuses=at_work))]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
