"""Small literal logs, typed as a run would type them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables import RAW_COLUMNS
from genome_pipeline.transforms.lines import typed_lines
from genome_pipeline.transforms.validation import judged_lines

CALENDAR = Calendar(Period.MONTH, date(2020, 1, 1))


def engine() -> Backend:
    """A DuckDB in memory, with the clock of the warehouse."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return ibis.duckdb.from_connection(connection)


def raw(database: Backend, rows: Sequence[Mapping[str, Any]], source_file: str = "log.csv") -> ir.Table:
    """``raw_transactions`` of rows given by our column names; what is not given is null."""
    columns = ", ".join(f"{name} VARCHAR" for name in RAW_COLUMNS)
    database.con.execute(
        f"CREATE OR REPLACE TABLE raw_transactions (source_file VARCHAR, source_row BIGINT, ingested_at TIMESTAMP,"
        f" {columns})"
    )
    for number, row in enumerate(rows, start=1):
        values = [row.get(name.removeprefix("raw_")) for name in RAW_COLUMNS]
        database.con.execute(
            f"INSERT INTO raw_transactions VALUES (?, ?, TIMESTAMP '2026-01-01', {', '.join('?' * len(values))})",
            [source_file, number, *values],
        )
    return database.table("raw_transactions")


def typed(rows: ir.Table, mapped: Sequence[str], calendar: Calendar = CALENDAR, **options: Any) -> ir.Table:
    """The typed lines of ``rows``."""
    return typed_lines(rows, mapped=mapped, calendar=calendar, **options)


def reasons(rows: Sequence[Mapping[str, Any]], *, disabled: Sequence[str] = (), **options: Any) -> list[list[str]]:
    """Reasons of every row, an empty list for a valid one; mapped is what any row has."""
    database = engine()
    mapped = sorted({name for row in rows for name in row})
    lines = typed(raw(database, rows), mapped, **options)
    judged = judged_lines(lines, active_rules(mapped, disabled))
    found = judged.order_by("source_row").select("reasons").to_pyarrow().to_pydict()["reasons"]
    return [reason or [] for reason in found]
