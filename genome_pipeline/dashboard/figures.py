"""Frame in, Plotly figure out: no figure reads a file, and every page and the report draw with these.

Each figure carries its title in ``layout.title.text`` and how to read it in ``layout.title.subtitle.text``; where it
is shown, both become text above the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from genome_pipeline.contracts.column import Unit
from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.dashboard.customer_map import Axis, CustomerMap
from genome_pipeline.dashboard.drawing import (
    add_band,
    add_labelled_bars,
    describe,
    new_figure,
    patterned,
    period_axis,
    snapshot_axis,
    translucent,
    wrapped,
)
from genome_pipeline.dashboard.formats import (
    NOTHING,
    column_value,
    compact_money,
    currency_prefix,
    day,
    integer,
    is_missing,
    money,
    percent,
)
from genome_pipeline.dashboard.glossary import label, plot_text
from genome_pipeline.dashboard.theme import LIGHT, MARKERS, Theme

PROFILE_COLUMNS = (
    "median_spend_amount",
    "median_average_order_value_amount",
    "median_frequency_count",
    "median_order_gap_mean_days",
    "median_days_since_last_order",
    "median_t_days",
    "median_momentum_share",
)
CONFIDENCE_PARTS = ("churn_confidence", "orders_confidence", "spend_confidence")
RISK_BANDS = ("low", "medium", "high")


# Overview


def customers_over_time(trend: pd.DataFrame, *, theme: Theme = LIGHT) -> go.Figure:
    """Customers, and those active in the recent window, at each snapshot."""
    figure = new_figure(
        "Customers known and active at each snapshot",
        "Active: at least one purchase in the recent window before the snapshot.",
        theme,
    )
    series = (
        ("customer_count", "All customers", theme.actual, "dot", MARKERS[2]),
        ("active_customer_count", "Active customers", theme.model, "solid", MARKERS[0]),
    )
    for column, name, color, dash, marker in series:
        figure.add_scatter(
            x=trend["as_of"],
            y=trend[column],
            name=name,
            mode="lines+markers",
            line={"color": color, "dash": dash, "width": 2.5},
            marker={"symbol": marker, "size": 8},
            hovertemplate="%{x|%-d %b %Y}<br>%{y:,} customers<extra>" + name + "</extra>",
        )
    figure.update_yaxes(rangemode="tozero", tickformat=",~s", title="Customers")
    snapshot_axis(figure, trend["as_of"].tolist())
    return figure


def expected_and_realised_spend(
    trend: pd.DataFrame, realised: pd.DataFrame, currency: str | None, horizon_days: int, *, theme: Theme = LIGHT
) -> go.Figure:
    """Total spend expected within the horizon of each snapshot, beside the baseline and what was realised."""
    figure = new_figure(
        "Expected and realised spend",
        f"In the {horizon_days} days after each snapshot. One without a bar has not matured yet: its whisker spans what"
        " would be realised if it were as far off as the earlier ones.",
        theme,
    )
    prefix = currency_prefix(currency)
    hover = f"%{{x|%-d %b %Y}}<br>{prefix}%{{y:,.0f}}"
    figure.add_bar(
        x=realised["as_of"],
        y=realised["actual_spend"],
        name="Realised",
        marker={"color": translucent(theme.actual, 0.18), "line": {"color": theme.actual, "width": 1}},
        hovertemplate=hover + "<extra>Realised</extra>",
    )
    figure.add_scatter(
        x=realised["as_of"],
        y=realised["naive_expected_spend"],
        name="Naive baseline",
        mode="lines+markers",
        line={"color": theme.naive, "dash": "dot", "width": 2},
        marker={"symbol": "x", "size": 8},
        hovertemplate=hover + "<extra>Naive baseline</extra>",
    )
    figure.add_scatter(
        x=trend["as_of"],
        y=trend["expected_spend"],
        name="Expected",
        mode="lines+markers",
        line={"color": theme.model, "width": 2.5},
        marker={"symbol": "circle", "size": 8},
        error_y=_as_far_off_as_before(trend, realised, theme),
        hovertemplate=hover + "<extra>Expected</extra>",
    )
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=",~s", title="Spend of all customers")
    snapshot_axis(figure, trend["as_of"].tolist())
    return figure


def _as_far_off_as_before(trend: pd.DataFrame, realised: pd.DataFrame, theme: Theme) -> dict[str, Any]:
    """Whiskers of the snapshots that have not matured; none before two have.

    They span what is expected, times the smallest to the largest ratio of realised to expected spend so far.
    """
    ratio = realised["actual_spend"] / realised["expected_spend"].where(realised["expected_spend"] > 0)
    is_open = ~trend["as_of"].isin(realised["as_of"]) if ratio.count() > 1 else pd.Series(False, index=trend.index)
    expected = trend["expected_spend"].where(is_open)
    return {
        "type": "data",
        "symmetric": False,
        "array": expected * max(ratio.max() - 1, 0),
        "arrayminus": expected * max(1 - ratio.min(), 0),
        "color": theme.model,
        "thickness": 1.8,
        "width": 6,
    }


def segment_mix(mix: pd.DataFrame, *, theme: Theme = LIGHT) -> go.Figure:
    """Each segment's share of customers at each snapshot, under the name that it has now."""
    figure = new_figure(
        "Segment mix over time",
        "Share of customers in each segment at each snapshot; a segment keeps its colour, and has the name of today.",
        theme,
    )
    latest = mix.drop_duplicates("segment_id", keep="last").sort_values("segment_id")
    for position, (segment_id, name) in enumerate(zip(latest["segment_id"], latest["segment_name"], strict=True)):
        rows = mix[mix["segment_id"] == segment_id]
        figure.add_bar(
            x=rows["as_of"],
            y=rows["customer_share"],
            customdata=[
                (plot_text(then), count)
                for then, count in zip(rows["segment_name"], rows["customer_count"], strict=True)
            ],
            name=plot_text(name),
            marker=patterned(theme.series[position % len(theme.series)], position, theme),
            hovertemplate="%{x|%-d %b %Y}<br>%{y:.1%}, %{customdata[1]:,} customers<extra>%{customdata[0]}</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.2)
    figure.update_yaxes(range=[0, 1], tickformat=".0%", title="Share of customers")
    snapshot_axis(figure, sorted(mix["as_of"].unique().tolist()))
    return figure


def spend_by_risk_band(
    bands: pd.DataFrame, currency: str | None, horizon_days: int, *, theme: Theme = LIGHT
) -> go.Figure:
    """Expected spend at each snapshot, by the risk band of those who would spend it."""
    figure = new_figure(
        "Expected spend by risk of churn",
        f"Spend expected in the next {horizon_days} days, split by the risk band of the customers it rests on.",
        theme,
    )
    prefix = currency_prefix(currency)
    colors = dict(zip(RISK_BANDS, (theme.model, theme.low, theme.warning), strict=True))
    for position, band in enumerate(RISK_BANDS):
        rows = bands[bands["risk_band"] == band]
        name = f"{band.capitalize()} risk"
        figure.add_bar(
            x=rows["as_of"],
            y=rows["expected_spend"],
            customdata=rows["customer_count"],
            name=name,
            marker=patterned(colors[band], position, theme),
            hovertemplate=f"%{{x|%-d %b %Y}}<br>{prefix}%{{y:,.0f}} from %{{customdata:,}} customers"
            f"<extra>{name}</extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(tickprefix=prefix, tickformat=",~s", title="Expected spend")
    snapshot_axis(figure, sorted(bands["as_of"].unique().tolist()))
    return figure


def confidence_over_time(trend: pd.DataFrame, *, theme: Theme = LIGHT) -> go.Figure:
    """Mean confidence at each snapshot, with the middle half of customers."""
    figure = new_figure(
        "Confidence in the predictions at each snapshot",
        "Line: mean over customers. Band: the middle half of customers. 1 is full confidence.",
        theme,
    )
    add_band(
        figure,
        trend["as_of"],
        trend["confidence_lower_quartile"],
        trend["confidence_upper_quartile"],
        theme.model,
        "Middle half of customers",
    )
    figure.add_scatter(
        x=trend["as_of"],
        y=trend["mean_confidence"],
        customdata=trend[["confidence_lower_quartile", "confidence_upper_quartile"]],
        name="Mean",
        mode="lines+markers",
        line={"color": theme.model, "width": 2.5},
        marker={"size": 8},
        hovertemplate="%{x|%-d %b %Y}<br>mean %{y:.2f}<br>middle half %{customdata[0]:.2f} to %{customdata[1]:.2f}"
        "<extra></extra>",
    )
    figure.update_yaxes(range=[0, 1], tickformat=".1f", title="Confidence (0 to 1)")
    snapshot_axis(figure, trend["as_of"].tolist())
    return figure


def recommended_actions(actions: pd.DataFrame, currency: str | None, *, theme: Theme = LIGHT) -> go.Figure:
    """Customers per recommended action, with the revenue at stake."""
    figure = new_figure(
        "Recommended actions and what is at stake",
        "Bars: customers. Beside them what is at stake: churn probability times what they would spend if they stay.",
        theme,
        height=90 + 44 * len(actions),
    )
    rows = actions.iloc[::-1]
    stakes = [
        f"{integer(count)} · {compact_money(stake, currency)}" if not is_missing(stake) else integer(count)
        for count, stake in zip(rows["customer_count"], rows["revenue_at_stake_amount"], strict=True)
    ]
    add_labelled_bars(figure, [wrapped(action) for action in rows["action"]], rows["customer_count"], stakes, theme)
    figure.update_xaxes(title="Customers")
    return figure


def confidence_distribution(distribution: pd.DataFrame, *, theme: Theme = LIGHT) -> go.Figure:
    """How many customers there are at each confidence."""
    figure = new_figure(
        "Customers by confidence",
        "Low below 1/3, high from 2/3 on: the further right, the further the predictions can be trusted.",
        theme,
        height=260,
    )
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
    return figure


# Segments


def segment_sizes(profiles: pd.DataFrame, *, theme: Theme = LIGHT) -> go.Figure:
    """Each segment's share of customers beside its share of recent spend."""
    figure = new_figure(
        "Share of customers beside share of spend",
        "A segment whose diamond lies right of its circle brings more than its share of recent spend.",
        theme,
        height=110 + 48 * len(profiles),
    )
    rows = profiles.iloc[::-1]
    names = [wrapped(name) for name in rows["segment_name"]]
    for name, customers, spend in zip(names, rows["customer_share"], rows["spend_share"], strict=True):
        if not is_missing(spend):
            figure.add_scatter(
                x=[customers, spend],
                y=[name, name],
                mode="lines",
                line={"color": theme.grid, "width": 6},
                showlegend=False,
                hoverinfo="skip",
            )
    series = (
        ("customer_share", "Share of customers", theme.actual, MARKERS[0], "customer_count", ":,", " customers"),
        ("spend_share", "Share of recent spend", theme.model, MARKERS[1], "recent_spend_amount", ":,.0f", " spent"),
    )
    for column, name, color, marker, amount, amount_format, amount_unit in series:
        figure.add_scatter(
            x=rows[column],
            y=names,
            customdata=rows[amount],
            name=name,
            mode="markers",
            marker={"color": color, "symbol": marker, "size": 13},
            cliponaxis=False,
            hovertemplate=f"%{{y}}<br>%{{x:.1%}} · %{{customdata{amount_format}}}{amount_unit}<extra>{name}</extra>",
        )
    figure.update_xaxes(rangemode="tozero", tickformat=".0%", title="Share of the total")
    # Marks at zero are as wide as the names are far.
    figure.update_yaxes(type="category", tickfont={"color": theme.ink}, ticklabelstandoff=12)
    return figure


def segment_profile_heatmap(profiles: pd.DataFrame, currency: str | None, *, theme: Theme = LIGHT) -> go.Figure:
    """Median genes of each segment: the numbers themselves, coloured by where they stand among segments."""
    figure = new_figure(
        "What each segment is like: median customer",
        "Numbers are medians. Blue is above, orange below the middle of the segments in that column.",
        theme,
        height=110 + 54 * len(profiles),
    )
    rows = profiles.iloc[::-1]
    values = rows[list(PROFILE_COLUMNS)].astype(float)
    # Ranks, not values: one extreme segment would wash out all differences among the others.
    ranks = values.rank(axis=0)
    positions = (ranks - 1) / (ranks.max(axis=0) - 1).where(lambda last: last > 0) * 2 - 1
    positions = positions.fillna(0.0).where(values.notna())
    texts = [
        [column_value(column, row[column], currency) for column in PROFILE_COLUMNS] for _, row in values.iterrows()
    ]
    figure.add_heatmap(
        x=[label(column).replace(" ", "<br>") for column in PROFILE_COLUMNS],
        y=[wrapped(name) for name in rows["segment_name"]],
        z=positions,
        zmin=-1,
        zmax=1,
        colorscale=[(position, color) for position, color in theme.diverging],
        opacity=0.6,
        text=texts,
        texttemplate="%{text}",
        textfont={"color": theme.ink, "size": 12},
        xgap=3,
        ygap=3,
        showscale=False,
        hoverongaps=False,
        hovertemplate="%{y}<br>%{x}: %{text}<extra></extra>",
    )
    figure.update_xaxes(side="top", showgrid=False, tickangle=0)
    figure.update_yaxes(type="category", showgrid=False, tickfont={"color": theme.ink})
    return figure


def segment_value(
    profiles: pd.DataFrame, currency: str | None, horizon_days: int, *, theme: Theme = LIGHT
) -> go.Figure:
    """What customers of each segment are expected to spend: median, and the middle 80% of customers."""
    figure = new_figure(
        f"Expected spend per customer in the next {horizon_days} days",
        "Mark: median customer of the segment. Line: the middle 80% of its customers.",
        theme,
        height=90 + 48 * len(profiles),
    )
    prefix = currency_prefix(currency)
    rows = profiles.iloc[::-1]
    median = rows["expected_spend_median"]
    figure.add_scatter(
        x=median,
        y=[wrapped(name) for name in rows["segment_name"]],
        mode="markers",
        marker={"color": theme.model, "size": 12, "symbol": "diamond"},
        cliponaxis=False,
        error_x={
            "type": "data",
            "symmetric": False,
            "array": rows["expected_spend_last_decile"] - median,
            "arrayminus": median - rows["expected_spend_first_decile"],
            "color": theme.model,
            "thickness": 3,
            "width": 0,
        },
        customdata=rows[["expected_spend_first_decile", "expected_spend_last_decile", "expected_spend"]],
        hovertemplate=f"%{{y}}<br>median {prefix}%{{x:,.2f}}"
        f"<br>middle 80% {prefix}%{{customdata[0]:,.2f}} to {prefix}%{{customdata[1]:,.2f}}"
        f"<br>all together {prefix}%{{customdata[2]:,.0f}}<extra></extra>",
    )
    figure.update_xaxes(rangemode="tozero", tickprefix=prefix, tickformat=",~s", title="Expected spend per customer")
    figure.update_yaxes(type="category", tickfont={"color": theme.ink})
    return figure


def gene_by_segment(spread: pd.DataFrame, gene: str, currency: str | None, *, theme: Theme = LIGHT) -> go.Figure:
    """How a gene is spread over the customers of each segment."""
    name = label(gene)
    figure = new_figure(
        f"{name}: how it is spread in each segment",
        "Box: the middle half of the customers, with the median. Whiskers: from the lowest 5% to the highest 5%.",
        theme,
        height=110 + 46 * len(spread),
    )
    rows = spread.iloc[::-1]
    figure.add_box(
        y=[wrapped(segment) for segment in rows["segment_name"]],
        q1=rows["first_quartile"],
        median=rows["median"],
        q3=rows["third_quartile"],
        lowerfence=rows["low"],
        upperfence=rows["high"],
        orientation="h",
        line={"color": theme.model, "width": 2},
        fillcolor=translucent(theme.model, 0.25),
        name=name,
    )
    is_money = COLUMNS[gene].unit == Unit.CURRENCY
    is_share = COLUMNS[gene].unit == Unit.SHARE
    figure.update_xaxes(
        tickprefix=currency_prefix(currency) if is_money else "",
        tickformat=".0%" if is_share else ",~s",
        title=f"{name}, days" if COLUMNS[gene].unit == Unit.DAYS else name,
    )
    figure.update_yaxes(type="category", showgrid=False, tickfont={"color": theme.ink})
    return figure


def customer_map(customers: CustomerMap, customer_count: int, *, theme: Theme = LIGHT) -> go.Figure:
    """Customers in the plane of their two first principal components, coloured and shaped by segment."""
    points = customers.points
    shown = (
        "All of them are shown."
        if len(points) >= customer_count
        else f"A fair sample of {integer(len(points))} of {integer(customer_count)}."
    )
    figure = new_figure(
        "Map of the customers",
        f"Each mark is a customer, and close marks behave alike in the genes that form segments. {shown}",
        theme,
        height=460,
    )
    names = points.groupby("segment_id")["segment_name"].first().sort_index()
    for position, (segment_id, name) in enumerate(names.items()):
        rows = points[points["segment_id"] == segment_id]
        figure.add_scatter(
            x=rows["x"],
            y=rows["y"],
            customdata=[plot_text(customer_id) for customer_id in rows["customer_id"]],
            name=plot_text(name),
            mode="markers",
            marker={
                "color": theme.series[position % len(theme.series)],
                "symbol": MARKERS[position % len(MARKERS)],
                "size": 6,
                "opacity": 0.7,
            },
            hovertemplate="%{customdata}<extra>" + plot_text(name) + "</extra>",
        )
    first, second = customers.axes
    figure.update_xaxes(title=_axis_title(first), showticklabels=False)
    figure.update_yaxes(title=_axis_title(second), showticklabels=False)
    return figure


def _axis_title(axis: Axis) -> str:
    return f"{', '.join(axis.genes)} ({percent(axis.variance_share, 0)} of the variation)"


def segment_migrations(migrations: pd.DataFrame, since: date, *, theme: Theme = LIGHT) -> go.Figure:
    """Customers flowing between segments from an earlier snapshot to this one."""
    figure = new_figure(
        f"Where customers moved since {day(since)}",
        "Left: segment then. Right: segment now. Width: customers; coloured bands are those who moved.",
        theme,
        height=420,
    )
    origins = _named_totals(migrations, "from_segment")
    destinations = _named_totals(migrations, "to_segment")
    origin_position = {segment_id: position for position, segment_id in enumerate(origins["segment_id"])}
    destination_position = {
        segment_id: len(origins) + position for position, segment_id in enumerate(destinations["segment_id"])
    }
    nodes = pd.concat([origins, destinations])
    labels = [
        f"{plot_text(name)} · {integer(count)}"
        for name, count in zip(nodes["segment_name"], nodes["customer_count"], strict=True)
    ]
    color_of = {
        segment_id: theme.series[position % len(theme.series)]
        for position, segment_id in enumerate(sorted(destination_position))
    }
    stayed = migrations["from_segment_id"] == migrations["to_segment_id"]
    figure.add_sankey(
        arrangement="snap",
        node={
            "label": labels,
            "color": [color_of.get(segment_id, theme.naive) for segment_id in nodes["segment_id"]],
            "pad": 18,
            "thickness": 14,
            "line": {"width": 0},
            "hovertemplate": "%{label}<extra></extra>",
        },
        link={
            "source": [origin_position[origin] for origin in migrations["from_segment_id"]],
            "target": [destination_position[destination] for destination in migrations["to_segment_id"]],
            "value": migrations["customer_count"],
            "color": [
                translucent(theme.naive, 0.22) if same else translucent(color_of[destination], 0.5)
                for same, destination in zip(stayed, migrations["to_segment_id"], strict=True)
            ],
            "hovertemplate": "%{source.label}<br>to %{target.label}<br>%{value:,} customers<extra></extra>",
        },
        textfont={"color": theme.ink, "size": 12},
    )
    figure.update_layout(margin={"t": 12, "b": 16})
    return figure


def _named_totals(migrations: pd.DataFrame, side: str) -> pd.DataFrame:
    names = {f"{side}_id": "segment_id", f"{side}_name": "segment_name"}
    renamed = migrations.rename(columns=names)
    return renamed.groupby(list(names.values()), as_index=False).agg(customer_count=("customer_count", "sum"))


# Customer


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
) -> go.Figure:
    """One prediction on its scale: the interval as a bar, the prediction in it, and the naive baseline."""
    figure = new_figure(title, reading, theme, height=96)
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
    return figure


def confidence_parts(parts: pd.Series, *, theme: Theme = LIGHT) -> go.Figure:
    """The confidence in each prediction of a customer."""
    figure = new_figure(
        "Confidence in each prediction",
        "1 less the error to expect, as learned from earlier predictions. 0: no better than not knowing the customer.",
        theme,
        height=200,
    )
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
    return figure


def fingerprint(genes: pd.DataFrame, segment_name: str, currency: str | None, *, theme: Theme = LIGHT) -> go.Figure:
    """Where the customer stands among all customers, gene by gene, beside the segment's median."""
    figure = new_figure(
        "Genome fingerprint: percentile among all customers",
        "Circle: this customer, with the value. Diamond: median of the segment. 50 is the middle of all customers.",
        theme,
        height=90 + 27 * len(genes),
    )
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
    # All at once: each one added by itself costs the whole layout.
    figure.update_layout(
        margin={"r": 96},
        annotations=[
            {
                "x": 1.01,
                "xref": "paper",
                "xanchor": "left",
                "y": name,
                "text": value,
                "showarrow": False,
                "font": {"size": 12},
            }
            for name, value in zip(names, values, strict=True)
        ],
    )
    figure.add_vline(x=50, line={"color": theme.muted, "dash": "dot", "width": 1})
    figure.update_xaxes(range=[-2, 102], tickvals=[0, 25, 50, 75, 100], title="Percentile among all customers")
    figure.update_yaxes(type="category", tickfont={"color": theme.ink})
    return figure


def compared_genes(genes: pd.DataFrame, currency: str | None, *, theme: Theme = LIGHT) -> go.Figure:
    """Where up to four customers stand among all, gene by gene: rows of :func:`queries.percentiles`."""
    names = list(dict.fromkeys(genes["gene"]))[::-1]
    figure = new_figure(
        "Genomes side by side: percentile among all customers",
        "A mark for each customer; the further apart the marks on a line, the more they differ. 50 is the middle.",
        theme,
        height=110 + 27 * len(names),
    )
    spans = genes.groupby("gene")["percentile"].agg(["min", "max"]) * 100
    # One trace for all lines: a gap after each.
    figure.add_scatter(
        x=[end for gene in names for end in (*spans.loc[gene], None)],
        y=[label(gene) for gene in names for _ in range(3)],
        mode="lines",
        line={"color": theme.grid, "width": 5},
        showlegend=False,
        hoverinfo="skip",
    )
    for position, (customer_id, found) in enumerate(genes.groupby("customer_id", sort=False)):
        figure.add_scatter(
            x=found["percentile"] * 100,
            y=[label(gene) for gene in found["gene"]],
            customdata=[
                column_value(gene, value, currency) for gene, value in zip(found["gene"], found["value"], strict=True)
            ],
            name=plot_text(customer_id),
            mode="markers",
            marker={"color": theme.series[position], "symbol": MARKERS[position], "size": 11},
            hovertemplate="%{y}: %{customdata}<br>percentile %{x:.0f}<extra>" + plot_text(customer_id) + "</extra>",
        )
    figure.add_vline(x=50, line={"color": theme.muted, "dash": "dot", "width": 1})
    figure.update_xaxes(range=[-2, 102], tickvals=[0, 25, 50, 75, 100], title="Percentile among all customers")
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=[label(gene) for gene in names],
        tickfont={"color": theme.ink},
    )
    return figure


