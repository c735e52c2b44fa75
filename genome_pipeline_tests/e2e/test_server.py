"""The code location as Dagster's own tools and its running server see it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from genome_pipeline.assets import STAGES
from genome_pipeline.instance import prepare_home
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.pipelines import assert_same, make, shop, shop_config, tables

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GENOME_", "DAGSTER"))}
    return {**kept, **more}


@pytest.mark.parametrize(
    "command", [("dagster", "definitions", "validate", "-w", "workspace.yaml"), ("dg", "check", "defs")], ids=" ".join
)
def test_the_code_location_loads_without_a_warning(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=ROOT,
        env=environment(PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        check=False,
    )
    # Dagster points to its newer command from the older one, which users of both know.
    output = "\n".join(line for line in (done.stdout + done.stderr).splitlines() if "SupersessionWarning" not in line)
    assert done.returncode == 0, output
    assert "warning" not in output.lower(), output


@contextmanager
def server(config: Path) -> Iterator[str]:
    """A Dagster webserver and daemon on loopback; yields the GraphQL address."""
    settings = load_settings(config)
    home = prepare_home(settings)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (home / "server.log").open("w")
    process = subprocess.Popen(
        [BIN / "dagster", "dev", "-m", "genome_pipeline.definitions", "--host", "127.0.0.1", "--port", str(port)],
        cwd=ROOT,
        env=environment(
            DAGSTER_HOME=str(home), GENOME_CONFIG=str(config), PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}"
        ),
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}/graphql"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                repositories = ask(
                    address, "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
                )
                if repositories["repositoriesOrError"]["nodes"]:
                    break
            except (urllib.error.URLError, ConnectionError):
                pass
            assert process.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < deadline, (home / "server.log").read_text()
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def ask(address: str, query: str, **variables: Any) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    assert "errors" not in answer, answer
    return answer["data"]


_LAUNCH = """
mutation Launch($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
    ... on Error { message }
  }
}
"""
_STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status numPartitions error { message } runs(limit: 20) { id status tags { key value } } }
    ... on PythonError { message }
  }
}
"""
_ASSETS = """
{ assetNodes {
    assetKey { path } description groupName kinds isPartitioned owners { ... on TeamAssetOwner { team } }
    metadataEntries { __typename label }
    hasAssetChecks
} }
"""


def backfill(address: str, **selection: Any) -> list[dict[str, Any]]:
    """Launch a backfill, wait until it ends, and return its runs."""
    launched = ask(address, _LAUNCH, parameters={**selection, "title": "three months"})["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    deadline = time.monotonic() + 700
    while True:
        status = ask(address, _STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
        if status["status"] not in ("REQUESTED", "IN_PROGRESS"):
            break
        assert time.monotonic() < deadline, status
        time.sleep(1)
    assert status["status"] == "COMPLETED_SUCCESS", status
    assert {run["status"] for run in status["runs"]} == {"SUCCESS"}, status
    runs: list[dict[str, Any]] = status["runs"]
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
    with server(config) as address:
        nodes = ask(address, _ASSETS)["assetNodes"]
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
        runs = backfill(
            address,
            partitionsByAssets=[
                {
                    "assetKey": {"path": node["assetKey"]["path"]},
                    "partitions": months if node["isPartitioned"] else None,
                }
                for node in nodes
            ],
        )
        # Not one for each month: the months of a stage are made together.
        assert len(runs) == 3, runs  # the source, all months together, what is published
    assert_as_one_run(config, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_backfill_that_names_its_months_makes_what_follows_from_them(tmp_path: Path) -> None:
    config = shop(tmp_path)
    with server(config) as address:
        backfill(
            address,
            assetSelection=[{"path": node["assetKey"]["path"]} for node in ask(address, _ASSETS)["assetNodes"]],
            partitionNames=["2020-01-01", "2020-02-01", "2020-03-01"],
        )
    assert_as_one_run(config, tmp_path)
