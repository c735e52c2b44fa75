"""Whether an experiment went as it was drawn is told at its looks, and can fail."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.checks.bridge import Subject
from genome_pipeline.orchestration.checks.experiments import arms_are_as_drawn, reached_as_drawn
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline.settings import Settings
from genome_pipeline_tests.support.logs import engine

PERIOD, LOOK = date(2020, 6, 1), date(2020, 7, 1)


def subject(lost_controls: int = 0, more_orders: float = 0, contacted: int | None = None) -> Subject:
    """An experiment of 200 treated and 200 controls that has a look on 1 July, and one that has none."""
    database = engine()
    for name in ("experiments", "experiment_members", "experiment_results"):
        columns = ", ".join(f'"{column.name}" {column.type}' for column in TABLES[name].fields)
        database.con.execute(f"CREATE TABLE {name} ({columns})")
    database.con.execute(
        "INSERT INTO experiments BY NAME SELECT unnest(['a', 'b']) AS experiment_id, 200 AS treated_count,"
        " 200 AS control_count"
    )
    database.con.execute(
        "INSERT INTO experiment_members BY NAME SELECT unnest(['a', 'b']) AS experiment_id, 'c' || n AS customer_id,"
        " n % 2 = 0 AS is_treated, n // 2 % 7 + CASE WHEN n % 2 = 0 THEN ? ELSE 0 END AS expected_orders"
        " FROM range(400) AS t(n) WHERE n % 2 = 0 OR n // 2 >= ?",
        [more_orders, lost_controls],
    )
    share = None if contacted is None else 0.9 - contacted / 200
    for outcome in ("orders", "spend"):
        database.con.execute(
            "INSERT INTO experiment_results BY NAME SELECT ? AS as_of, 'a' AS experiment_id, ? AS outcome_name,"
            " 200 AS treated_count, 200 AS control_count, ? AS reached_share, ? AS contacted_control_count,"
            " ? AS unreached_treated_count",
            [LOOK, outcome, share, contacted, None if contacted is None else 20],
        )
    settings = Settings(
        home=Path("home"),
        source={"path": "a.csv", "columns": {"customer_id": "c", "ordered_at": "d"}},
        calendar={"start": PERIOD},
    )
    return Subject(database, settings, [PERIOD, LOOK], "run")


def told(results: list[CheckResult]) -> list[tuple[bool, str]]:
    assert {(result.severity, result.period_start_date) for result in results} <= {("WARN", PERIOD)}
    return [(result.is_passed, result.observed) for result in results]


def test_arms_as_they_were_drawn_pass() -> None:
    ratio, balance = told([*arms_are_as_drawn.body(subject())])
    assert ratio == (True, "a, sample ratio: all who were drawn have an outcome")
    assert balance[0]
    assert balance[1].startswith("a, balance: expected_orders of the treated and of the controls differ by +0.000")


@pytest.mark.parametrize(
    ("state", "failed"),
    [(subject(lost_controls=40), "a, sample ratio: 40 of"), (subject(more_orders=1), "a, balance: expected_orders of")],
    ids=["lost", "unlike"],
)
def test_arms_that_lost_unlike_numbers_or_were_unlike_before_fail(state: Subject, failed: str) -> None:
    wrong = [observed for is_passed, observed in told([*arms_are_as_drawn.body(state)]) if not is_passed]
    assert [observed.startswith(failed) for observed in wrong] == [True]


def test_controls_who_were_contacted_fail_and_without_a_contact_log_nothing_is_said() -> None:
    assert told([*reached_as_drawn.body(subject())]) == []
    said = "a, contamination: {} of the controls were contacted and 10.0% of the treated were not"
    assert told([*reached_as_drawn.body(subject(contacted=2))]) == [(True, said.format("1.0%"))]
    ((is_passed, observed),) = told([*reached_as_drawn.body(subject(contacted=20))])
    assert not is_passed
    assert observed.startswith(said.format("10.0%"))
