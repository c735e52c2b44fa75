"""A folder of source files, taken in and judged as the first two assets do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.validation import judged_lines, rejected_lines, valid_lines
from genome_pipeline.warehouse.database import Warehouse, stored
from genome_pipeline.warehouse.ingestion import ingest, typed_raw


def landing_settings(
    folder: Path, columns: Mapping[str, str], pattern: str = "*", start: str = "2020-01-01", **options: Any
) -> Settings:
    """Settings that read ``folder / in / pattern``; the warehouse stands in ``folder``."""
    source = {"path": str(folder / "in" / pattern), "columns": dict(columns), **options}
    return Settings.model_validate({"home": folder, "source": source, "calendar": {"start": start}})


def ingest_and_validate(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> None:
    """Bring the raw rows in line with the files, and judge the rows of all periods.

    Raises :class:`SourceError`.
    """
    warehouse = Warehouse(settings.warehouse_path, settings.results_hash, settings.identity)
    rules = active_rules(list(settings.source.columns.mapped), settings.rules.disabled)
    with warehouse.open() as database:
        ingest(database, settings, progress)
        lines = typed_raw(database, settings)
        changed = database.con.execute("SELECT period_start_date FROM changed_periods").fetchall()
        periods = [start for (start,) in changed]
        wanted = lines.filter(lines.period_start_date.isin(periods) | lines.period_start_date.isnull())
        with stored(database, judged_lines(wanted, rules)) as judged:
            valid = valid_lines(judged)
            warehouse.replace_slices(database, TABLES["validated_transactions"], periods, valid, "run")
            rejected = rejected_lines(judged, database.table("raw_transactions"))
            warehouse.replace_slices(database, TABLES["quarantined_transactions"], [*periods, None], rejected, "run")


def rows(settings: Settings, query: str) -> list[Any]:
    """What a query finds in the warehouse."""
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        return connection.execute(query).fetchall()
