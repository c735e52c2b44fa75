"""Suites made from contracts are Great Expectations' own: it loads their JSON, and finds what the counts found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.quality.expectations import checks_of
from genome_pipeline.quality.own_suites import _datasource
from genome_pipeline.quality.suites import COUNTS_ONLY, expectations_of
from genome_pipeline.quality.validation import validate
from genome_pipeline_tests.support.contract_files import write

RISK = TABLES["customer_risk"]

BROKEN = {
    "customer_risk": {
        "customer_id": "'k' || (i // 2)",
        "churn_probability": "CASE i WHEN 0 THEN 3 WHEN 1 THEN 'NaN'::DOUBLE WHEN 2 THEN NULL ELSE 0.5 END",
        "churn_probability_lower": "CASE WHEN i < 5 THEN 0.7 END",
        "risk_band": "CASE i WHEN 0 THEN 'High' WHEN 1 THEN NULL ELSE 'low' END",
        "p_alive": "CASE i WHEN 0 THEN '-inf'::DOUBLE WHEN 1 THEN 'inf'::DOUBLE END",
    },
    "customer_features": {
        "first_order_date": "CASE WHEN i < 3 THEN DATE '2020-01-02' ELSE DATE '2020-01-01' END",
        "last_order_date": "CASE WHEN i < 4 THEN as_of ELSE DATE '2020-01-01' END",
    },
    "source_files": {"source_file": "'f' || i // 2", "ingested_at": "CASE WHEN i > 0 THEN TIMESTAMP '2020-01-01' END"},
}


def findings(results: Any) -> list[tuple[str, str, bool, Any]]:
    """Check, kind, success and count of each result."""
    return sorted(
        (
            result.expectation_config.meta["check"],
            json.dumps([result.expectation_config.type, result.expectation_config.kwargs], default=str, sort_keys=True),
            bool(result.success),
            result.result.get("unexpected_count", result.result.get("observed_value")),
        )
        for result in results
    )


def stated(table: Table) -> list[Any]:
    return [each for of_check in expectations_of(table, checks_of(table)).values() for each in of_check]


def by_great_expectations(file: Path, table: str) -> Any:
    """What it finds by its own queries; kwargs of a result also hold the id of the batch."""
    from great_expectations import ExpectationSuite

    suite = ExpectationSuite(table, expectations=stated(TABLES[table]))
    with _datasource(file) as datasource:
        asset = datasource.add_query_asset("rows", query=f"SELECT * FROM {table}")
        batch = asset.add_batch_definition_whole_table("rows").get_batch()
        results: list[Any] = list(batch.validate(suite, result_format=COUNTS_ONLY).results)
    for result in results:
        result.expectation_config.kwargs.pop("batch_id", None)
    return results


def test_counts_are_those_of_great_expectations_own_queries(tmp_path: Path) -> None:
    """For a table with nulls, NaN, infinities, repeated keys and crossed intervals."""
    agree(tmp_path, "customer_risk", BROKEN["customer_risk"], some_fail=True)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, BROKEN], ids=["kept", "broken"])
def test_counts_are_those_of_great_expectations_for_every_table(
    tmp_path: Path, changes: Mapping[str, Mapping[str, str]]
) -> None:
    for name in changes or TABLES:
        agree(tmp_path, name, changes.get(name, {}), some_fail=bool(changes))


def agree(folder: Path, table: str, changes: Mapping[str, str], *, some_fail: bool) -> None:
    file = write(folder / "warehouse.duckdb", TABLES[table], changes=changes)
    ours: list[Any] = list(validate(file, TABLES[table]).expectations)
    for result in ours:
        if result.expectation_config.type == "expect_table_columns_to_match_ordered_list":
            assert result.success
    assert findings(ours) == findings(by_great_expectations(file, table))
    assert any(not result.success for result in ours) or not some_fail


def test_standard_kinds_are_used_where_there_are_some() -> None:
    kinds = {expectation.expectation_type for table in TABLES.values() for expectation in stated(table)}
    assert kinds == {
        "expect_table_columns_to_match_ordered_list",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_unique",
        "expect_compound_columns_to_be_unique",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "unexpected_rows_expectation",
    }
    of_risk = [expectation.expectation_type for expectation in stated(RISK)]
    assert of_risk.count("unexpected_rows_expectation") == 3  # the types, and the customers of both tables
