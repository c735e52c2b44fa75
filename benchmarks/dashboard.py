"""How fast the dashboard answers on a million customers, and what memory it takes.

``python -m benchmarks.dashboard [--customers 1000000] [--published FILE]`` makes a published file of that many
customers out of a small one (or takes the one at FILE, made first where it is not there), serves it on loopback in a
process of its own, asks for every page and interaction as a browser does, and writes
``benchmarks/results/dashboard/dashboard.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb

from genome_pipeline.contracts.column import Unit
from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.contracts.views import VIEWS
from genome_pipeline.dashboard.app import PAGES
from genome_pipeline_tests.support.published_file import SNAPSHOTS, build_published_file

RESULTS = Path(__file__).parent / "results" / "dashboard"
FIRST_PAINT_SECONDS, INTERACTION_MILLISECONDS, MEMORY_MEGABYTES = 2, 400, 1_000
ROUNDS = 7
PREPARED_SECONDS = 20
"""After a publish the server makes what is made once for a version; people mostly come later."""

_BASE_CUSTOMERS = 300
_SCALED_UNITS = {Unit.CURRENCY, Unit.PROBABILITY, Unit.SCORE}
_SERVER = """
import sys
from pathlib import Path
from genome_pipeline.dashboard.audit import AuditLog
from genome_pipeline.dashboard.app import serve
from genome_pipeline.dashboard.security import Access
log = AuditLog(Path(sys.argv[3]), None)
log.prepare()
serve(Path(sys.argv[1]), Access(), log, "127.0.0.1", int(sys.argv[2]))
"""


def build(path: Path, customers: int) -> None:
    """Write a published file of ``customers`` customers: copies of 300, amounts and probabilities of each their own."""
    with tempfile.TemporaryDirectory() as folder:
        small = build_published_file(Path(folder) / "small.duckdb", customer_count=_BASE_CUSTOMERS)
        with duckdb.connect(str(path)) as connection:
            connection.execute("SET memory_limit = '4GB'")
            connection.execute("SET preserve_insertion_order = true")
            connection.execute(f"ATTACH '{small}' AS small (READ_ONLY)")
            for table in TABLES.values():
                if table.is_published:
                    _copy(connection, table, -(-customers // _BASE_CUSTOMERS))
            for view in VIEWS.values():
                connection.execute(view.ddl("main"))


def _copy(connection: duckdb.DuckDBPyConnection, table: Table, copies: int) -> None:
    stored = f"{table.name}_history" if table.is_snapshot else table.name
    connection.execute(table.ddl(stored))
    if "customer_id" not in table.columns:
        connection.execute(f"INSERT INTO {stored} SELECT * FROM small.{stored}")
    else:
        chosen = ", ".join(_copied(name) for name in table.columns)
        slices = connection.execute(f"SELECT DISTINCT {table.slice_by} FROM small.{stored} ORDER BY 1").fetchall()
        for (value,) in slices:
            # In the order in which the pipeline publishes: slice by slice, customer by customer.
            connection.execute(
                f"INSERT INTO {stored} SELECT {chosen} FROM small.{stored} AS base, range({copies}) AS copies(copy)"
                f" WHERE base.{table.slice_by} = ? ORDER BY {', '.join(table.key)}",
                [value],
            )
    if table.is_snapshot:
        connection.execute(
            f"CREATE VIEW {table.name} AS SELECT * FROM {stored}"
            f" WHERE {table.slice_by} = (SELECT max({table.slice_by}) FROM {stored})"
        )


def _copied(name: str) -> str:
    if name in ("customer_id", "neighbor_customer_id"):
        return f"printf('%05d-', copy) || base.{name} AS {name}"
    if COLUMNS[name].unit in _SCALED_UNITS:
        return f"base.{name} * (0.7 + 0.3 * hash(copy, base.customer_id) / 18446744073709551615) AS {name}"
    return f"base.{name}"


def measure(path: Path) -> dict[str, Any]:
    """Medians of seconds, and the server's largest memory."""
    with served(path) as (address, process):
        ask = _Browser(address)
        first = [ask.first_paint() for _ in range(ROUNDS)]
        painted = _painted(address)
        time.sleep(PREPARED_SECONDS)
        interactions = {
            name: [_seconds(partial(act, turn)) for turn in range(ROUNDS)] for name, act in _interactions(ask).items()
        }
        exports = {
            f"{kind}, {share}% of customers": _seconds(partial(ask.get, f"/export/audience.{kind}?top={share}"))
            for kind, share in (("csv", 1), ("csv", 100), ("parquet", 100))
        }
        peak = peak_megabytes(process)
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT count(DISTINCT as_of), count(*) FROM customer_genome_history").fetchall()[0]
    return {
        "customers": rows[1] // rows[0],
        "snapshots": rows[0],
        "file_megabytes": round(path.stat().st_size / 1e6),
        "cores": os.cpu_count(),
        "load_at_end": round(os.getloadavg()[0], 1),
        "rounds": ROUNDS,
        "first_paint_at_server_seconds": statistics.median(first),
        "browser_seconds": painted,
        "interaction_seconds": {name: statistics.median(seconds) for name, seconds in interactions.items()},
        "slowest_interaction_seconds": {name: max(seconds) for name, seconds in interactions.items()},
        "export_seconds": exports,
        "peak_megabytes": peak,
    }


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return round(time.perf_counter() - started, 4)


