from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.quality import validation
from genome_pipeline.quality.counting import Slices
from genome_pipeline.quality.expectations import Check, checks_of
from genome_pipeline.quality.validation import CheckResult, validate
from genome_pipeline_tests.support.contract_files import write

GENOME = TABLES["customer_genome"]
RISK = TABLES["customer_risk"]
AS_OF = date(2020, 2, 1)


def validate_table(file: Path, table: Table, slices: Slices = None) -> list[CheckResult]:
    return validate(file, table, slices).results


def by_name(results: list[CheckResult]) -> dict[str, CheckResult]:
    return {result.check_name: result for result in results}


def shown(file: Path, result: CheckResult) -> list[dict[str, Any]]:
    """The rows that the query of a failed check shows."""
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.execute(result.rows)
        names = [column[0] for column in rows.description or ()]
        return [dict(zip(names, map(str, row), strict=True)) for row in rows.fetchall()]


def failed(results: list[CheckResult]) -> set[str]:
    return {result.check_name for result in results if not result.is_passed}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


def test_every_table_that_keeps_its_contract_passes_every_check(file: Path) -> None:
    each_customer = {"customer_id": "'k' || lpad(CAST(i AS VARCHAR), 6, '0')"}
    changes = {
        # Each customer with activity has lines.
        "validated_transactions": each_customer,
        # Each prediction is explained: churn by the average customer alone.
        "customer_drivers": each_customer | {"driver_rank": "0"},
        # Each profile is of a segment with customers.
        "customer_segments": {"segment_id": "i + 1"},
        "customer_value": {"expected_orders": "NULL", "expected_spend": "NULL"},
        "customer_outlook": each_customer
        | {"horizon_days": "28", "expected_orders": "NULL", "expected_spend": "NULL", "churn_probability": "1"},
        # Totals are of all customers, and of each customer's segment and cohort.
        "customer_features": {"first_order_date": "DATE '2019-01-01' + CAST(i AS INTEGER)"},
        "forecast_totals": {
            "group_kind": "CASE WHEN i = 0 THEN 'company' WHEN i <= 20 THEN 'segment' ELSE 'cohort' END",
            "group_key": "CASE WHEN i = 0 THEN 'all' WHEN i <= 20 THEN i::VARCHAR"
            " ELSE (DATE '2019-01-01' + CAST(i - 21 AS INTEGER))::VARCHAR END",
            "horizon_days": "28",
            "customer_count": "CASE WHEN i = 0 THEN 20 ELSE 1 END",
            "expected_order_count": "NULL",
            "expected_spend_amount": "NULL",
            **dict.fromkeys(("expected_buyer_count", "expected_buyer_count_lower"), "0"),
        },
        "forecast_total_errors": {"horizon_days": "i + 1"},
        # Each cohort is one customer, who spent 1.
        "cohorts": {"cohort_customer_count": "1"},
        # Each customer with a taste spends all on one category.
        "customer_categories": each_customer | {"category_rank": "1", "category_spend_share": "1"},
        # All have churned.
        "customer_next_category": {"category_probability": "NULL"},
        "customer_next_order": {"next_order_date": "NULL"},
    }
    for table in TABLES.values():
        rows = 41 if table.name == "forecast_totals" else 20
        write(file, table, rows, changes=changes.get(table.name))
    results = [result for table in TABLES.values() for result in validate_table(file, table)]
    # Each table holds one snapshot: the earlier one that matured neighbours are of is not there.
    assert [(result.table_name, result.check_name) for result in results if not result.is_passed] == [
        ("matured_neighbors", "neighbor_customer_id_in_customer_features")
    ]
    assert [(result.table_name, result.check_name) for result in results] == [
        (table.name, check.name) for table in TABLES.values() for check in checks_of(table)
    ]
    assert {result.row_count for result in results if result.table_name != "forecast_totals"} == {20}
    assert {result.severity for result in results} == {"ERROR"}


def test_check_names_are_unique_and_fit_an_asset_check() -> None:
    for table in TABLES.values():
        names = [check.name for check in checks_of(table)]
        assert len(set(names)) == len(names)
        assert all(name.isidentifier() and name == name.lower() for name in names)


