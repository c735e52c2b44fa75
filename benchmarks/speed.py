"""How fast the pipeline is on this machine, beside DuckDB's own query, ``lifetimes`` and pandas on the same rows.

``LIFETIMES_PYTHON=… python -m benchmarks.speed --lines 1000000 10000000 50000000`` prints the table of bars, what
changed since the baseline, and the stages one by one, and keeps them in ``benchmarks/results/speed/``, as JSON
and Markdown. Each measurement is a process of its own, so that its peak memory is its own, with the 0.4 GB of
the libraries in it. Logs and warehouses lie in a temporary folder: 50 million lines need 25 GB of it. ``lifetimes``
needs older libraries than ours: name the interpreter of an environment that has it; without one that part is skipped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.synthetic import CONFIG, write_log

RESULTS = Path(__file__).parent / "results" / "speed"
BASELINE = RESULTS / "baseline.json"
DEMO_CONFIG = Path(__file__).parents[1] / "examples" / "complete_journey.toml"

CUSTOMERS_PER_LINE = 1 / 50
MONTHS = 24
RFM_LINES = 5_000_000
MONTHLY_LINES = 100_000
BACKFILL_LINES = 1_000_000
_FIRST_MONTH = date(2023, 1, 1)

_CONFIG = (
    CONFIG
    + """[warehouse]
memory_limit = "{memory_limit}"
"""
)

_REFERENCE = """
    WITH orders AS (
        SELECT customer, "order", min(moment) AS moment, sum(quantity * price) AS amount FROM '{log}' GROUP BY 1, 2
    ), gaps AS (
        SELECT customer, amount,
            date_diff('day', lag(moment) OVER (PARTITION BY customer ORDER BY moment), moment) AS gap_days
        FROM orders
    )
    SELECT customer, count(*), sum(amount), avg(gap_days), stddev_samp(gap_days) FROM gaps GROUP BY 1
"""

_BY_DAY = (
    "CREATE OR REPLACE TEMP TABLE days AS SELECT customer_id, ordered_at::DATE AS day, sum(amount) AS amount FROM lines"
    " GROUP BY ALL"
)

_LIFETIMES = """
import json, sys, time, warnings
import numpy as np, pandas as pd
from lifetimes.utils import summary_data_from_transaction_data
warnings.filterwarnings("ignore")
data = np.load(sys.argv[1])
lines = pd.DataFrame({"customer": data["customer"], "moment": data["moment"], "amount": data["amount"]})
for _ in range(2):
    begun = time.perf_counter()
    found = summary_data_from_transaction_data(
        lines, "customer", "moment", monetary_value_col="amount", observation_period_end=sys.argv[2])
print(json.dumps({"seconds": time.perf_counter() - begun, "customers": len(found)}))
"""


@dataclass(frozen=True)
class Cost:
    """What one measurement took: seconds by part, and of its process the peak memory and all bytes read, in GB."""

    seconds: dict[str, float]
    peak_gb: float
    read_gb: float

    @property
    def total_seconds(self) -> float:
        """Seconds of all parts."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Bar:
    """One row of the table: what is measured, what it came to, and what it has to be at most (or at least)."""

    name: str
    value: float
    bound: float
    unit: str
    is_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the value is on the right side of the bound."""
        return self.value >= self.bound if self.is_least else self.value <= self.bound


# --- Parts that run in a process of their own


def _reference(log: str, memory_limit: str) -> dict[str, float]:
    """Seconds of DuckDB's order-level group-by with a lag window over the log, the faster of two."""
    import duckdb

    seconds = []
    for _ in range(2):
        with duckdb.connect(config={"memory_limit": memory_limit}) as connection:
            connection.execute("SET enable_progress_bar = false")
            begun = time.perf_counter()
            connection.execute(f"CREATE TEMP TABLE found AS {_REFERENCE.format(log=log)}")
            seconds.append(time.perf_counter() - begun)
    return {"reference": min(seconds)}


