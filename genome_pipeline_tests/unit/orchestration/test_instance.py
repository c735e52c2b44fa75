"""The Dagster instance: its home, on PostgreSQL too, and what runs leave behind."""

import multiprocessing
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import dagster as dg
import pytest
import yaml
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import create_execution_plan
from dagster._core.snap import snapshot_from_execution_plan
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._grpc.utils import default_grpc_timeout

from genome_pipeline.command.forgetting import forget, rows_to_forget
from genome_pipeline.definitions import build_definitions
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration import home
from genome_pipeline.orchestration.assets import publishing
from genome_pipeline.orchestration.home import (
    POSTGRES_VARIABLE,
    limit_warehouse_pool,
    open_instance,
    prepare_home,
    prepare_server,
)
from genome_pipeline.orchestration.internals import open_event_logs
from genome_pipeline.orchestration.place import ALONE, WAREHOUSE_POOL
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs import pruning
from genome_pipeline.orchestration.runs import rebuild as rebuilding
from genome_pipeline.orchestration.runs import run as running
from genome_pipeline.orchestration.runs.at_work import alone_at_work, holding_run_lock, release_dead_runs
from genome_pipeline.orchestration.runs.pruning import prune_runs
from genome_pipeline.orchestration.runs.rebuild import rebuild
from genome_pipeline.orchestration.runs.run import run
from genome_pipeline.orchestration.runs.staleness import Span
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.support.pipelines import make, shop
from genome_pipeline_tests.support.postgres import PASSWORD, running_server


@dg.job
def nothing() -> None:
    pass


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with DagsterInstance.local_temp(str(tmp_path / "dagster")) as made:
        yield made


def test_a_run_whose_process_died_is_told_from_one_that_lives(instance: DagsterInstance) -> None:
    run = instance.create_run_for_job(nothing, status=DagsterRunStatus.STARTED)
    with holding_run_lock(instance, run.run_id):
        release_dead_runs(instance, ALONE)
        assert instance.get_runs()[0].status is DagsterRunStatus.STARTED
    # Its lock is free, and it was never recorded as done.
    release_dead_runs(instance, ALONE)
    assert instance.get_runs()[0].status is DagsterRunStatus.FAILURE


def test_a_run_that_is_still_loading_its_code_is_left_alone(instance: DagsterInstance) -> None:
    instance.create_run_for_job(nothing, status=DagsterRunStatus.STARTED)
    release_dead_runs(instance, ALONE)
    assert instance.get_runs()[0].status is DagsterRunStatus.STARTED


@pytest.fixture
def at_home(tmp_path: Path) -> Iterator[DagsterInstance]:
    """The instance of a home as it is prepared for the server."""
    with open_instance(load_settings(shop(tmp_path))) as opened:
        yield opened


def launched(instance: DagsterInstance, status: DagsterRunStatus) -> dg.DagsterRun:
    return instance.create_run_for_job(nothing, status=status)


def ended(instance: DagsterInstance, run: dg.DagsterRun) -> tuple[str, str | None]:
    """How it ended, and whether the daemon is to try it again."""
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status.value, found.tags.get("dagster/will_retry")


def test_a_run_whose_process_dies_is_tried_again_unless_somebody_stopped_it(at_home: DagsterInstance) -> None:
    died, stopped, forced = (launched(at_home, DagsterRunStatus.STARTED) for _ in range(3))
    at_home.report_run_canceling(stopped)
    at_home.report_run_canceled(forced)
    for each in (died, stopped, forced):
        at_home.report_run_failed(each)
    assert ended(at_home, died) == ("FAILURE", "true")
    assert ended(at_home, stopped) == ("CANCELED", None)
    assert ended(at_home, forced) == ("CANCELED", None)


def test_the_dead_process_of_a_run_that_was_stopped_is_no_failure(at_home: DagsterInstance) -> None:
    run = launched(at_home, DagsterRunStatus.STARTED)
    with holding_run_lock(at_home, run.run_id):
        at_home.report_run_canceling(run)
    release_dead_runs(at_home, ALONE)
    assert ended(at_home, run) == ("CANCELED", None)


