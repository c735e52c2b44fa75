"""What is read of snapshots, in which order, and what models are fitted on: all of a small one, a sample of a large."""

from __future__ import annotations

from datetime import date

import pandas.testing
import pytest
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets import frames
from genome_pipeline.orchestration.assets.frames import (
    latest_matured,
    provisional_at,
    sampled_frames,
    snapshot_frames,
    with_taste,
)
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline_tests.support.logs import engine

FIRST, SECOND = date(2020, 2, 1), date(2020, 3, 1)


@pytest.fixture
def database() -> Backend:
    """A snapshot of 300 customers, one of 900, and the outcomes of the first."""
    database = engine()
    for name in (
        *("customer_features", "prediction_outcomes", "written_slices"),
        *("experiments", "experiment_members"),
    ):
        database.con.execute(TABLES[name].ddl())
    for table in ("customer_features", "prediction_outcomes"):
        for (column,) in database.con.execute(
            f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{table}' AND NOT is_nullable"
        ).fetchall():
            database.con.execute(f"ALTER TABLE {table} ALTER {column} DROP NOT NULL")
    for as_of, customers in ((FIRST, 300), (SECOND, 900)):
        database.con.execute(
            "INSERT INTO customer_features BY NAME SELECT ?::DATE AS as_of, 'c' || i AS customer_id,"
            " i % 3 AS frequency_count, i % 400 AS days_since_last_order FROM range(?) t(i)",
            [as_of, customers],
        )
    database.con.execute(
        "INSERT INTO prediction_outcomes BY NAME SELECT as_of, customer_id, ?::DATE AS matured_as_of,"
        " frequency_count AS actual_orders, 2 AS actual_spend, false AS has_churned"
        " FROM customer_features WHERE as_of = ?",
        [SECOND, FIRST],
    )
    return database


def test_a_small_snapshot_is_taken_whole(database: Backend) -> None:
    expected, found = snapshot_frames(database, "customer_features", [SECOND]), sampled_frames(database, [SECOND], 0)
    pandas.testing.assert_frame_equal(found[SECOND], expected[SECOND])


def test_of_a_large_one_a_sample_is_and_the_same_with_its_outcomes(
    database: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "SNAPSHOT_ROWS", 100)
    found = sampled_frames(database, [FIRST, SECOND], 0)
    assert {as_of: len(frame) for as_of, frame in found.items()} == {FIRST: 100, SECOND: 100}
    assert found[SECOND]["frequency_count"].value_counts().between(33, 34).all()
    matured = latest_matured(database, SECOND, 28, 0)
    assert matured is not None
    pandas.testing.assert_frame_equal(matured.features, found[FIRST])
    assert matured.outcomes["actual_orders"].tolist() == found[FIRST]["frequency_count"].tolist()
    assert latest_matured(database, FIRST, 28, 0) is None


def test_rows_come_in_order_of_the_key_whatever_order_they_lie_in(database: Backend) -> None:
    database.con.execute("CREATE TABLE shuffled AS SELECT * FROM customer_features ORDER BY hash(customer_id)")
    database.con.execute("DELETE FROM customer_features")
    database.con.execute("INSERT INTO customer_features SELECT * FROM shuffled")
    found = snapshot_frames(database, "customer_features", [SECOND, FIRST], ["customer_id", "frequency_count"])
    assert found[FIRST]["customer_id"].tolist() == sorted(f"c{number}" for number in range(300))
    assert found[SECOND]["customer_id"].tolist() == sorted(f"c{number}" for number in range(900))
    assert list(found[FIRST].columns) == ["as_of", "customer_id", "frequency_count"]
    first = found[FIRST].set_index("customer_id")["frequency_count"]
    assert first[["c4", "c40", "c5"]].tolist() == [1, 1, 2]


def test_a_snapshot_that_was_never_written_is_missed(database: Backend) -> None:
    with pytest.raises(WarehouseError, match="customer_features has no snapshot at 2020-04-01"):
        snapshot_frames(database, "customer_features", [FIRST, date(2020, 4, 1)])


def test_snapshots_that_the_log_does_not_reach_are_provisional() -> None:
    """A log of January and February whose last line is of the first of March, in a calendar that goes on to May."""
    database = engine()
    database.con.execute(
        "CREATE TABLE validated_transactions AS SELECT TIMESTAMP '2020-01-01' + to_days(i::INTEGER) AS ordered_at,"
        " false AS is_return FROM range(61) t(i)"
    )
    settings = Settings(
        source={"path": "x", "columns": {"customer_id": "c", "ordered_at": "d"}}, calendar={"start": "2020-01-01"}
    )
    ends = [date(2020, month, 1) for month in (2, 3, 4, 5)]
    assert provisional_at(database, settings, ends) == ends[2:]
    running = settings.time.as_of(settings.time.period.start_of(settings.today()))
    database.con.execute("INSERT INTO validated_transactions VALUES (?, false)", [settings.today()])
    assert running in provisional_at(database, settings, [running])


def test_a_category_keeps_its_rank_when_the_last_buyer_of_the_one_before_was_forgotten(database: Backend) -> None:
    database.con.execute(
        "CREATE TABLE customer_categories AS SELECT ?::DATE AS as_of, * FROM (VALUES ('c0', 1, 'wine', 0.75::DOUBLE),"
        " ('c0', 3, 'tea', 0.25)) AS t(customer_id, category_rank, category, category_spend_share)",
        [FIRST],
    )
    features = snapshot_frames(database, "customer_features", [FIRST])[FIRST]
    customers, categories = with_taste(database, FIRST, features)
    assert categories == ("wine", "", "tea")
    (first,) = customers[customers["customer_id"] == "c0"].to_dict("records")
    assert [first[f"category_share_{rank}"] for rank in (1, 2, 3)] == [0.75, 0.0, 0.25]
