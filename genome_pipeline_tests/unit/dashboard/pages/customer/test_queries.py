"""What is known of a customer, beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

import duckdb
import pytest

from genome_pipeline.dashboard.kit.customers import customer_genome
from genome_pipeline.dashboard.pages.customer import queries
from genome_pipeline_tests.support.plain_sql import value_of
from genome_pipeline_tests.support.published_file import HOSTILE_ID, LATEST, SNAPSHOTS


def test_search_is_by_prefix_whatever_the_case_and_takes_text_literally(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    assert queries.customer_ids(connection, LATEST, "c001") == [f"C001{digit}" for digit in range(10)]
    assert queries.customer_ids(connection, LATEST, "<") == [HOSTILE_ID]
    assert queries.customer_ids(connection, LATEST, "' OR 1 = 1 --") == []
    assert queries.customer_ids(connection, LATEST, "%") == []
    assert len(queries.customer_ids(connection, LATEST, "", limit=7)) == 7


def test_fingerprint_percentiles_are_mid_ranks(connection: duckdb.DuckDBPyConnection) -> None:
    genes = queries.fingerprint(connection, LATEST, customer_genome(connection, LATEST, "C0010").iloc[0]).set_index(
        "gene"
    )
    rank = value_of(
        connection,
        """
        SELECT (count(*) FILTER (spend_amount < mine) + count(*) FILTER (spend_amount = mine) / 2) / count(*)
        FROM customer_genome, (SELECT spend_amount AS mine FROM customer_genome WHERE customer_id = 'C0010')
        """,
    )
    assert genes.loc["spend_amount", "percentile"] == pytest.approx(rank, abs=0.002)
    assert genes["percentile"].between(0, 1).all()
    median = value_of(
        connection,
        "SELECT median(t_days) FROM customer_genome WHERE segment_id ="
        " (SELECT segment_id FROM customer_genome WHERE customer_id = 'C0010')",
    )
    assert genes.loc["t_days", "segment_median"] == median


def test_fingerprint_leaves_out_genes_that_are_null(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    one_timer = value_of(connection, "SELECT min(customer_id) FROM customer_genome WHERE order_gap_mean_days IS NULL")
    genome = customer_genome(connection, LATEST, one_timer).iloc[0]
    assert "order_gap_mean_days" not in queries.fingerprint(connection, LATEST, genome)["gene"].tolist()


def test_activity_shows_silent_periods_and_nothing_after_the_snapshot(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    activity = queries.customer_activity(connection, SNAPSHOTS[1], "C0001", "month")
    assert activity["period_start_date"].iloc[0].month == 1
    assert activity["period_start_date"].iloc[-1].month == 10
    assert len(activity) == 10
    assert activity["gross_amount"].sum() == pytest.approx(
        float(
            value_of(
                connection,
                "SELECT sum(gross_amount) FROM customer_activity WHERE customer_id = 'C0001' AND period_start_date < ?",
                SNAPSHOTS[1],
            )
        )
    )
    assert queries.customer_activity(connection, LATEST, "nobody", "month").empty


def test_predictions_of_a_customer_show_outcomes_only_once_known(connection: duckdb.DuckDBPyConnection) -> None:
    predictions = queries.customer_predictions(connection, SNAPSHOTS[2], "C0010")
    assert len(predictions) == 3
    assert predictions["actual_spend"].notna().tolist() == [True, True, False]
