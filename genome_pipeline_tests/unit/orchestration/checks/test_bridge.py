"""What a run says of a check that failed."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import dagster as dg

from genome_pipeline.orchestration.checks.bridge import Check, _evaluation
from genome_pipeline.orchestration.place import ALONE
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline_tests.support.landing import landing_settings


@dg.asset
def orders() -> int:
    return 1


def errors_of(found: CheckResult, folder: Path) -> list[str]:
    """The errors in the log of a run in which a check of ``orders`` has found this."""
    check = Check("orders", found.check_name, "About orders.", is_blocking=True, body=lambda _: [found]).build(
        None, ALONE
    )
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize(
            [orders, check],
            resources={"pipeline": Pipeline.of(landing_settings(folder))},
            instance=instance,
            raise_on_error=False,
        )
        told = instance.all_logs(run.run_id)
    return [entry.user_message for entry in told if entry.level == logging.ERROR and not entry.is_dagster_event]


def test_the_log_of_a_run_says_what_a_blocking_check_has_found(tmp_path: Path) -> None:
    found = CheckResult("orders", "orders_paid", "ERROR", is_passed=False, observed="2020-07-01: 3 unpaid", row_count=9)
    assert errors_of(found, tmp_path) == ["check orders_paid of orders failed: 2020-07-01: 3 unpaid"]


def test_the_log_of_a_run_is_silent_of_checks_that_passed(tmp_path: Path) -> None:
    found = CheckResult("orders", "orders_paid", "ERROR", is_passed=True, observed="all paid", row_count=9)
    assert errors_of(found, tmp_path) == []


def test_what_was_found_alike_in_several_periods_is_said_once(tmp_path: Path) -> None:
    found = [
        CheckResult("orders", "orders_paid", "ERROR", False, observed, 9, period_start_date=date(2020, month, 1))
        for month, observed in ((5, "not checked"), (6, "not checked"), (7, "3 unpaid"))
    ]
    assert _evaluation(found, tmp_path).description == "not checked; 3 unpaid"
