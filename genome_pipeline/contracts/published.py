"""The published schema: names and types that dashboards and BI tools rely on, under semantic versioning.

An addition raises the minor version; a removal, a renaming or a change of type raises the major one. The released
schema is in ``published_schema.json``, which ``make docs`` writes; a test compares the contracts with it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypedDict

from genome_pipeline.contracts.column import AS_READ, Column
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.views import VIEWS

PUBLISHED_VERSION = "2.4.0"

PUBLISHED_FILE = Path("published", "genome.duckdb")
"""The published file, in the home of a pipeline."""

Schema = dict[str, dict[str, str]]
"""Table or view -> column -> type."""


class Release(TypedDict):
    """A schema with its version."""

    version: str
    tables: Schema


def published_schema() -> Release:
    """The schema that the contracts declare."""
    tables: Schema = {}
    for table in TABLES.values():
        if table.is_published:
            columns = {column.name: _type(column) for column in table.fields}
            tables[table.name] = columns
            if table.is_snapshot:
                tables[table.published_name] = columns
    tables |= {view.name: {column.name: _type(column) for column in view.fields} for view in VIEWS.values()}
    return {"version": PUBLISHED_VERSION, "tables": tables}


def _type(column: Column) -> str:
    """The published type; columns with the source's own type are published as text, so that readers can rely on it."""
    return "VARCHAR" if column.type == AS_READ else column.type


def least_version(released: Release, tables: Schema) -> str:
    """The lowest version allowed for ``tables`` after ``released``."""
    major, minor, _ = map(int, released["version"].split("."))
    if breaking_changes(released["tables"], tables):
        return f"{major + 1}.0.0"
    return released["version"] if tables == released["tables"] else f"{major}.{minor + 1}.0"


def breaking_changes(before: Schema, after: Schema) -> list[str]:
    """Changes that would break a reader of ``before``, in words."""
    changes = []
    for table, columns in before.items():
        if table not in after:
            changes.append(f"{table} is gone")
            continue
        for column, type_ in columns.items():
            found = after[table].get(column)
            if found is None:
                changes.append(f"{table}.{column} is gone")
            elif found != type_:
                changes.append(f"{table}.{column} is {found}, no longer {type_}")
    return changes


def unreadable_because(found: str | None) -> str | None:
    """Why this program cannot read a published file of version ``found`` (None: a file without a version)."""
    if found is None or parsed(found)[:2] < parsed(PUBLISHED_VERSION)[:2]:
        older = f"version {found}" if found else "a version of before they were numbered"
        return f"its schema is {older}, this program reads {PUBLISHED_VERSION}: publish it anew with `genome run`"
    if parsed(found)[0] > parsed(PUBLISHED_VERSION)[0]:
        return f"its schema is version {found}, this program reads {PUBLISHED_VERSION}: use the newer program"
    return None


def not_ours(path: Path) -> str:
    """The error sentence for a database that belongs to another program, at the published file's place or another."""
    remedy = (
        "move it away, then publish with `genome run`"
        if path.parts[-2:] == PUBLISHED_FILE.parts
        else f"name {PUBLISHED_FILE} in the home of a pipeline"
    )
    return f"{path} is another program's database, without a table 'pipeline_runs': {remedy}"


def version_in(connection: Any) -> str | None:
    """The schema version recorded in a published file that is open in DuckDB; None if it has none."""
    found = connection.execute("SELECT * FROM pipeline_runs ORDER BY published_at DESC LIMIT 1")
    names = [column[0] for column in found.description]
    return next((dict(zip(names, row, strict=True)).get("published_schema_version") for row in found.fetchall()), None)


def parsed(version: str) -> tuple[int, ...]:
    """Major, minor and patch."""
    return tuple(map(int, version.split(".")))


def release(path: Path) -> None:
    """Write the released schema. Raises :class:`ValueError` for a change whose version is not raised enough."""
    schema = published_schema()
    if path.exists():
        released: Release = json.loads(path.read_text(encoding="utf-8"))
        least = least_version(released, schema["tables"])
        if parsed(schema["version"]) < parsed(least):
            changes = breaking_changes(released["tables"], schema["tables"]) or ["there are new tables or columns"]
            raise ValueError(f"PUBLISHED_VERSION is {schema['version']}, and must be {least}: {'; '.join(changes)}")
    path.write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    release(Path(sys.argv[1]))