def test_a_run_that_was_stopped_before_it_starts_does_not_start(at_home: DagsterInstance) -> None:
    run = launched(at_home, DagsterRunStatus.NOT_STARTED)
    at_home.report_run_canceled(run)
    starting, start = (
        dg.DagsterEvent(kind.value, "nothing")
        for kind in (dg.DagsterEventType.RUN_STARTING, dg.DagsterEventType.RUN_START)
    )
    at_home.report_dagster_event(starting, run.run_id)
    with pytest.raises(DagsterExecutionInterruptedError):
        at_home.report_dagster_event(start, run.run_id)
    assert ended(at_home, run) == ("CANCELED", None)
    other = launched(at_home, DagsterRunStatus.NOT_STARTED)
    for event in (starting, start):
        at_home.report_dagster_event(event, other.run_id)
    assert ended(at_home, other) == ("STARTED", None)


def test_events_come_in_while_the_logs_are_held_open_and_after(instance: DagsterInstance) -> None:
    run = instance.create_run_for_job(nothing)
    with open_event_logs(instance, run.run_id):
        instance.report_engine_event("one", run)
        instance.report_engine_event("two", run)
    instance.report_engine_event("three", run)
    told = [entry.message for entry in instance.all_logs(run.run_id)]
    assert told == ["one", "two", "three"]


def test_old_runs_go_but_for_those_that_made_what_is_in_use(early_shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(early_shop)
    prepare_home(settings)
    monkeypatch.setattr(pruning, "RUNS_KEPT", timedelta())
    with DagsterInstance.get() as instance:
        before = {run.run_id for run in instance.get_runs()}
        nothing.execute_in_process(instance=instance)
        assert prune_runs(instance, Pipeline.of(settings)) == 1
        assert {run.run_id for run in instance.get_runs()} == before
        genome = dg.AssetKey("customer_genome")
        assert instance.get_materialized_partitions(genome) == {"2020-01-01", "2020-02-01"}


def test_the_home_is_written_once_and_is_then_the_users(tmp_path: Path) -> None:
    settings = load_settings(shop(tmp_path))
    home = prepare_home(settings)
    config = yaml.safe_load((home / "dagster.yaml").read_text(encoding="utf-8"))
    assert config["telemetry"] == {"enabled": False}
    assert config["concurrency"]["pools"] == {"granularity": "run", "default_limit": 1}
    # As long as the sensor waits for a run to take its lock.
    assert config["run_monitoring"]["start_timeout_seconds"] == 600
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    prepare_home(settings)
    assert (home / "dagster.yaml").read_text(encoding="utf-8") == "telemetry: {enabled: false}\n"


@pytest.mark.parametrize("name", ["what?", "50%41"])
def test_a_home_in_which_dagster_loses_its_records_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    config = shop(tmp_path)
    monkeypatch.setenv("GENOME_HOME", str(tmp_path / name))
    with pytest.raises(ConfigError, match=r"Dagster cannot keep its records in .*: set GENOME_HOME, or DAGSTER_HOME"):
        prepare_home(load_settings(config))
    assert not (tmp_path / name).exists()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "100%"))
    assert prepare_home(load_settings(config)) == tmp_path / "100%"


def test_the_first_runs_of_a_server_find_their_pool_limited(tmp_path: Path) -> None:
    prepare_server(load_settings(shop(tmp_path)))
    with DagsterInstance.get() as instance:
        assert [(pool.name, pool.limit) for pool in instance.event_log_storage.get_pool_limits()] == [
            (WAREHOUSE_POOL, 1)
        ]


def test_processes_of_a_server_have_longer_to_answer_unless_the_environment_says_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_GRPC_TIMEOUT_SECONDS", "42")
    settings = load_settings(shop(tmp_path))
    prepare_server(settings)
    assert default_grpc_timeout() == 42
    monkeypatch.delenv("DAGSTER_GRPC_TIMEOUT_SECONDS")
    prepare_server(settings)
    assert default_grpc_timeout() == 300


