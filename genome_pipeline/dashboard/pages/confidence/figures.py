"""The figures of the Confidence page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import add_labelled_bars, add_line, snapshot_axis, translucent, wrapped
from genome_pipeline.dashboard.kit.formats import day, integer, percent
from genome_pipeline.dashboard.kit.glossary import plot_text
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme


def confidence_distribution(distribution: pd.DataFrame, *, theme: Theme = LIGHT) -> Chart:
    """How many customers there are at each confidence."""
    chart = new_chart(
        "Customers by confidence",
        "Low below 1/3, high from 2/3 on: the further right, the further the predictions can be trusted.",
        theme,
        height=260,
    )
    figure = chart.figure
    figure.add_bar(
        x=distribution["lower_bound"] + 0.025,
        y=distribution["customer_count"],
        width=0.046,
        customdata=distribution[["lower_bound"]].assign(upper=distribution["lower_bound"] + 0.05),
        marker={"color": theme.model},
        hovertemplate="%{y:,} customers at confidence<br>%{customdata[0]:.2f} to %{customdata[1]:.2f}<extra></extra>",
    )
    for bound in (1 / 3, 2 / 3):
        figure.add_vline(x=bound, line={"color": theme.muted, "dash": "dot", "width": 1})
    for middle, name in ((1 / 6, "low"), (1 / 2, "medium"), (5 / 6, "high")):
        figure.add_annotation(
            x=middle, y=1, yref="paper", yanchor="bottom", text=name, showarrow=False, font={"color": theme.muted}
        )
    figure.update_layout(margin={"t": 26})
    figure.update_xaxes(range=[0, 1], tickformat=".1f", title="Confidence")
    figure.update_yaxes(tickformat=",~s", title="Customers")
    return chart


def coverage(
    slices: pd.DataFrame, names: Sequence[str], what: str, level: float, matured: date, *, theme: Theme = LIGHT
) -> Chart:
    """Share of outcomes within their intervals for each slice, beside the nominal level and what chance allows."""
    chart = new_chart(
        f"Do the intervals hold, {what}?",
        f"Mark: share of outcomes of {day(matured)} within their interval. Line: the {percent(level, 0)} they are meant"
        " to hold; the bar around it is what chance allows (95%) with as many customers; ◆ lies outside.",
        theme,
        height=110 + 32 * len(slices),
    )
    figure = chart.figure
    rows = slices.iloc[::-1]
    labels = [wrapped(name, 32) for name in names][::-1]
    figure.add_bar(
        x=rows["coverage_upper"] - rows["coverage_lower"],
        base=rows["coverage_lower"],
        y=labels,
        orientation="h",
        width=0.5,
        name="By chance",
        marker={"color": translucent(theme.naive, 0.3)},
        hoverinfo="skip",
    )
    is_outside = (rows["coverage"] < rows["coverage_lower"]) | (rows["coverage"] > rows["coverage_upper"])
    for chosen, name, color, marker in (
        (~is_outside, "As promised", theme.model, "circle"),
        (is_outside, "Beyond chance", theme.warning, "diamond"),
    ):
        marks = rows[chosen]
        figure.add_scatter(
            x=marks["coverage"],
            y=[text for text, is_chosen in zip(labels, chosen, strict=True) if is_chosen],
            customdata=marks["customer_count"],
            name=name,
            mode="markers",
            marker={"color": color, "symbol": marker, "size": 12},
            hovertemplate="%{y}<br>%{x:.1%} of %{customdata:,} outcomes<extra>" + name + "</extra>",
        )
    figure.add_vline(x=level, line={"color": theme.ink, "dash": "dot", "width": 1.5})
    lowest = float(min(rows["coverage"].min(), rows["coverage_lower"].min()))
    figure.update_xaxes(range=[max(lowest - 0.05, 0), 1.01], tickformat=".0%", title="Share within the interval")
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=labels, showgrid=False, tickfont={"color": theme.ink}
    )
    return chart


def error_by_confidence(
    errors: pd.DataFrame, confidence: str, title: str, reading: str, unit: str, *, theme: Theme = LIGHT
) -> Chart:
    """The error in each tenth of customers by a confidence, the model beside the naive baseline."""
    chart = new_chart(title, reading, theme)
    figure = chart.figure
    figure.add_bar(
        x=errors["confidence_decile"],
        y=errors["error"],
        customdata=errors[[confidence, "customer_count"]],
        name="Model",
        marker={"color": theme.model},
        hovertemplate="tenth %{x}, mean confidence %{customdata[0]:.2f}<br>%{y:.3f} over %{customdata[1]:,} customers"
        "<extra>Model</extra>",
    )
    figure.add_scatter(
        x=errors["confidence_decile"],
        y=errors["naive_error"],
        name="Naive baseline",
        mode="markers",
        marker={"color": theme.naive, "symbol": "x", "size": 10},
        hovertemplate="tenth %{x}<br>%{y:.3f}<extra>Naive baseline</extra>",
    )
    figure.update_xaxes(tickvals=errors["confidence_decile"], title="Tenth of customers by confidence, 10 the highest")
    figure.update_yaxes(rangemode="tozero", title=unit)
    return chart


def abstentions(reasons: pd.DataFrame, customer_count: int, *, theme: Theme = LIGHT) -> Chart:
    """Customers without a prediction or an interval, by model and reason."""
    chart = new_chart(
        "Customers for whom no prediction, or no interval, is offered",
        "By model and reason; a customer may stand under both models.",
        theme,
        height=110 + 48 * len(reasons),
    )
    figure = chart.figure
    rows = reasons.iloc[::-1]
    add_labelled_bars(
        figure,
        [
            f"{plot_text(target.capitalize())}: {wrapped(reason, 44)}"
            for target, reason in zip(rows["target"], rows["reason"], strict=True)
        ],
        rows["customer_count"],
        [f"{integer(count)} · {percent(count / customer_count)}" for count in rows["customer_count"]],
        theme,
    )
    figure.update_xaxes(title="Customers")
    return chart


def interval_width_trend(
    widths: pd.DataFrame, column: str, title: str, *, prefix: str, tickformat: str, theme: Theme = LIGHT
) -> Chart:
    """Mean width of the intervals at each snapshot."""
    chart = new_chart(title, "The narrower, the surer; where it widens, the future has become harder to tell.", theme)
    figure = chart.figure
    add_line(
        figure,
        widths["as_of"],
        widths[column],
        name="Mean width",
        color=theme.model,
        hover=f"%{{x|%-d %b %Y}}<br>{prefix}%{{y:{tickformat}}}",
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=tickformat, title="Mean width")
    snapshot_axis(figure, widths["as_of"].tolist())
    return chart