@pytest.mark.parametrize(
    ("table_name", "changes", "check_name", "observed", "row"),
    [
        pytest.param(
            "customer_genome",
            {"segment_name": "CASE WHEN i IN (3, 7) THEN NULL ELSE 'x' END"},
            "not_null_segment_name",
            "segment_name is never null: broken by 2 of 20 rows",
            {"as_of": "2020-02-01", "customer_id": "k000003", "segment_name": "None"},
            id="null",
        ),
        pytest.param(
            "customer_genome",
            {"p_alive": "1.25"},
            "range_p_alive",
            "p_alive is finite and at least 0 and at most 1: broken by 20 of 20 rows",
            {"as_of": "2020-02-01", "customer_id": "k000000", "p_alive": "1.25"},
            id="above",
        ),
        pytest.param(
            "customer_genome",
            {"days_since_last_order": "-i"},
            "range_days_since_last_order",
            "19 of 20",
            {"customer_id": "k000001", "days_since_last_order": "-1"},
            id="below",
        ),
        pytest.param(
            "customer_genome",
            {"overdue_ratio": "CAST('NaN' AS DOUBLE)"},
            "range_overdue_ratio",
            "20 of 20",
            {"overdue_ratio": "nan"},
            id="NaN",
        ),
        pytest.param(
            "model_performance",
            {"metric_value": "CAST('inf' AS DOUBLE)"},
            "range_metric_value",
            "metric_value is finite:",
            {"metric_value": "inf"},
            id="infinite",
        ),
        pytest.param(
            "customer_genome",
            {"risk_band": "'High'"},
            "values_risk_band",
            "20 of 20",
            {"risk_band": "High"},
            id="not in the set",
        ),
        pytest.param(
            "customer_genome",
            {"customer_id": "'c' || (i // 2) % 9"},
            "unique_key",
            "as_of, customer_id identify a row: broken by 20 of 20 rows",
            {"as_of": "2020-02-01", "customer_id": "c0", "copies": "4"},
            id="duplicate key",
        ),
        pytest.param(
            "source_files",
            {"source_file": "'f' || i // 2"},
            "unique_key",
            "20 of 20",
            {"source_file": "f0", "copies": "2"},
            id="duplicate single key",
        ),
        pytest.param(
            "customer_genome",
            {"expected_spend_lower": "CASE WHEN i = 4 THEN 2 ELSE 1 END"},
            "interval_expected_spend",
            "1 of 20",
            {
                "customer_id": "k000004",
                "expected_spend_lower": "2.0",
                "expected_spend": "1.0",
                "expected_spend_upper": "1.0",
            },
            id="below its interval",
        ),
        pytest.param(
            "customer_genome",
            {"expected_orders": "NULL", "expected_orders_lower": "3"},
            "interval_expected_orders",
            "20 of 20",
            {"expected_orders": "None", "expected_orders_lower": "3.0"},
            id="bounds crossed without a point",
        ),
        pytest.param(
            "customer_genome",
            {"first_order_date": "DATE '2020-01-02'"},
            "first_order_by_last_order",
            "20 of 20",
            {"first_order_date": "2020-01-02", "last_order_date": "2020-01-01"},
            id="order of dates",
        ),
        pytest.param(
            "customer_features",
            {"last_order_date": "as_of"},
            "last_order_before_as_of",
            "20 of 20",
            {},
            id="look-ahead",
        ),
        pytest.param("customer_features", {"recency_days": "2"}, "recency_within_t", "20 of 20", {}, id="recency"),
        pytest.param(
            "prediction_outcomes", {"matured_as_of": "DATE '2020-02-01'"}, "matured_after_as_of", "20", {}, id="matured"
        ),
        pytest.param(
            "value_model", {"selection_as_of": "DATE '2020-02-01'"}, "selection_before_as_of", "20", {}, id="selection"
        ),
        pytest.param(
            "customer_neighbors",
            {"neighbor_customer_id": "CASE WHEN i = 5 THEN customer_id ELSE 'k000001' END"},
            "neighbor_is_another",
            "1 of 20 rows",
            {"customer_id": "k000000", "neighbor_rank": "6", "neighbor_customer_id": "k000000"},
            id="own neighbour",
        ),
    ],
)
def test_a_row_that_breaks_the_contract_fails_just_its_check(
    file: Path, table_name: str, changes: Mapping[str, str], check_name: str, observed: str, row: Mapping[str, str]
) -> None:
    table = TABLES[table_name]
    results = validate_table(write(file, table, changes=changes), table)
    assert failed(results) == {check_name}
    result = by_name(results)[check_name]
    assert observed in result.observed
    assert any(row.items() <= found.items() for found in shown(file, result))
    assert "k0000" not in str(result), "neither the words nor the query hold a value of a row"


