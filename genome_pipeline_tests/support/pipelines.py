"""Whole runs on small logs, and how their tables are compared."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pandas.testing

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.definitions import build_definitions
from genome_pipeline.orchestration.assets.drift import gene_drift
from genome_pipeline.orchestration.assets.features import customer_features
from genome_pipeline.orchestration.assets.ingestion import raw_transactions
from genome_pipeline.orchestration.assets.stage import Stage
from genome_pipeline.orchestration.assets.tables import LINE_STAGES
from genome_pipeline.orchestration.home import prepare_home
from genome_pipeline.orchestration.runs.run import Outcome, run
from genome_pipeline.orchestration.runs.staleness import Span
from genome_pipeline.settings import Settings, load_settings

EXAMPLES = Path(__file__).parents[2] / "examples"
SHARED_LOGS = Path(__file__).parents[3] / "shared" / "data"

RUN_FACTS = {"run_id", "ingested_at", "written_at", "checked_at", "published_at"}
"""Columns that say when and by what a row was made, not what it says."""

SHOP_START, SHOP_MONTHS = date(2020, 1, 1), 7


def write_shop_log(path: Path, customers: int = 220, seed: int = 1) -> None:
    """A seeded log of seven months: regular, fading and one-time customers, some returns and some broken rows."""
    generator = random.Random(seed)
    end = datetime(2020, 8, 1)
    rows: list[tuple[Any, ...]] = []
    order = 0
    for number in range(customers):
        kind = number % 4
        moment = datetime(2020, 1, 1, 9) + timedelta(days=generator.uniform(0, 150))
        gap_days = (9, 25, 60, 10_000)[kind]
        lives_until = moment + timedelta(days=generator.uniform(60, 400) if kind < 2 else 500)
        while moment < min(end, lives_until):
            order += 1
            for product in generator.sample(range(30), generator.randint(1, 3)):
                line = [f"c{number:04d}", f"o{order}", moment.isoformat(sep=" ", timespec="seconds"), f"p{product}"]
                line += [("food", "drink", "home")[product % 3], str(generator.randint(1, 4)), f"{2 + product / 3:.2f}"]
                rows.append(tuple(line))
                if generator.random() < 0.03:
                    rows.append((line[0], f"r{order}", *line[2:5], "-1", line[6]))
            moment += timedelta(days=generator.expovariate(1 / gap_days) + 0.5)
    rows.append(("", "o0", "2020-03-03 10:00:00", "p1", "food", "1", "2.00"))
    rows.append(("c0001", "o0", "2020-13-03", "p1", "food", "1", "2.00"))
    rows.append(("c0001", "o0", "2020-03-04 10:00:00", "p1", "food", "1", "0"))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("customer", "order", "date", "sku", "department", "units", "price"))
        writer.writerows(rows)


SHOP_CONFIG = """
home = "{home}"
[source]
path = "{path}"
currency = "EUR"
[source.columns]
customer_id = "customer"
order_id = "order"
ordered_at = "date"
product_id = "sku"
category = "department"
quantity = "units"
unit_price = "price"
[calendar]
start = 2020-01-01
end = 2020-08-01
[predict]
horizon_days = 28
"""


def shop(folder: Path, path: str = "log.csv") -> Path:
    """A folder with the shop's log and config; returns the config."""
    folder.mkdir(parents=True, exist_ok=True)
    write_shop_log(folder / "log.csv")
    return shop_config(folder, path)


def shop_config(folder: Path, path: str = "log.csv", home: str = "home", more: str = "") -> Path:
    """A config for the log at ``path`` in ``folder``."""
    config = folder / f"{home}.toml"
    config.write_text(SHOP_CONFIG.format(home=folder / home, path=path) + more, encoding="utf-8")
    return config


def split_by_month(folder: Path) -> Path:
    """The shop's log as a file for each month, the rows without one in the first; returns their folder."""
    header, *lines = (folder / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    months: dict[str, list[str]] = {f"2020-{month:02d}": [] for month in range(1, SHOP_MONTHS + 1)}
    for line in lines:
        months.get(line.split(",")[2][:7], months["2020-01"]).append(line)
    landing = folder / "landing"
    landing.mkdir()
    for month, rows in months.items():
        (landing / f"{month}.csv").write_text(header + "".join(rows), encoding="utf-8")
    return landing


def make(config: Path, first: str | None = None, last: str | None = None) -> tuple[Settings, Outcome]:
    """Run the pipeline; dates are ``as_of``."""
    settings = load_settings(config)
    span = Span(date.fromisoformat(first) if first else None, date.fromisoformat(last) if last else None)
    return settings, run(settings, span, lambda *_: None)


def measure(settings: Settings, first: date, last: date) -> dg.ExecuteInProcessResult:
    """Make the assets up to ``gene_drift``, with their checks, for the periods that start at ``first`` to ``last``."""
    stages = (raw_transactions, *LINE_STAGES, customer_features, gene_drift)
    return materialise(settings, stages, first, last)


def materialise(settings: Settings, stages: Iterable[Stage], first: date, last: date) -> dg.ExecuteInProcessResult:
    """Make the assets of ``stages``, with their checks, for the periods that start at ``first`` to ``last``."""
    prepare_home(settings)
    return (
        build_definitions(settings)
        .resolve_job_def("refresh")
        .execute_in_process(
            tags={"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)},
            asset_selection=[dg.AssetKey(name) for stage in stages for name in stage.asset_names],
            raise_on_error=False,
        )
    )


def tables(database: Path, as_of: date | None = None) -> dict[str, pd.DataFrame]:
    """Every filled table of a warehouse in order of its key, without :data:`RUN_FACTS`; one snapshot, or all."""
    found = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        for table in TABLES.values():
            if table.group in ("bookkeeping", "quality") or table.is_made_at_publishing:
                continue
            columns = ", ".join(name for name in table.columns if name not in RUN_FACTS)
            where, values = "", []
            if as_of is not None:
                if not table.is_snapshot:
                    continue
                where, values = f"WHERE {table.slice_by} = ?", [as_of]
            found[table.name] = connection.execute(
                f"SELECT {columns} FROM {table.name} {where} ORDER BY {', '.join(table.key)}", values
            ).df()
    return found


def is_empty_in_the_shop(table: str) -> bool:
    """Whether the shop has nothing for a table: it has one horizon, of which others tell, and no experiments."""
    return table.startswith(("outlook_", "contact", "experiment", "rule_proofs"))


def assert_same(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    """Integers, decimals, dates and labels identical, doubles to 1e-9."""
    assert one.keys() == other.keys()
    for name, frame in one.items():
        pandas.testing.assert_frame_equal(frame, other[name], rtol=1e-9, atol=1e-9, obj=name)
