"""The outlook of a customer: the forecast over every horizon, as one curve."""

from __future__ import annotations

import pandas as pd
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.chart import Chart, chart_panel, new_chart
from genome_pipeline.dashboard.kit.drawing import add_band
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme
from genome_pipeline.dashboard.pages.customer import queries

_TARGETS = {"expected_spend": "Spend", "expected_orders": "Orders"}
_MARKS = {False: "circle", True: "circle-open"}


def outlook(request: PageRequest, customer_id: str) -> Component | None:
    """The panel; None where there is one horizon only, which the page shows already, or no forecast at all."""
    told = queries.customer_outlook(request.connection, request.as_of, customer_id)
    known = told.dropna(subset="expected_orders")
    if len(told) < 2 or known.empty:
        return None
    chart = outlook_curve(known, request.run.currency, request.run.interval_level, theme=request.theme)
    return chart_panel(
        chart,
        told,
        (
            "horizon_days",
            "churn_probability",
            "expected_orders",
            "expected_spend",
            "expected_spend_lower",
            "expected_spend_upper",
            "is_extrapolated",
        ),
    )


def outlook_curve(told: pd.DataFrame, currency: str | None, interval_level: float, *, theme: Theme = LIGHT) -> Chart:
    """Spend, or orders where spend is not predicted, over each horizon, with intervals; a row of ``told`` each."""
    target = "expected_spend" if told["expected_spend"].notna().all() else "expected_orders"
    prefix = formats.currency_prefix(currency) if target == "expected_spend" else ""
    chart = new_chart(
        f"Outlook: {_TARGETS[target].lower()} within each horizon", _reading(told, interval_level), theme, height=260
    )
    figure, days = chart.figure, told["horizon_days"]
    name = f"{formats.percent(interval_level, 0)} interval"
    bounded = told.dropna(subset=f"{target}_upper")
    if not bounded.empty:
        add_band(
            figure,
            bounded["horizon_days"],
            bounded[f"{target}_lower"],
            bounded[f"{target}_upper"],
            theme.model,
            name,
        )
    figure.add_scatter(
        x=days,
        y=told[target],
        customdata=told.assign(buys=1 - told["churn_probability"])[["buys", "expected_orders"]],
        name="Expected",
        mode="lines+markers",
        line={"color": theme.model, "width": 2.5},
        marker={"size": 9, "symbol": [_MARKS[bool(value)] for value in told["is_extrapolated"]]},
        cliponaxis=False,
        hovertemplate=f"within %{{x}} days<br>{prefix}%{{y:,.2f}}<br>buys: %{{customdata[0]:.1%}}"
        "<br>orders: %{customdata[1]:,.2f}<extra></extra>",
    )
    figure.update_xaxes(title="Days from the snapshot", tickvals=days.tolist(), rangemode="tozero")
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=",~s", title=_TARGETS[target])
    return chart


def _reading(told: pd.DataFrame, interval_level: float) -> str:
    reading = f"Band: the {formats.percent(interval_level, 0)} interval. Each horizon contains the shorter ones."
    if told["is_extrapolated"].any():
        reading += " Open marks: no snapshot has matured over this horizon, so that it rests on histories alone."
    return reading
