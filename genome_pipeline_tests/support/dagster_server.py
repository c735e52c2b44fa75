"""A running Dagster server: webserver, daemon and code location, as `dagster dev` starts them, and its GraphQL API."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genome_pipeline.orchestration.home import prepare_server
from genome_pipeline.settings import load_settings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

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
_BACKFILL = """
query Backfill($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status numPartitions error { message } runs(limit: 20) { id status tags { key value } } }
    ... on PythonError { message }
  }
}
"""


def environment(**more: str) -> dict[str, str]:
    """The environment without what would lead to another home or config."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("GENOME_") and name != "DAGSTER_HOME"
    }
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **more}


@dataclass(frozen=True)
class DagsterServer:
    """Where it answers; its processes are those of one session."""

    address: str
    session: int

    def ask(self, query: str, **variables: Any) -> Any:
        """The data that answer a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def launch_backfill(self, title: str = "backfill", **selection: Any) -> str:
        """Launch a backfill; returns its id."""
        launched = self.ask(_LAUNCH, parameters={**selection, "title": title})["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def backfill(self, backfill_id: str) -> dict[str, Any]:
        """The state of a backfill, and its runs."""
        state: dict[str, Any] = self.ask(_BACKFILL, id=backfill_id)["partitionBackfillOrError"]
        return state

    def ended_backfill(self, backfill_id: str, seconds: float = 700) -> dict[str, Any]:
        """The state of a backfill when it has ended."""
        deadline = time.monotonic() + seconds
        while (state := self.backfill(backfill_id))["status"] in ("REQUESTED", "IN_PROGRESS", "CANCELING"):
            assert time.monotonic() < deadline, state
            time.sleep(1)
        return state


@contextmanager
def running_dagster(config: Path, module: str = "genome_pipeline.definitions") -> Iterator[DagsterServer]:
    """A Dagster webserver and daemon on loopback, with the code location of ``module``."""
    home = prepare_server(load_settings(config))
    variables = environment(DAGSTER_HOME=str(home), GENOME_CONFIG=str(config))
    command = ["dagster", "dev", "-m", module, "--host", "127.0.0.1"]
    with serving(command, ROOT, variables, home / "server.log") as server:
        yield server


@contextmanager
def serving(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], output: Path
) -> Iterator[DagsterServer]:
    """A command of this environment that serves Dagster, on a free port, until it is left; it writes to ``output``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = output.open("w")
    process = subprocess.Popen(
        [BIN / command[0], *command[1:], "--port", str(port)],
        cwd=folder,
        env=variables,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    server = DagsterServer(f"http://127.0.0.1:{port}", process.pid)
    try:
        deadline = time.monotonic() + 600
        while not _has_loaded(server):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.5)
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def _has_loaded(server: DagsterServer) -> bool:
    try:
        found = server.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
    except (urllib.error.URLError, ConnectionError):
        return False
    return bool(found["repositoriesOrError"].get("nodes"))
