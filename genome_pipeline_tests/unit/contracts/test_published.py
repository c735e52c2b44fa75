"""The published schema is what was released, and the views are what they declare."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.contracts import published
from genome_pipeline.contracts.published import breaking_changes, least_version, published_schema, unreadable_because
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.views import VIEWS, View

RELEASED = Path(published.__file__).with_name("published_schema.json")


def test_the_published_schema_is_the_one_released() -> None:
    released, declared = json.loads(RELEASED.read_text(encoding="utf-8")), published_schema()
    assert breaking_changes(released["tables"], declared["tables"]) == [], "raise the major version; run `make docs`"
    assert declared == released, "raise the minor version where something was added; run `make docs`"


@pytest.mark.parametrize(
    ("tables", "version"),
    [
        ({"t": {"a": "DATE", "b": "BIGINT"}}, "1.2.3"),
        ({"t": {"a": "DATE", "b": "BIGINT", "c": "DATE"}}, "1.3.0"),
        ({"t": {"a": "DATE", "b": "BIGINT"}, "u": {"a": "DATE"}}, "1.3.0"),
        ({"t": {"a": "DATE"}}, "2.0.0"),
        ({"t": {"a": "DATE", "b": "DOUBLE"}}, "2.0.0"),
        ({"u": {"a": "DATE", "b": "BIGINT"}}, "2.0.0"),
    ],
    ids=["nothing", "a column more", "a table more", "a column less", "another type", "another name"],
)
def test_a_change_asks_for_its_version(tables: dict[str, dict[str, str]], version: str) -> None:
    assert least_version({"version": "1.2.3", "tables": {"t": {"a": "DATE", "b": "BIGINT"}}}, tables) == version


def test_a_breaking_change_is_not_released_under_the_old_major_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "schema.json"
    monkeypatch.setattr(published, "PUBLISHED_VERSION", "1.4.0")
    released = published_schema()
    released["tables"]["customer_genome"]["lucky_number"] = "BIGINT"
    path.write_text(json.dumps(released), encoding="utf-8")
    with pytest.raises(ValueError, match=r"must be 2\.0\.0: customer_genome.lucky_number is gone"):
        published.release(path)
    assert json.loads(path.read_text(encoding="utf-8")) == released


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("2.1.5", None),
        ("2.4.0", None),
        (None, "before they were numbered, this program reads 2.1.0: publish it anew with `genome run`"),
        ("1.9.0", "version 1.9.0, this program reads 2.1.0: publish it anew"),
        ("2.0.9", "version 2.0.9, this program reads 2.1.0: publish it anew"),
        ("3.0.0", "version 3.0.0, this program reads 2.1.0: use the newer program"),
    ],
)
def test_a_file_of_another_version_is_read_or_named(
    version: str | None, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "PUBLISHED_VERSION", "2.1.0")
    found = unreadable_because(version)
    assert found is None if reason is None else found is not None and reason in found


@pytest.fixture
def shop() -> duckdb.DuckDBPyConnection:
    """Four customers at one snapshot, who bought in three months."""
    connection = duckdb.connect()
    for name in ("customer_genome", "customer_activity", "segment_profiles", "experiments"):
        connection.execute(TABLES[name].ddl().replace(" NOT NULL", ""))
    connection.execute(
        "INSERT INTO customer_activity BY NAME FROM (VALUES (DATE '2020-01-01', 'a', 2), ('2020-01-01', 'b', 1),"
        " ('2020-02-01', 'c', 1), ('2020-02-01', 'b', 0), ('2020-03-01', 'a', 1), ('2020-03-01', 'd', 1))"
        " AS t(period_start_date, customer_id, purchase_day_count)"
    )
    connection.execute(
        "INSERT INTO customer_genome BY NAME FROM (VALUES"
        " (DATE '2020-04-01', 'a', 1, 'Regulars', 'low', 0.2, 50.0, 10.0, 3, 5, 90.5),"
        " ('2020-04-01', 'b', 1, 'Regulars', 'high', 0.8, 10.0, 8.0, 1, 80, 20.0),"
        " ('2020-04-01', 'c', 1, 'Regulars', 'high', 0.9, 20.0, 18.0, 1, 50, 5.0),"
        " ('2020-04-01', 'd', 2, 'New', NULL, NULL, NULL, NULL, 1, 5, 7.25))"
        " AS t(as_of, customer_id, segment_id, segment_name, risk_band, churn_probability, expected_spend,"
        " revenue_at_stake_amount, purchase_day_count, days_since_last_order, spend_amount)"
    )
    connection.execute(
        "INSERT INTO segment_profiles BY NAME FROM (VALUES (DATE '2020-04-01', 1, 'Regulars', 3),"
        " ('2020-04-01', 2, 'New', 1)) AS t(as_of, segment_id, segment_name, customer_count)"
    )
    for name in ("cohorts", "forecast_totals", "acquisition_costs", "pipeline_runs", "experiment_results"):
        connection.execute(TABLES[name].ddl(TABLES[name].published_name).replace(" NOT NULL", ""))
    connection.execute(
        "INSERT INTO experiments BY NAME FROM (VALUES ('a-2020-01-01', 'a', DATE '2020-01-01', 'orders', 90, 10),"
        " ('b-2020-04-01', 'b', '2020-04-01', 'spend', 50, 50)) AS t(experiment_id, action_rule, as_of, outcome_name,"
        " treated_count, control_count)"
    )
    connection.execute(
        "INSERT INTO experiment_results_history BY NAME FROM (VALUES ('a-2020-01-01', DATE '2020-02-01', 'orders', 0.5,"
        " 'not proven yet'), ('a-2020-01-01', '2020-03-01', 'orders', 1.0, 'proven'), ('a-2020-01-01', '2020-03-01',"
        " 'spend', 1.0, 'harmful')) AS t(experiment_id, as_of, outcome_name, elapsed_share, verdict)"
    )
    connection.execute("CREATE VIEW forecast_totals AS FROM forecast_totals_history")
    connection.execute(
        'INSERT INTO pipeline_runs BY NAME FROM (VALUES (\'{"horizon_days": 28, "period": "month"}\','
        " TIMESTAMP '2020-04-02')) AS t(parameters, published_at)"
    )
    connection.execute(
        "INSERT INTO forecast_totals_history BY NAME FROM (VALUES (DATE '2020-04-01', 'segment', '1', 28, 80.0, 61.5,"
        " 99.0), ('2020-04-01', 'segment', '1', 90, 200.0, 150.0, 260.0), ('2020-04-01', 'company', 'all', 28, 80.0,"
        " 70.0, 90.0)) AS t(as_of, group_kind, group_key, horizon_days, expected_spend_amount,"
        " expected_spend_amount_lower, expected_spend_amount_upper)"
    )
    connection.execute(
        "INSERT INTO cohorts_history BY NAME FROM (VALUES (DATE '2020-04-01', DATE '2020-01-01', 2, 110.5),"
        " ('2020-04-01', '2020-02-01', 1, 5.0)) AS t(as_of, cohort_start_date, cohort_customer_count,"
        " cumulative_spend_amount)"
    )
    for view in VIEWS.values():
        connection.execute(view.ddl("main"))
    return connection


def answer(shop: duckdb.DuckDBPyConnection, view: str, columns: str) -> list[tuple[object, ...]]:
    key = ", ".join(VIEWS[view].key)
    return [tuple(map(str, row)) for row in shop.execute(f"SELECT {columns} FROM {view} ORDER BY {key}").fetchall()]


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_a_view_has_the_columns_it_declares_and_its_key(shop: duckdb.DuckDBPyConnection, view: View) -> None:
    found = [row[:2] for row in shop.execute(f"DESCRIBE {view.name}").fetchall()]
    assert found == [(column.name, column.type) for column in view.fields]
    rows = answer(shop, view.name, ", ".join(view.key))
    assert len(rows) == len(set(rows)) > 1


def test_cohort_retention_counts_who_came_back(shop: duckdb.DuckDBPyConnection) -> None:
    columns = (
        "cohort_start_date, period_start_date, periods_since_first_count, cohort_customer_count,"
        " active_customer_count, retention_share"
    )
    assert answer(shop, "cohort_retention", columns) == [
        ("2020-01-01", "2020-01-01", "0", "2", "2", "1.0"),
        ("2020-01-01", "2020-02-01", "1", "2", "0", "0.0"),
        ("2020-01-01", "2020-03-01", "2", "2", "1", "0.5"),
        ("2020-02-01", "2020-02-01", "0", "1", "1", "1.0"),
        ("2020-02-01", "2020-03-01", "1", "1", "0", "0.0"),
        ("2020-03-01", "2020-03-01", "0", "1", "1", "1.0"),
    ]


def test_value_at_risk_leaves_out_whom_nothing_is_predicted_of(shop: duckdb.DuckDBPyConnection) -> None:
    columns = "segment_id, risk_band, customer_count, expected_spend_amount, revenue_at_stake_amount"
    assert answer(shop, "value_at_risk", columns) == [
        ("1", "high", "2", "30.0", "26.0"),
        ("1", "low", "1", "50.0", "10.0"),
    ]


def test_segment_summary_has_what_is_at_stake(shop: duckdb.DuckDBPyConnection) -> None:
    assert answer(shop, "segment_summary", "segment_id, customer_count, revenue_at_stake_amount") == [
        ("1", "3", "36.0"),
        ("2", "1", "None"),
    ]


def test_segment_summary_has_the_interval_of_the_total_over_the_main_horizon(shop: duckdb.DuckDBPyConnection) -> None:
    columns = "segment_id, expected_spend_amount_lower, expected_spend_amount_upper"
    assert answer(shop, "segment_summary", columns) == [("1", "61.5", "99.0"), ("2", "None", "None")]


def test_an_experiment_has_the_verdict_of_its_latest_look_on_what_it_is_about(shop: duckdb.DuckDBPyConnection) -> None:
    assert answer(shop, "experiment_verdicts", "experiment_id, elapsed_share, verdict, verdict_reason") == [
        ("a-2020-01-01", "1.0", "proven", "no look at it yet"),
        ("b-2020-04-01", "0.0", "not proven yet", "no look at it yet"),
    ]


def test_the_rfm_grid_gives_customers_alike_the_same_score(shop: duckdb.DuckDBPyConnection) -> None:
    columns = "recency_score, frequency_score, customer_count, total_spend_amount"
    assert answer(shop, "rfm_grid", columns) == [
        ("1", "1", "1", "20.00"),
        ("2", "1", "1", "5.00"),
        ("4", "1", "1", "7.25"),
        ("4", "5", "1", "90.50"),
    ]


QUESTIONS = re.findall(r"```sql\n(.*?)```", (RELEASED.parents[2] / "docs" / "bi.md").read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("question", QUESTIONS, ids=VIEWS)
def test_the_documented_queries_are_answered(shop: duckdb.DuckDBPyConnection, question: str) -> None:
    shop.execute("UPDATE customer_genome SET is_for_review = false")
    assert len(shop.execute(question).fetchall()) > 1