def _storing(log: str, warehouse: str, memory_limit: str) -> dict[str, float]:
    """Seconds in which DuckDB stores the rows of each table of lines in a new file, and does nothing else with them."""
    import duckdb

    from genome_pipeline.warehouse.database import STORAGE_VERSION

    sources = {"raw_transactions": f"'{log}'"}
    sources |= {name: f"made.{name}" for name in ("validated_transactions", "customer_activity", "customer_features")}
    seconds = {}
    with tempfile.TemporaryDirectory(dir=Path(warehouse).parent) as folder, duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET memory_limit = ?", [memory_limit])
        connection.execute(f"ATTACH '{warehouse}' AS made (READ_ONLY)")
        connection.execute(f"ATTACH '{folder}/stored.duckdb' AS stored (STORAGE_VERSION '{STORAGE_VERSION}')")
        for name, rows in sources.items():
            latest = "WHERE as_of = (SELECT max(as_of) FROM made.customer_features)" * (name == "customer_features")
            begun = time.perf_counter()
            connection.execute(f"CREATE TABLE stored.{name} AS SELECT * FROM {rows} {latest}")
            seconds[name] = time.perf_counter() - begun
    return seconds


def _job(config: str, job: str, stages: Sequence[str], first: str, last: str) -> dict[str, float]:
    """Seconds of each step (stage or check) of a Dagster job over the assets of some stages and a range of periods."""
    import dagster as dg
    from dagster._core.utils import make_new_run_id

    from genome_pipeline.definitions import build_definitions
    from genome_pipeline.orchestration.assets.flow import STAGES
    from genome_pipeline.orchestration.home import prepare_home
    from genome_pipeline.orchestration.internals import open_event_logs
    from genome_pipeline.quality.suites import load_great_expectations
    from genome_pipeline.settings import load_settings

    load_great_expectations()
    settings = load_settings(Path(config))
    prepare_home(settings)
    names = [name for stage in STAGES if stage.name in stages for name in stage.asset_names]
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last} if first else {}
    run_id = make_new_run_id()
    with dg.DagsterInstance.get() as instance, open_event_logs(instance, run_id):
        result = (
            build_definitions(settings)
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                run_id=run_id,
                tags=tags,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                asset_selection=[dg.AssetKey(name) for name in names],
            )
        )
    return {
        event.step_key: event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success and event.step_key
    }


