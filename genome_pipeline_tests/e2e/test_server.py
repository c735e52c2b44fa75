"""The code location as Dagster's own tools and its running server see it."""

import random
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.flow import STAGES
from genome_pipeline.orchestration.runs.run import CODE_LOCATION
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.support.dagster_server import BIN, ROOT, DagsterServer, environment, running_dagster
from genome_pipeline_tests.support.pipelines import assert_same, make, shop, shop_config, tables, write_shop_log
from genome_pipeline_tests.support.readers import reading


@pytest.mark.parametrize(
    "command",
    [
        ("dagster", "definitions", "validate", "-w", "workspace.yaml"),
        ("dg", "check", "defs"),
        pytest.param(("dg", "list", "defs"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_the_code_location_loads_without_a_warning(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    # Dagster points to its newer command from the older one, which users of both know.
    output = "\n".join(line for line in (done.stdout + done.stderr).splitlines() if "SupersessionWarning" not in line)
    assert done.returncode == 0, output
    # Descriptions of assets may speak of warnings.
    assert not re.search(r"\w*Warning: |\bWARNING\b", output), output


_ASSETS = """
{ assetNodes {
    assetKey { path } description groupName kinds isPartitioned owners { ... on TeamAssetOwner { team } }
    metadataEntries { __typename label }
    hasAssetChecks
} }
"""


def succeeded(server: DagsterServer, backfill_id: str) -> list[dict[str, Any]]:
    """The runs of a backfill, when it has ended; all of them have succeeded."""
    state = server.ended_backfill(backfill_id)
    assert state["status"] == "COMPLETED_SUCCESS", state
    assert {run["status"] for run in state["runs"]} == {"SUCCESS"}, state
    runs: list[dict[str, Any]] = state["runs"]
    return runs


def assert_as_one_run(config: Path, folder: Path) -> None:
    """The first three snapshots are those that one run makes."""
    settings = load_settings(config)
    other, _ = make(shop_config(folder, home="other"), None, "2020-04-01")
    for as_of in (date(2020, 2, 1), date(2020, 3, 1), date(2020, 4, 1)):
        assert_same(tables(settings.warehouse_path, as_of), tables(other.warehouse_path, as_of))
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        # Dagster may also ask for snapshots after those months; without their months they hold nobody.
        assert connection.execute("SELECT max(as_of) FROM customer_genome_history").fetchone() == (date(2020, 4, 1),)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_backfill_of_three_months_from_the_server_succeeds(tmp_path: Path) -> None:
    config = shop(tmp_path)
    with running_dagster(config) as server:
        nodes = server.ask(_ASSETS)["assetNodes"]
        names = {node["assetKey"]["path"][-1] for node in nodes}
        assert names == {name for stage in STAGES for name in stage.asset_names}
        for node in nodes:
            assert node["description"], node
            assert node["groupName"] != "default", node
            assert node["kinds"], node
            assert node["owners"] == [{"team": "customer-genome"}], node
            if node["assetKey"]["path"][-1] != "genome_report":
                assert "dagster/column_schema" in {entry["label"] for entry in node["metadataEntries"]}, node
        months = {"range": {"start": "2020-01-01", "end": "2020-03-01"}}
        launched = server.launch_backfill(
            partitionsByAssets=[
                {
                    "assetKey": {"path": node["assetKey"]["path"]},
                    "partitions": months if node["isPartitioned"] else None,
                }
                for node in nodes
            ],
        )
        runs = succeeded(server, launched)
        # Not one for each month: the months of a stage are made together.
        assert len(runs) == 3, runs  # the source, all months together, what is published
    assert_as_one_run(config, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_backfill_that_names_its_months_makes_what_follows_from_them(tmp_path: Path) -> None:
    config = shop(tmp_path)
    with running_dagster(config) as server:
        launched = server.launch_backfill(
            assetSelection=[{"path": node["assetKey"]["path"]} for node in server.ask(_ASSETS)["assetNodes"]],
            partitionNames=["2020-01-01", "2020-02-01", "2020-03-01"],
        )
        succeeded(server, launched)
    assert_as_one_run(config, tmp_path)


_CANCEL = """
mutation Cancel($id: String!) {
  cancelPartitionBackfill(backfillId: $id) { __typename ... on PythonError { message } }
}
"""
_STEPS = """
query Steps($id: ID!) { runOrError(runId: $id) { ... on Run { status stepStats { stepKey status } } } }
"""
_GREEN = """
{ assetNodes {
    assetKey { path } isPartitioned
    partitionStats { numMaterialized numFailed numMaterializing }
    assetChecksOrError { ... on AssetChecks { checks {
      name blocking
      partitionStatuses { ... on AssetCheckTimePartitionStatuses { ranges { startKey endKey status } } }
    } } }
} }
"""
_RUN = """
mutation Run($parameters: ExecutionParams!) {
  launchPipelineExecution(executionParams: $parameters) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on Error { message }
  }
}
"""


def small_shop(folder: Path, home: str, calendar: str) -> Path:
    """The config of a shop of few customers, with the calendar given as TOML."""
    write_shop_log(folder / "log.csv", customers=40)
    config = shop_config(folder, home=home)
    text = config.read_text(encoding="utf-8").replace("start = 2020-01-01\nend = 2020-08-01", calendar)
    config.write_text(text, encoding="utf-8")
    return config


def partitioned(server: DagsterServer, first: str, last: str) -> list[dict[str, Any]]:
    """Every asset that has periods, for a range of them, as a backfill is told."""
    return [
        {"assetKey": {"path": node["assetKey"]["path"]}, "partitions": {"range": {"start": first, "end": last}}}
        for node in server.ask(_ASSETS)["assetNodes"]
        if node["isPartitioned"]
    ]


def written(settings: Settings) -> dict[str, set[str]]:
    """The periods by table that the warehouse holds a slice of."""
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        rows = connection.execute("SELECT table_name, slice_key FROM written_slices").fetchall()
    found: dict[str, set[str]] = {}
    for name, key in rows:
        if key != "undated" and name in TABLES:
            as_of = TABLES[name].is_snapshot
            day = settings.time.period_start(date.fromisoformat(key)) if as_of else key
            found.setdefault(name, set()).add(str(day))
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_backfill_cancelled_midway_leaves_whole_partitions_and_can_be_launched_again(tmp_path: Path) -> None:
    months = "start = 2020-01-01\nend = 2020-04-01"
    config = small_shop(tmp_path, "home", months)
    settings, _ = make(config, None, "2020-02-01")
    published = settings.published_path.read_bytes()
    with running_dagster(config) as server:
        selection = partitioned(server, "2020-01-01", "2020-03-01")
        backfill_id = server.launch_backfill(partitionsByAssets=selection)
        run_id = at_work_since(server, backfill_id, "customer_features")
        with held(settings.warehouse_path):  # the daemon takes its time to cancel, a small run does not wait for it
            cancelled = server.ask(_CANCEL, id=backfill_id)["cancelPartitionBackfill"]
            assert cancelled["__typename"] == "CancelBackfillSuccess", cancelled
            state = server.ended_backfill(backfill_id)
        assert (state["status"], [run["status"] for run in state["runs"]]) == ("CANCELED", ["CANCELED"])
        steps = server.ask(_STEPS, id=run_id)["runOrError"]["stepStats"]
        done = {step["stepKey"] for step in steps if step["status"] == "SUCCESS"}
        assert "customer_features" in done
        assert "customer_genome" not in done
        # All months of a stage that was done, January alone of one that was not begun: none is half there.
        slices = written(settings)
        three = {"2020-01-01", "2020-02-01", "2020-03-01"}
        assert slices["customer_features"] == slices["validated_transactions"] == three
        assert slices["customer_genome"] == {"2020-01-01"}
        for node in server.ask(_GREEN)["assetNodes"]:
            if node["isPartitioned"] and node["assetKey"]["path"][-1] in done:
                assert node["partitionStats"] == {"numMaterialized": 3, "numFailed": 0, "numMaterializing": 0}, node
        assert settings.published_path.read_bytes() == published

        succeeded(server, server.launch_backfill(partitionsByAssets=selection))
        for node in server.ask(_GREEN)["assetNodes"]:
            if not node["isPartitioned"]:
                continue
            assert node["partitionStats"] == {"numMaterialized": 3, "numFailed": 0, "numMaterializing": 0}, node
            for check in node["assetChecksOrError"].get("checks", []):
                if check["blocking"]:
                    ranges = (check["partitionStatuses"] or {}).get("ranges", [])
                    found = [(part["startKey"], part["endKey"], part["status"]) for part in ranges]
                    assert found == [("2020-01-01", "2020-03-01", "SUCCEEDED")], (node["assetKey"], check)
    other, _ = make(small_shop(tmp_path, "other", months))
    assert_same(tables(settings.warehouse_path), tables(other.warehouse_path))


@contextmanager
def held(database: Path) -> Iterator[None]:
    """Hold a database as soon as it is free, so that a run stops at its next step and waits."""
    deadline = time.monotonic() + 300
    while True:
        try:
            connection = duckdb.connect(str(database))
            break
        except duckdb.IOException:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    try:
        yield
    finally:
        connection.close()


def at_work_since(server: DagsterServer, backfill_id: str, step: str) -> str:
    """Wait until the step of the backfill's run is done; returns the run's id."""
    deadline = time.monotonic() + 600
    while True:
        for run in server.backfill(backfill_id).get("runs", []):
            steps = server.ask(_STEPS, id=run["id"])["runOrError"]["stepStats"]
            if any(found["stepKey"] == step and found["status"] == "SUCCESS" for found in steps):
                return str(run["id"])
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_eight_runs_and_two_backfills_at_once_equal_a_serial_build_while_three_readers_look_on(tmp_path: Path) -> None:
    weeks = 'period = "week"\nstart = 2020-01-06\nend = 2020-03-02'
    config = small_shop(tmp_path, "home", weeks)
    settings, _ = make(config, None, "2020-01-13")
    starts = [str(start) for start in settings.time.periods(date(2020, 1, 6), date(2020, 2, 24))]
    assert len(starts) == 8
    with running_dagster(config) as server, reading(settings.published_path, 3, seconds_open=30) as reports:
        selection = partitioned(server, starts[0], starts[-1])
        order = random.Random(3).sample(starts, 8)
        with ThreadPoolExecutor(10) as pool:
            backfills = [pool.submit(server.launch_backfill, partitionsByAssets=selection) for _ in range(2)]
            runs = [pool.submit(launched, server, "refresh", start) for start in order]
        for backfill in backfills:
            assert server.ended_backfill(backfill.result(), 1800)["status"] == "COMPLETED_SUCCESS"
        with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            deadline = time.monotonic() + 1800
            unfinished = [DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED]
            while instance.get_runs_count(RunsFilter(statuses=unfinished)):
                assert time.monotonic() < deadline
                time.sleep(1)
            found = {run.run_id: run.status for run in instance.get_runs()}
    assert {found[run.result()] for run in runs} == {DagsterRunStatus.SUCCESS}
    assert set(found.values()) == {DagsterRunStatus.SUCCESS}
    assert reports.faults == []
    print(
        f"\n{len(found)} runs; readers saw {len(reports.publications)} publications in {reports.question_count} looks"
    )
    other, _ = make(small_shop(tmp_path, "other", weeks))
    assert_same(tables(settings.warehouse_path), tables(other.warehouse_path))


def launched(server: DagsterServer, job: str, partition: str) -> str:
    """Launch a job for one period; returns the run's id."""
    found = server.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }")
    (repository,) = found["repositoriesOrError"]["nodes"]
    parameters = {
        "selector": {
            "repositoryLocationName": repository["location"]["name"],
            "repositoryName": repository["name"],
            "pipelineName": job,
        },
        "runConfigData": "{}",
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": partition}]},
    }
    answer = server.ask(_RUN, parameters=parameters)["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


_JOB_PAGE = """
query Page($selector: PipelineSelector!) {
  pipelineOrError(params: $selector) {
    ... on Pipeline { runs(limit: 5) { status repositoryOrigin { repositoryLocationName } } }
    ... on PythonError { message }
  }
}
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_page_of_a_job_shows_the_runs_of_the_command_line(early_shop: Path) -> None:
    with running_dagster(early_shop) as server:
        selector = {
            "repositoryLocationName": CODE_LOCATION,
            "repositoryName": "__repository__",
            "pipelineName": "refresh",
        }
        (run,) = server.ask(_JOB_PAGE, selector=selector)["pipelineOrError"]["runs"]
    assert run == {"status": "SUCCESS", "repositoryOrigin": {"repositoryLocationName": CODE_LOCATION}}
