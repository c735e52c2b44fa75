"""A customer's purchases over time, and when the next is likely."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genome_pipeline.dashboard.kit.chart import Chart
from genome_pipeline.dashboard.kit.drawing import period_axis
from genome_pipeline.dashboard.kit.formats import (
    currency_prefix,
    day,
    is_missing,
)
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme


class NextOrder(NamedTuple):
    """When a customer is likely to order next.

    ``latest`` is None where the chance that there is no further order is larger than what lies after the interval.
    """

    expected: date
    earliest: date
    latest: date | None

    @classmethod
    def of(cls, row: pd.Series) -> NextOrder | None:
        """By the row of ``customer_genome``; None where no further order is likely, or none is predicted."""
        expected, earliest, latest = (
            None if is_missing(value) else pd.Timestamp(value).date()
            for value in (row["next_order_date"], row["next_order_date_lower"], row["next_order_date_upper"])
        )
        return None if expected is None or earliest is None else cls(expected, earliest, latest)

    @property
    def in_words(self) -> str:
        """The interval."""
        until = "no end in sight" if self.latest is None else day(self.latest)
        return f"{day(self.earliest)} to {until}"


def activity_timeline(
    activity: pd.DataFrame,
    currency: str | None,
    period: str,
    as_of: date,
    next_order: NextOrder | None,
    *,
    theme: Theme = LIGHT,
) -> Chart:
    """A customer's purchases period by period, silent periods included, and when the next one is likely."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.66, 0.34], vertical_spacing=0.1)
    figure.update_layout(template=theme.template)
    prefix = currency_prefix(currency)
    _add_amounts(figure, activity, prefix, theme)
    figure.add_bar(
        x=activity["period_start_date"],
        y=activity["purchase_day_count"],
        name="Purchase days",
        marker={"color": theme.accent},
        hovertemplate="%{x|%-d %b %Y}<br>%{y} purchase days<extra></extra>",
        row=2,
        col=1,
    )
    if next_order is not None:
        _add_next_order(figure, next_order, theme)
    snapshot = {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": as_of,
        "x1": as_of,
        "y0": 0,
        "y1": 1,
        "line": {"color": theme.muted, "dash": "dot", "width": 1.5},
    }
    figure.update_layout(barmode="relative", bargap=0.2, shapes=[snapshot])
    period_axis(figure, activity["period_start_date"])
    figure.update_yaxes(title="Amount", tickprefix=prefix, tickformat=",~s", nticks=4, row=1, col=1)
    figure.update_yaxes(title="Days", nticks=3, rangemode="tozero", row=2, col=1)
    return Chart(
        f"Purchases by {period}, and when the next is likely",
        "Above: purchases and returns. Below: days with a purchase; gaps are silent periods. Diamond: the day by"
        " which they have ordered again with even odds, with its interval. Dotted: the snapshot.",
        320,
        figure,
    )


def _add_amounts(figure: go.Figure, activity: pd.DataFrame, prefix: str, theme: Theme) -> None:
    """Purchases, and below zero what was returned, where anything was."""
    figure.add_bar(
        x=activity["period_start_date"],
        y=activity["gross_amount"],
        name="Purchases",
        marker={"color": theme.model},
        hovertemplate=f"%{{x|%-d %b %Y}}<br>{prefix}%{{y:,.2f}}<extra>Purchases</extra>",
        row=1,
        col=1,
    )
    if (activity["return_amount"] > 0).any():
        figure.add_bar(
            x=activity["period_start_date"],
            y=-activity["return_amount"],
            name="Returns",
            marker={
                "color": theme.warning,
                "pattern": {"shape": "/", "fillmode": "overlay", "fgcolor": theme.surface, "size": 6},
            },
            hovertemplate=f"%{{x|%-d %b %Y}}<br>{prefix}%{{y:,.2f}}<extra>Returns</extra>",
            row=1,
            col=1,
        )


def _add_next_order(figure: go.Figure, next_order: NextOrder, theme: Theme) -> None:
    """The day it is due, and the days around it."""
    figure.add_scatter(
        x=[next_order.earliest, next_order.latest or next_order.expected],
        y=[0, 0],
        mode="lines",
        line={"color": theme.warning, "width": 5},
        showlegend=False,
        hoverinfo="skip",
        row=2,
        col=1,
    )
    figure.add_scatter(
        x=[next_order.expected],
        y=[0],
        name="Next order",
        mode="markers",
        marker={"color": theme.warning, "symbol": "diamond", "size": 12},
        cliponaxis=False,
        hovertemplate=f"{day(next_order.expected)}<br>{next_order.in_words}<extra></extra>",
        row=2,
        col=1,
    )