def _open_at_once(config: Path, everyone: Barrier, errors: SimpleQueue[str]) -> None:
    everyone.wait()
    try:
        prepare_server(load_settings(config))
        errors.put("")
    except Exception as error:
        errors.put(repr(error))


def test_several_processes_may_open_a_new_home_at_once(tmp_path: Path) -> None:
    config, count = shop(tmp_path), 4
    fork = multiprocessing.get_context("fork")
    everyone, errors = fork.Barrier(count), fork.SimpleQueue()
    processes = [fork.Process(target=_open_at_once, args=(config, everyone, errors)) for _ in range(count)]
    for process in processes:
        process.start()
    assert [errors.get() for _ in processes] == [""] * count
    for process in processes:
        process.join()


def test_a_configuration_that_is_none_is_named(tmp_path: Path) -> None:
    settings = load_settings(shop(tmp_path))
    for junk in ("just words", "storage: [", "storage: {nothing: known}"):
        (prepare_home(settings) / "dagster.yaml").write_text(junk, encoding="utf-8")
        with (
            pytest.raises(ConfigError, match=r"dagster/dagster.yaml is no configuration of Dagster's \("),
            open_instance(settings),
        ):
            pass


def _run_of_the_server(settings: Settings, job: str = "publish") -> dg.ExecuteInProcessResult:
    """What the process of a run does that the server started."""
    with open_instance(settings) as instance:
        definition = build_definitions(settings).resolve_job_def(job)
        return definition.execute_in_process(instance=instance, raise_on_error=False)


def test_a_new_run_of_many_periods_is_recorded_over_connections_that_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(shop(tmp_path))
    job = build_definitions(settings).resolve_job_def("backfill")
    tags = {
        "dagster/asset_partition_range_start": "2020-01-01",
        "dagster/asset_partition_range_end": "2020-03-01",
    }
    opened = []
    create = vars(sqlite_event_log)["create_engine"]

    def counted(*args: Any, **options: Any) -> Any:
        opened.append(args)
        return create(*args, **options)

    with open_instance(settings) as instance:
        plan = create_execution_plan(job, tags=tags)
        monkeypatch.setattr(sqlite_event_log, "create_engine", counted)
        # As the webserver and the daemon do; Dagster's own class opens a database for each of the events.
        run = instance.create_run(
            job_name=job.name,
            run_id=None,
            run_config={},
            status=DagsterRunStatus.NOT_STARTED,
            tags=tags,
            root_run_id=None,
            parent_run_id=None,
            step_keys_to_execute=plan.step_keys_to_execute,
            execution_plan_snapshot=snapshot_from_execution_plan(plan, job.get_job_snapshot_id()),
            job_snapshot=job.get_job_snapshot(),
            parent_job_snapshot=None,
            asset_selection=None,
            asset_check_selection=None,
            resolved_op_selection=None,
            op_selection=None,
            remote_job_origin=None,
            job_code_origin=None,
            asset_graph=job.asset_layer.asset_graph,
        )
        planned = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    assert len(planned) > 100
    assert len(opened) < 10


_AT_WORK: dict[str, tuple[str, Any, str, Callable[[Settings], object]]] = {
    "run": ("`genome run`", running, "check_replaceable", lambda of: run(of, Span(), lambda *_: None)),
    "rebuild": (
        "`genome rebuild`",
        rebuilding,
        "check_replaceable",
        lambda settings: rebuild(settings, lambda *_: None),
    ),
    "forget": ("`genome forget`", home, "open_instance", lambda of: forget(of, ["c0000"])),
    "a run of the server": ("run ........ of Dagster's", publishing, "publish", _run_of_the_server),
    "a rebuild of the server": (
        "run ........ of Dagster's",
        rebuilding,
        "check_replaceable",
        lambda of: _run_of_the_server(of, "rebuild"),
    ),
}
"""Its name, and the function, among the first that it calls once it holds the home, at which it is to stay."""


def _stay_at_work(config: Path, holder: str, at_work: Event) -> None:
    def stay(*_: object) -> None:
        at_work.set()
        time.sleep(600)

    _, module, function, work = _AT_WORK[holder]
    setattr(module, function, stay)
    work(load_settings(config))


