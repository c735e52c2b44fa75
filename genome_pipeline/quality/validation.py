"""Validate tables against their contracts: counted inside DuckDB, judged by Great Expectations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from genome_pipeline.contracts.column import AS_READ
from genome_pipeline.contracts.tables import Table
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.quality.counting import Counts, Slices, count, within
from genome_pipeline.quality.expectations import COLUMNS_CHECK, TYPES_CHECK, Check, checks_of, rows_of, violations
from genome_pipeline.quality.suites import judge

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult

Severity = Literal["ERROR", "WARN"]


@dataclass(frozen=True)
class CheckResult:
    """Result of one check of a table in one period; ``period_start_date`` is ``None`` if it is about no single period.

    ``observed`` is the finding in words, with the number of rows affected. It names no customer, as it is published,
    mailed and logged. ``rows`` is the SQL query that shows the rows to who may read the warehouse; empty if the check
    passed, or is not about rows. ``row_count`` is the number of rows checked. ``details`` are records to show beside
    the words.
    """

    table_name: str
    check_name: str
    severity: Severity
    is_passed: bool
    observed: str
    row_count: int
    period_start_date: date | None = None
    details: tuple[dict[str, Any], ...] = ()
    rows: str = ""


@dataclass(frozen=True)
class Validation:
    """Results of every check of a table on each slice, in the order of ``checks_of``.

    ``expectations`` are the results of every expectation of its suite, on all slices together.
    """

    results: list[CheckResult]
    expectations: list[ExpectationValidationResult]


def validate(database: Path, table: Table, slices: Slices = None) -> Validation:
    """Check the rows of each of ``slices`` in a file, which may already be open in this process.

    Checks of columns and their types are about the whole table: they give one result without a period. A check that
    cannot run (a missing column, a failing query) counts as failed. A file that cannot be opened raises DuckDB's
    error, so that the caller can wait for a lock; a missing file raises :class:`FileNotFoundError`. Keys must be unique
    among the rows checked.
    """
    if not database.exists():  # DuckDB would create it
        raise FileNotFoundError(database)
    with connect(str(database)) as connection:
        connection.execute("SET enable_progress_bar = false")
        types = _types(connection, table)
        checks = checks_of(table)
        failures = _failures(table, types, checks)
        runnable = [check for check in checks if check.columns and check.name not in failures]
        counts = count(connection, table, runnable, slices) if runnable else Counts({}, {}, {}, {})
    failures |= {name: f"not checked, because of an error: {error}" for name, error in counts.errors.items()}
    expectations = judge(table, checks, counts, list(types), failures)
    holding = {check.name for check in checks} - {
        result.expectation_config.meta["check"]  # type: ignore[union-attr]
        for result in expectations
        if not result.success
    }
    results = [
        result
        for check in checks
        for result in _results(
            table, check, slices, counts, failures.get(check.name), check.name in holding, len(types)
        )
    ]
    return Validation(results, expectations)


def _failures(table: Table, types: dict[str, str], checks: Sequence[Check]) -> dict[str, str]:
    """Why checks fail, or cannot run, whatever the rows are: by their names."""
    faults = _column_faults(table, types)
    failures: dict[str, str] = {}
    if disorder := _disorder(table, list(types)):
        failures[COLUMNS_CHECK.name] = disorder
    if faults:
        failures[TYPES_CHECK.name] = "; ".join(faults.values())
    for check in checks:
        # Every query reads the key and the slice.
        needed = {*check.columns, *table.key, table.slice_by}
        in_the_way = [fault for name, fault in faults.items() if name in needed]
        if check.columns and in_the_way:
            failures[check.name] = f"not checked, because {'; '.join(in_the_way)}"
    return failures


def _results(
    table: Table, check: Check, slices: Slices, counts: Counts, failure: str | None, holds: bool, column_count: int
) -> list[CheckResult]:
    if not check.columns or failure:
        said = f"{check.description}: {failure or f'all {column_count} columns'}"
        return [CheckResult(table.name, check.name, "ERROR", holds, said, sum(counts.rows.values()))]
    results = []
    broken = counts.broken[check.name]
    for key, row_count in counts.rows.items():
        # Great Expectations says whether the check holds, the counts say where it does not.
        is_passed = holds or (bool(broken) and key not in broken)
        found = f"all {row_count:,} rows" if is_passed else f"broken by {broken.get(key, 0):,} of {row_count:,} rows"
        chosen = within(table, None if slices is None else [key])
        rows = "" if is_passed else violations(table, check, rows_of(table, chosen), chosen)
        period = None if slices is None else slices[key]
        said = f"{check.description}: {found}"
        results.append(CheckResult(table.name, check.name, "ERROR", is_passed, said, row_count, period, rows=rows))
    return results


def _types(connection: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    rows = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_catalog = current_database() AND table_schema = 'main' AND table_name = ?"
        " ORDER BY ordinal_position",
        [table.name],
    ).fetchall()
    return dict(rows)


def _column_faults(table: Table, types: dict[str, str]) -> dict[str, str]:
    """The fault of each column that is missing or has another type."""
    faults = {}
    for column in table.fields:
        found = types.get(column.name)
        if found is None:
            faults[column.name] = f"{column.name} is missing"
        elif column.type not in (AS_READ, found):
            faults[column.name] = f"{column.name} is {found}, not {column.type}"
    return faults


def _disorder(table: Table, found: list[str]) -> str | None:
    """How the columns found differ from the declared ones; ``None`` if they do not."""
    if not found:
        return "there is no such table"
    if found == list(table.columns):
        return None
    missing = [name for name in table.columns if name not in found]
    unknown = [name for name in found if name not in table.columns]
    words = [f"{what} {', '.join(names)}" for what, names in (("missing", missing), ("undeclared", unknown)) if names]
    return "; ".join(words) or f"in another order: {', '.join(found)}"