@contextmanager
def served(path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server of the published file in a process of its own, on loopback: host and port, and the process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as audit:
        process = subprocess.Popen([sys.executable, "-c", _SERVER, str(path), str(port), audit])  # noqa: S603
        try:
            for _ in range(6_000):  # a busy machine takes its time
                try:
                    _Browser.ask(address, "GET", "/assets/favicon.svg")
                    break
                except OSError:
                    time.sleep(0.1)
            yield address, process
        finally:
            process.terminate()
            process.wait()


def peak_megabytes(process: subprocess.Popen[bytes]) -> int:
    """The largest memory the process had so far."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return round(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024)


class _Browser:
    """What a browser asks the server."""

    def __init__(self, address: str) -> None:
        self.address = address
        callbacks = json.loads(self.get("/_dash-dependencies"))
        self.page_callback = next(callback for callback in callbacks if "page.children" in callback["output"])

    def get(self, path: str) -> bytes:
        return self.ask(self.address, "GET", path)

    @staticmethod
    def ask(address: str, method: str, path: str, body: str | None = None) -> bytes:
        """The answer to one request. Raises :class:`RuntimeError` for any status but 200."""
        connection = HTTPConnection(address)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status}")
        return content

    def call(self, output: str, inputs: dict[str, Any], search: str = "") -> dict[str, Any]:
        """The answer of one callback with one output."""
        name, attribute = output.split(".")
        return self._post(
            {
                "output": output,
                "outputs": {"id": name, "property": attribute},
                "inputs": _properties(inputs),
                "state": _properties({"url.search": search}),
            }
        )

    def page(self, pathname: str, search: str = "") -> dict[str, Any]:
        """A page, as it is drawn after the URL has changed. Raises :class:`RuntimeError` where it cannot be shown."""
        output = self.page_callback["output"]
        values = {"url.pathname": pathname, "url.search": search}
        found = self._post(
            {
                "output": output,
                "outputs": [
                    dict(zip(("id", "property"), part.split("."), strict=True))
                    for part in output.strip(".").split("...")
                ],
                "inputs": [
                    {**given, "value": values.get(f"{given['id']}.{given['property']}")}
                    for given in self.page_callback["inputs"]
                ],
                "changedPropIds": ["url.pathname"],
            }
        )
        title = found["page-title"]["data"]
        if title != PAGES[pathname].TITLE:
            raise RuntimeError(f"{pathname}{search}: {title}")
        return found

    def first_paint(self) -> float:
        """Seconds at the server until the first page can be drawn: shell, layout, callbacks, page."""

        def act() -> None:
            for path in ("/", "/_dash-layout", "/_dash-dependencies"):
                self.get(path)
            self.page("/")

        return _seconds(act)

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        body.setdefault("changedPropIds", [f"{body['inputs'][0]['id']}.{body['inputs'][0]['property']}"])
        answer = self.ask(self.address, "POST", "/_dash-update-component", json.dumps(body))
        found: dict[str, Any] = json.loads(answer)["response"]
        return found


def _properties(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {**dict(zip(("id", "property"), name.split("."), strict=True)), "value": value}
        for name, value in values.items()
    ]


def _interactions(ask: _Browser) -> dict[str, Callable[[int], object]]:
    """What people do; each turn is about other customers, so that no answer is of the turn before."""

    def customer(turn: int, number: int = 10) -> str:
        return f"{100 + 97 * turn:05d}-C{number:04d}"

    def rows(search: str, first: int, sort: str = "revenue_at_stake_amount") -> object:
        wanted = {"startRow": first, "endRow": first + 100, "sortModel": [{"colId": sort, "sort": "desc"}]}
        found = ask.call("audience-grid.getRowsResponse", {"audience-grid.getRowsRequest": wanted}, search)
        assert found["audience-grid"]["getRowsResponse"]["rowData"]
        return found

    def group(turn: int, size: int) -> str:
        return "?" + urlencode([("id", customer(turn, number)) for number in range(1, size + 1)])

    pages: dict[str, Callable[[int], object]] = {
        f"page {page.TITLE}": partial(_same, ask, path) for path, page in PAGES.items()
    }
    return pages | {
        **{
            f"another snapshot of {PAGES[path].TITLE}": partial(_another_snapshot, ask, path)
            for path in ("/", "/segments", "/value", "/risk", "/confidence")
        },
        "another gene of Segments": lambda turn: ask.page("/segments", f"?gene={FINGERPRINT_GENES[turn]}"),
        "another cutoff of Risk": lambda turn: ask.page("/risk", f"?cutoff={30 + turn}"),
        "search for a customer": lambda turn: ask.call(
            "customer-search.data", {"customer-search.searchValue": customer(turn)[:7]}
        ),
        "card of a customer": lambda turn: ask.page("/customer", f"?customer_id={customer(turn)}"),
        "neighbours of a customer": lambda turn: ask.page("/similar", f"?id={customer(turn)}"),
        "four customers side by side": lambda turn: ask.page("/similar", group(turn, 4)),
        "lookalikes of 100 customers": lambda turn: ask.page("/similar", group(turn, 100)),
        "audience of a rule": lambda turn: ask.page("/audience", "?rule=win_back"),
        "audience, two filters": lambda turn: ask.page(
            "/audience", f"?where=churn_probability:ge:0.{turn + 1}&where=segment_name:eq:Steady+regulars"
        ),
        "audience, top 10%": lambda turn: ask.page("/audience", f"?top=1{turn}&sort=expected_spend:desc"),
        "grid, first rows": lambda turn: rows("", 0),
        "grid, sorted by another column": lambda turn: rows(
            "", 0, ("spend_amount", "confidence", "t_days", "expected_spend")[turn % 4]
        ),
        "grid, filtered": lambda turn: rows(f"?where=churn_probability:ge:0.{turn + 1}", 0),
        "grid, scrolled to the middle": lambda turn: rows("", 400_000 + 1_000 * turn),
        "audience of a country": lambda turn: ask.page("/audience", "?where=country:eq:France"),
    }


def _same(ask: _Browser, path: str, _: int) -> object:
    return ask.page(path)


def _another_snapshot(ask: _Browser, path: str, turn: int) -> object:
    return ask.page(path, f"?as_of={SNAPSHOTS[turn % len(SNAPSHOTS)]}")


_MARKS = {
    "headline numbers can be read": "main .kpi-value",
    "page answers": "#page .kpi-value",
    "charts are drawn": "#page .js-plotly-plot .main-svg",
}


def _painted(address: str) -> dict[str, float]:
    """Median seconds from the address to marks of the first page, in a browser that has nothing of it yet."""
    executable = shutil.which("chromium")
    if executable is None:
        return {}
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {name: [] for name in _MARKS}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(5):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            tab = context.new_page()
            started = time.perf_counter()
            tab.goto(f"http://{address}/", wait_until="commit")
            for name, mark in _MARKS.items():
                tab.wait_for_selector(mark)
                found[name].append(time.perf_counter() - started)
            context.close()
        browser.close()
    return {name: round(statistics.median(seconds), 3) for name, seconds in found.items()}


def _markdown(found: dict[str, Any]) -> str:
    browser = found["browser_seconds"].items()
    slowest = found["slowest_interaction_seconds"]
    lines = [
        f"# The dashboard on {found['customers']:,} customers",
        "",
        f"{found['snapshots']} snapshots in a file of {found['file_megabytes']:,} MB; medians of {found['rounds']} on"
        f" loopback; {found['cores']} cores, a load of {found['load_at_end']} at the end, as the machine was shared.",
        "",
        "The first pages are asked for right after the start, before anything is prepared.",
        "",
        "| what | median | slowest | wanted |",
        "| --- | --- | --- | --- |",
        f"| first page, at the server | {found['first_paint_at_server_seconds']:.2f} s | | {FIRST_PAINT_SECONDS} s |",
        *(
            f"| first page, in a browser with an empty cache: {name} | {seconds:.2f} s | |"
            f" {f'{FIRST_PAINT_SECONDS} s' if number == 0 else ''} |"
            for number, (name, seconds) in enumerate(browser)
        ),
        *(
            f"| {name} | {seconds * 1000:.0f} ms | {slowest[name] * 1000:.0f} ms | {INTERACTION_MILLISECONDS} ms |"
            for name, seconds in found["interaction_seconds"].items()
        ),
        *(f"| export: {name} | {seconds:.1f} s | | |" for name, seconds in found["export_seconds"].items()),
        f"| memory at its peak, exports among it | {found['peak_megabytes']:,} MB | | {MEMORY_MEGABYTES:,} MB |",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the file where it is not there, measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--published", type=Path, help="Take this file; made first where it is not there.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.published or Path(folder) / "genome.duckdb"
        if not path.exists():
            build(path, arguments.customers)
        found = measure(path)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "dashboard.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (RESULTS / "dashboard.md").write_text(_markdown(found), encoding="utf-8")
    sys.stdout.write(_markdown(found))


if __name__ == "__main__":
    main()
