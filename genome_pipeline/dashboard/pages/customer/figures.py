"""The figures of the Customer page."""

from __future__ import annotations

from typing import Any

import pandas as pd

from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import add_band, snapshot_axis, translucent
from genome_pipeline.dashboard.kit.formats import (
    NOTHING,
    column_value,
    currency_prefix,
    decimal,
    is_missing,
    percent,
)
from genome_pipeline.dashboard.kit.glossary import label, plot_text
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme

CONFIDENCE_PARTS = ("churn_confidence", "orders_confidence", "spend_confidence")


def prediction_interval(
    value: float,
    lower: float | None,
    upper: float | None,
    naive: float | None,
    *,
    title: str,
    reading: str,
    tickprefix: str = "",
    tickformat: str = ",~g",
    maximum: float | None = None,
    theme: Theme = LIGHT,
) -> Chart:
    """One prediction on its scale: the interval as a bar, the prediction in it, and the naive baseline."""
    chart = new_chart(title, reading, theme, height=96)
    figure = chart.figure
    known = [number for number in (value, lower, upper, naive) if number is not None and not is_missing(number)]
    end = maximum if maximum is not None else max(known) * 1.08 or 1.0
    number = f"{tickprefix}%{{x:{'.1%' if tickformat.endswith('%') else ',.2f'}}}"
    if lower is not None and upper is not None and not is_missing(lower) and not is_missing(upper):
        figure.add_scatter(
            x=[lower, upper],
            y=[0, 0],
            mode="lines",
            line={"color": translucent(theme.model, 0.35), "width": 12},
            hovertemplate=number + "<extra>Interval</extra>",
        )
    if naive is not None and not is_missing(naive):
        figure.add_scatter(
            x=[naive],
            y=[0],
            mode="markers",
            marker={"color": theme.ink, "symbol": "x-thin", "size": 10, "line": {"width": 2, "color": theme.muted}},
            hovertemplate=number + "<extra>Naive baseline</extra>",
        )
    figure.add_scatter(
        x=[value],
        y=[0],
        mode="markers",
        marker={"color": theme.model, "size": 14, "line": {"color": theme.surface, "width": 2}},
        hovertemplate=number + "<extra>Prediction</extra>",
    )
    figure.update_layout(showlegend=False, margin={"l": 12, "r": 16, "t": 4, "b": 26}, hovermode="closest")
    figure.update_xaxes(range=[-end * 0.02, end * 1.02], tickprefix=tickprefix, tickformat=tickformat, nticks=5)
    figure.update_yaxes(visible=False, range=[-1, 1])
    return chart


def confidence_parts(parts: pd.Series, *, theme: Theme = LIGHT) -> Chart:
    """The confidence in each prediction of a customer."""
    chart = new_chart(
        f"Confidence {decimal(parts['confidence'])}: {parts['confidence_band']}",
        "1 less the error to expect, as learned from earlier predictions. 0: no better than not knowing the customer.",
        theme,
        height=200,
    )
    figure = chart.figure
    columns = CONFIDENCE_PARTS[::-1]
    names = [label(column).removesuffix(" confidence") for column in columns]
    values = [parts[column] for column in columns]
    figure.add_bar(
        x=[1] * len(columns),
        y=names,
        orientation="h",
        marker={"color": theme.neutral, "line": {"color": theme.grid, "width": 1}},
        hoverinfo="skip",
    )
    figure.add_bar(
        x=values,
        y=names,
        orientation="h",
        marker={"color": theme.model},
        text=[NOTHING if is_missing(value) else f"{value:.2f}" for value in values],
        textposition="auto",
        insidetextfont={"color": theme.surface},
        hovertemplate="%{y}: %{x:.2f}<extra></extra>",
    )
    figure.update_layout(barmode="overlay", showlegend=False, bargap=0.4)
    figure.update_xaxes(range=[0, 1], tickformat=".1f", showgrid=False)
    figure.update_yaxes(type="category", showgrid=False, tickfont={"color": theme.ink})
    return chart


