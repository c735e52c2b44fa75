"""Validate tables against their contracts with Great Expectations, inside DuckDB.

Great Expectations takes seconds to import, so it is imported only where a validation runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from genome_pipeline.contracts.column import AS_READ
from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.tables import Table
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.quality.expectations import (
    COLUMNS_CHECK,
    TYPES_CHECK,
    Check,
    checks_of,
    expectations_of,
    rows_query,
)

if TYPE_CHECKING:
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource

_SOURCE = "warehouse"

Severity = Literal["ERROR", "WARN"]
Slices = Mapping[date | None, date | None] | None
"""Date of each slice to check (``None``: the null slice) -> start of its period; ``None`` for the whole table."""


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


def validate_table(database: Path, table: Table, slices: Slices = None) -> list[CheckResult]:
    """Results of every check of the table on the rows of each of ``slices``, in the order of ``checks_of``.

    Checks of columns and their types are about the whole table: they give one result without a period.
    """
    return validate_tables(database, [(table, slices)])


def validate_tables(database: Path, tables: Sequence[tuple[Table, Slices]]) -> list[CheckResult]:
    """Results of every check of several tables of one file, which is opened once or already open in this process.

    A check that cannot run (a missing column, a failing query) counts as failed. A file that cannot be opened raises
    DuckDB's error, so that the caller can wait for a lock; a missing file raises :class:`FileNotFoundError`. Keys
    must be unique among the rows checked.
    """
    if not database.exists():  # DuckDB would create it
        raise FileNotFoundError(database)
    # Kept open to the end, so that no writer comes between reading the catalogue and running the expectations.
    with connect(str(database)) as connection, _datasource(database) as datasource:
        connection.execute("SET enable_progress_bar = false")
        return [result for table, slices in tables for result in _table_results(connection, datasource, table, slices)]


def load_great_expectations() -> None:
    """Import what a validation needs; it takes seconds, which a caller may want to spend beforehand."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # noqa: F401


@contextmanager
def _datasource(database: Path) -> Iterator[SQLDatasource]:
    from genome_pipeline.quality import dialect

    context = _context()
    datasource = context.data_sources.add_sql(  # type: ignore[call-arg]
        _SOURCE,
        # The path is not part of the connection string, in which some characters have a meaning.
        connection_string=f"{dialect.DRIVER}:///",
        create_temp_table=False,
        kwargs={"connect_args": {"database": str(database)}},
    )
    try:
        yield datasource
    finally:
        # A data source keeps two engines, and each keeps the file open until it is disposed of.
        datasource.get_execution_engine().close()
        datasource.get_engine().dispose()
        context.data_sources.delete(_SOURCE)


@cache
def _context() -> EphemeralDataContext:
    """One context per process: creating one takes as long as checking a small table."""
    load_great_expectations()
    import great_expectations

    from genome_pipeline.quality import dialect

    dialect.register()
    context = great_expectations.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    return context


def _table_results(
    connection: duckdb.DuckDBPyConnection, datasource: SQLDatasource, table: Table, slices: Slices
) -> list[CheckResult]:
    types = _types(connection, table)
    faults = _column_faults(table, types)
    failures: dict[str, str] = {}
    if disorder := _disorder(table, list(types)):
        failures[COLUMNS_CHECK.name] = disorder
    if faults:
        failures[TYPES_CHECK.name] = "; ".join(faults.values())

    checks = checks_of(table)
    runnable = []
    for check in checks:
        if check in (COLUMNS_CHECK, TYPES_CHECK):
            continue
        # Every query reads the key and the slice.
        needed = {*check.columns, *table.key, table.slice_by}
        if in_the_way := [fault for name, fault in faults.items() if name in needed]:
            failures[check.name] = f"not checked, because {'; '.join(in_the_way)}"
        else:
            runnable.append(check)

    row_counts: dict[date | None, int] = {}
    found: dict[str, dict[date | None, str]] = {}
    if runnable:
        rows = _rows_of(table, slices)
        row_counts = _row_counts(connection, table, rows, slices)
        found = _failures(datasource, table, runnable, slices, row_counts)

    results = []
    for check in checks:
        if not check.columns or check.name in failures:
            observed = f"{check.description}: {failures.get(check.name, f'all {len(types)} columns')}"
            results.append(
                CheckResult(
                    table.name, check.name, "ERROR", check.name not in failures, observed, sum(row_counts.values())
                )
            )
            continue
        broken = found[check.name]
        for key, row_count in row_counts.items():
            observed = f"{check.description}: {broken.get(key, f'all {row_count:,} rows')}"
            period = None if slices is None else slices[key]
            within = _within(table, None if slices is None else {key: period})
            results.append(
                CheckResult(
                    table.name,
                    check.name,
                    "ERROR",
                    key not in broken,
                    observed,
                    row_count,
                    period,
                    rows=rows_query(table, check, within) if key in broken else "",
                )
            )
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