def _genome_run(config: str, home: str) -> dict[str, float]:
    """Seconds of ``genome run`` in a new home, as a command."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "genome_pipeline.command.cli", "run", "--quiet", "--config", config]
    subprocess.run(command, check=True, env={**os.environ, "GENOME_HOME": home})  # noqa: S603, our own command
    return {"run": time.perf_counter() - begun}


def _help() -> dict[str, float]:
    """Seconds of ``genome --help``, the fastest of five."""
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "genome_pipeline.command.cli", "--help"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603, our own command
        seconds.append(time.perf_counter() - begun)
    return {"help": min(seconds)}


def _plain_calls(config: str, home: str) -> dict[str, float]:
    """Seconds of the bodies of all stages and checks, called one after the other without Dagster; without imports."""
    os.environ["GENOME_HOME"] = home  # of a process of its own
    from genome_pipeline.orchestration.assets.flow import STAGES
    from genome_pipeline.orchestration.checks.bridge import Subject
    from genome_pipeline.orchestration.checks.declared import declared_checks
    from genome_pipeline.orchestration.partitions import period_partitions
    from genome_pipeline.orchestration.resources import Pipeline
    from genome_pipeline.quality.suites import load_great_expectations
    from genome_pipeline.settings import load_settings

    load_great_expectations()
    settings = load_settings(Path(config))
    pipeline, partitions = Pipeline.of(settings), period_partitions(settings.time)
    context: Any = _PlainContext(partitions.get_partition_keys())
    periods = [date.fromisoformat(key) for key in partitions.get_partition_keys()]
    checks = declared_checks(partitions)
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        begun = time.perf_counter()
        work()
        seconds[name] = time.perf_counter() - begun

    for stage in STAGES:
        timed(stage.name, partial(_exhaust, stage.body, context, pipeline))
        for check, of_asset in checks:
            if check.asset in stage.asset_names:
                with pipeline.warehouse.open() as database:
                    subject = Subject(database, settings, periods if of_asset is not None else [], context.run_id)
                    timed(f"{check.asset}_{check.name}", partial(check.body, subject))
    return seconds


def _exhaust(body: Callable[..., Iterable[object] | None], *given: object) -> None:
    for _ in body(*given) or ():
        pass


class _PlainContext:
    """As much of a Dagster context as bodies of stages and checks ask for: every partition, and nowhere to report."""

    run_id = "00000000-plain-calls"

    def __init__(self, partition_keys: Sequence[str]) -> None:
        self.partition_keys = partition_keys
        self.log = self

    def add_asset_metadata(self, *_: Any, **__: Any) -> None:
        """Nobody reads it."""

    def info(self, _: str) -> None:
        """Nobody reads it."""

    warning = info


def _rfm(log: str, end: str) -> dict[str, float]:
    """Seconds of frequency, recency, T and monetary value by our expressions and by pandas, from rows in memory.

    The second of two times, as the first has imports in it; with DuckDB's own grouping by customer and day.
    """
    import duckdb
    import ibis

    from genome_pipeline.transforms.activity import purchase_days
    from genome_pipeline.transforms.features import rfm_summary

    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE lines AS SELECT date_trunc('month', moment)::DATE AS period_start_date, customer AS customer_id,"
        ' "order" AS order_id, moment AS ordered_at, product AS product_id, department AS category, NULL::VARCHAR AS'
        " country, quantity::DECIMAL(18,3) AS quantity, (quantity * price)::DECIMAL(18,2) AS amount, false AS is_return"
        f" FROM '{log}' WHERE quantity > 0 AND price > 0"
    )
    database = ibis.duckdb.from_connection(connection)
    as_of = date.fromisoformat(end)
    frame = connection.sql(
        "SELECT customer_id AS customer, ordered_at AS moment, amount::DOUBLE AS amount FROM lines"
    ).df()
    frame["customer"] = frame["customer"].astype(object)
    seconds: dict[str, float] = {}
    found: dict[str, Any] = {}
    for name, work in (
        ("ours", lambda: rfm_summary(purchase_days(database.table("lines")), as_of).to_pandas()),
        ("grouping", lambda: connection.execute(_BY_DAY)),
        ("pandas", lambda: _rfm_by_pandas(frame, as_of)),
    ):
        work()
        begun = time.perf_counter()
        found[name] = work()
        seconds[name] = time.perf_counter() - begun
    _agree(found["ours"].set_index("customer_id").sort_index(), found["pandas"].sort_index())

    if interpreter := os.environ.get("LIFETIMES_PYTHON"):
        with tempfile.NamedTemporaryFile(suffix=".npz") as file:
            np.savez(
                file,
                customer=frame["customer"].to_numpy().astype("U12"),
                moment=frame["moment"].to_numpy().astype("datetime64[ns]"),
                amount=frame["amount"].to_numpy(),
            )
            file.flush()
            answer = subprocess.run(  # noqa: S603, the interpreter is the user's own
                [interpreter, "-c", _LIFETIMES, file.name, end], check=True, capture_output=True, text=True
            )
        seconds["lifetimes"] = json.loads(answer.stdout.splitlines()[-1])["seconds"]
    return seconds


def _rfm_by_pandas(frame: Any, as_of: date) -> Any:
    """The same summary as anybody would write it."""
    import pandas as pd

    days = frame.assign(day=frame["moment"].dt.normalize()).groupby(["customer", "day"], as_index=False)["amount"].sum()
    repeat = days[days["customer"].duplicated()]
    found = days.groupby("customer")["day"].agg(["count", "min", "max"])
    found["frequency"] = found["count"] - 1
    found["recency"] = (found["max"] - found["min"]).dt.days
    found["t"] = (pd.Timestamp(as_of) - found["min"]).dt.days
    found["monetary"] = repeat.groupby("customer")["amount"].mean()
    return found


def _agree(ours: Any, theirs: Any) -> None:
    """Raises where a summary is not that of pandas: a fast wrong answer is none."""
    pairs = {
        "frequency_count": "frequency",
        "recency_days": "recency",
        "t_days": "t",
        "monetary_value_amount": "monetary",
    }
    for our_name, their_name in pairs.items():
        np.testing.assert_allclose(ours[our_name].to_numpy(float), theirs[their_name].to_numpy(float), rtol=1e-9)


# --- Measuring


def measured(work: Callable[..., dict[str, float]], *arguments: object) -> Cost:
    """What ``work(*arguments)`` took, alone in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    # Imported once, in the process that the others are made of: they take seconds.
    context.set_forkserver_preload(["genome_pipeline.definitions", "great_expectations"])
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(_alone, work, arguments).result()


