"""``kill -9`` at any moment: the next run completes, nothing is lost, and readers never see half a published file."""

import multiprocessing
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from genome_pipeline.command.forgetting import forget
from genome_pipeline.orchestration.runs.run import run
from genome_pipeline.orchestration.runs.staleness import Span
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.e2e.test_forget import GONE, KEY, rows_with
from genome_pipeline_tests.support.files import files_with
from genome_pipeline_tests.support.pipelines import assert_same, make, shop_config, tables, write_shop_log

SEEDS = range(10)
KILLS_OF_A_SEED = 10
"""A hundred kills in all, in parts that can run side by side."""

FORGET_KILLS = 8
SEED = 7
_LATE_ROW = "c0001,late,2020-02-10 10:00:00,p1,food,1,2.00\n"
_PROCESSES = multiprocessing.get_context("forkserver")
# What a run imports on its way: a kill is to hit the run, not its imports.
_PROCESSES.set_forkserver_preload(
    [
        "genome_pipeline_tests.support.pipelines",
        "genome_pipeline.quality.validation",
        "genome_pipeline.dashboard.report",
        "great_expectations",
        "lightgbm",
        "plotly.express",
        "sklearn.ensemble",
    ]
)


def small_config(folder: Path, home: str) -> Path:
    """The config of a shop of few customers and two months."""
    config = shop_config(folder, home=home)
    config.write_text(config.read_text(encoding="utf-8").replace("2020-08-01", "2020-03-01"), encoding="utf-8")
    return config


def _make(config: Path, steps: Path) -> None:
    os.environ.pop("DAGSTER_HOME", None)
    with steps.open("w", encoding="utf-8") as file:
        run(load_settings(config), Span(), lambda step, state: print(step, state, file=file, flush=True))


def started(config: Path) -> Any:
    """A process that runs the pipeline, and tells of its steps in a file beside the config."""
    steps_file(config).unlink(missing_ok=True)
    process = _PROCESSES.Process(target=_make, args=(config, steps_file(config)))
    process.start()
    return process


def steps_file(config: Path) -> Path:
    return config.with_suffix(".steps")


def step_at_work(config: Path) -> str:
    """The step that the process was at when it ended."""
    lines = steps_file(config).read_text(encoding="utf-8").splitlines() if steps_file(config).exists() else []
    return lines[-1] if lines else "start"


def published_state(path: Path) -> tuple[Any, ...]:
    """What a reader finds: tables, rows of each, and a sum over the mart."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = sorted(name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall())
        changing = {"pipeline_runs", "data_quality"}
        counts = [
            None if name in changing else connection.execute(f"SELECT count(*) FROM {name}").fetchone()
            for name in names
        ]
        spend = connection.execute("SELECT round(sum(spend_amount), 2)::VARCHAR FROM customer_genome").fetchone()
    return (*names, *counts, spend)


@contextmanager
def polled(path: Path) -> Iterator[set[tuple[Any, ...]]]:
    """States of the published file, read again and again by another thread; a failure to read is one of them."""
    seen: set[tuple[Any, ...]] = set()
    is_enough = threading.Event()

    def poll() -> None:
        while not is_enough.wait(0.1):
            try:
                seen.add(published_state(path))
            except Exception as error:
                seen.add((repr(error),))

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        yield seen
    finally:
        is_enough.set()
        reader.join()


@dataclass(frozen=True)
class Uninterrupted:
    """What the log without its late row, and with it, makes of a warehouse and of the published file."""

    folder: Path
    logs: list[str]
    tables: list[dict[str, pd.DataFrame]]
    published: list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    folder = tmp_path_factory.mktemp("uninterrupted")
    log = folder / "log.csv"
    write_shop_log(log, customers=30)
    text = log.read_text(encoding="utf-8")
    made = Uninterrupted(folder, [text, text + _LATE_ROW], [], [])
    for number, content in enumerate(made.logs):
        log.write_text(content, encoding="utf-8")
        settings, _ = make(small_config(folder, f"home{number}"))
        os.environ.pop("DAGSTER_HOME", None)
        made.tables.append(tables(settings.warehouse_path))
        made.published.append(published_state(settings.published_path))
    assert made.published[0] != made.published[1]
    return made


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_killed_at_any_moment_is_made_good_by_the_next(
    tmp_path: Path, uninterrupted: Uninterrupted, seed: int
) -> None:
    log = tmp_path / "log.csv"
    log.write_text(uninterrupted.logs[1], encoding="utf-8")
    shutil.copytree(uninterrupted.folder / "home1", tmp_path / "killed")
    config = small_config(tmp_path, "killed")
    settings, _ = make(config)  # the log has moved with its home, which a run takes note of
    killed_at: list[str] = []
    seconds = 0.0
    with polled(settings.published_path) as seen:
        # The first is left to end. How long a run takes, each tells for the next: a machine may be slow for a while.
        for number in range(KILLS_OF_A_SEED + 1):
            log.write_text(uninterrupted.logs[number % 2], encoding="utf-8")
            start = time.monotonic()
            process = started(config)
            if number:
                process.join(random.Random(f"{seed} {number}").uniform(0, seconds))
                if process.is_alive():
                    process.kill()
                    process.join()
                    killed_at.append(step_at_work(config))
                start = time.monotonic()
                process = started(config)
            process.join()
            assert process.exitcode == 0, f"kill {number}: {killed_at}"
            seconds = time.monotonic() - start
            assert_same(tables(settings.warehouse_path), uninterrupted.tables[number % 2])
            assert published_state(settings.published_path) == uninterrupted.published[number % 2]
    print(f"\nkilled {len(killed_at)} times, a run takes {seconds:.0f} s:", *killed_at, sep="\n  ")
    assert len(killed_at) > KILLS_OF_A_SEED / 2
    assert seen == set(uninterrupted.published)
    # Nothing unfinished is left where readers look.
    assert [path.name for path in settings.published_path.parent.iterdir()] == ["genome.duckdb"]


def _forget(config: Path) -> None:
    os.environ.pop("DAGSTER_HOME", None)
    os.environ["GENOME_PRIVACY__KEY"] = KEY
    forget(load_settings(config), [GONE])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_an_erasure_killed_at_any_moment_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENOME_PRIVACY__KEY", KEY)
    write_shop_log(tmp_path / "log.csv", customers=80)
    config = small_config(tmp_path, "forgotten")
    settings, _ = make(config)
    untouched = tmp_path / "untouched"
    shutil.copytree(settings.home, untouched)
    start = time.monotonic()
    process = _PROCESSES.Process(target=_forget, args=(config,))
    process.start()
    process.join()
    assert process.exitcode == 0
    seconds = time.monotonic() - start
    expected = tables(settings.warehouse_path)

    generator = random.Random(SEED)
    killed = 0
    for number in range(1, FORGET_KILLS + 1):
        shutil.rmtree(settings.home)
        shutil.copytree(untouched, settings.home)
        process = _PROCESSES.Process(target=_forget, args=(config,))
        process.start()
        process.join(generator.uniform(0, seconds))
        killed += process.is_alive()
        process.kill()
        process.join()
        make(config)  # a run in between neither fails nor brings anyone back
        forget(settings, [GONE])
        assert files_with(settings.home, GONE) == [], f"kill {number}"
        for database in (settings.warehouse_path, settings.published_path):
            assert rows_with(database, GONE) == [], f"kill {number}"
        assert_same(tables(settings.warehouse_path), expected)
    assert killed > FORGET_KILLS / 2
