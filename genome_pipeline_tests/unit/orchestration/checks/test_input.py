"""Warnings about unusual lines, and what Dagster's log is told of them."""

from __future__ import annotations

from datetime import date

import dagster as dg
import duckdb
import pytest

from genome_pipeline.orchestration.checks.bridge import Check, Subject, _evaluation
from genome_pipeline.orchestration.checks.input import lines_in_bounds, returns_within_purchases
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.database import open_database
from genome_pipeline_tests.support.landing import ingest_and_validate, landing_settings

JANUARY = date(2020, 1, 1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The first pays a million; the second returns more than they bought."""
    folder = tmp_path_factory.mktemp("landing")
    (folder / "in").mkdir()
    (folder / "in" / "log.csv").write_text(
        "Customer,Order,When,Paid\nkunde-1,A1,2020-01-05,1000000\nkunde-2,B1,2020-01-06,5\nkunde-2,B2,2020-01-07,-8\n"
        "kunde-3,C1,2020-01-08,5\nkunde-3,C2,2020-01-09,-5\n",
        encoding="utf-8",
    )
    settings = landing_settings(folder)
    ingest_and_validate(settings)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(
            "CREATE OR REPLACE TABLE customer_activity AS"
            " SELECT customer_id, period_start_date, sum(greatest(amount, 0))"
            " AS gross_amount, sum(greatest(-amount, 0)) AS return_amount FROM validated_transactions GROUP BY ALL"
        )
    return settings


def _failure(settings: Settings, check: Check) -> CheckResult:
    with open_database(settings.warehouse_path) as database:
        results = check.body(Subject(database, settings, [JANUARY], "run"))
    (failure,) = (result for result in results if not result.is_passed)
    logged = _evaluation(results, settings.home)
    failures = (logged.metadata or {})["failures"]
    assert isinstance(failures, dg.TableMetadataValue)
    (row,) = failures.records
    assert (row.data["observed"], row.data["rows"]) == (failure.observed, failure.rows)
    assert "kunde" not in str(logged)
    return failure


def _shown(settings: Settings, failure: CheckResult) -> list[str]:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        return connection.execute(f"SELECT customer_id FROM ({failure.rows})").df()["customer_id"].tolist()


def test_lines_out_of_bounds_are_counted_and_shown_by_a_query_that_names_nobody(settings: Settings) -> None:
    failure = _failure(settings, lines_in_bounds)
    assert failure.observed.endswith("1 of 5 lines")
    assert _shown(settings, failure) == ["kunde-1"]


def test_returns_beyond_purchases_are_counted_and_shown_by_a_query_that_names_nobody(settings: Settings) -> None:
    failure = _failure(settings, returns_within_purchases)
    assert failure.observed == "1 of 2 customers with a return have returned more than they bought"
    assert _shown(settings, failure) == ["kunde-2"]
