"""The figures of the Customer page."""

from __future__ import annotations

from datetime import date

import pandas as pd

from genome_pipeline.dashboard.pages.customer import figures
from genome_pipeline.dashboard.pages.customer.timeline import NextOrder


def test_the_next_order_is_due_a_mean_gap_after_the_last() -> None:
    genome = pd.Series(
        {"order_gap_mean_days": 10.0, "order_gap_std_days": 12.0, "last_order_date": pd.Timestamp("2017-03-01")}
    )
    due = NextOrder.of(genome)
    assert due == NextOrder(date(2017, 3, 11), date(2017, 3, 1), date(2017, 3, 23))
    assert NextOrder.of(genome.replace(10.0, float("nan"))) is None


def test_an_interval_without_bounds_or_baseline_still_shows_the_prediction() -> None:
    figure = figures.prediction_interval(3.0, None, None, None, title="Expected orders", reading="").figure
    assert [tuple(trace.x) for trace in figure.data] == [(3.0,)]


def test_a_prediction_of_zero_has_an_axis() -> None:
    figure = figures.prediction_interval(0.0, 0.0, 0.0, 0.0, title="Expected spend", reading="").figure
    assert figure.layout.xaxis.range[1] > 0
