"""Locks that say who is at work: one command or run in a home at a time, and which runs still have a process."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from filelock import FileLock, Timeout

from genome_pipeline.orchestration.automation.jobs import is_of
from genome_pipeline.orchestration.home import STARTUP, make_folder
from genome_pipeline.orchestration.place import Place
from genome_pipeline.settings import Settings

AT_WORK = [DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING]
"""States of a run that has a process, or is about to."""

DIED = "the process of this run died"
"""Message of the failure of a run whose process is gone."""

logger = logging.getLogger(__name__)


@contextmanager
def alone_at_work(
    settings: Settings, who: str, log: logging.Logger = logger, giving_up: str = "Ctrl-C"
) -> Iterator[None]:
    """Hold the home's write lock as ``who``, a command or a run; waits while another one holds it, and logs its name.

    The lock of a process that dies is released. A run that a command starts in its own thread shares the command's
    lock. ``log`` gets a message about the wait, with ``giving_up`` as the way to end it.
    """
    home = make_folder(settings.home.absolute())
    # One lock for the process, whose state is each thread's own: it tells whether this thread holds it.
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


def release_dead_runs(instance: DagsterInstance, place: Place) -> None:
    """After a crash: mark the shop's runs whose process is gone as failed, and release what they held."""
    records = instance.get_run_records(RunsFilter(statuses=AT_WORK))
    suspects = [
        record.dagster_run.run_id
        for record in records
        if is_of(place, record.dagster_run) and _is_dead(instance, record.dagster_run.run_id, record.update_timestamp)
    ]
    if suspects:
        # A run that has just ended releases its lock a moment before it is recorded as done.
        time.sleep(1)
    for run_id in suspects:
        run = instance.get_run_by_id(run_id)
        if run is not None and run.status in AT_WORK:
            instance.report_run_failed(run, DIED)
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    running = {record.dagster_run.run_id for record in records} - set(suspects)
    for path in _lock_folder(instance).glob("*.lock"):
        if path.stem not in running and _is_free(path):
            path.unlink(missing_ok=True)


def _is_dead(instance: DagsterInstance, run_id: str, updated_at: datetime) -> bool:
    path = _lock_path(instance, run_id)
    if path.exists():
        return _is_free(path)
    # A run takes its lock only after it has loaded the code.
    return datetime.now(UTC) - updated_at.replace(tzinfo=UTC) > STARTUP


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
