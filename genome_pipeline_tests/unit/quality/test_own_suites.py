"""Suites of users: what is refused, what blocks, and that no value of a row gets out."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.assets.tables import TABLE_STAGES
from genome_pipeline.quality.own_suites import CHECKED_TABLES, load_own_suites, validate_own
from genome_pipeline_tests.support.contract_files import write

RISK = TABLES["customer_risk"]


def expectation(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs}


def suite(folder: Path, *expectations: dict[str, Any], name: str = "customer_risk", **meta: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"name": "mine", "expectations": expectations, "meta": meta}))
    return folder


IN_SET = expectation("expect_column_values_to_be_in_set", column="risk_band", value_set=["low"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON: Expecting property name enclosed in double quotes in line 1, column 2"),
        ("[]", "is no suite of Great Expectations"),
        ({"name": "mine", "expectations": []}, "is no suite of Great Expectations"),
        ({"expectations": [IN_SET], "meta": {"table": "customer_risks"}}, "(did you mean 'customer_risk'?)"),
        ({"expectations": [IN_SET], "meta": {"table": "pipeline_runs"}}, "there is no table 'pipeline_runs'"),
        ({"expectations": [IN_SET], "meta": {"blocking": "no"}}, "meta.blocking = 'no' is neither true nor false"),
        ({"expectations": [{"kwargs": {}}]}, 'expectation 1 needs a "type" and its "kwargs"'),
        (
            {"expectations": [IN_SET, expectation("expect_column_values_to_be_nul", column="as_of")]},
            "expectation 2 (expect_column_values_to_be_nul): Great Expectations has no such kind (did you mean"
            " 'expect_column_values_to_be_null'?)",
        ),
        (
            {"expectations": [expectation("expect_column_values_to_not_be_null", column="risk_bnd")]},
            "customer_risk has no column 'risk_bnd' (did you mean 'risk_band'?)",
        ),
        (
            {"expectations": [expectation("expect_column_values_to_be_in_set", column="risk_band")]},
            "value_set: field required",
        ),
        (
            {"expectations": [expectation("expect_column_values_to_match_regex", column="risk_band", regex="x")]},
            "cannot do this in DuckDB; use unexpected_rows_expectation with regexp_matches",
        ),
        (
            {"expectations": [expectation("unexpected_rows_expectation", unexpected_rows_query="DELETE FROM {batch}")]},
            "Parser Error",
        ),
        (
            {
                "expectations": [
                    expectation(
                        "unexpected_rows_expectation", unexpected_rows_query="SELECT 1 FROM {batch}; DROP TABLE x"
                    )
                ]
            },
            "the query must be one SELECT",
        ),
        (
            {"expectations": [expectation("unexpected_rows_expectation", unexpected_rows_query="SELECT 1")]},
            "the query must read {batch}",
        ),
    ],
)
def test_a_bad_suite_is_refused_in_one_sentence_that_names_its_file(tmp_path: Path, content: Any, said: str) -> None:
    path = tmp_path / "customer_risk.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ConfigError, match=re.escape(said)) as refused:
        load_own_suites(tmp_path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such folder; make it, or leave it out"):
        load_own_suites(tmp_path / "nowhere")
    assert load_own_suites(None) == load_own_suites(tmp_path) == []


def test_a_suite_is_of_the_table_of_its_file_or_of_the_one_that_it_names(tmp_path: Path) -> None:
    suite(tmp_path, IN_SET)
    suite(tmp_path, IN_SET, name="bands", table="customer_risk", blocking=False)
    found = load_own_suites(tmp_path)
    assert [(own.name, own.table.name, own.is_blocking) for own in found] == [
        ("bands", "customer_risk", False),
        ("customer_risk", "customer_risk", True),
    ]


def test_suites_may_be_of_every_table_that_a_stage_makes() -> None:
    made = {name for stage in TABLE_STAGES for name in stage.asset_names} & set(TABLES)
    assert set(CHECKED_TABLES) == made


def test_what_fails_is_counted_by_period_and_blocks_unless_told_otherwise(tmp_path: Path) -> None:
    changes = {"as_of": "DATE '2020-02-01' + INTERVAL (i % 2) MONTH", "risk_band": "if(i < 3, 'high', 'low')"}
    file = write(tmp_path / "warehouse.duckdb", RISK, changes=changes)
    slices: dict[date | None, date | None] = {date(2020, 2, 1): date(2020, 1, 1), date(2020, 3, 1): date(2020, 2, 1)}
    count = expectation("expect_table_row_count_to_be_between", min_value=10, max_value=10)
    warned = {**expectation("expect_column_mean_to_be_between", column="p_alive", max_value=0.5), "severity": "warning"}
    wrong = expectation("unexpected_rows_expectation", unexpected_rows_query="SELECT nothing FROM {batch}")
    (own,) = load_own_suites(suite(tmp_path / "own", IN_SET, count, warned, wrong))
    found = validate_own(file, own, slices)
    assert [(result.severity, result.is_passed, result.period_start_date) for result in found.results] == [
        ("ERROR", False, date(2020, 1, 1)),
        ("ERROR", True, date(2020, 1, 1)),
        ("WARN", False, date(2020, 1, 1)),
        ("ERROR", False, date(2020, 1, 1)),
        ("ERROR", False, date(2020, 2, 1)),
        ("ERROR", True, date(2020, 2, 1)),
        ("WARN", False, date(2020, 2, 1)),
        ("ERROR", False, date(2020, 2, 1)),
    ]
    first = [result.observed for result in found.results[:4]]
    assert first[:3] == [
        "column_values_to_be_in_set of risk_band (suite customer_risk): broken by 2 of 10 rows",
        "table_row_count_to_be_between (suite customer_risk): holds for 10 rows",
        "column_mean_to_be_between of p_alive (suite customer_risk): fails, found 1.0, in 10 rows",
    ]
    assert "not checked, because of an error" in first[3]
    assert "Binder Error" in first[3]
    assert len({result.check_name for result in found.results}) == 4
    assert [result.success for result in found.expectations] == [False, True, False, False]
    shown: Any = found.expectations[0].expectation_config
    assert shown.notes == "Failed in 2020-02-01, 2020-03-01; the first is shown."


def test_no_value_of_a_row_is_in_a_result(tmp_path: Path) -> None:
    file = write(tmp_path / "warehouse.duckdb", RISK, changes={"risk_band": "'k000007'"})
    expectations = (
        IN_SET,
        expectation("expect_column_values_to_be_unique", column="as_of"),
        expectation("expect_column_max_to_be_between", column="as_of", max_value="2000-01-01"),
        expectation("expect_column_distinct_values_to_be_in_set", column="customer_id", value_set=["a"]),
        expectation("expect_column_most_common_value_to_be_in_set", column="customer_id", value_set=["a"]),
        expectation("expect_column_value_lengths_to_equal", column="customer_id", value=3),
        expectation(
            "unexpected_rows_expectation", unexpected_rows_query="SELECT * FROM {batch} WHERE customer_id::INTEGER = 1"
        ),
        expectation("unexpected_rows_expectation", unexpected_rows_query="SELECT * FROM {batch}"),
    )
    (own,) = load_own_suites(suite(tmp_path / "own", *expectations))
    found = validate_own(file, own, None)
    assert [result.is_passed for result in found.results] == [False] * len(expectations)
    assert "k0000" not in str(found.results)
    assert "k0000" not in json.dumps([result.to_json_dict() for result in found.expectations])


def test_the_example_of_the_docs_can_be_loaded(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "quality.md").read_text(encoding="utf-8")
    (tmp_path / "marketing.json").write_text(page.split("```json\n")[1].split("```")[0], encoding="utf-8")
    (own,) = load_own_suites(tmp_path)
    assert (own.table.name, own.is_blocking, len(own.suite.expectations)) == ("customer_genome", False, 3)


def test_a_suite_parameter_is_refused(tmp_path: Path) -> None:
    asked = expectation("expect_column_max_to_be_between", column="p_alive", max_value={"$PARAMETER": "x"})
    with pytest.raises(ConfigError, match="suite parameters are not known here; write the value itself"):
        load_own_suites(suite(tmp_path, asked))
