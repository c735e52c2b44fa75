"""BI readers: processes of their own that keep the published file open, and ask again and again."""

from __future__ import annotations

import multiprocessing
import queue
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import duckdb

_PROCESSES = multiprocessing.get_context("spawn")
_PER_CUSTOMER = ("customer_features", "customer_segments", "customer_value", "customer_risk", "customer_confidence")


@dataclass
class Reports:
    """What the readers found, once they have stopped: publications seen, questions asked, and what went wrong."""

    publications: set[str] = field(default_factory=set)
    question_count: int = 0
    faults: list[str] = field(default_factory=list)


@contextmanager
def reading(path: Path, count: int, seconds_open: float) -> Iterator[Reports]:
    """Let ``count`` readers read until the block ends, each with the file open for up to ``seconds_open`` at a time."""
    reports = Reports()
    is_enough, answers = _PROCESSES.Event(), _PROCESSES.Queue()
    readers = [
        _PROCESSES.Process(target=_read, args=(str(path), seconds_open, seed, is_enough, answers))
        for seed in range(count)
    ]
    for reader in readers:
        reader.start()
    try:
        yield reports
    finally:
        is_enough.set()
        for _ in readers:
            try:
                publications, questions, faults = answers.get(timeout=seconds_open + 60)
            except queue.Empty:
                publications, questions, faults = set(), 0, ["a reader did not answer"]
            reports.publications |= publications
            reports.question_count += questions
            reports.faults += faults
        for reader in readers:
            reader.join(60)
            reader.kill()


def publication(connection: duckdb.DuckDBPyConnection) -> str:
    """Which publication the file is; raises where its tables are not of one piece."""
    customers = connection.execute(
        "SELECT as_of, count(*) FROM customer_genome_history GROUP BY 1 ORDER BY 1"
    ).fetchall()
    for table in _PER_CUSTOMER:
        found = connection.execute(f"SELECT as_of, count(*) FROM {table}_history GROUP BY 1 ORDER BY 1").fetchall()
        assert found == customers, f"{table}: {found}, where the mart has {customers}"
    ((run_id, as_of),) = connection.execute(
        "SELECT run_id, as_of FROM pipeline_runs ORDER BY published_at DESC LIMIT 1"
    ).fetchall()
    assert as_of == customers[-1][0], f"published as of {as_of}, latest snapshot {customers[-1][0]}"
    shares = connection.execute("SELECT sum(customer_count), sum(spend_share) FROM segment_summary").fetchall()
    assert shares[0][0] == customers[-1][1], f"segments of {shares[0][0]} customers out of {customers[-1][1]}"
    return str(run_id)


def _read(path: str, seconds_open: float, seed: int, is_enough: Event, answers: Any) -> None:
    generator = random.Random(seed)
    publications: set[str] = set()
    faults: list[str] = []
    questions = 0
    while not is_enough.is_set() and len(faults) < 10:
        try:
            with duckdb.connect(path, read_only=True) as connection:
                until = time.monotonic() + generator.uniform(0, seconds_open)
                opened = publication(connection)
                publications.add(opened)
                while time.monotonic() < until and not is_enough.wait(min(1.0, seconds_open / 10)):
                    questions += 1
                    assert publication(connection) == opened, "the open file has changed"
        except Exception as error:
            faults.append(repr(error))
    answers.put((publications, questions, faults))
