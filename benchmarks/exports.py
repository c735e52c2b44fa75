"""Whether wide exports beside publishes crash the dashboard or mix versions, and the memory they take.

``python -m benchmarks.exports [--customers 1000000] [--exports 200] [--clients 20] [--publishes 20] [--minutes M]
[--published F]`` makes a published file of that many customers (or takes the one at F, made first where it is not
there), serves a copy of it, and publishes over it, in turn, that file and one with other amounts, while clients export
all customers with all columns, sorted, half of them as CSV and half as Parquet. First each file is exported while
nothing else goes on, and compared with it in all columns; each export beside publishes must then be one of these, byte
for byte. Writes ``benchmarks/results/dashboard/exports.json`` and ``.md``; ends with 1 where anything went wrong. On
the disk it needs five times the file, and some gigabytes for the exports.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb

from benchmarks.dashboard import MEMORY_MEGABYTES, RESULTS, build, peak_megabytes, served
from genome_pipeline.dashboard.pages.audience.selection import COLUMN_NAMES

_RETRY_SECONDS = 2.0
_PAGE_SECONDS = 1.0
_PATIENCE_SECONDS = 3_600
_KINDS = ("parquet", "csv")
_SEARCH = urlencode({"columns": ",".join(COLUMN_NAMES), "sort": "spend_amount:desc"})

_Digest = str
_COLUMNS = ("customer_id", *(name for name in COLUMN_NAMES if name != "customer_id"))
_FINGERPRINT = f"SELECT count(*), bit_xor(hash(wide)) FROM (SELECT {', '.join(_COLUMNS)} FROM {{}}) AS wide"


def _check(path: Path, published: Path) -> None:
    """Raises :class:`ValueError` where an export is not the latest snapshot of the published file, in all columns."""
    with duckdb.connect(config={"memory_limit": "1GB", "temp_directory": f"{path}.spilled"}) as connection:
        connection.execute(f"ATTACH '{published}' AS published (READ_ONLY)")
        types = dict(
            connection.execute("SELECT column_name, column_type FROM (DESCRIBE published.customer_genome)").fetchall()
        )
        columns = ", ".join(f"'{name}': '{types[name]}'" for name in _COLUMNS)
        # Its notes and its head come first.
        skipped = 1 + sum(line.startswith(b"#") for line in path.open("rb").readlines(5_000))
        scan = (
            f"read_csv('{path}', skip={skipped}, header=false, auto_detect=false, delim=',', quote='\"',"
            f" allow_quoted_nulls=false, columns={{{columns}}})"
            if path.suffix == ".csv"
            else f"read_parquet('{path}')"
        )
        found, wanted = (
            connection.execute(_FINGERPRINT.format(rows)).fetchall() for rows in (scan, "published.customer_genome")
        )
        if found != wanted:
            raise ValueError(f"{path.name}: {found[0][0]} rows, not the {wanted[0][0]} published, or other values")


def _download(address: str, kind: str, path: Path | None = None) -> tuple[int, int, _Digest]:
    """One request for an export, into ``path`` or nowhere: status, bytes and digest."""
    connection = HTTPConnection(address, timeout=_PATIENCE_SECONDS)
    size, digest = 0, blake2b()
    try:
        connection.request("GET", f"/export/audience.{kind}?{_SEARCH}")
        answer = connection.getresponse()
        with Path(path or os.devnull).open("wb") as file:
            while part := answer.read(1 << 20):
                file.write(part)
                digest.update(part)
                size += len(part)
        return answer.status, size, digest.hexdigest()
    finally:
        connection.close()


def _publish(file: Path, target: Path) -> None:
    building = target.with_name("building.duckdb")
    shutil.copy(file, building)
    os.replace(building, target)


class _Trial:
    """Counts what happens while clients, a visitor and a publisher are at work."""

    def __init__(self, address: str, wanted: set[_Digest], minutes: float) -> None:
        self.address, self.wanted = address, wanted
        self.ends = time.monotonic() + 60 * minutes
        self.done = threading.Event()
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.slowest_export = self.slowest_page = 0.0
        self.work: queue.Queue[int] = queue.Queue()

    def export(self) -> None:
        """Take one export after another until there is none left, or no time."""
        while time.monotonic() < self.ends:
            try:
                number = self.work.get_nowait()
            except queue.Empty:
                return
            kind = _KINDS[number % 2]
            started = time.monotonic()
            try:
                while (found := _download(self.address, kind))[0] == 503:
                    self.counts["told to wait"] += 1
                    time.sleep(_RETRY_SECONDS)
                status, size, digest = found
                self.slowest_export = max(self.slowest_export, time.monotonic() - started)
                if status != 200:
                    self.problems.append(f"export {number}: status {status}")
                elif digest not in self.wanted:
                    self.problems.append(f"export {number}: {size} bytes of no version, or of both")
                else:
                    self.counts[f"{kind} exports, whole"] += 1
                    self.counts["megabytes exported"] += round(size / 1e6)
                # Whoever has just been served is not first in line again.
                time.sleep(_RETRY_SECONDS)
            except (OSError, HTTPException) as error:
                self.problems.append(f"export {number}: {type(error).__name__} {error}")

    def visit(self) -> None:
        """Ask for a page again and again."""
        while not self.done.wait(_PAGE_SECONDS):
            started = time.monotonic()
            connection = HTTPConnection(self.address, timeout=_PATIENCE_SECONDS)
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
        for turn in range(publishes):
            while self.work.qsize() > exports * (1 - (turn + 1) / (publishes + 1)):
                if time.monotonic() > self.ends:
                    return
                time.sleep(0.1)
            _publish(files[turn % len(files)], target)
            self.counts["publishes"] += 1


def run(published: Path, folder: Path, exports: int, clients: int, publishes: int, minutes: float) -> dict[str, Any]:
    """What became of the exports, in numbers; ``problems`` is empty where all went well."""
    target, other = folder / "genome.duckdb", folder / "other.duckdb"
    shutil.copy(published, other)
    with duckdb.connect(str(other)) as connection:
        connection.execute("UPDATE customer_genome_history SET spend_amount = spend_amount + 1")
    files = [published, other]
    shutil.copy(published, target)
    with served(target) as (address, process):
        wanted: set[_Digest] = set()
        seconds: dict[str, float] = {}
        for file in files:
            _publish(file, target)
            for kind in _KINDS:
                path = folder / f"alone.{kind}"
                started = time.monotonic()
                status, _, digest = _download(address, kind, path)
                if status != 200:
                    raise SystemExit(f"the server refuses to export {file} (status {status}): make the file anew")
                seconds[f"one {kind} export alone, seconds"] = round(time.monotonic() - started, 1)
                _check(path, file)
                path.unlink()
                wanted.add(digest)
        alone = peak_megabytes(process)
        trial = _Trial(address, wanted, minutes)
        for number in range(exports):
            trial.work.put(number)
        started = time.monotonic()
        with ThreadPoolExecutor(clients + 2) as pool:
            pool.submit(trial.visit)
            publishing = pool.submit(trial.publish, files, target, publishes, exports)
            try:
                for client in [pool.submit(trial.export) for _ in range(clients)]:
                    client.result()
                publishing.result()
            finally:
                trial.done.set()
        if process.poll() is not None:
            trial.problems.append(f"the server ended with {process.returncode}")
        peak = 0 if process.poll() is not None else peak_megabytes(process)
    if len(wanted) != len(files) * len(_KINDS) or peak > MEMORY_MEGABYTES:
        trial.problems.append(f"{len(wanted)} different exports, {peak} MB of memory")
    with duckdb.connect(str(published), read_only=True) as connection:
        customers = connection.execute("SELECT count(*) FROM customer_genome").fetchall()[0][0]
    return {
        "customers": customers,
        "columns": len(COLUMN_NAMES),
        "clients": clients,
        "exports not begun, as the time was up": trial.work.qsize(),
        "seconds": round(time.monotonic() - started),
        **dict(sorted(trial.counts.items())),
        "slowest export, seconds": round(trial.slowest_export, 1),
        "slowest page, seconds": round(trial.slowest_page, 1),
        **seconds,
        "memory at its peak after exports alone, MB": alone,
        "memory at its peak, MB": peak,
        "load at end": round(os.getloadavg()[0], 1),
        "problems": trial.problems,
    }


def main() -> None:
    """Make the file where it is not there, run the trial, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--exports", type=int, default=200)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--publishes", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=math.inf, help="Begin no export after so many.")
    parser.add_argument("--published", type=Path, help="Take this file; made first where it is not there.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = arguments.published or folder / "made.duckdb"
        if not path.exists():
            build(path, arguments.customers)
        found = run(path, folder, arguments.exports, arguments.clients, arguments.publishes, arguments.minutes)
    rows = "\n".join(f"| {name} | {value if value != [] else 'none'} |" for name, value in found.items())
    text = f"# Wide exports beside publishes\n\n| what | |\n| --- | --- |\n{rows}\n"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "exports.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (RESULTS / "exports.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    sys.exit(1 if found["problems"] else 0)


if __name__ == "__main__":
    main()