@pytest.mark.parametrize(
    ("rule", "action", "as_of", "is_treated", "fails"),
    [
        ("win_back", "x", "2020-02-01", "false", True),
        ("win_back", "x", "2020-01-01", "false", True),
        ("win_back", "x", "2020-02-01", "true", False),
        ("win_back", "another", "2020-02-01", "false", False),
        ("win_back", "x", "2020-03-01", "false", False),
        ("everything", "Every action", "2020-02-01", "false", True),
    ],
)
def test_a_control_with_the_action_of_a_running_experiment_is_found(
    file: Path, rule: str, action: str, as_of: str, is_treated: str, fails: bool
) -> None:
    table = TABLES["customer_actions"]
    write(file, table)
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "INSERT INTO experiments BY NAME SELECT 'e' AS experiment_id, ? AS action_rule, ? AS action,"
            " ?::DATE AS as_of, DATE '2020-06-01' AS until_date, 'all' AS rule_condition,"
            " TIMESTAMP '2020-01-01' AS started_at,"
            " 28 AS horizon_days, 0.5 AS control_share, '00' AS draw_key, 'orders' AS outcome_name,"
            " 1 AS treated_count, 1 AS control_count",
            [rule, action, as_of],
        )
        connection.execute(
            "INSERT INTO experiment_members BY NAME SELECT 'e' AS experiment_id, 'k000003' AS customer_id,"
            f" {is_treated} AS is_treated, 0 AS stratum_id, 'x' AS segment_name, 1 AS days_since_last_order"
        )
    assert ("controls_are_left_alone" in failed(validate_table(file, table))) is fails


def test_nulls_satisfy_every_check_but_not_null(file: Path) -> None:
    write(file, GENOME, changes=dict.fromkeys(GENOME.nullable, "NULL"))
    assert failed(validate_table(file, GENOME)) == set()


def test_missing_column_fails_and_takes_only_its_own_checks_along(file: Path) -> None:
    write(file, RISK)
    with duckdb.connect(str(file)) as connection:
        connection.execute("ALTER TABLE customer_risk DROP churn_probability_upper")
    results = by_name(validate_table(file, RISK))
    assert failed(list(results.values())) == {
        "columns",
        "column_types",
        "range_churn_probability_upper",
        "interval_churn_probability",
    }
    assert results["columns"].observed.endswith("in its order: missing churn_probability_upper")
    assert "not checked, because churn_probability_upper is missing" in results["interval_churn_probability"].observed
    assert results["range_p_alive"].row_count == 20


def test_undeclared_column_and_another_order_fail(file: Path) -> None:
    types = {column.name: column.type for column in RISK.fields}
    swapped = ["customer_id", "as_of", *RISK.columns[2:]]
    ddl = f"CREATE TABLE customer_risk ({', '.join(f'{name} {types[name]}' for name in swapped)})"
    write(file, RISK, ddl=ddl)
    assert failed(validate_table(file, RISK)) == {"columns"}
    with duckdb.connect(str(file)) as connection:
        connection.execute("ALTER TABLE customer_risk ADD COLUMN extra INTEGER")
    results = by_name(validate_table(file, RISK))
    assert results["columns"].observed.endswith("undeclared extra")


def test_wrong_type_fails_and_its_column_is_not_checked_further(file: Path) -> None:
    ddl = RISK.ddl().replace('"p_alive" DOUBLE', '"p_alive" VARCHAR').replace(" NOT NULL", "")
    write(file, RISK, changes={"p_alive": "'perhaps'"}, ddl=ddl)
    results = by_name(validate_table(file, RISK))
    assert failed(list(results.values())) == {"column_types", "range_p_alive"}
    assert results["column_types"].observed.endswith("p_alive is VARCHAR, not DOUBLE")


def test_raw_columns_may_have_any_type(file: Path) -> None:
    raw = TABLES["raw_transactions"]
    write(file, raw, changes={"raw_quantity": "i"}, ddl=raw.ddl(types={"raw_quantity": "DOUBLE"}))
    assert failed(validate_table(file, raw)) == set()


def test_missing_table_fails_every_check(file: Path) -> None:
    write(file, RISK)
    results = validate_table(file, GENOME)
    assert len(failed(results)) == len(results) == len(checks_of(GENOME))
    assert results[0].observed.endswith("there is no such table")
    assert {result.row_count for result in results} == {0}


