"""The forecast on a frame in memory: names of the contract, whatever the library, errors of one sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import genome_pipeline as genome
from genome_pipeline.contracts.published import published_schema
from genome_pipeline.errors import ConfigError
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.notebook.forecast import Forecast
from genome_pipeline_tests.support.pipelines import write_shop_log

CUSTOMERS = 60
COLUMNS = {
    "customer_id": "customer",
    "order_id": "order",
    "ordered_at": "date",
    "product_id": "sku",
    "category": "department",
    "quantity": "units",
    "unit_price": "price",
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("log") / "log.csv"
    write_shop_log(path, customers=CUSTOMERS)
    return pd.read_csv(path, dtype=str)


@pytest.fixture(scope="module")
def forecast(log: pd.DataFrame) -> Forecast[pd.DataFrame]:
    return genome.fit(log, columns=COLUMNS, horizon_days=28)


def test_it_is_of_the_latest_snapshot_that_the_log_reaches(forecast: Forecast[pd.DataFrame]) -> None:
    assert forecast.as_of == date(2020, 8, 1)
    assert forecast.set_aside == {"missing_customer": 1, "unreadable_date": 1, "zero_amount": 1}
    assert repr(forecast) == (
        "Forecast(as_of=2020-08-01, horizon_days=28, customers=60, rows=745, set aside: missing_customer 1,"
        " unreadable_date 1, zero_amount 1)"
    )


def test_a_prediction_is_named_as_it_is_published_and_lies_in_its_interval(forecast: Forecast[pd.DataFrame]) -> None:
    found = forecast.predict()
    named = list(published_schema()["tables"]["customer_genome"])
    assert list(found.columns) == [name for name in named if name in set(found.columns)]
    assert {"customer_id", "churn_probability", "expected_orders", "expected_spend"} <= set(found.columns)
    assert list(found["customer_id"]) == [f"c{number:04d}" for number in range(CUSTOMERS)]
    for name in ("expected_orders", "expected_spend", "churn_probability"):
        assert (found[f"{name}_lower"] <= found[name]).all()
        assert (found[name] <= found[f"{name}_upper"]).all()
    buys = (1 - found["churn_probability"]) * found["orders_if_retained"]
    assert list(found["expected_orders"]) == pytest.approx(list(buys))


def test_customers_of_another_frame_are_predicted_as_of_the_same_day(
    forecast: Forecast[pd.DataFrame], log: pd.DataFrame
) -> None:
    some = log[log["customer"].isin(["c0000", "c0007"])]
    later = some.tail(1).assign(date="2020-08-15 10:00:00", order="later")
    alone = forecast.predict(pd.concat([some, later]))
    all_ = forecast.predict()
    expected = all_[all_["customer_id"].isin(["c0000", "c0007"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected)


def test_what_comes_in_goes_out_and_nothing_is_left_behind(
    forecast: Forecast[Any], log: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = pl.from_pandas(log)
    found = forecast.predict(given)
    assert isinstance(found, pl.DataFrame)
    assert found["customer_id"].to_list() == forecast.predict()["customer_id"].tolist()
    assert found.schema["as_of"] == pl.Date
    assert given.equals(pl.from_pandas(log))
    assert list(tmp_path.iterdir()) == []


def test_columns_that_have_our_names_are_found_and_categories_are_text(log: pd.DataFrame) -> None:
    ours = log.rename(columns={theirs: name for name, theirs in COLUMNS.items()}).astype({"category": "category"})
    with pytest.raises(NotEnoughData, match="only 4 customers: a risk model needs 30"):
        genome.fit(ours[ours["customer_id"] < "c0004"], horizon_days=28)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda log: log, {"columns": None}, r"the frame has no column 'customer_id' \(columns\.customer_id\)"),
        (
            lambda log: log.rename(columns={"date": "Date"}),
            {},
            r"the frame has no column 'date' \(columns\.ordered_at\); did you mean 'Date'\? It has: 'customer'",
        ),
        (lambda log: log.assign(price=True), {}, "the frame: column 'price' is BOOLEAN .* where a number is needed"),
        (lambda log: log, {"columns": {"client": "customer"}}, "there is no column 'client'; columns there are: cust"),
        (lambda log: log, {"columns": {**COLUMNS, "country": "sku"}}, "column 'sku' is mapped twice"),
        (
            lambda log: log.assign(quarter=pd.period_range("2020-01", periods=len(log), freq="D")),
            {},
            r"the frame cannot be read \(Not implemented Error: Data type 'period\[D\]' not recognized\): convert that",
        ),
        (lambda log: log.to_dict("records"), {}, r"the transactions are a builtins\.list: give a pandas or Polars"),
        (lambda log: pl.from_pandas(log).lazy(), {}, "LazyFrame: give a pandas or Polars DataFrame"),
        (lambda log: log, {"as_of": "2020-07-15"}, "2020-07-15 is not the end of a month: the nearest are 2020-07-01"),
        (lambda log: log, {"as_of": "July"}, "'July' is no date: write it as"),
        (lambda log: log, {"horizon_days": 0}, "horizon_days = 0 is wrong: input should be greater than or equal to 1"),
        (lambda log: log, {"interval_level": 1.2}, r"interval_level = 1\.2 is wrong: input should be less than 1"),
        (lambda log: log, {"period": "year"}, "period = 'year' is wrong: input should be 'month', 'week' or 'day'"),
        (lambda log: log, {"disabled": ["zero"]}, "no rule 'zero' can be switched off"),
    ],
)
def test_mistakes_are_one_sentence(
    log: pd.DataFrame, change: Callable[[pd.DataFrame], Any], options: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"columns": COLUMNS, **options}
    with pytest.raises(ConfigError, match=message):
        genome.fit(change(log), **given)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        pytest.param(lambda log: log.head(0), {}, "no row can be used: the frame holds none", marks=pytest.mark.slow),
        (
            lambda log: log.assign(price="0"),
            {},
            r"no row can be used: of [\d,]+ rows, rules set aside [\d,]+ for zero_amount",
        ),
        pytest.param(
            lambda log: log,
            {"as_of": "2020-01-01"},
            "nobody bought before 2020-01-01: give a later as_of",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda log: log,
            {"as_of": "2021-06-01"},
            "no forecast as of 2021-06-01: the log ends 30[0-9] days before the snapshot",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_too_little_is_said_to_be_too_little(
    log: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(NotEnoughData, match=message):
        genome.fit(change(log), columns=COLUMNS, horizon_days=28, **options)


@pytest.mark.slow
def test_the_order_and_the_types_of_rows_change_nothing(forecast: Forecast[pd.DataFrame], log: pd.DataFrame) -> None:
    typed = log.sample(frac=1, random_state=3).assign(
        date=lambda rows: pd.to_datetime(rows["date"], errors="coerce"),
        units=lambda rows: rows["units"].astype(int),
        price=lambda rows: rows["price"].astype(float),
    )
    again = genome.fit(pa.Table.from_pandas(typed), columns=COLUMNS, horizon_days=28).predict()
    assert isinstance(again, pa.Table)
    expected = forecast.predict()
    assert again["customer_id"].to_pylist() == expected["customer_id"].tolist()
    numbers = expected.select_dtypes("number")
    pd.testing.assert_frame_equal(again.select(list(numbers)).to_pandas(), numbers, rtol=1e-9, atol=1e-9)
