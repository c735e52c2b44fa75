"""A folder of source files, taken in and judged as the first two assets do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline.transforms.validation import judged_lines, rejected_lines, rejections, valid_lines
from genome_pipeline.warehouse.database import Warehouse, stored
from genome_pipeline.warehouse.ingestion import ingest, typed_raw

COLUMNS = {"customer_id": "Customer", "order_id": "Order", "ordered_at": "When", "amount": "Paid"}
HEADER = "Customer,Order,When,Paid\n"


def landing_settings(
    folder: Path, pattern: str = "*", columns: Mapping[str, str] = COLUMNS, **options: Any
) -> Settings:
    """Settings from a ``genome.toml`` written into ``folder``, which reads ``in`` and keeps its warehouse there."""
    source: dict[str, str] = {"path": f"in/{pattern}", **options}
    config = folder / "genome.toml"
    config.write_text(
        f"home = {json.dumps(str(folder))}\n[source]\n{_toml(source)}[source.columns]\n{_toml(columns)}"
        "[calendar]\nstart = 2020-01-01\n",
        encoding="utf-8",
    )
    return load_settings(config)


def ingest_and_validate(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> None:
    """Bring the raw rows in line with the files, and judge all of them.

    Raises :class:`SourceError`, as ingestion does.
    """
    warehouse = Warehouse(settings.warehouse_path, settings.results_hash, settings.identity)
    rules = active_rules(list(settings.source.columns.mapped), settings.rules.disabled)
    with warehouse.open() as database:
        ingest(database, settings, progress)
        changed = database.con.execute("SELECT period_start_date FROM changed_periods").fetchall()
        periods = [start for (start,) in changed if start is not None]
        lines = typed_raw(database, settings)
        with stored(database, rejections(judged_lines(lines, rules)), "rejections") as rejected:
            aside = rejected_lines(rejected, database.table("raw_transactions"))
            for name, rows, slices in (
                ("validated_transactions", valid_lines(lines, rejected), periods),
                ("quarantined_transactions", aside, [*periods, None]),
            ):
                warehouse.replace_slices(database, TABLES[name], slices, rows, "run")


def query(settings: Settings, sql: str) -> list[Any]:
    """What a query finds in the warehouse."""
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        return connection.execute(sql).fetchall()


def _toml(values: Mapping[str, str]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