def test_customers_that_another_table_lacks_or_has_alone_are_named(file: Path) -> None:
    write(file, RISK)
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE customer_features SET customer_id = 'new' WHERE customer_id = 'k000003'")
    results = by_name(validate_table(file, RISK, {AS_OF: date(2020, 1, 1)}))
    assert failed(list(results.values())) == {
        "customer_id_in_customer_features",
        "every_customer_id_of_customer_features",
    }
    unknown, missing = (
        results[name] for name in ("customer_id_in_customer_features", "every_customer_id_of_customer_features")
    )
    assert unknown.observed == ("as_of and customer_id of every row are in customer_features: broken by 1 of 20 rows")
    assert [row["customer_id"] for row in shown(file, unknown)] == ["k000003"]
    assert shown(file, missing) == [{"as_of": "2020-02-01", "customer_id": "new"}]
    # Customers of another snapshot are not missing from this one.
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE customer_features SET customer_id = 'k000003' WHERE customer_id = 'new'")
        connection.execute("INSERT INTO customer_features VALUES (DATE '2020-03-01', 'k000001')")
    assert failed(validate_table(file, RISK, {AS_OF: None})) == set()
    assert failed(validate_table(file, RISK)) == {"every_customer_id_of_customer_features"}


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, set()),
        ({"similarity": "i / 20"}, {"neighbors_sorted"}),
        ({"customer_id": "'k' || (i // 10)", "neighbor_rank": "i % 10 + 1", "similarity": "1 - (i % 10) / 20"}, set()),
        ({"customer_id": "'k' || (i // 15)", "neighbor_rank": "i % 15 + 1"}, {"neighbors_complete"}),
    ],
)
def test_neighbors_are_sorted_and_complete(file: Path, changes: dict[str, str], broken: set[str]) -> None:
    table = TABLES["customer_neighbors"]
    write(file, table, changes={"neighbor_rank": "i + 1", "similarity": "0.5", **changes})
    assert failed(validate_table(file, table)) == broken


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, set()),
        ({"churn_probability": "NULL", "expected_orders": "NULL"}, set()),
        ({"expected_orders": "1.5 + 1e-7"}, {"orders_agree_with_churn", "spend_agrees_with_orders"}),
        ({"expected_spend": "CASE i WHEN 3 THEN 31 ELSE 30 END"}, {"spend_agrees_with_orders"}),
        ({"revenue_at_stake_amount": "9057"}, {"stake_agrees_with_churn", "interval_revenue_at_stake_amount"}),
    ],
)
def test_numbers_about_one_customer_agree(file: Path, changes: dict[str, str], broken: set[str]) -> None:
    """p = 0.75, m = 2, a = 20: 1.5 orders, 30 spent, 10 at stake."""
    agreeing = {
        "churn_probability": "0.25",
        "orders_if_retained": "2",
        "spend_per_order_amount": "20",
        **{f"expected_orders{bound}": "1.5" for bound in ("", "_lower", "_upper")},
        **{f"expected_spend{bound}": "30" for bound in ("", "_lower", "_upper")},
        **{f"revenue_at_stake_amount{bound}": "10" for bound in ("", "_lower", "_upper")},
        "churn_probability_lower": "0.2",
        "churn_probability_upper": "0.3",
        "expected_orders_upper": "2",
        "expected_spend_upper": "50",
    }
    write(file, GENOME, changes=agreeing | changes)
    found = failed(validate_table(file, GENOME))
    assert {name for name in found if "agree" in name or "interval" in name} == broken


@pytest.mark.parametrize(
    ("changes", "is_broken"),
    [
        ({}, False),
        ({"contribution": "0.5 + i % 2 * 1e-7"}, False),
        ({"contribution": "0.5 + i % 2 * 2e-6"}, True),
        ({"contribution": "CASE WHEN i = 7 THEN -0.5 ELSE 0.5 END"}, True),
        ({"prediction": "CASE WHEN i < 2 THEN 'expected_spend' ELSE 'churn_probability' END"}, True),
    ],
)
def test_contributions_add_up(file: Path, changes: dict[str, str], is_broken: bool) -> None:
    """Two rows a customer; the risk model predicts 1 for all ten, the value model abstains."""
    write(file, RISK, row_count=10)
    write(file, TABLES["customer_value"], row_count=10, changes={"expected_orders": "NULL", "expected_spend": "NULL"})
    drivers = {"customer_id": "'k' || lpad(CAST(i // 2 AS VARCHAR), 6, '0')", "driver_rank": "i % 2"}
    table = TABLES["customer_drivers"]
    write(file, table, changes=drivers | {"contribution": "0.5"} | changes)
    assert failed(validate_table(file, table)) == ({"contributions_add_up"} if is_broken else set())


