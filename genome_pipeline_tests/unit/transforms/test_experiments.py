"""Who is left alone at a snapshot, and what members have done by each look."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

from genome_pipeline.transforms.experiments import controls_at, ended_runs, outcomes_since, stand_ins, without_treated
from genome_pipeline_tests.support.logs import engine

DATABASE = engine()


def table(name: str, columns: str, *rows: str) -> Any:
    database = DATABASE
    database.con.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM (VALUES {', '.join(rows)}) AS t({columns})")
    return database.table(name)


def controls(as_of: date) -> list[tuple[str, str]]:
    experiments = table(
        "experiments",
        "experiment_id, action, action_rule, as_of, until_date, stopped_date",
        "('runs', 'Write', 'write', DATE '2020-06-01', DATE '2020-08-01', NULL::DATE)",
        "('stopped', 'Call', 'call', DATE '2020-06-01', DATE '2020-08-01', DATE '2020-07-01')",
        "('never', 'Visit', 'visit', DATE '2020-06-01', DATE '2020-08-01', DATE '2020-06-01')",
    )
    members = table(
        "experiment_members",
        "experiment_id, customer_id, is_treated",
        "('runs', 'a', false)",
        "('runs', 'b', true)",
        "('stopped', 'b', false)",
        "('stopped', 'a', true)",
        "('never', 'a', false)",
    )
    found = controls_at(experiments, members, as_of).to_pandas()
    return [*zip(found["customer_id"], found["action"], strict=True)]


def test_controls_are_left_alone_from_the_draw_until_the_end_or_the_stop() -> None:
    assert controls(date(2020, 5, 1)) == []
    assert controls(date(2020, 6, 1)) == [("a", "Write"), ("b", "Call")]
    assert controls(date(2020, 7, 1)) == [("a", "Write")]
    assert controls(date(2020, 8, 1)) == []


def test_outcomes_add_up_from_look_to_look_and_others_do_not_count() -> None:
    lines = table(
        "lines",
        "customer_id, ordered_at, is_return, amount",
        "('a', TIMESTAMP '2020-05-31 23:59:59', false, 100.00)",  # before the start
        "('a', TIMESTAMP '2020-06-01 00:00:00', false, 3.00)",
        "('a', TIMESTAMP '2020-06-01 18:00:00', false, 4.00)",  # the same day
        "('a', TIMESTAMP '2020-07-01 00:00:00', false, 5.00)",  # after the first look
        "('b', TIMESTAMP '2020-06-10 00:00:00', true, -2.50)",  # a return is no order
        "('c', TIMESTAMP '2020-06-10 00:00:00', false, 9.00)",  # no member
        "('a', TIMESTAMP '2020-08-01 00:00:00', false, 7.00)",  # after the last look
    )
    members = table("mine", "customer_id", "('a')", "('b')")
    looks = [date(2020, 7, 1), date(2020, 8, 1)]
    found = outcomes_since(lines, members, date(2020, 6, 1), looks).to_pandas()
    rows = [(row.customer_id, pd.Timestamp(row.look_date).date(), row.orders, row.spend) for row in found.itertuples()]
    assert rows == [
        ("a", looks[0], 1.0, 7.0),
        ("a", looks[1], 2.0, 12.0),
        ("b", looks[0], 0.0, -2.5),
        ("b", looks[1], 0.0, -2.5),
    ]


def test_a_run_has_ended_with_its_last_look_or_with_its_stop() -> None:
    experiments = table(
        "experiments",
        "experiment_id, action_rule, action, outcome_name, as_of, until_date, stopped_date",
        "('b', 'win_back', 'Write', 'orders', DATE '2020-06-01', DATE '2020-08-01', NULL::DATE)",
        "('a', 'win_back', 'Write', 'orders', DATE '2020-05-01', DATE '2020-12-01', DATE '2020-07-01')",
    )
    results = table(
        "experiment_results",
        "as_of, experiment_id, outcome_name, effect",
        "(DATE '2020-07-01', 'a', 'orders', 1)",
        "(DATE '2020-06-01', 'a', 'orders', 2)",
        "(DATE '2020-07-01', 'b', 'orders', 3)",
        "(DATE '2020-08-01', 'b', 'orders', 4)",
        "(DATE '2020-08-01', 'b', 'spend', 5)",
    )
    found = [
        ended_runs(experiments, results, day).to_pandas()["effect"].tolist()
        for day in (date(2020, 6, 1), date(2020, 7, 1), date(2020, 8, 1))
    ]
    assert found == [[], [1], [1, 4]]


def test_only_the_treated_are_left_out_and_only_where_the_run_meets_the_horizon() -> None:
    experiments = table(
        "experiments",
        "experiment_id, as_of, until_date, stopped_date",
        "('e', DATE '2020-06-01', DATE '2020-12-01', DATE '2020-08-01')",
    )
    members = table(
        "experiment_members", "experiment_id, customer_id, is_treated", "('e', 't', true)", "('e', 'c', false)"
    )
    days = ("2020-05-01", "2020-05-03", "2020-06-01", "2020-07-31", "2020-08-01")
    rows = [f"(DATE '{day}', '{name}')" for day in days for name in ("t", "c", "other")]
    left = without_treated(table("customers", "as_of, customer_id", *rows), experiments, members, 30).to_pandas()
    kept = {str(pd.Timestamp(day).date()) for day in left.loc[left["customer_id"] == "t", "as_of"]}
    assert kept == {"2020-05-01", "2020-08-01"}  # 30 days from 2 May on reach the start
    assert len(left) == 12


def test_a_control_of_the_same_stratum_stands_for_each_of_the_treated() -> None:
    experiments = table(
        "experiments",
        "experiment_id, as_of, until_date, stopped_date",
        "('e', DATE '2020-06-01', DATE '2020-12-01', NULL::DATE)",
        "('later', DATE '2020-06-10', DATE '2020-12-01', NULL::DATE)",
    )
    members = table(
        "experiment_members",
        "experiment_id, customer_id, is_treated, stratum_id, churn_probability",
        *(f"('e', 't{number}', true, 0, 0.{number})" for number in range(1, 5)),
        "('e', 'loyal', false, 0, 0.05)",
        "('e', 'leaver', false, 0, 0.95)",
        "('e', 'treated later', false, 0, 0.5)",
        "('e', 'alone', true, 1, 0.5)",
        "('later', 'treated later', true, 0, 0.5)",
        "('later', 't4', true, 0, 0.4)",
        "('later', 'another', false, 0, 0.4)",
    )
    names = ("t1", "t2", "t3", "t4", "loyal", "leaver", "treated later", "alone", "another", "other")
    rows = [f"(DATE '{day}', '{name}')" for day in ("2020-05-01", "2020-06-01") for name in names]
    customers = table("customers", "as_of, customer_id", *rows)
    found = stand_ins(customers, experiments, members, 30).to_pandas()
    assert found["as_of"].dt.date.unique().tolist() == [date(2020, 6, 1)]
    assert dict(zip(found["customer_id"], found["stand_in_id"], strict=True)) == {
        "t1": "loyal",
        "t2": "loyal",
        "t3": "leaver",
        "t4": "another",  # of the later of its two experiments
        "treated later": "another",
    }
