"""The figures of the Value page."""

from __future__ import annotations

from datetime import date

import pandas as pd

from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import translucent
from genome_pipeline.dashboard.kit.formats import currency_prefix, day, integer
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme


def value_deciles(
    deciles: pd.DataFrame, matured: date, currency: str | None, horizon_days: int, *, theme: Theme = LIGHT
) -> Chart:
    """What each tenth of customers was expected to spend, beside the baseline and what it spent."""
    chart = new_chart(
        "Who was expected to bring the value, and who did",
        f"Each bar is a tenth of the customers of {day(matured)}, those of the highest expected spend first; what they"
        f" spent in the {horizon_days} days after. Good predictions lie on the bars.",
        theme,
        height=320,
    )
    figure = chart.figure
    prefix = currency_prefix(currency)
    names = [integer(decile) for decile in deciles["value_decile"]]
    hover = f"%{{x}}<br>{prefix}%{{y:,.0f}}"
    figure.add_bar(
        x=names,
        y=deciles["actual_spend"],
        name="Realised",
        marker={"color": translucent(theme.actual, 0.18), "line": {"color": theme.actual, "width": 1}},
        hovertemplate=hover + "<extra>Realised</extra>",
    )
    for column, name, color, marker in (
        ("naive_expected_spend", "Naive baseline", theme.naive, "x"),
        ("expected_spend", "Expected", theme.model, "circle"),
    ):
        figure.add_scatter(
            x=names,
            y=deciles[column],
            name=name,
            mode="markers",
            marker={"color": color, "symbol": marker, "size": 11},
            hovertemplate=f"{hover}<extra>{name}</extra>",
        )
    figure.update_xaxes(type="category", title="Tenth of customers by expected spend, 10 the highest")
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=",~s", title="Spend of the tenth")
    return chart


def capture_curve(model: pd.DataFrame, naive: pd.DataFrame, matured: date, *, theme: Theme = LIGHT) -> Chart:
    """Share of realised spend that the customers ranked first brought, for the model and the naive baseline."""
    chart = new_chart(
        "How much of the value the customers ranked first bring",
        f"Read: the customers of {day(matured)} with the highest predictions, in the share on the axis below,"
        " brought the share of all spend on the left. Higher is better; the dotted line is a random order.",
        theme,
        height=320,
    )
    figure = chart.figure
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        name="No order",
        mode="lines",
        line={"color": theme.muted, "dash": "dot", "width": 1},
        hoverinfo="skip",
    )
    for curve, name, color, dash in (
        (naive, "Naive baseline", theme.naive, "dash"),
        (model, "Expected spend", theme.model, "solid"),
    ):
        figure.add_scatter(
            x=curve["customer_share"],
            y=curve["spend_share"],
            name=name,
            mode="lines",
            line={"color": color, "dash": dash, "width": 2.5, "simplify": False},
            hovertemplate="first %{x:.1%} of customers<br>%{y:.1%} of spend<extra>" + name + "</extra>",
        )
    figure.update_xaxes(range=[0, 1], tickformat=".0%", title="Share of customers, highest prediction first")
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title="Share of realised spend")
    return chart