@pytest.mark.parametrize(
    ("changes", "is_broken"),
    [
        ({}, False),
        ({"category_spend_share": "0.25 + i % 2 * 0.5 + 1e-10"}, False),
        ({"category_spend_share": "0.25 + i % 2 * 0.5 + 1e-9"}, True),
        ({"category_spend_share": "CASE WHEN i = 7 THEN 0.5 ELSE 0.25 + i % 2 * 0.5 END"}, True),
        ({"customer_id": "'k' || lpad(CAST(i AS VARCHAR), 6, '0')"}, True),
    ],
)
def test_shares_of_taste_sum_to_one(file: Path, changes: dict[str, str], is_broken: bool) -> None:
    """Ten customers, each with a quarter of their spend in one category and the rest in another."""
    shares = {
        "customer_id": "'k' || lpad(CAST(i // 2 AS VARCHAR), 6, '0')",
        "category_rank": "1 + i % 2",
        "category_spend_share": "0.25 + i % 2 * 0.5",
    }
    table = TABLES["customer_categories"]
    write(file, TABLES["customer_taste"], row_count=10)
    write(file, table, changes=shares | changes)
    found = failed(validate_table(file, table))
    assert ("shares_sum_to_one" in found) == is_broken


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, set()),
        ({"category_probability": "NULL"}, set()),
        ({"category_probability": "0.4 + i % 2 * 1e-10"}, set()),
        ({"category_probability": "0.4 + i % 2 * 0.01"}, {"next_categories_sorted"}),
        ({"category_probability": "CASE i WHEN 6 THEN 0.5 + 1e-12 ELSE 0.1 END"}, {"category_within_purchase"}),
        ({"as_of": "DATE '2020-03-01'"}, {"category_within_purchase"}),
    ],
)
def test_next_categories_fall_and_are_within_the_forecast(
    file: Path, changes: dict[str, str], broken: set[str]
) -> None:
    """Ten customers who buy with probability 0.5, with two categories each; nothing is known of another snapshot."""
    write(file, RISK, row_count=10, changes={"churn_probability": "0.5"})
    following = {
        "customer_id": "'k' || lpad(CAST(i // 2 AS VARCHAR), 6, '0')",
        "next_category_rank": "1 + i % 2",
        "category_probability": "0.5 - i % 2 * 0.1",
    }
    table = TABLES["customer_next_category"]
    write(file, table, changes=following | changes)
    found = failed(validate_table(file, table))
    assert found & {"next_categories_sorted", "category_within_purchase"} == broken


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, set()),
        ({"churn_probability": "0.5", "expected_orders": "1", "expected_spend": "10"}, set()),
        ({"churn_probability": "0.5 + i % 2 * 0.1"}, {"outlook_rises_with_horizon"}),
        ({"expected_orders": "1 - i % 2 * 1e-6"}, {"outlook_rises_with_horizon"}),
        ({"expected_spend": "CASE i WHEN 1 THEN 9 ELSE 10 END"}, {"outlook_rises_with_horizon"}),
        ({"expected_spend": "CASE i WHEN 0 THEN NULL ELSE 10 END"}, {"outlook_holds_the_forecast"}),
        ({"expected_orders": "1 + i % 2 + 1e-6"}, {"outlook_holds_the_forecast"}),
    ],
)
def test_the_outlook_is_coherent_and_holds_the_forecast(file: Path, changes: dict[str, str], broken: set[str]) -> None:
    """Ten customers of two horizons, of which the shorter one is the main one: p = 0.5, one order, 10 spent."""
    known = {"expected_orders": "1", "expected_spend": "10"}
    write(file, RISK, row_count=10, changes={"churn_probability": "0.5"})
    write(file, TABLES["customer_value"], row_count=10, changes=known)
    outlook = {
        "customer_id": "'k' || lpad(CAST(i // 2 AS VARCHAR), 6, '0')",
        "horizon_days": "28 + i % 2 * 62",
        "churn_probability": "0.5 - i % 2 * 0.1",
        "expected_orders": "1 + i % 2",
        "expected_spend": "10 + i % 2",
    }
    table = TABLES["customer_outlook"]
    write(file, table, changes=outlook | changes)
    found = failed(validate_table(file, table))
    assert {name for name in found if name.startswith("outlook")} == broken