@dataclass(frozen=True)
class NextOrder:
    """When a customer's next order is due by their own rhythm: the last one, and the mean gap after it.

    ``earliest`` and ``latest`` are a standard deviation of the gaps around it.
    """

    expected: date
    earliest: date
    latest: date

    @classmethod
    def of(cls, genome: pd.Series) -> NextOrder | None:
        """By a row of ``customer_genome``; None for a customer who has bought on one day only."""
        gap, deviation = genome["order_gap_mean_days"], genome["order_gap_std_days"]
        if is_missing(gap):
            return None
        spread = 0.0 if is_missing(deviation) else deviation
        last = genome["last_order_date"]
        days = [last + timedelta(days=round(days)) for days in (gap, max(gap - spread, 0.0), gap + spread)]
        return cls(*[pd.Timestamp(moment).date() for moment in days])


def activity_timeline(
    activity: pd.DataFrame,
    currency: str | None,
    period: str,
    as_of: date,
    next_order: NextOrder | None,
    *,
    theme: Theme = LIGHT,
) -> go.Figure:
    """A customer's purchases period by period, silent periods included, and when the next one is due."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.66, 0.34], vertical_spacing=0.1)
    describe(
        figure,
        f"Purchases by {period}, and when the next is due",
        "Above: purchases and returns. Below: days with a purchase; gaps are silent periods. Diamond: the last purchase"
        " and the customer's mean gap, give or take a standard deviation. Dotted: the snapshot.",
        theme,
        320,
    )
    prefix = currency_prefix(currency)
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
        figure.add_scatter(
            x=[next_order.earliest, next_order.latest],
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
            name="Next order due",
            mode="markers",
            marker={"color": theme.warning, "symbol": "diamond", "size": 12},
            cliponaxis=False,
            hovertemplate=f"due {day(next_order.expected)}<br>{day(next_order.earliest)} to {day(next_order.latest)}"
            "<extra></extra>",
            row=2,
            col=1,
        )
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
    return figure


def customer_value_history(
    predictions: pd.DataFrame, currency: str | None, horizon_days: int, interval_level: float, *, theme: Theme = LIGHT
) -> go.Figure:
    """What the customer was expected to spend at each snapshot, with the interval, and what was realised."""
    figure = new_figure(
        f"Spend in the {horizon_days} days after each snapshot",
        f"Band: the {percent(interval_level, 0)} interval; about that share of the squares should fall in it.",
        theme,
        height=260,
    )
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
    return figure


def customer_churn_history(predictions: pd.DataFrame, horizon_days: int, *, theme: Theme = LIGHT) -> go.Figure:
    """The customer's churn probability at each snapshot, with its interval, and what happened."""
    figure = new_figure(
        "Churn probability at each snapshot",
        f"No purchase within {horizon_days} days. Band: interval. Squares: what happened, at 0% they bought again.",
        theme,
        height=260,
    )
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
    return figure


