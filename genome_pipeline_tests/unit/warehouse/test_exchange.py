"""Rows leave the warehouse, a function of customers is applied to them, and they come back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import fsspec
import ibis
import pandas as pd
import pytest
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.warehouse import exchange as module
from genome_pipeline.warehouse.exchange import Exchange, local_exchange
from genome_pipeline_tests.support.logs import engine

FIELDS = [COLUMNS[name] for name in ("as_of", "customer_id", "frequency_count", "spend_amount")]


def warehouse(customers: int) -> Backend:
    database = engine()
    database.con.execute(
        "CREATE TABLE customer_features AS SELECT DATE '2020-02-01' AS as_of, 'c' || i AS customer_id,"
        " i AS frequency_count, (i / 4)::DECIMAL(18,2) AS spend_amount FROM range(?) t(i)",
        [customers],
    )
    return database


def twice(factor: int, customers: pd.DataFrame) -> pd.DataFrame:
    return customers.assign(
        frequency_count=factor * customers["frequency_count"], spend_amount=factor * customers["spend_amount"]
    )


@pytest.fixture(params=["folder", "store"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> Exchange:
    if request.param == "folder":
        folder = tmp_path / "O'Neill's [new] *"
        folder.mkdir()
        return Exchange(str(folder))
    return Exchange(f"memory://exchange{tmp_path}", fsspec.filesystem("memory"))


def test_rows_come_back_as_they_went(exchange: Exchange) -> None:
    database = warehouse(5_000)
    rows = database.table("customer_features")
    lots = [exchange.put(database, part) for part in (rows.filter(rows.frequency_count < 9), rows.limit(0))]
    found = exchange.get(database, lots, lambda came: came.order_by("frequency_count"))
    assert found.schema() == rows.schema()
    assert found.customer_id.execute().tolist() == [f"c{number}" for number in range(9)]
    assert len(exchange.frame(lots[0])) == 9


def test_a_function_sees_bounded_batches_and_gives_the_types_of_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_CUSTOMERS", 2_048)
    database, exchange = warehouse(10_000), Exchange(str(tmp_path))
    sizes = []

    def apply(factor: int, customers: pd.DataFrame) -> pd.DataFrame:
        sizes.append(len(customers))
        return twice(factor, customers)

    given = exchange.put(database, database.table("customer_features"))
    made = exchange.map_customers(given, b"2", int, apply, FIELDS)
    assert sum(sizes) == 10_000
    assert max(sizes) <= 2_048
    found = exchange.get(database, [made])
    assert ibis.schema({column.name: found.schema()[column.name] for column in FIELDS}) == found.schema()
    assert str(found.schema()["spend_amount"]) == "decimal(18, 2)"
    total = found.agg(customers=found.count(), orders=found.frequency_count.sum(), spend=found.spend_amount.sum())
    assert [str(value) for value in total.execute().iloc[0]] == ["10000", "99990000", "24997500.00"]


def test_of_no_customers_come_no_rows(tmp_path: Path) -> None:
    database, exchange = warehouse(0), Exchange(str(tmp_path))
    made = exchange.map_customers(exchange.put(database, database.table("customer_features")), b"2", int, twice, FIELDS)
    assert exchange.frame(made).columns.tolist() == [column.name for column in FIELDS]
    assert exchange.get(database, [made]).count().execute() == 0


def test_an_exchange_leaves_nothing_and_removes_what_a_run_that_died_left_the_day_before(tmp_path: Path) -> None:
    for name, age_hours in (("of a run that died", 25), ("of another run", 23)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.parquet").touch()
        os.utime(tmp_path / name, (time.time() - age_hours * 3600,) * 2)
    with local_exchange(tmp_path):
        assert len(list(tmp_path.iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["of another run"]


def test_a_relative_folder_may_be_below_one_with_pattern_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proj [2024]").mkdir()
    monkeypatch.chdir(tmp_path / "proj [2024]")
    database = warehouse(3)
    with local_exchange(Path("home [1]")) as exchange:
        lot = exchange.put(database, database.table("customer_features"))
        assert exchange.get(database, [lot]).count().execute() == 3