@pytest.mark.parametrize(
    ("changes", "is_broken"),
    [
        ({"next_order_date": "DATE '2020-02-28'"}, False),
        ({"next_order_date": "DATE '2020-02-29'"}, True),
        ({"next_order_date": "CASE WHEN i = 3 THEN NULL ELSE DATE '2020-02-28' END"}, True),
    ],
)
def test_the_next_order_agrees_with_the_outlook(file: Path, changes: dict[str, str], is_broken: bool) -> None:
    """All are likelier than not to buy within the 28 days from 1 February on, the last of which is the 28th."""
    each = {"customer_id": "'k' || lpad(CAST(i AS VARCHAR), 6, '0')", "horizon_days": "28"}
    write(file, TABLES["customer_outlook"], row_count=10, changes=each | {"churn_probability": "0.4"})
    table = TABLES["customer_next_order"]
    write(file, table, row_count=10, changes=changes)
    found = failed(validate_table(file, table))
    assert ("next_order_agrees_with_outlook" in found) == is_broken


@pytest.mark.parametrize(("amount", "is_broken"), [("NULL", False), ("100", False), ("99", True)])
def test_the_lifetime_value_holds_the_outlook(file: Path, amount: str, is_broken: bool) -> None:
    """Who spends 100 within a year spends no less in a lifetime, whichever horizon that continues."""
    each = {"customer_id": "'k' || lpad(CAST(i AS VARCHAR), 6, '0')", "horizon_days": "365"}
    write(file, TABLES["customer_outlook"], row_count=10, changes=each | {"expected_spend": "100"})
    table = TABLES["customer_lifetime_value"]
    changes = {"lifetime_value_amount": amount, "lifetime_horizon_days": "90"}
    write(file, table, row_count=10, changes=changes)
    found = failed(validate_table(file, table))
    assert ("lifetime_value_holds_the_outlook" in found) == is_broken


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, set()),
        ({"expected_buyer_count": "own.expected_buyer_count + 1e-5"}, {"totals_add_up"}),
        ({"expected_spend_amount": "own.expected_spend_amount * (1 + 1e-7)"}, set()),
        ({"expected_spend_amount": "own.expected_spend_amount * (1 - 2e-6)"}, {"totals_add_up"}),
        ({"expected_order_count": "NULL"}, {"totals_add_up"}),
        ({"customer_count": "own.customer_count + 1"}, {"totals_add_up"}),
        ({"group_key": "CASE WHEN own.group_kind = 'segment' THEN '7' ELSE own.group_key END"}, {"totals_add_up"}),
        # Cohorts by country hold every customer once, whichever they are.
        ({"customer_count": "own.customer_count - (own.group_key = 'PT')::INTEGER"}, {"totals_add_up"}),
        ({"expected_spend_amount": "own.expected_spend_amount + if(own.group_key = 'PT', 1, 0)"}, {"totals_add_up"}),
        # Customers of January are then of no cohort, as if theirs were missing.
        ({"group_key": "replace(own.group_key, '01-01', '01-15')"}, {"totals_add_up"}),
        ({"expected_order_count_lower": "own.expected_order_count + 0.1"}, {"interval_expected_order_count"}),
        ({"expected_spend_amount_upper": "own.expected_spend_amount - 0.1"}, {"interval_expected_spend_amount"}),
    ],
)
def test_totals_are_the_sums_of_their_customers_and_within_their_bounds(
    file: Path, changes: dict[str, str], broken: set[str]
) -> None:
    """Ten customers, who began in January and in February 2019 by turns, and are in segments 1 and 2."""
    customer = {"customer_id": "'k' || lpad(CAST(i AS VARCHAR), 6, '0')"}
    first = {"first_order_date": "DATE '2019-01-10' + CAST(i % 2 * 30 AS INTEGER)"}
    write(file, TABLES["customer_features"], row_count=10, changes=customer | first)
    write(file, TABLES["customer_segments"], row_count=10, changes=customer | {"segment_id": "1 + i % 2"})
    outlook = {"horizon_days": "28", "churn_probability": "0.5", "expected_orders": "i", "expected_spend": "10 * i"}
    write(file, TABLES["customer_outlook"], row_count=10, changes=customer | outlook)
    table = TABLES["forecast_totals"]
    groups = {
        "group_kind": "['company', 'segment', 'segment', 'cohort', 'cohort', 'first_country', 'first_country'][i + 1]",
        "group_key": "['all', '1', '2', '2019-01-01', '2019-02-01', 'PT', 'not known'][i + 1]",
        "horizon_days": "28",
        "customer_count": "[10, 5, 5, 5, 5, 4, 6][i + 1]",
        "expected_buyer_count": "[5, 2.5, 2.5, 2.5, 2.5, 2, 3][i + 1]",
        "expected_order_count": "[45, 20, 25, 20, 25, 6, 39][i + 1]",
        "expected_spend_amount": "[450, 200, 250, 200, 250, 60, 390][i + 1]",
    }
    bounds = {
        f"{name}_{end}": f"({groups[name]}) {step}"
        for name in TOTALS
        for end, step in (("lower", "- 1"), ("upper", "+ 1"))
    }
    write(file, table, row_count=7, changes=groups | bounds)
    if changes:
        with duckdb.connect(str(file)) as connection:
            ((name, value),) = changes.items()
            connection.execute(f"UPDATE forecast_totals AS own SET {name} = {value}")
    found = failed(validate_table(file, table))
    assert {name for name in found if name.startswith(("totals", "interval"))} == broken


