"""The forecast over every horizon: what a longer one says contains what a shorter one says."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_pipeline.contracts.tables.risk import CHURN
from genome_pipeline.contracts.tables.value import ORDERS, SPEND
from genome_pipeline.models.forecast.outlook import (
    MAIN,
    MAIN_RISK,
    MAIN_VALUE,
    OutlookModel,
    coherent,
    fit_outlook_model,
)
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline_tests.support.fitted_forecasts import LEVEL, forecast
from genome_pipeline_tests.support.histories import HORIZON_DAYS, START, History, history
from genome_pipeline_tests.support.populations import assert_keeps_contract

AS_OF = START + timedelta(days=420)
RISES = {"churn_probability": False, "expected_orders": True, "expected_spend": True}


@cache
def log() -> History:
    return history(length_days=720)


def beside_main(as_of: date = AS_OF) -> pd.DataFrame:
    """Features with the main horizon's forecast beside them, as the stage hands them over."""
    found = forecast(log().features(as_of), log().labelled(as_of))
    frame = by_customer(found.features)
    for model, columns, predictions in (("risk", MAIN_RISK, found.churn), ("value", MAIN_VALUE, found.spend)):
        for name in columns:
            new = f"{MAIN}{model}_{name}" if name == "abstain_reason" else f"{MAIN}{name}"
            frame[new] = predictions[name].to_numpy()
    return frame


def outlook(*horizons_days: int, as_of: date = AS_OF) -> OutlookModel:
    labelled = {days: log().labelled(as_of, days) for days in horizons_days}
    return fit_outlook_model(log().features(as_of), labelled, HORIZON_DAYS, LEVEL, seed=0)


@pytest.fixture(scope="module")
def told() -> pd.DataFrame:
    return outlook(28, 181).predict(beside_main())


def at(told: pd.DataFrame, days: int) -> pd.DataFrame:
    return told[told["horizon_days"] == days].reset_index(drop=True)


def test_every_customer_has_every_horizon_by_the_contract(told: pd.DataFrame) -> None:
    assert_keeps_contract("customer_outlook", told)
    assert told.groupby("customer_id")["horizon_days"].apply(list).map(tuple).unique().tolist() == [
        (28, HORIZON_DAYS, 181)
    ]


def test_the_main_horizon_stays_as_it_is(told: pd.DataFrame) -> None:
    main, frame = at(told, HORIZON_DAYS), beside_main()
    for name in (*CHURN, *ORDERS, *SPEND):
        np.testing.assert_array_equal(numbers(main[name]), numbers(frame[f"{MAIN}{name}"]))


def test_longer_horizons_say_no_less_and_bounds_hold_the_forecast(told: pd.DataFrame) -> None:
    short, main, long = (at(told, days) for days in (28, HORIZON_DAYS, 181))
    for name, rises in RISES.items():
        for less, more in ((short, main), (main, long)):
            gap = numbers(more[name]) - numbers(less[name])
            assert (gap >= 0 if rises else gap <= 0).all()
            # Horizons are told apart: the forecast over one is not that over another.
            assert np.abs(gap).mean() > 0.02
    for frame in (short, main, long):
        assert (numbers(frame["expected_orders"]) >= 1 - numbers(frame["churn_probability"])).all()
        for name in RISES:
            lower, value, upper = (numbers(frame[f"{name}{end}"]) for end in ("_lower", "", "_upper"))
            assert ((lower <= value) & (value <= upper)).all()


def test_each_horizon_is_near_what_happens(told: pd.DataFrame) -> None:
    for days in (28, 181):
        actual = log().snapshot(AS_OF, days).outcomes
        found = at(told, days)
        assert found["customer_id"].tolist() == actual["customer_id"].tolist()
        bought = 1 - actual["has_churned"].mean()
        assert (1 - found["churn_probability"]).mean() == pytest.approx(bought, abs=0.05)
        assert found["expected_orders"].sum() == pytest.approx(actual["actual_orders"].sum(), rel=0.2)


def test_a_horizon_longer_than_the_log_is_extrapolated_without_bounds_and_says_why() -> None:
    found = at(outlook(730).predict(beside_main()), 730)
    assert found["is_extrapolated"].all()
    assert found["churn_probability"].between(0, 1).all()
    assert found["churn_probability_lower"].isna().all()
    assert found["abstain_reason"].str.contains("no snapshot that carries a forecast has matured yet").all()
    assert not at(outlook(28).predict(beside_main()), 28)["is_extrapolated"].any()


def test_a_log_too_small_to_forecast_abstains_over_every_horizon() -> None:
    frame = beside_main().head(10)
    labelled = {28: log().labelled(AS_OF, 28)}
    found = fit_outlook_model(log().features(AS_OF).head(10), labelled, HORIZON_DAYS, LEVEL, 0).predict(frame)
    few = at(found, 28)
    assert few["churn_probability"].isna().all()
    assert few["abstain_reason"].str.contains("only 10 customers").all()
    assert not few["is_extrapolated"].any()


def test_a_stored_model_predicts_the_same(told: pd.DataFrame) -> None:
    again = OutlookModel.from_bytes(outlook(28, 181).to_bytes()).predict(beside_main())
    pd.testing.assert_frame_equal(again, told)


def test_the_model_table_has_a_row_for_each_further_horizon() -> None:
    model = outlook(28, 730)
    rows = model.candidates(AS_OF)
    assert_keeps_contract("outlook_model", rows.assign(artifact_file="some.json"))
    short, long = rows.to_dict("records")
    assert (short["horizon_days"], long["horizon_days"]) == (28, 730)
    assert short["training_snapshot_count"] > 0
    assert 0.2 < short["log_loss"] < 0.7
    assert long["training_snapshot_count"] == 0
    assert np.isnan(long["log_loss"])
    assert "no snapshot that carries a forecast has matured yet" in long["abstain_reason"]


@st.composite
def forecasts(draw: st.DrawFn) -> pd.DataFrame:
    """The forecast of one customer over one horizon: each number known with bounds, without, or not at all."""
    found: dict[str, float] = {}
    for name in RISES:
        lower, value, upper = sorted(draw(st.tuples(*[st.floats(0, 1)] * 3)))
        kind = draw(st.sampled_from(["bounded", "without bounds", "unknown"]))
        found[name] = np.nan if kind == "unknown" else value
        found[f"{name}_lower"], found[f"{name}_upper"] = (lower, upper) if kind == "bounded" else (np.nan, np.nan)
    return pd.DataFrame([found])


@settings(deadline=None)
@given(st.lists(forecasts(), min_size=2, max_size=4), st.data())
def test_any_forecasts_become_coherent(frames: list[pd.DataFrame], data: st.DataObject) -> None:
    told = {30 * place: frame for place, frame in enumerate(frames, start=1)}
    main = data.draw(st.sampled_from(sorted(told)))
    found = coherent(told, main)
    pd.testing.assert_frame_equal(found[main], told[main])
    before, after = (pd.concat([some[days] for days in sorted(told)]) for some in (told, found))
    assert (before.isna().to_numpy() == after.isna().to_numpy()).all()
    for name, rises in RISES.items():
        gaps = np.diff(after[name].dropna())
        assert (gaps >= 0).all() if rises else (gaps <= 0).all()
        bounded = after.dropna(subset=[f"{name}_lower"])
        assert (bounded[f"{name}_lower"] <= bounded[name]).all()
        assert (bounded[name] <= bounded[f"{name}_upper"]).all()
