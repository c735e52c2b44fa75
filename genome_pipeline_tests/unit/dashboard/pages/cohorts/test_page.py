"""The Cohorts page: what it shows, and what it says where there is little to show."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from genome_pipeline.dashboard.kit.totals import totals_of
from genome_pipeline.dashboard.pages.cohorts import figures, queries
from genome_pipeline_tests.support.published_file import LATEST, LONG_HORIZON_DAYS, SNAPSHOTS
from genome_pipeline_tests.support.shown import show


def test_the_triangle_has_a_row_for_each_cohort_and_a_column_for_each_month(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    found = queries.cohorts_by_age(connection, LATEST)
    heat = figures.retention_triangle(found, "month").figure.data[0]
    assert heat.y[-1].startswith("Jan 2017 (")
    # Four snapshots: a cohort is seen at four ages at most.
    assert found.groupby("cohort_start_date").size().max() == len(SNAPSHOTS)
    now = found[found["known_at"].dt.date == LATEST]
    (count,) = connection.execute("SELECT count(*) FROM customer_genome").fetchall()[0]
    assert now["cohort_customer_count"].sum() == count


def test_the_band_starts_at_what_was_spent_and_ends_at_the_bounds_of_the_total(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    cohorts, forecasts = queries.cohorts_by_age(connection, LATEST), queries.cohort_forecasts(connection, LATEST)
    chosen = figures.first_shown(cohorts)
    drawn = {
        trace.name: trace for trace in figures.cumulative_spend(cohorts, forecasts, chosen, "month", "USD").figure.data
    }
    now = cohorts[cohorts["cohort_start_date"] == chosen].iloc[-1]
    ahead = forecasts[(forecasts["cohort_start_date"] == chosen) & (forecasts["horizon_days"] < LONG_HORIZON_DAYS)]
    spent = now["cumulative_spend_amount"] / now["cohort_customer_count"]
    band, expected = drawn["Interval of the total"], drawn["Expected"]
    assert (band.y[0], expected.y[0]) == (pytest.approx(spent), pytest.approx(spent))
    lower = ahead["expected_spend_amount_lower"].iloc[0]
    at = dict(zip(band.x, band.y, strict=True))
    assert at[expected.x[1]] == pytest.approx(spent + lower / now["cohort_customer_count"])
    assert expected.x[1] - expected.x[0] == pytest.approx(28 / (365.2425 / 12))


def test_the_page_tells_what_a_cohort_will_bring_and_when_it_pays_back(published_path: Path) -> None:
    page, _ = show(published_path, "/cohorts", "?cohort=2017-03-01")
    for text in (
        "What the cohort of Mar 2017 will bring from 1 Jan 2018 on",
        "84 days",
        "no snapshot that carries a forecast has matured yet",
        "Who came back",
        "When cohorts pay back",
        "✓ by",
        "$250.00",
    ):
        assert text in page, text
    assert "Spend per customer of the cohort of" in show(published_path, "/cohorts", "?cohort=nonsense")[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM acquisition_costs", "no acquisition cost of this cohort is known: set or complete"),
        ("UPDATE cohorts_history SET cumulative_spend_amount = NULL", "The source has no amounts."),
        ("DELETE FROM forecast_totals_history WHERE group_kind = 'cohort'", "Spend per customer of the cohort of"),
        (
            "DELETE FROM cohorts_history WHERE cohort_start_date > '2017-01-01'",
            "Spend per customer of the cohort of Jan",
        ),
    ],
)
def test_what_is_not_known_is_told(published_path: Path, tmp_path: Path, change: str, told: str) -> None:
    path = tmp_path / "genome.duckdb"
    shutil.copy(published_path, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute(change)
    assert told in show(path, "/cohorts")[0]


def test_overview_tells_the_total_with_its_interval_as_the_table_has_it(published_path: Path) -> None:
    page, _ = show(published_path, "/")
    assert "What today&#x27;s customers will bring" in page or "What today's customers will bring" in page
    with duckdb.connect(str(published_path), read_only=True) as connection:
        (total, summed) = connection.execute(
            "SELECT (SELECT expected_spend_amount FROM forecast_totals WHERE group_kind = 'company'"
            " AND horizon_days = 28),"
            " (SELECT sum(expected_spend) FROM customer_genome)"
        ).fetchall()[0]
    assert total == pytest.approx(summed, rel=1e-9)
    assert "80%: $" in page


def test_the_log_s_first_cohort_does_not_count_among_those_who_came_back(published_path: Path, tmp_path: Path) -> None:
    """It also holds customers of before the log begins, who are likelier to come back than newcomers."""
    path = tmp_path / "genome.duckdb"
    shutil.copy(published_path, path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM cohorts_history WHERE cohort_start_date > '2017-07-01'")
        connection.execute(
            "INSERT INTO cohorts_history BY NAME SELECT month AS cohort_start_date, 1 AS cohort_age_count,"
            " month + INTERVAL 2 MONTH AS as_of, 100 AS cohort_customer_count, bought AS active_customer_count,"
            " bought / 100 AS retention_share"
            " FROM (VALUES (DATE '2016-06-01', 99), (DATE '2016-08-01', 10)) AS t(month, bought)"
        )
    page, _ = show(path, "/cohorts")
    assert "of 100 customers" in page
    assert "10.0%" in page


def test_cohorts_by_first_category_stand_beside_their_forecasts(published_path: Path) -> None:
    assert "Cohorts by" in show(published_path, "/cohorts")[0]
    page, _ = show(published_path, "/cohorts", "?by=first_category&cohort=GROCERY")
    for text in ("Customers by first category", "GROCERY", "not known", "Next 28 days", "Next 84 days"):
        assert text in page, text
    assert "Spend of the cohort GROCERY" in page
    assert "no snapshot that carries a forecast has matured yet" in page
    assert "Who came back" not in page
    assert "Who came back" in show(published_path, "/cohorts", "?by=first_country")[0], "the log does not say it"


def test_the_band_of_a_cohort_by_category_starts_at_what_it_spent(connection: duckdb.DuckDBPyConnection) -> None:
    history = queries.spend_of_cohort(connection, LATEST, "first_category", "GROCERY")
    totals = totals_of(connection, LATEST, "first_category")
    own = totals[totals["group_key"] == "GROCERY"]
    drawn = {trace.name: trace for trace in figures.spend_of_group(history, own, "GROCERY", "month", "USD").figure.data}
    spent = history["cumulative_spend_amount"].iloc[-1]
    assert len(history) == len(SNAPSHOTS)
    assert drawn["Interval of the total"].y[0] == drawn["Expected"].y[0] == pytest.approx(spent)
    band = dict(zip(drawn["Interval of the total"].x, drawn["Interval of the total"].y, strict=True))
    lower = own["expected_spend_amount_lower"].iloc[0]
    assert band[drawn["Expected"].x[1]] == pytest.approx(spent + lower)
    assert pd.Timestamp(drawn["Expected"].x[1]) - pd.Timestamp(LATEST) == pd.Timedelta(days=28)