@pytest.mark.parametrize(
    ("changes", "is_broken"),
    [
        ({}, False),
        ({"cohort_customer_count": "4 + i"}, True),
        ({"cumulative_spend_amount": "CASE i WHEN 0 THEN 50.01 ELSE 50 END"}, True),
        ({"cumulative_spend_amount": "NULL"}, True),
    ],
)
def test_cohorts_have_all_customers_and_their_spend(file: Path, changes: dict[str, str], is_broken: bool) -> None:
    """Ten customers who spent 10 each, in two cohorts."""
    customer = {"customer_id": "'k' || lpad(CAST(i AS VARCHAR), 6, '0')", "spend_amount": "10"}
    write(file, TABLES["customer_features"], row_count=10, changes=customer)
    table = TABLES["cohorts"]
    known = {"cohort_customer_count": "5", "cumulative_spend_amount": "50"}
    write(file, table, row_count=2, changes=known | changes)
    assert ("cohorts_hold_every_customer" in failed(validate_table(file, table))) == is_broken


def test_every_prediction_is_explained(file: Path) -> None:
    """Spend, orders where it is not predicted, and nothing where neither is."""
    spend = {"expected_spend": "CASE i WHEN 0 THEN 1 END", "expected_orders": "CASE WHEN i < 2 THEN 2 END"}
    write(file, TABLES["customer_value"], row_count=3, changes=spend)
    write(file, RISK, row_count=0)
    table = TABLES["customer_drivers"]
    explained = {
        "customer_id": "'k' || lpad(CAST(i AS VARCHAR), 6, '0')",
        "driver_rank": "0",
        "prediction": "['expected_spend', 'expected_orders'][i + 1]",
        "contribution": "i + 1",
    }
    write(file, table, row_count=2, changes=explained)
    assert failed(validate_table(file, table)) == set()
    write(file, table, row_count=1, changes=explained)
    (found,) = [result for result in validate_table(file, table) if not result.is_passed]
    assert shown(file, found) == [
        {"as_of": "2020-02-01", "customer_id": "k000001", "prediction": "expected_orders", "driver_rank": "0"}
    ]


def test_slices_restrict_the_rows(file: Path) -> None:
    changes = {
        "as_of": "DATE '2020-02-01' + INTERVAL (i % 2) MONTH",
        "churn_probability": "CASE WHEN i % 2 = 0 THEN 1 ELSE 3 END",
        "churn_probability_upper": "1",
        "abstain_reason": "NULL",
    }
    write(file, RISK, changes=changes)
    broken = {"range_churn_probability", "interval_churn_probability"}
    january: dict[date | None, date | None] = {AS_OF: date(2020, 1, 1)}
    february: dict[date | None, date | None] = {date(2020, 3, 1): AS_OF}
    first, second, both, none, whole = (
        validate_table(file, RISK, slices) for slices in (january, february, january | february, {}, None)
    )
    assert [failed(results) for results in (first, second, both, none, whole)] == [set(), broken, broken, set(), broken]
    assert [results[0].row_count for results in (first, second, both, none, whole)] == [10, 10, 20, 0, 20]
    in_range = [by_name(results)["range_churn_probability"] for results in (second, whole)]
    assert [{row["as_of"] for row in shown(file, result)} for result in in_range] == [{"2020-03-01"}] * 2
    assert [
        (found.period_start_date, found.is_passed, found.row_count) for found in both if found.check_name in broken
    ] == [
        (date(2020, 1, 1), True, 10),
        (AS_OF, False, 10),
    ] * 2
    assert [found.row_count for found in whole if found.check_name in broken] == [20, 20]


