"""Whether wide exports beside publishes crash the dashboard or mix versions, and the memory they take.

``python -m benchmarks.exports [--customers 1000000] [--exports 200] [--clients 20] [--publishes 20] [--published F]``
makes a published file of that many customers (or takes the one at F, made first where it is not there), serves a copy
of it, and publishes over it, in turn, that file and one with other amounts, while clients export all customers with
all columns, sorted, half of them as CSV and half as Parquet. Each export must be one of the two files, whole. Writes
``benchmarks/results/dashboard/exports.json`` and ``.md``; ends with 1 where anything went wrong. On the disk it needs
three times the file, and some gigabytes for the exports.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb

from benchmarks.dashboard import MEMORY_MEGABYTES, RESULTS, build, peak_megabytes, served
from genome_pipeline.dashboard.selection import COLUMN_NAMES

_RETRY_SECONDS = 2.0
_PAGE_SECONDS = 1.0
# Numbers of the latest snapshot, as they stand in a file of either format: equal where all rows are.
_FINGERPRINT = (
    "SELECT count(*), bit_xor(hash(t_days::DOUBLE, spend_amount::DOUBLE, expected_spend::DOUBLE,"
    " churn_probability::DOUBLE, confidence::DOUBLE))"
)
_SEARCH = urlencode({"columns": ",".join(COLUMN_NAMES), "sort": "spend_amount:desc"})

Fingerprint = tuple[int, int]


def _fingerprint_of(published: Path) -> Fingerprint:
    with duckdb.connect(str(published), read_only=True) as connection:
        return _row(connection, f"{_FINGERPRINT} FROM customer_genome")


def _fingerprint_in(path: Path) -> Fingerprint:
    """Of an export. Raises :class:`ValueError` where it lacks a column."""
    with duckdb.connect(config={"memory_limit": "500MB", "temp_directory": f"{path}.spilled"}) as connection:
        scan = (
            f"read_csv('{path}', comment='#', delim=',', quote='\"', header=true)"
            if path.suffix == ".csv"
            else f"read_parquet('{path}')"
        )
        names = [name for name, *_ in connection.execute(f"DESCRIBE FROM {scan}").fetchall()]
        if names != ["customer_id", *(name for name in COLUMN_NAMES if name != "customer_id")]:
            raise ValueError(f"{len(names)} columns, from {names[0]} to {names[-1]}")
        return _row(connection, f"{_FINGERPRINT} FROM {scan}")


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> Fingerprint:
    count, fingerprint = connection.execute(query).fetchall()[0]
    return count, fingerprint


def _download(address: str, kind: str, path: Path) -> tuple[int, int]:
    """One request for an export, into ``path``: status and bytes."""
    connection = HTTPConnection(address, timeout=1_200)
    try:
        connection.request("GET", f"/export/audience.{kind}?{_SEARCH}")
        answer = connection.getresponse()
        with path.open("wb") as file:
            shutil.copyfileobj(answer, file)
        return answer.status, path.stat().st_size
    finally:
        connection.close()


class _Trial:
    """Counts what happens while clients, a visitor and a publisher are at work."""

    def __init__(self, address: str, folder: Path, versions: set[Fingerprint]) -> None:
        self.address, self.folder, self.versions = address, folder, versions
        self.done = threading.Event()
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.slowest_export = self.slowest_page = 0.0
        self.work: queue.Queue[int] = queue.Queue()

    def export(self, client: int) -> None:
        """Take one export after another until there is none left."""
        while True:
            try:
                number = self.work.get_nowait()
            except queue.Empty:
                return
            kind = "csv" if number % 2 else "parquet"
            path = self.folder / f"{client}.{kind}"
            started = time.monotonic()
            try:
                while (found := _download(self.address, kind, path))[0] == 503:
                    self.counts["told to wait"] += 1
                    time.sleep(_RETRY_SECONDS)
                status, size = found
                self.slowest_export = max(self.slowest_export, time.monotonic() - started)
                if status != 200:
                    self.problems.append(f"export {number}: status {status}")
                elif _fingerprint_in(path) not in self.versions:
                    self.problems.append(f"export {number}: rows of no version, or of both")
                else:
                    self.counts[f"{kind} exports, whole"] += 1
                    self.counts["megabytes exported"] += round(size / 1e6)
            except (OSError, HTTPException, ValueError, duckdb.Error) as error:
                self.problems.append(f"export {number}: {type(error).__name__} {error}")
            path.unlink(missing_ok=True)

    def visit(self) -> None:
        """Ask for a page again and again."""
        while not self.done.wait(_PAGE_SECONDS):
            started = time.monotonic()
            connection = HTTPConnection(self.address, timeout=600)
            try:
                connection.request("GET", "/risk")
                answer = connection.getresponse()
                is_shown = answer.status == 200 and b"Risk" in answer.read()
                self.slowest_page = max(self.slowest_page, time.monotonic() - started)
                self.counts["pages shown"] += is_shown
                if not is_shown:
                    self.problems.append(f"page: status {answer.status}")
            except (OSError, HTTPException) as error:
                self.problems.append(f"page: {type(error).__name__} {error}")
            finally:
                connection.close()

    def publish(self, files: list[Path], target: Path, publishes: int, exports: int) -> None:
        """Publish the files in turn, spread evenly over the exports."""
        building = target.with_name("building.duckdb")
        for turn in range(publishes):
            while self.work.qsize() > exports * (1 - (turn + 1) / (publishes + 1)) and not self.done.is_set():
                time.sleep(0.1)
            shutil.copy(files[(turn + 1) % len(files)], building)
            os.replace(building, target)
            self.counts["publishes"] += 1


def run(published: Path, folder: Path, exports: int, clients: int, publishes: int) -> dict[str, Any]:
    """What became of the exports, in numbers; ``problems`` is empty where all went well."""
    target, other = folder / "genome.duckdb", folder / "other.duckdb"
    shutil.copy(published, other)
    with duckdb.connect(str(other)) as connection:
        connection.execute("UPDATE customer_genome_history SET spend_amount = spend_amount + 1")
    shutil.copy(published, target)
    versions = {_fingerprint_of(file) for file in (published, other)}
    with served(target) as (address, process):
        trial = _Trial(address, folder, versions)
        for number in range(exports):
            trial.work.put(number)
        started = time.monotonic()
        with ThreadPoolExecutor(clients + 2) as pool:
            pool.submit(trial.visit)
            publishing = pool.submit(trial.publish, [published, other], target, publishes, exports)
            try:
                for client in [pool.submit(trial.export, client) for client in range(clients)]:
                    client.result()
                publishing.result()
            finally:
                trial.done.set()
        if process.poll() is not None:
            trial.problems.append(f"the server ended with {process.returncode}")
        peak = 0 if process.poll() is not None else peak_megabytes(process)
    if len(versions) != 2 or peak > MEMORY_MEGABYTES:
        trial.problems.append(f"{len(versions)} versions, {peak} MB of memory")
    return {
        "customers": next(iter(versions))[0],
        "columns": len(COLUMN_NAMES),
        "clients": clients,
        "seconds": round(time.monotonic() - started),
        **dict(sorted(trial.counts.items())),
        "slowest export, seconds": round(trial.slowest_export, 1),
        "slowest page, seconds": round(trial.slowest_page, 1),
        "memory at its peak, MB": peak,
        "problems": trial.problems,
    }


def main() -> None:
    """Make the file where it is not there, run the trial, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--exports", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--publishes", type=int, default=20)
    parser.add_argument("--published", type=Path, help="Take this file; made first where it is not there.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = arguments.published or folder / "made.duckdb"
        if not path.exists():
            build(path, arguments.customers)
        found = run(path, folder, arguments.exports, arguments.clients, arguments.publishes)
    rows = "\n".join(f"| {name} | {value if value != [] else 'none'} |" for name, value in found.items())
    text = f"# Wide exports beside publishes\n\n| what | |\n| --- | --- |\n{rows}\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "exports.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (RESULTS / "exports.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    sys.exit(1 if found["problems"] else 0)


if __name__ == "__main__":
    main()
