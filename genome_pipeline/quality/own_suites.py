"""Suites that users add: files in Great Expectations' own JSON, one for a table, run by Great Expectations itself.

A suite is of the table that its ``meta`` names, else of the one that the file is named after. What fails blocks the
publication, unless ``meta`` says ``"blocking": false`` or the expectation is of a lower severity than ``critical``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from genome_pipeline.contracts.tables import ID_COLUMNS, TABLES, Table
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.errors import ConfigError
from genome_pipeline.quality import dialect
from genome_pipeline.quality.counting import Slices, row_counts, within
from genome_pipeline.quality.expectations import rows_of
from genome_pipeline.quality.suites import COUNTS_ONLY, context, not_judged
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline.settings.section import suggestion

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
    from great_expectations.expectations.expectation import Expectation

CHECKED_TABLES = tuple(
    table.name
    for table in TABLES.values()
    if table.group not in ("bookkeeping", "quality")
    and table.name not in ("source_files", "changed_periods")
    and not table.is_made_at_publishing
)
"""The tables that a suite may be of: those that a stage makes."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_SQL = "unexpected_rows_expectation"
_COLUMN_KEYS = ("column", "column_A", "column_B")
_COUNTS = (
    "element_count",
    "unexpected_count",
    "unexpected_percent",
    "missing_count",
    "missing_percent",
    "unexpected_percent_total",
    "unexpected_percent_nonmissing",
)
# What DuckDB says of these is about the query; of others, such as a failed conversion, it quotes values.
_ABOUT_THE_QUERY = ("Binder Error", "Catalog Error", "Parser Error")


@dataclass(frozen=True)
class OwnSuite:
    """A suite of a user, for one table; ``name`` is that of its file."""

    name: str
    table: Table
    is_blocking: bool
    suite: ExpectationSuite


def load_own_suites(folder: Path | None) -> list[OwnSuite]:
    """The suites in the folder, in the order of their names; none without a folder.

    Raises :class:`ConfigError`, which names the file, for one that could not run.
    """
    if folder is None:
        return []
    if not folder.is_dir():
        raise ConfigError(f"quality.suites = {str(folder)!r}: there is no such folder; make it, or leave it out")
    return [_load(path) for path in sorted(folder.glob("*.json"))]


def _load(path: Path) -> OwnSuite:
    if not _NAME.fullmatch(path.stem):
        raise ConfigError(f"{path}: name it with letters, digits, - and _ alone, as its page is named after it")
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): it must be a UTF-8 text file you may read") from None
    entries, meta = (data.get("expectations"), data.get("meta") or {}) if isinstance(data, dict) else (None, {})
    if not isinstance(entries, list) or not entries or not isinstance(meta, dict):
        raise ConfigError(
            f'{path} is no suite of Great Expectations: it needs {{"name": …, "expectations": […]}}, as its'
            " suite.to_json_dict() gives it"
        )
    name, is_blocking = meta.get("table", path.stem), meta.get("blocking", True)
    if name not in CHECKED_TABLES:
        raise ConfigError(
            f"{path}: there is no table {name!r}{suggestion(str(name), CHECKED_TABLES)} that a suite can be of; name"
            ' the file as its table, or write "meta": {"table": …}'
        )
    if not isinstance(is_blocking, bool):
        raise ConfigError(f"{path}: meta.blocking = {is_blocking!r} is neither true nor false")
    table = TABLES[name]
    context()
    from great_expectations import ExpectationSuite

    expectations = [_expectation(path, position, entry, table) for position, entry in enumerate(entries, start=1)]
    try:
        suite = ExpectationSuite(str(data.get("name") or path.stem), expectations=expectations)
    except Exception as error:  # Great Expectations raises several kinds
        raise ConfigError(f"{path} is no suite of Great Expectations: {_first_line(error)}") from None
    return OwnSuite(path.stem, table, is_blocking, suite)


