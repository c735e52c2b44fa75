"""The figures of the Customer page."""

from __future__ import annotations

from datetime import date

import pandas as pd

from genome_pipeline.dashboard.pages.customer import figures
from genome_pipeline.dashboard.pages.customer.outlook import outlook_curve
from genome_pipeline.dashboard.pages.customer.timeline import NextOrder


def test_the_next_order_is_a_day_with_its_interval() -> None:
    row = pd.Series(
        {
            "next_order_date": pd.Timestamp("2017-03-11"),
            "next_order_date_lower": pd.Timestamp("2017-03-01"),
            "next_order_date_upper": pd.NaT,
        }
    )
    expected = NextOrder.of(row)
    assert expected == NextOrder(date(2017, 3, 11), date(2017, 3, 1), None)
    assert expected is not None
    assert expected.in_words == "1 Mar 2017 to no end in sight"
    assert NextOrder.of(row.replace(row["next_order_date"], pd.NaT)) is None


def test_an_interval_without_bounds_or_baseline_still_shows_the_prediction() -> None:
    figure = figures.prediction_interval(3.0, None, None, None, title="Expected orders", reading="").figure
    assert [tuple(trace.x) for trace in figure.data] == [(3.0,)]


def test_a_prediction_of_zero_has_an_axis() -> None:
    figure = figures.prediction_interval(0.0, 0.0, 0.0, 0.0, title="Expected spend", reading="").figure
    assert figure.layout.xaxis.range[1] > 0


def test_the_outlook_is_one_curve_with_its_intervals_and_open_marks_where_extrapolated() -> None:
    told = pd.DataFrame(
        {
            "horizon_days": [28, 90],
            "churn_probability": [0.5, 0.2],
            "expected_orders": [1.0, 3.0],
            "expected_spend": [10.0, 30.0],
            "expected_spend_lower": [0.0, None],
            "expected_spend_upper": [20.0, None],
            "is_extrapolated": [False, True],
        }
    )
    *band, curve = outlook_curve(told, "USD", 0.8).figure.data
    assert (tuple(curve.x), tuple(curve.y), tuple(curve.marker.symbol)) == (
        (28, 90),
        (10.0, 30.0),
        ("circle", "circle-open"),
    )
    assert max(max(trace.y) for trace in band) == 20.0
    without_spend = outlook_curve(
        told.assign(expected_spend=None, expected_orders_lower=None, expected_orders_upper=None), "USD", 0.8
    )
    assert tuple(without_spend.figure.data[-1].y) == (1.0, 3.0)
