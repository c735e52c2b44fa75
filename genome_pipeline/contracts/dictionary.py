"""The data dictionary, generated from the contracts: rows for the published file, Markdown for the docs."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from genome_pipeline.contracts.column import AS_READ, Column
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.contracts.views import VIEWS, View


def data_dictionary() -> pd.DataFrame:
    """Table ``data_dictionary``: one row per column of each published table and view."""
    described: list[Table | View] = [table for table in TABLES.values() if table.is_published]
    rows = [
        (
            table.name,
            column.name,
            column.type,
            column.unit,
            _bound(column.minimum),
            _bound(column.maximum),
            table.grain,
            column.description,
        )
        for table in [*described, *VIEWS.values()]
        for column in table.fields
    ]
    return pd.DataFrame(rows, columns=list(TABLES["data_dictionary"].columns))


def as_markdown() -> str:
    """The dictionary of every table, published or not, as a Markdown page."""
    parts = [
        "# Data dictionary",
        "",
        "Made from `genome_pipeline/contracts/` by `make docs`; do not edit by hand.",
        "",
        "In the published file every table with one slice per snapshot stands twice: `<table>` is the latest snapshot,"
        " `<table>_history` holds all of them.",
    ]
    for table in TABLES.values():
        where = "published" if table.is_published else "warehouse only"
        parts += ["", *_section(table, where, table.nullable)]
    parts += ["", "# Views for common questions", "", "In the published file, of the latest snapshot."]
    for view in VIEWS.values():
        parts += ["", *_section(view, "published view", frozenset())]
    return "\n".join(parts) + "\n"


def _section(table: Table | View, where: str, nullable: frozenset[str]) -> list[str]:
    lines = [
        f"## {table.name}",
        "",
        table.description,
        "",
        f"One row per {table.grain}; key: {', '.join(f'`{name}`' for name in table.key)}; {where}.",
        "",
        "| column | type | unit | null | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for column in table.fields:
        type_ = "as read" if column.type == AS_READ else column.type
        null = "yes" if column.name in nullable else ""
        lines.append(f"| `{column.name}` | {type_} | {column.unit or ''} | {null} | {_meaning(column)} |")
    return lines


def _meaning(column: Column) -> str:
    values = f" One of: {', '.join(column.values)}." if column.values else ""
    return column.description + values


def _bound(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(as_markdown(), encoding="utf-8")
