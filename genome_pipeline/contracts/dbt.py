"""The published tables as sources of a dbt project, with their descriptions and tests, generated from the contracts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from genome_pipeline.contracts.column import Column
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.contracts.views import VIEWS, View

SOURCE = "genome"
"""Name of the source, and of the database as which the project attaches the published file."""

_HEAD = "# Made from genome_pipeline/contracts/ by `make docs`; do not edit by hand.\n"


def sources() -> str:
    """The sources file of dbt (1.10.5 or newer), as YAML: each published table and view.

    A table with snapshots stands twice, as in the published file. The one of the latest snapshot has all tests, the one
    of all snapshots that of its key. ``unique_together`` and ``within_bounds`` are tests of the project itself.
    """
    tables: list[dict[str, Any]] = []
    for table in TABLES.values():
        if not table.is_published:
            continue
        whole = _whole(table, table.name)
        if table.is_snapshot:
            whole["description"] = f"{table.description} Latest snapshot."
            history = {"name": table.published_name, "description": f"{table.description} All snapshots."}
            columns = [_column(column) for column in table.fields]
            tables.append({**history, "data_tests": [_unique(table.published_name, table.key)], "columns": columns})
        tables.append(whole)
    tables += [_view(view) for view in VIEWS.values()]
    content = {"version": 2, "sources": [{"name": SOURCE, "database": SOURCE, "schema": "main", "tables": tables}]}
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=116)
    return _HEAD + text


def _whole(table: Table, name: str) -> dict[str, Any]:
    tests = [_unique(name, table.key)]
    if bounds := {column.name: _bounds(column) for column in table.fields if _bounds(column)}:
        tests.append({"within_bounds": {"name": f"{name}_within_bounds", "arguments": {"bounds": bounds}}})
    referred = {reference.columns[0]: reference for reference in table.references if len(reference.columns) == 1}
    columns = []
    for column in table.fields:
        checks: list[Any] = [] if column.name in table.nullable else ["not_null"]
        if column.values:
            checks.append({"accepted_values": {"arguments": {"values": [*column.values]}}})
        if reference := referred.get(column.name):
            to = {"to": f"source('{SOURCE}', '{reference.table}')", "field": reference.their_columns[0]}
            checks.append({"relationships": {"arguments": to}})
        columns.append(_column(column) | ({"data_tests": checks} if checks else {}))
    return {"name": name, "description": table.description, "data_tests": tests, "columns": columns}


def _view(view: View) -> dict[str, Any]:
    columns = [
        _column(column) | ({"data_tests": ["not_null"]} if column.name in view.key else {}) for column in view.fields
    ]
    return {
        "name": view.name,
        "description": view.description,
        "data_tests": [_unique(view.name, view.key)],
        "columns": columns,
    }


def _column(column: Column) -> dict[str, Any]:
    return {"name": column.name, "description": column.comment}


def _unique(name: str, key: Sequence[str]) -> dict[str, Any]:
    return {"unique_together": {"name": f"{name}_key_is_unique", "arguments": {"columns": [*key]}}}


def _bounds(column: Column) -> dict[str, float]:
    bounds = {"least": column.minimum, "most": column.maximum}
    return {name: value for name, value in bounds.items() if value is not None}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(sources(), encoding="utf-8")
