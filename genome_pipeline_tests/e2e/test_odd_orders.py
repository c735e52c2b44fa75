"""Buttons of the Dagster UI in odd orders: what is published has passed its blocking checks, and the words say so.

One server stands for all; each test begins with the shop as it was, beside whatever Dagster remembers of those before.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from genome_pipeline.orchestration.checks.declared import gate
from genome_pipeline.orchestration.runs.at_work import alone_at_work
from genome_pipeline.quality.gate import obstacles_in_words
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline.warehouse.database import open_database
from genome_pipeline_tests.e2e.test_server import at_work_since, held, partitioned, small_shop
from genome_pipeline_tests.support.dagster_server import DagsterServer, running_dagster
from genome_pipeline_tests.support.pipelines import make

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

_REPOSITORY = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
_LAUNCH = """
mutation Launch($parameters: ExecutionParams!) { launchPipelineExecution(executionParams: $parameters) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
} }
"""
_AGAIN = """
mutation Again($parameters: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $parameters) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
} }
"""
_TERMINATE = """
mutation Terminate($ids: [String!]!) { terminateRuns(runIds: $ids) {
    ... on TerminateRunsResult { terminateRunResults { __typename } }
} }
"""
_CANCEL = "mutation Cancel($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }"
_WIPE = """
mutation Wipe($assets: [PartitionsByAssetSelector!]!) { wipeAssets(assetPartitionRanges: $assets) { __typename } }
"""
_SENSOR = "mutation On($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) { __typename } }"
_SCHEDULE = "mutation On($schedule: ScheduleSelector!) { startSchedule(scheduleSelector: $schedule) { __typename } }"
_ASSETS = "{ assetNodes { assetKey { path } } }"
_RUNS = "{ runsOrError(limit: 200) { ... on Runs { results { runId status parentRunId } } } }"
_RUN = """
query Run($id: ID!) { runOrError(runId: $id) { ... on Run {
    status
    eventConnection { events {
        __typename
        ... on MessageEvent { message }
        ... on ExecutionStepFailureEvent { failureMetadata { description } error { message } }
    } }
} } }
"""
_UNFINISHED = {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}
_PROCESS = "Started process for run (pid: "
_RETRY_SECONDS = 15
"""The daemon looks for runs to try again each five."""


@dataclass(frozen=True)
class Person:
    """Somebody at the UI of a shop of which two snapshots are published."""

    server: DagsterServer
    settings: Settings
    config: Path

    def launch(
        self,
        job: str,
        assets: Sequence[str] | None = None,
        checks: Sequence[tuple[str, str]] | None = None,
        period: str | None = None,
    ) -> str:
        """Launch a job, or some of its assets and checks; returns the run's id."""
        selector = {**self._repository, "pipelineName": job}
        if assets is not None:
            selector["assetSelection"] = [{"path": [name]} for name in assets]
        if checks is not None:
            selector["assetCheckSelection"] = [{"assetKey": {"path": [asset]}, "name": name} for asset, name in checks]
        tags = [{"key": "dagster/partition", "value": period}] if period else []
        parameters = {"selector": selector, "runConfigData": "{}", "executionMetadata": {"tags": tags}}
        return self._launched(self.server.ask(_LAUNCH, parameters=parameters)["launchPipelineExecution"])

    def again(self, run_id: str, strategy: str) -> str:
        """Click "Re-execute"."""
        parameters = {"parentRunId": run_id, "strategy": strategy}
        return self._launched(self.server.ask(_AGAIN, parameters=parameters)["launchRunReexecution"])

    def stop(self, run_id: str) -> None:
        """Click "Terminate"."""
        (result,) = self.server.ask(_TERMINATE, ids=[run_id])["terminateRuns"]["terminateRunResults"]
        assert result["__typename"] == "TerminateRunSuccess", result

    def switch_on(self, sensor: str, schedule: str) -> None:
        """Switch on a sensor and a schedule."""
        on = self.server.ask(_SENSOR, sensor={**self._repository, "sensorName": sensor})["startSensor"]
        assert on["__typename"] == "Sensor", on
        on = self.server.ask(_SCHEDULE, schedule={**self._repository, "scheduleName": schedule})["startSchedule"]
        assert on["__typename"] == "ScheduleStateResult", on

    def messages(self, run_id: str) -> list[str]:
        """What the run's log says."""
        return [event["message"] for event in self._run(run_id)["eventConnection"]["events"]]

    def wait_for(self, run_id: str, words: str) -> str:
        """The first message of a run with these words, when it comes."""
        return str(_when(lambda: next((told for told in self.messages(run_id) if words in told), None)))

    def outcome(self, run_id: str) -> tuple[str, str]:
        """How a run ended, and what it said of the first step that failed."""
        run = _when(lambda: found if (found := self._run(run_id))["status"] not in _UNFINISHED else None)
        failed = [event for event in run["eventConnection"]["events"] if "failureMetadata" in event]
        words = [(event["failureMetadata"] or {}).get("description") or event["error"]["message"] for event in failed]
        return run["status"], words[0] if words else ""

    def retries(self, run_id: str) -> list[str]:
        """Runs that came of one without anybody's doing."""
        time.sleep(_RETRY_SECONDS)
        return [run["runId"] for run in self._runs() if run["parentRunId"] == run_id]

    def at_rest(self) -> bool:
        """Whether no run is at work, or waits."""
        return not any(run["status"] in _UNFINISHED for run in self._runs())

    def obstacles(self) -> str:
        """What stands in the way of a publication."""
        with open_database(self.settings.warehouse_path, read_only=True) as database:  # waits for a run to let go
            return obstacles_in_words(gate().obstacles(database.con, self.settings.time))

    def publish(self) -> str:
        """Click "Materialize" on what is published; returns why not, if it was not, in which case all is as before."""
        before, obstacles = self.settings.published_path.read_bytes(), self.obstacles()
        status, words = self.outcome(self.launch("publish", ["published_genome"]))
        assert status == ("FAILURE" if obstacles else "SUCCESS"), words
        if obstacles:
            assert words.startswith(f"{obstacles}: `genome run` makes and checks it again; to publish it all the same")
            assert self.settings.published_path.read_bytes() == before
        self.nothing_was_forced()
        return obstacles

    def nothing_was_forced(self) -> None:
        """All that was ever published had passed."""
        with duckdb.connect(str(self.settings.published_path), read_only=True) as connection:
            assert connection.execute("SELECT count(forced_past) FROM pipeline_runs").fetchall() == [(0,)]

    @property
    def _repository(self) -> dict[str, Any]:
        (found,) = self.server.ask(_REPOSITORY)["repositoriesOrError"]["nodes"]
        return {"repositoryName": found["name"], "repositoryLocationName": found["location"]["name"]}

    def _launched(self, answer: dict[str, Any]) -> str:
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def _run(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.ask(_RUN, id=run_id)["runOrError"]
        return found

    def _runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.server.ask(_RUNS)["runsOrError"]["results"]
        return found


def _when(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 900
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def shop_with_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("odd")
    config = small_shop(folder, "home", "start = 2020-01-01\nend = 2020-04-01")
    settings, _ = make(config, None, "2020-03-01")
    os.environ.pop("DAGSTER_HOME", None)
    shutil.copytree(settings.home, folder / "kept", ignore=shutil.ignore_patterns("dagster"))
    shutil.copy(folder / "log.csv", folder / "kept.csv")
    with running_dagster(config) as server:
        yield Person(server, load_settings(config), config)


@pytest.fixture
def person(shop_with_server: Person) -> Person:
    folder = shop_with_server.config.parent
    shutil.copytree(folder / "kept", shop_with_server.settings.home, dirs_exist_ok=True)
    shutil.copy(folder / "kept.csv", folder / "log.csv")
    return shop_with_server


def test_a_run_that_is_stopped_while_it_publishes_is_not_tried_again(person: Person) -> None:
    before = person.settings.published_path.read_bytes()
    with held(person.settings.warehouse_path):
        run_id = person.launch("publish")
        person.wait_for(run_id, 'Started execution of step "published_genome"')
        person.stop(run_id)
        assert person.outcome(run_id)[0] == "CANCELED"
    assert person.retries(run_id) == []
    assert person.settings.published_path.read_bytes() == before
    assert person.publish() == ""


def test_a_run_whose_process_dies_is_tried_again(person: Person) -> None:
    """Dagster looks for such runs every two minutes."""
    with held(person.settings.warehouse_path):
        run_id = person.launch("publish")
        process = int(person.wait_for(run_id, _PROCESS).removeprefix(_PROCESS).split(")")[0])
        person.wait_for(run_id, 'Started execution of step "published_genome"')
        os.kill(process, signal.SIGKILL)
        assert person.outcome(run_id)[0] == "FAILURE"
    (retry,) = _when(lambda: person.retries(run_id))
    assert person.outcome(retry)[0] == "SUCCESS"
    person.nothing_was_forced()


def test_a_run_waits_for_a_command_and_can_be_stopped_meanwhile(person: Person) -> None:
    before = person.settings.published_path.read_bytes()
    with alone_at_work(person.settings, "`genome forget`"):
        run_id = person.launch("publish")
        told = person.wait_for(run_id, "is at work in")
        assert told.startswith("`genome forget` (process ")
        assert told.endswith("terminating this run gives up and changes nothing")
        person.stop(run_id)
        assert person.outcome(run_id)[0] == "CANCELED"
        second = person.launch("publish")
        person.wait_for(second, "is at work in")
        assert person.settings.published_path.read_bytes() == before
    assert person.outcome(second)[0] == "SUCCESS"


def test_checks_left_out_made_alone_and_forgotten_by_dagster(person: Person) -> None:
    february = "2020-02-01"
    assert person.outcome(person.launch("refresh", ["customer_features"], [], february))[0] == "SUCCESS"
    missing = "check contract of customer_features of 2020-02-01 has not run since it was written"
    assert person.publish().startswith(missing)
    nodes = person.server.ask(_ASSETS)["assetNodes"]
    wiped = person.server.ask(_WIPE, assets=[{"assetKey": {"path": node["assetKey"]["path"]}} for node in nodes])
    assert wiped["wipeAssets"]["__typename"] == "AssetWipeSuccess", wiped
    assert person.publish().startswith(missing)
    assert person.outcome(person.launch("refresh", [], [("customer_features", "contract")], february))[0] == "SUCCESS"
    assert person.publish().startswith("gene_drift of 2020-02-01 was not made again after customer_features, nor were")


def test_what_dagster_forgot_is_published_as_it_was(person: Person) -> None:
    nodes = person.server.ask(_ASSETS)["assetNodes"]
    person.server.ask(_WIPE, assets=[{"assetKey": {"path": node["assetKey"]["path"]}} for node in nodes])
    assert person.publish() == ""


def test_a_damaged_source_and_a_damaged_warehouse_are_named(person: Person) -> None:
    before = person.settings.published_path.read_bytes()
    log, warehouse = person.config.with_name("log.csv"), person.settings.warehouse_path
    log.write_bytes(log.read_bytes()[:2000] + bytes(range(256)) * 20)
    status, words = person.outcome(person.launch("ingest"))
    assert status == "FAILURE"
    assert "log.csv" in words
    whole = warehouse.read_bytes()
    warehouse.write_bytes(b"".join([whole[:12288], bytes(len(whole) - 24576), whole[-12288:]]))
    status, words = person.outcome(person.launch("publish"))
    assert status == "FAILURE"
    assert "`genome rebuild` makes it anew from the source" in words
    assert person.settings.published_path.read_bytes() == before


def test_prices_of_a_hundredfold_are_refused_or_warned_of(person: Person) -> None:
    log = person.config.with_name("log.csv")
    header, *lines = log.read_text(encoding="utf-8").splitlines()
    split = [line.rsplit(",", 1) for line in lines]
    log.write_text("\n".join([header, *(f"{start},{float(price) * 100:.2f}" for start, price in split), ""]))
    person.outcome(person.launch("refresh", period="2020-03-01"))
    if not person.publish():
        with duckdb.connect(str(person.settings.published_path), read_only=True) as connection:
            found = connection.execute("SELECT count(*) FROM data_quality WHERE NOT is_passed").fetchone()
        assert found != (0,), "published without a word"


def test_a_cancelled_backfill_taken_up_again(person: Person) -> None:
    selection = partitioned(person.server, "2020-03-01", "2020-03-01")
    backfill_id = person.server.launch_backfill(partitionsByAssets=selection)
    run_id = at_work_since(person.server, backfill_id, "customer_features")
    with held(person.settings.warehouse_path):
        person.server.ask(_CANCEL, id=backfill_id)
        assert person.server.ended_backfill(backfill_id)["status"] == "CANCELED"
    assert person.retries(run_id) == []
    assert person.publish() != ""
    person.outcome(person.again(run_id, "FROM_FAILURE"))
    person.publish()
    assert person.outcome(person.again(run_id, "ALL_STEPS"))[0] == "SUCCESS"
    assert person.publish() == ""


def test_what_starts_by_itself_publishes_only_what_it_has_made_good(person: Person) -> None:
    assert person.outcome(person.launch("refresh", ["customer_features"], [], "2020-02-01"))[0] == "SUCCESS"
    assert person.publish() != ""
    person.switch_on("landing", "refresh_each_month")
    _when(lambda: person.at_rest() and not person.obstacles())
    assert person.publish() == ""
