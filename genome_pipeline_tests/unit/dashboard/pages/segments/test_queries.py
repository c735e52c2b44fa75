"""The aggregates of the Segments page beside literal queries, written the plainest way, on the same file."""

from __future__ import annotations

import duckdb
import pytest

from genome_pipeline.dashboard.pages.segments import queries
from genome_pipeline_tests.support.plain_sql import value_of
from genome_pipeline_tests.support.published_file import LATEST, SNAPSHOTS


def test_segment_profiles_carry_what_is_expected_of_their_customers(connection: duckdb.DuckDBPyConnection) -> None:
    profiles = queries.segment_profiles(connection, LATEST).set_index("segment_id")
    assert profiles["customer_count"].sum() == value_of(connection, "SELECT count(*) FROM customer_genome")
    for column, expression in (
        ("expected_spend_amount", "sum(expected_spend)"),
        ("expected_spend_median", "median(expected_spend)"),
        ("churn_probability", "avg(churn_probability)"),
    ):
        expected = value_of(connection, f"SELECT {expression} FROM customer_genome WHERE segment_id = 2")
        assert profiles.loc[2, column] == pytest.approx(float(expected))


def test_migrations_are_those_into_the_snapshot(connection: duckdb.DuckDBPyConnection) -> None:
    migrations = queries.segment_migrations(connection, LATEST)
    assert migrations["customer_count"].sum() == value_of(connection, "SELECT count(*) FROM customer_genome")


def test_movements_between_any_two_snapshots(connection: duckdb.DuckDBPyConnection) -> None:
    previous = queries.migrations_between(connection, SNAPSHOTS[2], LATEST)
    published = queries.segment_migrations(connection, LATEST)
    columns = ["from_segment_id", "to_segment_id", "customer_count"]
    assert previous[columns].to_numpy().tolist() == published[columns].to_numpy().tolist()
    first = queries.migrations_between(connection, SNAPSHOTS[0], LATEST)
    assert first["customer_count"].sum() == value_of(connection, "SELECT count(*) FROM customer_genome")
    assert first.loc[first["from_segment_id"] == 0, "from_segment_name"].unique().tolist() in ([], ["New customers"])


def test_a_gene_is_spread_as_its_quantiles_say(connection: duckdb.DuckDBPyConnection) -> None:
    spread = queries.gene_by_segment(connection, LATEST, "order_gap_mean_days").set_index("segment_id")
    median = value_of(
        connection, "SELECT median(order_gap_mean_days) FROM customer_genome WHERE segment_id = ?", spread.index[0]
    )
    assert spread["median"].iloc[0] == pytest.approx(median)
    with pytest.raises(KeyError):
        queries.gene_by_segment(connection, LATEST, "1; DROP TABLE customer_genome_history")


def test_the_sample_is_every_customer_where_they_are_few_and_the_same_each_time(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    everyone = queries.customer_sample(connection, LATEST, ["order_count"])
    assert len(everyone) == value_of(connection, "SELECT count(*) FROM customer_genome")
    some = queries.customer_sample(connection, LATEST, ["order_count"], size=100)
    assert 60 < len(some) < 140
    assert some.equals(queries.customer_sample(connection, LATEST, ["order_count"], size=100))