def fingerprint(genes: pd.DataFrame, segment_name: str, currency: str | None, *, theme: Theme = LIGHT) -> Chart:
    """Where the customer stands among all customers, gene by gene, beside the segment's median."""
    chart = new_chart(
        "Genome fingerprint: percentile among all customers",
        "Circle: this customer, with the value. Diamond: median of the segment. 50 is the middle of all customers.",
        theme,
        height=90 + 27 * len(genes),
    )
    figure = chart.figure
    rows = genes.iloc[::-1]
    names = [label(gene) for gene in rows["gene"]]
    values = [column_value(gene, value, currency) for gene, value in zip(rows["gene"], rows["value"], strict=True)]
    medians = [
        column_value(gene, value, currency) for gene, value in zip(rows["gene"], rows["segment_median"], strict=True)
    ]
    percentiles = rows["percentile"] * 100
    figure.add_bar(
        x=percentiles - 50,
        base=50,
        y=names,
        orientation="h",
        marker={"color": translucent(theme.model, 0.25)},
        width=0.28,
        showlegend=False,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=rows["segment_percentile"] * 100,
        y=names,
        customdata=medians,
        name=f"Median of {plot_text(segment_name)}",
        mode="markers",
        marker={"color": theme.low, "symbol": "diamond-open", "size": 10, "line": {"width": 2}},
        hovertemplate="%{y}: segment median %{customdata}<br>percentile %{x:.0f}<extra></extra>",
    )
    figure.add_scatter(
        x=percentiles,
        y=names,
        customdata=values,
        name="This customer",
        mode="markers",
        marker={"color": theme.model, "symbol": "circle", "size": 11},
        hovertemplate="%{y}: %{customdata}<br>percentile %{x:.0f}<extra></extra>",
    )
    # All at once: adding each annotation separately copies the whole layout.
    figure.update_layout(
        margin={"r": 96},
        annotations=[_beside(name, value) for name, value in zip(names, values, strict=True)],
    )
    figure.add_vline(x=50, line={"color": theme.muted, "dash": "dot", "width": 1})
    figure.update_xaxes(range=[-2, 102], tickvals=[0, 25, 50, 75, 100], title="Percentile among all customers")
    figure.update_yaxes(type="category", tickfont={"color": theme.ink})
    return chart


def _beside(name: str, value: str) -> dict[str, Any]:
    """A value at the right end of the line of a gene."""
    return {
        "x": 1.01,
        "xref": "paper",
        "xanchor": "left",
        "y": name,
        "text": value,
        "showarrow": False,
        "font": {"size": 12},
    }


def customer_value_history(
    predictions: pd.DataFrame, currency: str | None, horizon_days: int, interval_level: float, *, theme: Theme = LIGHT
) -> Chart:
    """What the customer was expected to spend at each snapshot, with the interval, and what was realised."""
    chart = new_chart(
        f"Spend in the {horizon_days} days after each snapshot",
        f"Band: the {percent(interval_level, 0)} interval; about that share of the squares should fall in it.",
        theme,
        height=260,
    )
    figure = chart.figure
    prefix = currency_prefix(currency)
    name = f"{percent(interval_level, 0)} interval"
    add_band(
        figure,
        predictions["as_of"],
        predictions["expected_spend_lower"],
        predictions["expected_spend_upper"],
        theme.model,
        name,
    )
    hover = f"%{{x|%-d %b %Y}}<br>{prefix}%{{y:,.2f}}"
    figure.add_scatter(
        x=predictions["as_of"],
        y=predictions["expected_spend"],
        customdata=predictions[["expected_spend_lower", "expected_spend_upper"]],
        name="Expected",
        mode="lines+markers",
        line={"color": theme.model, "width": 2.5},
        marker={"size": 8},
        hovertemplate=hover + f"<br>interval {prefix}%{{customdata[0]:,.2f}} to {prefix}%{{customdata[1]:,.2f}}"
        "<extra>Expected</extra>",
    )
    figure.add_scatter(
        x=predictions["as_of"],
        y=predictions["actual_spend"],
        name="Realised",
        mode="markers",
        marker={"color": theme.actual, "symbol": "square", "size": 9},
        cliponaxis=False,
        hovertemplate=hover + "<extra>Realised</extra>",
    )
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=",~s", title="Spend")
    snapshot_axis(figure, predictions["as_of"].tolist())
    return chart


def customer_churn_history(predictions: pd.DataFrame, horizon_days: int, *, theme: Theme = LIGHT) -> Chart:
    """The customer's churn probability at each snapshot, with its interval, and what happened."""
    chart = new_chart(
        "Churn probability at each snapshot",
        f"No purchase within {horizon_days} days. Band: interval. Squares: what happened, at 0% they bought again.",
        theme,
        height=260,
    )
    figure = chart.figure
    add_band(
        figure,
        predictions["as_of"],
        predictions["churn_probability_lower"],
        predictions["churn_probability_upper"],
        theme.model,
        "Interval",
    )
    figure.add_scatter(
        x=predictions["as_of"],
        y=predictions["churn_probability"],
        customdata=predictions[["churn_probability_lower", "churn_probability_upper"]],
        name="Churn probability",
        mode="lines+markers",
        line={"color": theme.model, "width": 2.5},
        marker={"size": 8},
        hovertemplate="%{x|%-d %b %Y}<br>%{y:.1%}<br>interval %{customdata[0]:.1%} to %{customdata[1]:.1%}"
        "<extra></extra>",
    )
    matured = predictions[predictions["has_churned"].notna()]
    figure.add_scatter(
        x=matured["as_of"],
        y=matured["has_churned"].astype(float),
        name="What happened",
        mode="markers",
        marker={"color": theme.actual, "symbol": "square", "size": 9},
        text=["no purchase" if churned else "bought again" for churned in matured["has_churned"]],
        hovertemplate="%{x|%-d %b %Y}<br>%{text}<extra></extra>",
    )
    figure.update_yaxes(range=[-0.05, 1.05], tickformat=".0%", title="Probability")
    snapshot_axis(figure, predictions["as_of"].tolist())
    return chart