# Data quality


def quarantine_by_reason(reasons: pd.DataFrame, currency: str | None, *, theme: Theme = LIGHT) -> go.Figure:
    """Rows set aside, by the rule they failed, with their amounts."""
    figure = new_figure(
        "Rows set aside, by reason",
        "A row that failed two rules counts under both. Text: rows and their amount, where one could be read.",
        theme,
        height=90 + 40 * max(len(reasons), 1),
    )
    rows = reasons.iloc[::-1]
    texts = [
        f"{integer(count)} rows · {money(amount, currency)}"
        for count, amount in zip(rows["row_count"], rows["amount_sum"], strict=True)
    ]
    add_labelled_bars(figure, [_reason(reason) for reason in rows["reason"]], rows["row_count"], texts, theme)
    figure.update_xaxes(title="Rows")
    return figure


def quarantine_by_period(periods: pd.DataFrame, *, theme: Theme = LIGHT) -> go.Figure:
    """Rows set aside period by period, by reason; rows without a readable date are not in it."""
    figure = new_figure(
        "Rows set aside over time",
        "By period; rows outside the calendar or without a readable date have none. A jump: the source changed.",
        theme,
    )
    dated = periods[periods["period_start_date"].notna()]
    totals = dated.groupby("reason")["row_count"].sum().sort_values(ascending=False)
    for position, reason in enumerate(totals.index):
        rows = dated[dated["reason"] == reason]
        name = _reason(reason)
        figure.add_bar(
            x=rows["period_start_date"],
            y=rows["row_count"],
            name=name,
            marker=patterned(theme.series[position % len(theme.series)], position, theme),
            hovertemplate="%{x|%-d %b %Y}<br>%{y:,} rows<extra>" + name + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.2)
    period_axis(figure, dated["period_start_date"])
    figure.update_yaxes(tickformat=",~s", title="Rows")
    return figure


