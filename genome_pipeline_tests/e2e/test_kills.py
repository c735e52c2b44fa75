"""``kill -9`` at any moment: the next run completes, nothing is lost, and readers never see half a published file."""

import multiprocessing
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from genome_pipeline.forgetting import forget
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.e2e.test_forget import GONE, KEY, files_with, rows_with
from genome_pipeline_tests.pipelines import assert_same, make, shop_config, tables, write_shop_log

KILLS = 100
FORGET_KILLS = 8
SEED = 7
_LATE_ROW = "c0001,late,2020-02-10 10:00:00,p1,food,1,2.00\n"
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["genome_pipeline_tests.pipelines", "genome_pipeline.quality.validation"])


def small_config(folder: Path, home: str) -> Path:
    """The config of a shop of few customers and two months."""
    config = shop_config(folder, home=home)
    config.write_text(config.read_text(encoding="utf-8").replace("2020-08-01", "2020-03-01"), encoding="utf-8")
    return config


def _make(config: Path) -> None:
    os.environ.pop("DAGSTER_HOME", None)
    make(config)


def started(config: Path) -> Any:
    process = _PROCESSES.Process(target=_make, args=(config,))
    process.start()
    return process


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
        while not is_enough.wait(0.02):
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


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
def test_a_run_killed_at_any_moment_is_made_good_by_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    write_shop_log(log, customers=80)
    logs = [log.read_text(encoding="utf-8"), log.read_text(encoding="utf-8") + _LATE_ROW]
    expected: list[dict[str, pd.DataFrame]] = []
    whole: set[tuple[Any, ...]] = set()
    for number, text in enumerate(logs):
        log.write_text(text, encoding="utf-8")
        built, _ = make(small_config(tmp_path, f"uninterrupted{number}"))
        expected.append(tables(built.warehouse_path))
        whole.add(published_state(built.published_path))
    assert len(whole) == 2

    config = small_config(tmp_path, "killed")
    settings, _ = make(config)
    log.write_text(logs[0], encoding="utf-8")
    start = time.monotonic()
    process = started(config)
    process.join()
    assert process.exitcode == 0
    seconds = time.monotonic() - start

    generator = random.Random(SEED)
    killed = 0
    with polled(settings.published_path) as seen:
        for number in range(1, KILLS + 1):
            log.write_text(logs[number % 2], encoding="utf-8")
            process = started(config)
            process.join(generator.uniform(0, seconds))
            killed += process.is_alive()
            process.kill()
            process.join()
            process = started(config)
            process.join()
            assert process.exitcode == 0, f"kill {number}"
            assert_same(tables(settings.warehouse_path), expected[number % 2])
            assert published_state(settings.published_path) in whole
    assert killed > KILLS / 2
    assert seen == whole
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
        assert_same(but_erasures(tables(settings.warehouse_path)), but_erasures(expected))
    assert killed > FORGET_KILLS / 2


def but_erasures(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """All tables but the records of erasures, which say when."""
    return {name: frame for name, frame in frames.items() if name not in ("erasures", "forgotten_customers")}