def _expectation(path: Path, position: int, entry: Any, table: Table) -> Expectation:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    kind = entry.get("type") if isinstance(entry, dict) else None
    arguments = (entry.get("kwargs") or {}) if isinstance(entry, dict) else None
    if not isinstance(kind, str) or not isinstance(arguments, dict):
        raise ConfigError(f'{path}: expectation {position} needs a "type" and its "kwargs"')
    place = f"{path}: expectation {position} ({kind})"
    known = list_registered_expectation_implementations()
    if kind not in known:
        raise ConfigError(f"{place}: Great Expectations has no such kind{suggestion(kind, known)}")
    if "regex" in kind or "like_pattern" in kind:
        raise ConfigError(
            f"{place}: Great Expectations cannot do this in DuckDB; use {_SQL} with regexp_matches in its query"
        )
    for name in _columns_named(kind, arguments):
        if name not in table.columns:
            raise ConfigError(f"{place}: {table.name} has no column {name!r}{suggestion(name, table.columns)}")
    try:
        expectation = ExpectationConfiguration(**entry).to_domain_obj()
    except Exception as error:  # pydantic's, and others of Great Expectations
        raise ConfigError(f"{place}: {_reason(error)}") from None
    if expectation.suite_parameter_options:
        raise ConfigError(f"{place}: suite parameters are not known here; write the value itself")
    if kind == _SQL:
        _check_query(place, str(arguments.get("unexpected_rows_query")))
    return expectation


def _columns_named(kind: str, arguments: Mapping[str, Any]) -> list[str]:
    """The columns that the expectation reads."""
    named = [arguments.get(key) for key in _COLUMN_KEYS]
    if not kind.startswith("expect_table_columns"):  # these compare lists of names themselves
        named += list(arguments.get("column_list") or ())
    return [str(name) for name in named if name is not None]


def _check_query(place: str, query: str) -> None:
    """A query only reads: the warehouse is open for writing while checks run."""
    if "{batch}" not in query:
        raise ConfigError(f"{place}: the query must read {{batch}}, which stands for the rows to check")
    try:
        statements = duckdb.extract_statements(query.replace("{batch}", "(SELECT 1)"))
    except duckdb.Error as error:
        raise ConfigError(f"{place}: {_first_line(error)}") from None
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise ConfigError(f"{place}: the query must be one SELECT")


def _reason(error: Exception) -> str:
    """The first mistake in the arguments of an expectation."""
    if callable(errors := getattr(error, "errors", None)):
        first = errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return _first_line(error)


@dataclass(frozen=True)
class OwnValidation:
    """Results of every expectation of a suite on each slice; and the one to show of each: of the first that failed."""

    results: list[CheckResult]
    expectations: list[ExpectationValidationResult]


def validate_own(database: Path, own: OwnSuite, slices: Slices) -> OwnValidation:
    """Let Great Expectations run the suite on each of the slices (``None``: on the whole table)."""
    with connect(str(database)) as connection:
        rows = row_counts(connection, own.table, slices)
    names = _names(own)
    results: list[CheckResult] = []
    shown: list[tuple[ExpectationValidationResult, list[date | None]]] = []
    with _datasource(database) as datasource:
        for key, row_count in rows.items():
            period = None if slices is None else slices[key]
            query = f"SELECT * FROM {rows_of(own.table, within(own.table, None if slices is None else [key]))}"
            found = _run(datasource, own, query)
            for position, result in enumerate(found):
                blocks = own.is_blocking and result.expectation_config.severity == "critical"  # type: ignore[union-attr]
                results.append(
                    CheckResult(
                        own.table.name,
                        names[position],
                        "ERROR" if blocks else "WARN",
                        bool(result.success),
                        _in_words(own, result, row_count),
                        row_count,
                        period,
                    )
                )
                if position == len(shown):
                    shown.append((result, []))
                if not result.success:
                    shown[position] = (shown[position][0] if shown[position][1] else result, [*shown[position][1], key])
    return OwnValidation(results, [_with_slices(result, failed) for result, failed in shown])


def _with_slices(result: ExpectationValidationResult, failed: Sequence[date | None]) -> ExpectationValidationResult:
    if any(failed):
        config = result.expectation_config
        config.notes = f"Failed in {', '.join(map(str, failed))}; the first is shown."  # type: ignore[union-attr]
    return result


def _names(own: OwnSuite) -> list[str]:
    """A name of each expectation, which its results have in ``data_quality``."""
    names: list[str] = []
    for expectation in own.suite.expectations:
        name = f"{own.name}: {_said(expectation.configuration)}"
        again = sum(other == name or other.startswith(f"{name} (again ") for other in names)
        names.append(f"{name} (again {again})" if again else name)
    return names