def checks_by_period(periods: pd.DataFrame, *, theme: Theme = LIGHT) -> go.Figure:
    """Failed checks of each period, by severity."""
    figure = new_figure(
        "Checks over time",
        "Failed checks of each period, by the latest result of each; a period without a bar passed them all.",
        theme,
    )
    for position, (column, name, color) in enumerate(
        (("failed_error_count", "ERROR", theme.warning), ("failed_warn_count", "WARN", theme.low))
    ):
        figure.add_bar(
            x=periods["period_start_date"],
            y=periods[column],
            customdata=periods["check_count"],
            name=name,
            marker=patterned(color, position, theme),
            hovertemplate=f"%{{x|%-d %b %Y}}<br>%{{y}} of %{{customdata:,}} checks failed<extra>{name}</extra>",
        )
    failed = periods["failed_error_count"] + periods["failed_warn_count"]
    figure.update_layout(barmode="stack", bargap=0.2)
    figure.update_yaxes(range=[0, max(float(failed.max()), 3.0) * 1.1], tickformat=",d", title="Failed checks")
    period_axis(figure, periods["period_start_date"])
    return figure


def gene_drift(drift: pd.DataFrame, since: str, *, theme: Theme = LIGHT) -> go.Figure:
    """Population stability index of each gene at each snapshot, the genes that moved most on top."""
    latest = drift[drift["as_of"] == drift["as_of"].max()].sort_values("psi")
    genes = latest["gene"].tolist()
    figure = new_figure(
        f"Drift of each gene since {since}",
        "Population stability index: below 0.1 hardly any change, and not written; above 0.25 a large one. · marks"
        " genes that the calendar moves, whatever customers do; they are not judged.",
        theme,
        height=120 + 22 * len(genes),
    )
    days = sorted(drift["as_of"].unique())
    wide = drift.pivot(index="gene", columns="as_of", values="psi").reindex(genes)
    unjudged = set(latest.loc[latest["unjudged_reason"].notna(), "gene"])
    figure.add_heatmap(
        x=[f"{as_of:%-d %b %Y}" for as_of in days],
        y=[f"{label(gene)}{' ·' if gene in unjudged else ''}" for gene in genes],
        z=wide.to_numpy(dtype=float),
        zmin=0,
        zmax=0.5,
        colorscale=[(0.0, theme.neutral), (0.2, theme.neutral), (1.0, theme.low)],
        opacity=0.6,
        text=[[_drift_text(value) for value in row] for row in wide.to_numpy(dtype=float)],
        texttemplate="%{text}",
        textfont={"color": theme.ink, "size": 10},
        xgap=2,
        ygap=2,
        showscale=False,
        hoverongaps=False,
        hovertemplate="%{y} at %{x}<br>index %{z:.3f}<extra></extra>",
    )
    # A narrow column has no room for the year: it stands once, and where it changes.
    years = [None, *(as_of.year for as_of in days)]
    names = [
        (f"{as_of:%b}" if as_of.day == 1 else f"{as_of:%-d}<br>{as_of:%b}")
        + (f"<br>{as_of:%Y}" if as_of.year != before else "")
        for as_of, before in zip(days, years, strict=False)
    ]
    figure.update_xaxes(
        type="category",
        side="top",
        showgrid=False,
        tickangle=0,
        tickvals=list(range(len(days))),
        ticktext=names,
        tickfont={"size": 10},
    )
    figure.update_yaxes(type="category", showgrid=False, tickfont={"color": theme.ink})
    return figure


def _drift_text(psi: float) -> str:
    return "" if is_missing(psi) or psi < 0.1 else f"{psi:.2f}" if psi < 1 else f"{psi:.1f}"


def _reason(reason: object) -> str:
    return plot_text(str(reason).replace("_", " ").capitalize())