def _rows_of(table: Table, slices: Slices) -> str:
    """Query of the rows to check."""
    return f"SELECT * FROM {table.name} WHERE {_within(table, slices)}"


def _within(table: Table, slices: Slices) -> str:
    """SQL condition of the slices to check."""
    if slices is None:
        return "true"
    if table.slice_by is None or COLUMNS[table.slice_by].type != "DATE":
        raise ValueError(f"table {table.name} has no slices by date; check it whole")
    dates = [f"DATE '{day.isoformat()}'" for day in slices if day is not None]
    conditions = [f"{table.slice_by} IN ({', '.join(dates)})"] * bool(dates)
    conditions += [f"{table.slice_by} IS NULL"] * (None in slices)
    return f"({' OR '.join(conditions) or 'false'})"


def _row_counts(
    connection: duckdb.DuckDBPyConnection, table: Table, rows: str, slices: Slices
) -> dict[date | None, int]:
    """Number of rows in each slice, including empty ones; under ``None`` if the table is checked as a whole."""
    if slices is None:
        return {None: connection.execute(f"SELECT count(*) FROM ({rows})").fetchall()[0][0]}
    found = dict(connection.execute(f"SELECT {table.slice_by}, count(*) FROM ({rows}) GROUP BY 1").fetchall())
    return {key: found.get(key, 0) for key in slices}


def _failures(
    datasource: SQLDatasource,
    table: Table,
    checks: Sequence[Check],
    slices: Slices,
    row_counts: Mapping[date | None, int],
) -> dict[str, dict[date | None, str]]:
    """Failures that Great Expectations found, in words, by check and slice, or why a check could not run."""
    from great_expectations import ExpectationSuite

    def everywhere(reason: str) -> dict[date | None, str]:
        return dict.fromkeys(row_counts, f"not checked, because {reason}")

    # A check counts as failed until a result says otherwise.
    failures = {check.name: everywhere("Great Expectations returned no result") for check in checks}
    try:
        asset = datasource.add_query_asset(f"{table.name} {len(datasource.assets)}", query=_rows_of(table, slices))
        batch = asset.add_batch_definition_whole_table("rows").get_batch()
        expectations = expectations_of(table, checks, within=_within(table, slices), by_slice=slices is not None)
        suite = ExpectationSuite(table.name, expectations=list(expectations))
        results = batch.validate(suite, result_format="COMPLETE").results
    except Exception as error:  # an unexpected error must not let a table pass
        return dict.fromkeys(failures, everywhere(f"of an error: {_first_line(error)}"))
    keys = {str(key): key for key in row_counts}
    for result in results:
        names = result.expectation_config.meta["checks"]  # type: ignore[union-attr]
        if reason := _exception(result.exception_info):
            failures |= dict.fromkeys(names, everywhere(f"of an error: {_first_line(reason)}"))
            continue
        unexpected = result.result["details"]["unexpected_rows"]
        failures |= {name: {} for name in names}
        for row in unexpected:
            for found in row["slices"]:
                key = keys[str(found["slice"])]
                failures[row["check_name"]][key] = (
                    f"broken by {found['unexpected_count']:,} of {row_counts[key]:,} rows"
                )
    return failures


def _exception(info: dict[str, Any]) -> str | None:
    """Why an expectation could not run; its information is one exception, or one per metric."""
    exceptions = [info] if "raised_exception" in info else list(info.values())
    return next((str(each["exception_message"]) for each in exceptions if each["raised_exception"]), None)


def _first_line(error: object) -> str:
    # Later lines repeat the query.
    return (str(error).splitlines() or [repr(error)])[0]
