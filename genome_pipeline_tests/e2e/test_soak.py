"""An hour of a server's life: a schedule each minute on a growing log, with backfills and readers beside it."""

import os
import random
import statistics
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from genome_pipeline.calendar import Period
from genome_pipeline_tests.support.dagster_server import running_dagster
from genome_pipeline_tests.support.pipelines import assert_same, make, shop_config, tables
from genome_pipeline_tests.support.readers import reading

MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
"""How long the log grows. An hour, unless ``SOAK_MINUTES`` says otherwise."""

BACKFILL_EVERY_MINUTES = 15
CUSTOMERS = 40
_HEADER = "customer,order,date,sku,department,units,price\n"


def write_rows(folder: Path, name: str, moments: list[datetime], generator: random.Random) -> None:
    """A file of the log, put in place in one step, as exports should be."""
    rows = [
        f"c{generator.randrange(CUSTOMERS):04d},{name}-{number},{moment:%Y-%m-%d %H:%M:%S},p{number % 7},food,1,"
        f"{generator.randint(100, 900) / 100:.2f}\n"
        for number, moment in enumerate(moments)
    ]
    unfinished = folder.parent / f"{name}.unfinished"
    unfinished.write_text(_HEADER + "".join(rows), encoding="utf-8")
    unfinished.replace(folder / f"{name}.csv")


def resident_megabytes(session: int) -> dict[int, float]:
    """Memory of each process of a session by its id: what is its own, not what is mapped from files."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
                found[int(process.name)] = int(lines["RssAnon"].split()[0]) / 1024
        except (OSError, KeyError):
            continue  # it has ended
    return found


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 3600)
def test_a_schedule_each_minute_on_a_growing_log_with_backfills_and_readers(tmp_path: Path) -> None:
    """It lasts :data:`MINUTES`: an hour, unless the environment variable ``SOAK_MINUTES`` says otherwise.

    Every run and tick succeeds, the server's memory is level, and in the end all is as one build makes it.
    """
    generator = random.Random(11)
    now = datetime.now(UTC).replace(tzinfo=None)
    running = Period.MONTH.start_of(now.date())
    first, end = Period.MONTH.shift(running, -2), Period.MONTH.shift(running, 1)
    landing = tmp_path / "landing"
    landing.mkdir()
    config = soak_config(tmp_path, "home", first, end)
    start = datetime.combine(first, datetime.min.time())
    past = [start + timedelta(seconds=generator.uniform(0, (now - start).total_seconds())) for _ in range(600)]
    write_rows(landing, "history", past, generator)
    settings, _ = make(config)

    samples: list[dict[int, float]] = []
    backfills: list[str] = []
    whole_months = {"range": {"start": str(first), "end": str(Period.MONTH.shift(first, 1))}}
    with running_dagster(config, "genome_pipeline_tests.e2e.every_minute") as server:
        nodes = server.ask("{ assetNodes { assetKey { path } isPartitioned } }")["assetNodes"]
        keys = [{"path": node["assetKey"]["path"]} for node in nodes if node["isPartitioned"]]
        again = [{"assetKey": key, "partitions": whole_months} for key in keys]
        began = time.monotonic()
        with reading(settings.published_path, 2, seconds_open=90) as reports:
            minute = 0
            while (passed := (time.monotonic() - began) / 60) < MINUTES:
                if passed >= minute:
                    write_rows(landing, f"minute{minute:04d}", [datetime.now(UTC)] * 5, generator)
                    if minute % BACKFILL_EVERY_MINUTES == 1:
                        backfills.append(server.launch_backfill(partitionsByAssets=again))
                    minute += 1
                samples.append(resident_megabytes(server.session))
                time.sleep(10)
            grown_at = datetime.now(UTC)
            states = [server.ended_backfill(number) for number in backfills]
            with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
                wait_for_a_run_since(instance, grown_at)
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        runs = instance.get_runs()
        ticks = [
            tick
            for state in instance.all_instigator_state()
            for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
        ]
    long_lived = set(samples[0]).intersection(*samples)
    level = [sum(sample[number] for number in long_lived) for sample in samples]
    quarter = max(1, len(level) // 4)
    before, after = statistics.median(level[quarter : 2 * quarter]), statistics.median(level[-quarter:])
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        published = connection.execute("SELECT count(*) FROM pipeline_runs").fetchone()
    print(
        f"\n{minute} minutes, {published} publications;"
        f" runs {Counter(run.status.value for run in runs)}, ticks {Counter(tick.status.value for tick in ticks)},"
        f" backfills {Counter(state['status'] for state in states)};"
        f" readers saw {len(reports.publications)} publications in {reports.question_count} looks;"
        f" server {before:.0f} MB in the second quarter, {after:.0f} MB in the last,"
        f" with runs at most {max(sum(sample.values()) for sample in samples):.0f} MB"
    )
    assert reports.faults == []
    assert {state["status"] for state in states} == {"COMPLETED_SUCCESS"}
    assert {run.status for run in runs} <= {DagsterRunStatus.SUCCESS, DagsterRunStatus.STARTED, DagsterRunStatus.QUEUED}
    assert {tick.status.value for tick in ticks} <= {"SUCCESS", "SKIPPED", "STARTED"}
    assert after < before * 1.1 + 10

    assert make(config)[1] is not None
    other, _ = make(soak_config(tmp_path, "other", first, end), last=str(end))
    assert_same(tables(settings.warehouse_path), tables(other.warehouse_path))


def soak_config(folder: Path, home: str, first: date, end: date) -> Path:
    config = shop_config(folder, "landing/*.csv", home=home)
    text = config.read_text(encoding="utf-8").replace("2020-01-01", str(first)).replace("2020-08-01", str(end))
    config.write_text(text.replace("horizon_days = 28", "horizon_days = 14"), encoding="utf-8")
    return config


def wait_for_a_run_since(instance: DagsterInstance, moment: datetime) -> None:
    """Wait until a refresh that began after the moment has succeeded."""
    deadline = time.monotonic() + 1200
    done = dg.RunsFilter(job_name="refresh", statuses=[DagsterRunStatus.SUCCESS], created_after=moment)
    while not instance.get_run_records(done):
        assert time.monotonic() < deadline
        time.sleep(2)
