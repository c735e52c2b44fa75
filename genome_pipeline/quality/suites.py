"""Suites of Great Expectations, made from contracts, and their judgement of what was counted.

A suite holds one expectation of a standard kind for each statement that has one, and SQL for the rest; in its JSON form
anyone's Great Expectations can load and run it. Here its expectations judge by the counts of
:mod:`genome_pipeline.quality.counting`, which a test finds to be those of Great Expectations' own queries. Results hold
counts only, and no value of a row.

Great Expectations takes seconds to import, so it is imported only where a validation runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from genome_pipeline.contracts.column import AS_READ
from genome_pipeline.contracts.tables import Table
from genome_pipeline.quality.counting import Counts
from genome_pipeline.quality.expectations import (
    COLUMNS_CHECK,
    KEY_CHECK,
    TYPES_CHECK,
    Check,
    Standard,
    violations,
)
from genome_pipeline.sql import identifier, literal

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
    from great_expectations.expectations.expectation import Expectation

COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}
"""The result format without values of rows."""

_SQL = "unexpected_rows_expectation"
_ROWS, _ROW_COUNT = "unexpected_rows_query.table", "unexpected_rows_query.row_count"


def load_great_expectations() -> None:
    """Import what a validation needs; it takes seconds, which a caller may want to spend beforehand."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # noqa: F401


@cache
def context() -> EphemeralDataContext:
    """One context per process: creating one takes as long as checking a small table."""
    load_great_expectations()
    import great_expectations

    from genome_pipeline.quality import dialect

    dialect.register()
    made = great_expectations.get_context(mode="ephemeral")
    made.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    return made


def expectations_of(table: Table, checks: Sequence[Check]) -> dict[str, list[Expectation]]:
    """The expectations of each of the checks, by its name; all of them together state it."""
    context()
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    def made(check: Check, kind: str, arguments: Mapping[str, Any]) -> Expectation:
        # One of several says its own part, in the words of Great Expectations.
        words = check.description if len(check.standards) < 2 else None
        configuration = ExpectationConfiguration(
            type=kind, kwargs=dict(arguments), meta={"check": check.name}, description=words
        )
        return configuration.to_domain_obj()

    return {check.name: [made(check, kind, arguments) for kind, arguments in _stated(table, check)] for check in checks}


def _stated(table: Table, check: Check) -> list[tuple[str, Mapping[str, Any]]]:
    """Type and arguments of the expectations of a check."""
    if check.standards:
        return [(standard.kind, standard.arguments) for standard in check.standards]
    if check == COLUMNS_CHECK:
        return [("expect_table_columns_to_match_ordered_list", {"column_list": list(table.columns)})]
    if check.name == KEY_CHECK:
        if len(table.key) == 1:
            return [("expect_column_values_to_be_unique", {"column": table.key[0]})]
        return [("expect_compound_columns_to_be_unique", {"column_list": list(table.key)})]
    query = _wrong_types(table) if check == TYPES_CHECK else violations(table, check, "{batch}", "true")
    return [(_SQL, {"unexpected_rows_query": query})]


def _wrong_types(table: Table) -> str:
    wrong = [
        f"typeof({identifier(column.name)}) <> {literal(column.type)}"
        for column in table.fields
        if column.type != AS_READ
    ]
    return f"SELECT 1 AS wrong FROM {{batch}} WHERE {' OR '.join(wrong) or 'false'} LIMIT 1"


def judge(
    table: Table, checks: Sequence[Check], counts: Counts, columns: Sequence[str], faults: Mapping[str, str]
) -> list[ExpectationValidationResult]:
    """What the expectations of the checks say of the counts, in their order.

    ``columns`` are those found; ``faults`` say why a check cannot hold, or could not be counted.
    """
    row_count = sum(counts.rows.values())
    by_check = expectations_of(table, checks)
    results = []
    for check in checks:
        for position, expectation in enumerate(by_check[check.name]):
            if check == COLUMNS_CHECK:
                results.append(_judged(expectation, {"table.columns": list(columns)}))
            elif check == TYPES_CHECK:
                results.append(_judged(expectation, {_ROWS: [], _ROW_COUNT: int(check.name in faults)}))
            elif check.name in faults:
                results.append(not_judged(expectation, faults[check.name]))
            else:
                standard = check.standards[position] if check.standards else None
                results.append(_judged(expectation, _metrics(expectation, check, standard, counts, row_count)))
    return results


def _metrics(
    expectation: Expectation, check: Check, standard: Standard | None, counts: Counts, row_count: int
) -> dict[str, Any]:
    """What the expectation judges by, under the names that Great Expectations gives it."""
    broken, ignored = sum(counts.broken[check.name].values()), 0
    if standard is not None:
        broken, ignored = counts.met[standard.breach], counts.met[standard.ignored]
    if expectation.expectation_type == _SQL:
        return {_ROWS: [], _ROW_COUNT: broken}
    kind = expectation.map_metric  # type: ignore[attr-defined]
    return {
        "table.row_count": row_count,
        "column_values.nonnull.unexpected_count": ignored,
        f"{kind}.unexpected_count": broken,
        f"{kind}.filtered_row_count": row_count - ignored,
    }


def _judged(expectation: Expectation, metrics: Mapping[str, Any]) -> ExpectationValidationResult:
    from great_expectations.core import ExpectationValidationResult

    found = expectation._validate(metrics=dict(metrics), runtime_configuration={"result_format": COUNTS_ONLY})
    return ExpectationValidationResult(
        success=found["success"],
        expectation_config=expectation.configuration,
        result=found.get("result", {}),
        exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
    )


def not_judged(expectation: Expectation, reason: str) -> ExpectationValidationResult:
    """The result of an expectation that could not be judged: it counts as failed."""
    from great_expectations.core import ExpectationValidationResult

    return ExpectationValidationResult(
        success=False,
        expectation_config=expectation.configuration,
        result={},
        exception_info={"raised_exception": True, "exception_message": reason, "exception_traceback": ""},
    )


def suite_result(
    name: str, results: Sequence[ExpectationValidationResult], meta: Mapping[str, Any]
) -> ExpectationSuiteValidationResult:
    """The results of a suite, with their number."""
    from great_expectations.core import ExpectationSuiteValidationResult

    passed = sum(bool(result.success) for result in results)
    return ExpectationSuiteValidationResult(
        success=passed == len(results),
        results=list(results),
        suite_name=name,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": passed,
            "unsuccessful_expectations": len(results) - passed,
            "success_percent": 100 * passed / len(results) if results else None,
        },
        meta=dict(meta),
    )