def _alone(work: Callable[..., dict[str, float]], arguments: tuple[object, ...]) -> Cost:
    seconds = work(*arguments)
    status, io = (dict(_lines(Path("/proc/self", name))) for name in ("status", "io"))
    return Cost(seconds, int(status["VmHWM"].split()[0]) / 1e6, int(io["rchar"]) / 1e9)


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_text().splitlines():
        name, _, value = line.partition(":")
        yield name, value.strip()


@contextmanager
def _home(folder: Path, log: Path | str, months: int, memory_limit: str) -> Iterator[tuple[str, list[str]]]:
    """A config for the log with a home of its own, and the keys of its periods; the home is removed after."""
    from genome_pipeline.calendar import Period

    end = Period.MONTH.shift(_FIRST_MONTH, months)
    home = Path(tempfile.mkdtemp(prefix="home-", dir=folder))
    config = home / "genome.toml"
    config.write_text(
        _CONFIG.format(home=home, log=log, start=_FIRST_MONTH, end=end, memory_limit=memory_limit), encoding="utf-8"
    )
    try:
        yield str(config), [str(Period.MONTH.shift(_FIRST_MONTH, number)) for number in range(months)]
    finally:
        shutil.rmtree(home)


def _stages() -> tuple[list[str], list[str]]:
    """Names of the stages of lines, and of those of snapshots."""
    from genome_pipeline.orchestration.assets.flow import LINE_STAGES, SNAPSHOT_STAGES

    return [stage.name for stage in LINE_STAGES], [stage.name for stage in SNAPSHOT_STAGES]


def whole_run(folder: Path, lines: int, memory_limit: str) -> dict[str, Any]:
    """Each stage of a run for the last snapshot over a log of about ``lines`` lines, and the reference query.

    Features of the earlier snapshots that the models learn from are made before, and are no part of the run.
    """
    customers = round(lines * CUSTOMERS_PER_LINE)
    log = folder / "log.parquet"
    written = write_log(log, lines=lines, customers=customers, days=_days(MONTHS), start=_FIRST_MONTH)
    line_stages, snapshot_stages = _stages()
    with _home(folder, log, MONTHS, memory_limit) as (config, keys):
        last = keys[-1]
        costs = {"reference": measured(_reference, str(log), memory_limit)}
        costs["raw_transactions"] = measured(_job, config, "ingest", ["raw_transactions"], "", "")
        for name in line_stages:
            costs[name] = measured(_job, config, "refresh", [name], keys[0], last)
        for earlier in (keys[-10], keys[-7], keys[-4]):
            measured(_job, config, "refresh", ["customer_features"], earlier, earlier)
        for name in snapshot_stages:
            costs[name] = measured(_job, config, "refresh", [name], last, last)
            _tell(f"{written:,} lines", name, costs[name])
        home = Path(config).parent
        sizes = {"warehouse": home / "warehouse.duckdb", "published": home / "published" / "genome.duckdb"}
        return {
            "lines": written,
            "customers": customers,
            "memory_limit": memory_limit,
            "log_gb": log.stat().st_size / 1e9,
            **{f"{name}_gb": file.stat().st_size / 1e9 for name, file in sizes.items()},
            "storing": measured(_storing, str(log), str(sizes["warehouse"]), memory_limit).seconds,
            "costs": {name: asdict(cost) for name, cost in costs.items()},
        }