def test_empty_slice_passes_and_says_so(file: Path) -> None:
    results = validate_table(write(file, RISK), RISK, {date(1999, 1, 1): None})
    assert failed(results) == set()
    assert {result.row_count for result in results} == {0}
    assert results[-1].observed.endswith("all 0 rows")


def test_null_slice_is_one_of_the_slices(file: Path) -> None:
    table = TABLES["quarantined_transactions"]
    changes = {
        "period_start_date": "CASE WHEN i < 4 THEN NULL ELSE DATE '2020-01-01' END",
        "reasons": "CASE WHEN i = 0 THEN NULL ELSE ['undated'] END",
    }
    write(file, table, changes=changes)
    undated = validate_table(file, table, {None: None})
    assert (undated[0].row_count, failed(undated)) == (4, {"not_null_reasons"})
    dated = validate_table(file, table, {date(2020, 1, 1): date(2020, 1, 1)})
    assert (dated[0].row_count, failed(dated)) == (16, set())
    assert validate_table(file, table, {None: None, date(2020, 1, 1): None})[0].row_count == 20


def test_dates_are_no_slices_of_a_table_sliced_by_file(file: Path) -> None:
    table = TABLES["raw_transactions"]
    write(file, table)
    with pytest.raises(ValueError, match="raw_transactions has no slices by date"):
        validate_table(file, table, {AS_OF: AS_OF})


def test_an_error_inside_an_expectation_fails_its_checks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Check("broken", "the query runs", ("p_alive",), "error('no answer')")
    monkeypatch.setattr(validation, "checks_of", lambda table: (*checks_of(table), broken))
    results = by_name(validate_table(write(file, RISK), RISK))
    assert not results["broken"].is_passed
    assert results["broken"].severity == "ERROR"
    assert "not checked, because of an error" in results["broken"].observed
    assert "no answer" in results["broken"].observed
    # Those of the same query could not be answered either; the key has a query of its own.
    assert not results["range_p_alive"].is_passed
    assert results["unique_key"].is_passed


def test_an_error_of_a_query_of_its_own_fails_that_check_alone(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Check("broken", "the query runs", ("p_alive",), broken_rows="SELECT as_of, nothing FROM {batch}")
    monkeypatch.setattr(validation, "checks_of", lambda table: (*checks_of(table), broken))
    results = by_name(validate_table(write(file, RISK), RISK))
    assert failed(list(results.values())) == {"broken"}
    assert "not checked, because of an error: Binder Error" in results["broken"].observed


def test_many_checks_are_all_reported(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [Check(f"never_{number}", "it is true", ("p_alive",), "p_alive > 0") for number in range(250)]
    monkeypatch.setattr(validation, "checks_of", lambda table: (*checks_of(table), *many))
    assert failed(validate_table(write(file, RISK), RISK)) == {check.name for check in many}


def test_the_file_is_released_and_left_as_it_was(file: Path) -> None:
    write(file, RISK)
    before = file.read_bytes()
    validate_table(file, RISK)
    assert file.read_bytes() == before
    with duckdb.connect(str(file)) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall() == [
            ("customer_features",),
            ("customer_risk",),
        ]
        connection.execute("DELETE FROM customer_risk")
    assert validate_table(file, RISK)[0].row_count == 0


def test_the_file_is_released_after_an_error(file: Path) -> None:
    table = TABLES["raw_transactions"]
    write(file, table)
    with pytest.raises(ValueError):
        validate_table(file, table, {AS_OF: AS_OF})
    duckdb.connect(str(file)).close()


def test_a_reader_of_the_same_process_may_stay(file: Path) -> None:
    write(file, RISK)
    with duckdb.connect(str(file)) as reader:
        assert failed(validate_table(file, RISK)) == set()
        assert reader.execute("SELECT count(*) FROM customer_risk").fetchone() == (20,)


def test_a_path_with_signs_that_mean_something_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "$HOME #1 %41 & é"
    folder.mkdir()
    assert failed(validate_table(write(folder / "my data.duckdb", RISK), RISK)) == set()


def test_a_file_that_cannot_be_opened_raises(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        validate_table(file, RISK)
    assert not file.exists()


def test_importing_the_module_does_not_import_great_expectations() -> None:
    program = (
        "import sys; import genome_pipeline.quality.validation, genome_pipeline.quality.reconciliation;"
        " sys.exit('great_expectations' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_analytics_are_off(file: Path) -> None:
    validate_table(write(file, RISK), RISK)
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_nothing_is_printed(file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    validate_table(write(file, RISK), RISK)
    assert capfd.readouterr() == ("", "")