@pytest.mark.parametrize(
    "holder", [each if each.startswith("a run") else pytest.param(each, marks=pytest.mark.slow) for each in _AT_WORK]
)
def test_a_command_waits_for_what_is_at_work_until_that_ends_or_dies(
    early_shop: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, holder: str
) -> None:
    monkeypatch.setenv("GENOME_PRIVACY__KEY", "0123456789abcdef0123456789abcdef")
    settings = load_settings(early_shop)
    fork = multiprocessing.get_context("fork")
    at_work = fork.Event()
    process = fork.Process(target=_stay_at_work, args=(early_shop, holder, at_work))
    process.start()
    assert at_work.wait(60)
    second = Thread(target=forget, args=(settings, ["c0000"]))
    second.start()
    said = re.compile(
        rf"{_AT_WORK[holder][0]} \(process {process.pid}\) is at work in {settings.home}: waiting for it to end; Ctrl-C"
        " gives up and changes nothing"
    )
    while second.is_alive() and not any(map(said.fullmatch, caplog.messages)):
        time.sleep(0.01)
    assert second.is_alive(), "it did not wait"
    process.kill()
    process.join()
    second.join()
    assert rows_to_forget(settings, ["c0000"])["files"] == {}
    assert not (settings.home / "at-work.txt").exists()


def _hold(config: Path, held: Event, enough: Event) -> None:
    with alone_at_work(load_settings(config), "`genome forget`"):
        held.set()
        enough.wait(60)


@pytest.mark.parametrize("job", ["publish", "housekeeping"])
def test_a_run_of_the_server_waits_for_the_command_at_work_and_says_so(early_shop: Path, job: str) -> None:
    settings = load_settings(early_shop)
    fork = multiprocessing.get_context("fork")
    held, enough = fork.Event(), fork.Event()
    process = fork.Process(target=_hold, args=(early_shop, held, enough))
    process.start()
    assert held.wait(60)
    with ThreadPoolExecutor(1) as pool, open_instance(settings) as instance:
        before = {run.run_id for run in instance.get_runs()}
        result = pool.submit(_run_of_the_server, settings, job)
        said = (
            f"`genome forget` (process {process.pid}) is at work in {settings.home}: waiting for it to end; terminating"
            " this run gives up and changes nothing"
        )
        while not result.done() and said not in _told(instance, before):
            time.sleep(0.1)
        assert not result.done(), "it did not wait"
        enough.set()
        assert result.result().success
    process.join()


def _told(instance: DagsterInstance, before: set[str]) -> list[str]:
    """Messages of the runs that came since."""
    return [
        entry.user_message
        for run in instance.get_runs()
        if run.run_id not in before
        for entry in instance.all_logs(run.run_id)
    ]


def test_a_limit_that_someone_has_set_stays(instance: DagsterInstance) -> None:
    instance.event_log_storage.set_concurrency_slots(WAREHOUSE_POOL, 3)
    limit_warehouse_pool(instance)
    assert [pool.limit for pool in instance.event_log_storage.get_pool_limits()] == [3]


@pytest.mark.slow
def test_an_instance_on_postgresql_keeps_the_records_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server() as server:
        address = f"postgresql+psycopg2://genome:{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/shop"
        monkeypatch.setenv(POSTGRES_VARIABLE, address)
        _, outcome = make(shop(tmp_path), None, "2020-02-01")
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM runs WHERE status = 'SUCCESS'")
            assert cursor.fetchone() == (2,)  # the source; all months and what is published
        with DagsterInstance.get() as instance:
            assert type(instance.run_storage).__name__ == "PostgresRunStorage"
            assert instance.get_materialized_partitions(dg.AssetKey("customer_genome")) == {"2020-01-01"}
        home = Path(os.environ["DAGSTER_HOME"])
        assert PASSWORD not in (home / "dagster.yaml").read_text(encoding="utf-8")
        assert not list(home.rglob("*.db"))
        assert len(outcome.as_of) == 1