def _said(config: Any) -> str:
    columns = _columns_named(config.type, config.kwargs)
    kind: str = config.type
    return kind.removeprefix("expect_") + (f" of {', '.join(columns)}" if columns else "")


def _in_words(own: OwnSuite, result: ExpectationValidationResult, row_count: int) -> str:
    config = result.expectation_config
    statement = f"{config.description or _said(config)} (suite {own.name})"  # type: ignore[union-attr]
    if reason := result.exception_info.get("exception_message"):
        return f"{statement}: not checked, because of an error: {reason}"
    if result.success:
        return f"{statement}: holds for {row_count:,} rows"
    broken, seen = result.result.get("unexpected_count"), result.result.get("observed_value")
    if broken is not None:
        return f"{statement}: broken by {broken:,} of {row_count:,} rows"
    return f"{statement}: fails{'' if seen is None else f', found {seen:,}'}, in {row_count:,} rows"


def _run(datasource: SQLDatasource, own: OwnSuite, query: str) -> list[ExpectationValidationResult]:
    """Results of each expectation on the rows of the query, without values of rows."""
    from great_expectations import ExpectationSuite

    expectations = own.suite.expectations
    asset = datasource.add_query_asset(f"rows {len(datasource.assets)}", query=query)
    batch = asset.add_batch_definition_whole_table("rows").get_batch()
    try:
        # Great Expectations bundles what it counts into few queries, but not what it would show of each failure.
        results = list(batch.validate(own.suite, result_format="BOOLEAN_ONLY").results)
        by_id = {_identity(result.expectation_config): result for result in results}
        again = [
            expectation
            for expectation in expectations
            if not (found := by_id[_identity(expectation.configuration)]).success and not _exception(found)
        ]
        if again:
            failed = ExpectationSuite(own.name, expectations=[expectation.copy() for expectation in again])
            results = list(batch.validate(failed, result_format=COUNTS_ONLY).results)
            by_id |= {_identity(result.expectation_config): result for result in results}
        return [_counted(expectation, by_id[_identity(expectation.configuration)]) for expectation in expectations]
    except Exception as error:  # an unexpected error must not let a table pass
        return [not_judged(expectation, _without_values(str(error))) for expectation in expectations]


def _identity(config: Any) -> str:
    # Of a result, they also name the batch.
    kwargs = {key: value for key, value in config.kwargs.items() if key != "batch_id"}
    return json.dumps([config.type, kwargs, str(config.severity)], sort_keys=True, default=str)


def _counted(expectation: Expectation, result: ExpectationValidationResult) -> ExpectationValidationResult:
    """The result with its counts alone: a value of a row might name a person."""
    if reason := _exception(result):
        return not_judged(expectation, _without_values(reason))
    kept = {key: result.result[key] for key in _COUNTS if key in result.result}
    observed = result.result.get("observed_value")
    is_number = isinstance(observed, int | float) and not isinstance(observed, bool)
    if is_number and not {*ID_COLUMNS} & {
        *_columns_named(expectation.expectation_type, expectation.configuration.kwargs)
    }:
        kept["observed_value"] = observed
    result.expectation_config = expectation.configuration
    result.result = kept
    return result


def _exception(result: ExpectationValidationResult) -> str | None:
    """Why an expectation could not run; its information is one exception, or one per metric."""
    info = result.exception_info
    exceptions = [info] if "raised_exception" in info else list(info.values())
    return next((str(each["exception_message"]) for each in exceptions if each["raised_exception"]), None)


def _without_values(reason: str) -> str:
    first = _first_line(reason)
    return first if any(kind in first for kind in _ABOUT_THE_QUERY) else "Great Expectations could not run it"


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [repr(error)])[0]


@contextmanager
def _datasource(database: Path) -> Iterator[SQLDatasource]:
    made = context().data_sources.add_sql(  # type: ignore[call-arg]
        "warehouse",
        # The path is not part of the connection string, in which some characters have a meaning.
        connection_string=f"{dialect.DRIVER}:///",
        create_temp_table=False,
        kwargs={"connect_args": {"database": str(database)}},
    )
    try:
        yield made
    finally:
        # A data source keeps two engines, and each keeps the file open until it is disposed of.
        made.get_execution_engine().close()
        made.get_engine().dispose()
        context().data_sources.delete("warehouse")