def new_month(folder: Path, history: int, memory_limit: str) -> Cost:
    """Ingestion and refresh of one more month on top of ``history`` months, each a file of its own."""
    months = history + 1
    landing = folder / f"landing-{history}"
    _monthly_files(folder, landing, months)
    line_stages, snapshot_stages = _stages()
    newest = sorted(landing.iterdir())[-1]
    aside = newest.rename(folder / newest.name)
    with _home(folder, landing / "*.parquet", months, memory_limit) as (config, keys):
        measured(_job, config, "ingest", ["raw_transactions"], "", "")
        measured(_job, config, "refresh", [*line_stages, "customer_features"], keys[0], keys[-2])
        aside.rename(newest)
        taken_in = measured(_job, config, "ingest", ["raw_transactions"], "", "")
        made = measured(_job, config, "refresh", [*line_stages, *snapshot_stages], keys[-1], keys[-1])
    shutil.rmtree(landing)
    seconds = taken_in.seconds | made.seconds
    return Cost(seconds, max(taken_in.peak_gb, made.peak_gb), taken_in.read_gb + made.read_gb)


def _monthly_files(folder: Path, landing: Path, months: int) -> None:
    """The last ``months`` of one and the same log of 37 months, a file each, moved to the calendar's start."""
    import duckdb

    log = folder / "monthly.parquet"
    if not log.exists():
        lines = 37 * MONTHLY_LINES
        write_log(log, lines=lines, customers=lines // 50, days=_days(37), start=_FIRST_MONTH)
    landing.mkdir()
    for number in range(months):
        duckdb.execute(
            f"COPY (SELECT * REPLACE (moment - INTERVAL {37 - months} MONTH AS moment) FROM '{log}' WHERE"
            f" date_trunc('month', moment) = DATE '{_FIRST_MONTH}' + INTERVAL {37 - months + number} MONTH)"
            f" TO '{landing / f'{number:02}.parquet'}'"
        )


def backfill(folder: Path, first: int, memory_limit: str) -> Cost:
    """A refresh of the months from number ``first`` to the last of 24 in one run; those before it are made already."""
    log = folder / "backfill.parquet"
    if not log.exists():
        customers = round(BACKFILL_LINES * CUSTOMERS_PER_LINE)
        write_log(log, lines=BACKFILL_LINES, customers=customers, days=_days(MONTHS), start=_FIRST_MONTH)
    line_stages, snapshot_stages = _stages()
    with _home(folder, log, MONTHS, memory_limit) as (config, keys):
        measured(_job, config, "ingest", ["raw_transactions"], "", "")
        if first:
            measured(_job, config, "refresh", [*line_stages, "customer_features"], keys[0], keys[first - 1])
        return measured(_job, config, "refresh", [*line_stages, *snapshot_stages], keys[first], keys[-1])


def _days(months: int) -> int:
    from genome_pipeline.calendar import Period

    return (Period.MONTH.shift(_FIRST_MONTH, months) - _FIRST_MONTH).days


def _tell(what: str, name: str, cost: Cost) -> None:
    print(f"{what}: {name} {cost.total_seconds:.1f} s, {cost.peak_gb:.2f} GB", file=sys.stderr, flush=True)


# --- The table of bars


def run_bars(run: Mapping[str, Any]) -> list[Bar]:
    """The bars that one whole run is held to."""
    costs = {name: Cost(**cost) for name, cost in run["costs"].items()}
    reference = costs["reference"].total_seconds
    million = run["lines"] / 1e6
    stages = {name: cost.seconds.get(name, 0.0) for name, cost in costs.items()}
    row_level = sum(stages[name] for name in ("raw_transactions", "validation", "customer_activity"))
    scored = sum(stages[name] for name in ("customer_value", "customer_risk", "customer_confidence"))
    whole = sum(cost.total_seconds for name, cost in costs.items() if name != "reference")
    at = f"{million:.0f} M lines"
    return [
        Bar(
            f"ingest, validate, activity and features, {at}",
            (row_level + stages["customer_features"]) / reference,
            6,
            "x reference",
        ),
        Bar(f"customer_features, {at}", stages["customer_features"] / reference, 0.5, "x reference"),
        Bar(f"full run for one snapshot, {at}", whole / 60, 12, "min"),
        Bar(f"peak memory of that run, {at}", max(cost.peak_gb for cost in costs.values()), 8, "GB"),
        Bar(f"scoring, {at}", run["customers"] / scored, 50_000, "customers/s", is_least=True),
    ]


def slope(runs: Sequence[Mapping[str, Any]]) -> float:
    """Exponent of the time of a run in its number of lines: least squares on logarithms; 1 is linear."""
    seconds = [sum(Cost(**cost).total_seconds for n, cost in run["costs"].items() if n != "reference") for run in runs]
    return float(np.polyfit(np.log([run["lines"] for run in runs]), np.log(seconds), 1)[0])


def other_bars(folder: Path, memory_limit: str) -> tuple[list[Bar], dict[str, float]]:
    """The bars that need data of their own (summary, history, backfill, command, demo); seconds of RFM summaries."""
    from genome_pipeline.calendar import Period

    log, end = folder / "rfm.parquet", str(Period.MONTH.shift(_FIRST_MONTH, MONTHS))
    write_log(log, lines=RFM_LINES, customers=RFM_LINES // 50, days=_days(MONTHS), start=_FIRST_MONTH)
    rfm = measured(_rfm, str(log), end).seconds
    bars = [
        Bar(f"RFM summary against {name}, 5 M lines", rfm[name] / rfm["ours"], bound, "x faster", is_least=True)
        for name, bound in (("lifetimes", 20), ("pandas", 5))
        if name in rfm
    ]
    long, short = (new_month(folder, history, memory_limit) for history in (36, 6))
    bars.append(
        Bar("new month with 36 months of history against 6", long.total_seconds / short.total_seconds, 1.5, "x")
    )
    _tell("new month", "36 months before", long)
    _tell("new month", "6 months before", short)
    many, one = (backfill(folder, first, memory_limit) for first in (0, MONTHS - 1))
    bars.append(Bar("backfill of 24 months against one", many.total_seconds / one.total_seconds, 8, "x"))
    _tell("backfill", "24 months", many)
    _tell("backfill", "one month", one)
    bars.append(Bar("`genome --help`", measured(_help).total_seconds, 0.5, "s"))
    return bars + demo_bars(folder), rfm


def demo_bars(folder: Path) -> list[Bar]:
    """``genome run`` on the demo: how long, and against the same functions called in a row."""
    from genome_pipeline.settings import load_settings

    if not Path(load_settings(DEMO_CONFIG).source.path).exists():
        print("demo skipped: `make demo` writes its log", file=sys.stderr)
        return []
    seconds = {}
    for name, work in (("run", _genome_run), ("plain", _plain_calls)):
        seconds[name] = measured(work, str(DEMO_CONFIG), str(folder / f"demo-{name}")).total_seconds
    return [
        Bar("`genome run` on the demo against its functions in a row", seconds["run"] / seconds["plain"], 1.4, "x"),
        Bar("`genome run` on the demo", seconds["run"], 45, "s"),
    ]


# --- Telling


def table_of_bars(bars: Sequence[Bar], baseline: Mapping[str, float]) -> str:
    """The bars as a Markdown table, beside the values of the baseline."""
    lines = ["| on this machine, same run, same data | measured | bar | met | baseline | change |"]
    lines.append("| --- | ---: | ---: | --- | ---: | ---: |")
    for bar in bars:
        before = baseline.get(bar.name)
        change = f"{bar.value / before - 1:+.0%}" if before else ""
        sign, met = "≥" if bar.is_least else "≤", "yes" if bar.is_met else "no"
        lines.append(
            f"| {bar.name} | {_short(bar.value)} {bar.unit} | {sign} {_short(bar.bound)} | {met}"
            f" | {_short(before) if before else ''} | {change} |"
        )
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table_of_stages(run: Mapping[str, Any]) -> str:
    """What each stage of a run took, as a Markdown table."""
    lines = [
        f"\n## {run['lines']:,} lines, {run['customers']:,} customers, memory limit {run['memory_limit']}\n",
        f"Log {run['log_gb']:.2f} GB, warehouse {run['warehouse_gb']:.2f} GB, published file {run['published_gb']:.2f}"
        " GB.\n",
        "| stage | s | lines/s | its checks, s | peak GB | read GB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, found in run["costs"].items():
        cost = Cost(**found)
        own = cost.seconds[name]
        lines.append(
            f"| {name} | {own:.2f} | {run['lines'] / own:,.0f} | {cost.total_seconds - own:.2f} | {cost.peak_gb:.2f}"
            f" | {cost.read_gb:.2f} |"
        )
    stored = [f"{name} {seconds:.2f} s" for name, seconds in run["storing"].items()]
    times = sum(run["storing"].values()) / Cost(**run["costs"]["reference"]).total_seconds
    lines.append(
        f"\nDuckDB alone, to store the rows of these tables in a new file: {', '.join(stored)}; together {times:.1f}"
        " times the reference."
    )
    return "\n".join(lines) + "\n"


def curves(runs: Sequence[Mapping[str, Any]]) -> str:
    """Minutes, peak memory and published file of whole runs over their lines, as Mermaid charts in Markdown."""
    lines = ", ".join(f'"{run["lines"] / 1e6:.0f} M"' for run in runs)
    costs = [[Cost(**cost) for name, cost in run["costs"].items() if name != "reference"] for run in runs]
    charts = {
        "minutes": [sum(cost.total_seconds for cost in each) / 60 for each in costs],
        "peak GB": [max(cost.peak_gb for cost in each) for each in costs],
        "published GB": [run["published_gb"] for run in runs],
    }
    return "".join(
        f'\n```mermaid\nxychart-beta\n    title "{name} of a run"\n    x-axis "lines" [{lines}]\n    y-axis "{name}"\n'
        f"    line [{', '.join(f'{value:.2f}' for value in values)}]\n```\n"
        for name, values in charts.items()
    )


def main() -> None:
    """Measure, print and store."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000_000, 10_000_000, 50_000_000])
    parser.add_argument(
        "--memory-limit", default="4GB", help="DuckDB's, of each process; 50 million lines go beyond it"
    )
    parser.add_argument("--runs-only", action="store_true", help="leave out the bars that need data of their own")
    parser.add_argument("--keep-as", default="speed", help="name of the results; `baseline` to compare with later")
    arguments = parser.parse_args()
    runs, bars = [], []
    rfm: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="genome-speed-") as folder:
        for lines in sorted(arguments.lines):
            runs.append(whole_run(Path(folder), lines, arguments.memory_limit))
            bars += run_bars(runs[-1])
        if not arguments.runs_only:
            others, rfm = other_bars(Path(folder), arguments.memory_limit)
            bars += others
    if len(runs) > 1:
        bars.append(Bar("slope of time over lines, log-log", slope(runs), 1.05, ""))
    RESULTS.mkdir(parents=True, exist_ok=True)
    baseline = json.loads(BASELINE.read_text())["bars"] if BASELINE.exists() else {}
    table = table_of_bars(bars, {bar["name"]: bar["value"] for bar in baseline} if baseline else {})
    summaries = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in rfm.items())
    text = "# Speed on one machine\n\n" + table
    if rfm:
        text += f"\nRFM summaries: {summaries}, where `grouping` is DuckDB's own, by customer and day and no more.\n"
    text += "".join(map(table_of_stages, runs))
    if len(runs) > 1:
        text += curves(runs)
    print(text)
    found = {"cores": os.cpu_count(), "bars": [asdict(bar) for bar in bars], "rfm_seconds": rfm, "runs": runs}
    (RESULTS / f"{arguments.keep_as}.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (RESULTS / f"{arguments.keep_as}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
