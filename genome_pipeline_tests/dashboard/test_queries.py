"""Every aggregate beside a literal query, written the plainest way, on the same file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from genome_pipeline.dashboard.kit.checks import check_summary
from genome_pipeline.dashboard.kit.customers import customer_genome
from genome_pipeline.dashboard.kit.neighbors import neighbors
from genome_pipeline.dashboard.kit.outcomes import realised_spend
from genome_pipeline.dashboard.kit.snapshots import Run, all_snapshots
from genome_pipeline.dashboard.kit.trend import snapshot_trend
from genome_pipeline.dashboard.pages.confidence import queries as confidence_queries
from genome_pipeline.dashboard.pages.customer import queries as customer_queries
from genome_pipeline.dashboard.pages.data_quality import queries as quality_queries
from genome_pipeline.dashboard.pages.overview import queries as overview_queries
from genome_pipeline.dashboard.pages.segments import queries as segment_queries
from genome_pipeline_tests.dashboard.published_file import ABSTAINED_ID, HOSTILE_ID, SNAPSHOTS

LATEST = SNAPSHOTS[-1]


def _value(connection: duckdb.DuckDBPyConnection, query: str, *values: Any) -> Any:
    row = connection.execute(query, list(values)).fetchone()
    assert row is not None
    return row[0]


def test_run_reads_the_parameters_of_the_file(connection: duckdb.DuckDBPyConnection) -> None:
    run = Run.of(connection)
    assert (run.horizon_days, run.interval_level, run.currency, run.period) == (28, 0.8, "USD", "month")
    assert (run.raw_row_count, run.validated_row_count, run.quarantined_row_count) == (20_001, 19_200, 801)
    assert run.as_of == LATEST


def test_snapshots_come_latest_first(connection: duckdb.DuckDBPyConnection) -> None:
    assert all_snapshots(connection) == list(reversed(SNAPSHOTS))


@pytest.mark.parametrize(
    ("column", "expression"),
    [
        ("customer_count", "count(*)"),
        ("active_customer_count", "sum(CASE WHEN recent_purchase_day_count > 0 THEN 1 ELSE 0 END)"),
        ("recent_spend_amount", "sum(recent_spend_amount)"),
        ("expected_spend", "sum(expected_spend)"),
        ("revenue_at_risk_amount", "sum(CASE WHEN risk_band <> 'low' THEN revenue_at_stake_amount END)"),
        ("mean_confidence", "avg(confidence)"),
    ],
)
def test_headline_figures_equal_plain_sql(connection: duckdb.DuckDBPyConnection, column: str, expression: str) -> None:
    trend = snapshot_trend(connection, LATEST).set_index("as_of")
    assert len(trend) == 4
    assert trend[column].iloc[-1] == pytest.approx(
        float(_value(connection, f"SELECT {expression} FROM customer_genome"))
    )


def test_a_trend_ends_at_the_snapshot_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    trend = snapshot_trend(connection, SNAPSHOTS[1])
    assert [moment.date() for moment in trend["as_of"]] == list(SNAPSHOTS[:2])


def test_outcomes_are_known_only_once_matured(connection: duckdb.DuckDBPyConnection) -> None:
    assert realised_spend(connection, SNAPSHOTS[0]).empty
    assert overview_queries.performance(connection, SNAPSHOTS[0]).empty
    realised = realised_spend(connection, SNAPSHOTS[2])
    assert [moment.date() for moment in realised["as_of"]] == list(SNAPSHOTS[:2])
    assert realised["actual_spend"].iloc[-1] == pytest.approx(
        float(
            _value(
                connection,
                "SELECT sum(actual_spend) FROM prediction_outcomes_history"
                " WHERE as_of = ? AND expected_spend IS NOT NULL",
                SNAPSHOTS[1],
            )
        )
    )


def test_performance_pairs_model_and_naive_on_the_last_matured_snapshot(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    performance = overview_queries.performance(connection, LATEST).set_index(["target", "metric"])
    assert performance["as_of"].unique().tolist() == [pd.Timestamp(SNAPSHOTS[2])]
    assert list(performance.loc[("spend", "mae"), ["model", "naive"]]) == [21.3, 26.8]
    assert performance["naive"].isna().loc[("orders", "coverage")]


def test_segment_profiles_carry_what_is_expected_of_their_customers(connection: duckdb.DuckDBPyConnection) -> None:
    profiles = segment_queries.segment_profiles(connection, LATEST).set_index("segment_id")
    assert profiles["customer_count"].sum() == _value(connection, "SELECT count(*) FROM customer_genome")
    for column, expression in (
        ("expected_spend", "sum(expected_spend)"),
        ("expected_spend_median", "median(expected_spend)"),
        ("churn_probability", "avg(churn_probability)"),
    ):
        expected = _value(connection, f"SELECT {expression} FROM customer_genome WHERE segment_id = 2")
        assert profiles.loc[2, column] == pytest.approx(float(expected))


def test_migrations_are_those_into_the_snapshot(connection: duckdb.DuckDBPyConnection) -> None:
    migrations = segment_queries.segment_migrations(connection, LATEST)
    assert migrations["customer_count"].sum() == _value(connection, "SELECT count(*) FROM customer_genome")


def test_search_is_by_prefix_whatever_the_case_and_takes_text_literally(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert customer_queries.customer_ids(connection, LATEST, "c001") == [f"C001{digit}" for digit in range(10)]
    assert customer_queries.customer_ids(connection, LATEST, "<") == [HOSTILE_ID]
    assert customer_queries.customer_ids(connection, LATEST, "' OR 1 = 1 --") == []
    assert customer_queries.customer_ids(connection, LATEST, "%") == []
    assert len(customer_queries.customer_ids(connection, LATEST, "", limit=7)) == 7


def test_a_customer_is_one_row_or_none(connection: duckdb.DuckDBPyConnection) -> None:
    assert len(customer_genome(connection, LATEST, HOSTILE_ID)) == 1
    assert customer_genome(connection, LATEST, "nobody").empty


def test_fingerprint_percentiles_are_mid_ranks(connection: duckdb.DuckDBPyConnection) -> None:
    genes = customer_queries.fingerprint(
        connection, LATEST, customer_genome(connection, LATEST, "C0010").iloc[0]
    ).set_index("gene")
    rank = _value(
        connection,
        """
        SELECT (count(*) FILTER (spend_amount < mine) + count(*) FILTER (spend_amount = mine) / 2) / count(*)
        FROM customer_genome, (SELECT spend_amount AS mine FROM customer_genome WHERE customer_id = 'C0010')
        """,
    )
    assert genes.loc["spend_amount", "percentile"] == pytest.approx(rank, abs=0.002)
    assert genes["percentile"].between(0, 1).all()
    median = _value(
        connection,
        "SELECT median(t_days) FROM customer_genome WHERE segment_id ="
        " (SELECT segment_id FROM customer_genome WHERE customer_id = 'C0010')",
    )
    assert genes.loc["t_days", "segment_median"] == median


def test_fingerprint_leaves_out_genes_that_are_null(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    one_timer = _value(connection, "SELECT min(customer_id) FROM customer_genome WHERE order_gap_mean_days IS NULL")
    genome = customer_genome(connection, LATEST, one_timer).iloc[0]
    assert "order_gap_mean_days" not in customer_queries.fingerprint(connection, LATEST, genome)["gene"].tolist()


def test_activity_shows_silent_periods_and_nothing_after_the_snapshot(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    activity = customer_queries.customer_activity(connection, SNAPSHOTS[1], "C0001", "month")
    assert activity["period_start_date"].iloc[0].month == 1
    assert activity["period_start_date"].iloc[-1].month == 10
    assert len(activity) == 10
    assert activity["gross_amount"].sum() == pytest.approx(
        float(
            _value(
                connection,
                "SELECT sum(gross_amount) FROM customer_activity WHERE customer_id = 'C0001' AND period_start_date < ?",
                SNAPSHOTS[1],
            )
        )
    )
    assert customer_queries.customer_activity(connection, LATEST, "nobody", "month").empty


def test_predictions_of_a_customer_show_outcomes_only_once_known(connection: duckdb.DuckDBPyConnection) -> None:
    predictions = customer_queries.customer_predictions(connection, SNAPSHOTS[2], "C0010")
    assert len(predictions) == 3
    assert predictions["actual_spend"].notna().tolist() == [True, True, False]


def test_neighbors_come_by_rank(connection: duckdb.DuckDBPyConnection) -> None:
    found = neighbors(connection, LATEST, "C0010")
    assert found["neighbor_rank"].tolist() == [1, 2, 3, 4, 5]
    assert found["similarity"].is_monotonic_decreasing


def test_abstentions_name_their_reason(connection: duckdb.DuckDBPyConnection) -> None:
    abstentions = confidence_queries.abstentions(connection, LATEST)
    assert set(abstentions["target"]) == {"value", "risk"}
    assert abstentions["customer_count"].iloc[0] == _value(
        connection, "SELECT count(*) FROM customer_genome WHERE value_abstain_reason IS NOT NULL"
    )
    assert customer_genome(connection, LATEST, ABSTAINED_ID)["expected_spend"].isna().all()


def test_quarantine_sums_over_periods_undated_ones_included(connection: duckdb.DuckDBPyConnection) -> None:
    reasons = quality_queries.quarantine_by_reason(connection).set_index("reason")
    assert reasons["row_count"].sum() == _value(connection, "SELECT sum(row_count) FROM quarantine_reasons")
    assert reasons.loc["unreadable_date", "row_count"] == 5


def test_only_the_last_run_that_checked_counts(connection: duckdb.DuckDBPyConnection) -> None:
    summary = check_summary(connection).set_index("severity")
    assert summary["check_count"].sum() == 5
    assert summary.loc["ERROR", "passed_check_count"] == 3
    checks = quality_queries.checks(connection)
    assert checks["is_passed"].tolist() == [False, True, True, True, True]


def test_a_later_run_of_another_table_does_not_hide_a_failed_check(published_path: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(published_path, tmp_path / "genome.duckdb"))
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE pipeline_runs SET published_at = published_at + INTERVAL 1 DAY")
        connection.execute(
            "INSERT INTO data_quality SELECT 'run-3', max(checked_at) + INTERVAL 1 HOUR, 'customer_genome', 'contract',"
            " NULL, 'ERROR', true, 'passed' FROM data_quality"
        )
        assert quality_queries.checks(connection)["is_passed"].tolist() == [False, True, True, True, True, True]
        # Published again, with nothing checked since.
        connection.execute(
            "INSERT INTO pipeline_runs BY NAME SELECT * REPLACE ('run-4' AS run_id, published_at + INTERVAL 1 DAY AS"
            " published_at) FROM pipeline_runs"
        )
        assert check_summary(connection)["check_count"].sum() == 6


def test_movements_between_any_two_snapshots(connection: duckdb.DuckDBPyConnection) -> None:
    previous = segment_queries.migrations_between(connection, SNAPSHOTS[2], LATEST)
    published = segment_queries.segment_migrations(connection, LATEST)
    columns = ["from_segment_id", "to_segment_id", "customer_count"]
    assert previous[columns].to_numpy().tolist() == published[columns].to_numpy().tolist()
    first = segment_queries.migrations_between(connection, SNAPSHOTS[0], LATEST)
    assert first["customer_count"].sum() == _value(connection, "SELECT count(*) FROM customer_genome")
    assert first.loc[first["from_segment_id"] == 0, "from_segment_name"].unique().tolist() in ([], ["New customers"])


def test_a_gene_is_spread_as_its_quantiles_say(connection: duckdb.DuckDBPyConnection) -> None:
    spread = segment_queries.gene_by_segment(connection, LATEST, "order_gap_mean_days").set_index("segment_id")
    median = _value(
        connection, "SELECT median(order_gap_mean_days) FROM customer_genome WHERE segment_id = ?", spread.index[0]
    )
    assert spread["median"].iloc[0] == pytest.approx(median)
    with pytest.raises(KeyError):
        segment_queries.gene_by_segment(connection, LATEST, "1; DROP TABLE customer_genome_history")


def test_the_sample_is_every_customer_where_they_are_few_and_the_same_each_time(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    everyone = segment_queries.customer_sample(connection, LATEST, ["order_count"])
    assert len(everyone) == _value(connection, "SELECT count(*) FROM customer_genome")
    some = segment_queries.customer_sample(connection, LATEST, ["order_count"], size=100)
    assert 60 < len(some) < 140
    assert some.equals(segment_queries.customer_sample(connection, LATEST, ["order_count"], size=100))


def test_the_genes_that_moved_leave_out_what_the_calendar_moves(connection: duckdb.DuckDBPyConnection) -> None:
    assert overview_queries.moved_genes(connection, LATEST)["gene"].tolist() == ["order_count", "spend_amount"]
    assert len(quality_queries.gene_drift(connection, SNAPSHOTS[1], "training")) == 3


def test_the_latest_result_of_a_check_counts_whichever_run_it_is_of(connection: duckdb.DuckDBPyConnection) -> None:
    periods = quality_queries.checks_by_period(connection)
    assert periods[["check_count", "failed_error_count", "failed_warn_count"]].to_numpy().tolist() == [[5, 0, 1]]
    runs = quality_queries.check_runs(connection)
    assert runs[["run_id", "failed_check_count"]].to_numpy().tolist() == [["run-2", 1], ["run-1", 5]]


def test_samples_are_of_the_reason_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    assert quality_queries.quarantine_samples(connection, "missing_customer")["source_row"].tolist() == [17, 18]
    assert quality_queries.quarantine_samples(connection, "' OR 1 = 1 --").empty
