"""The figures of the Overview page."""

from __future__ import annotations

import pandas as pd

from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import add_labelled_bars, patterned, snapshot_axis, wrapped
from genome_pipeline.dashboard.kit.formats import compact_money, currency_prefix, integer, is_missing
from genome_pipeline.dashboard.kit.glossary import plot_text
from genome_pipeline.dashboard.kit.theme import LIGHT, MARKERS, RISK_BANDS, Theme


def customers_over_time(trend: pd.DataFrame, *, theme: Theme = LIGHT) -> Chart:
    """Customers, and those active in the recent window, at each snapshot."""
    chart = new_chart(
        "Customers known and active at each snapshot",
        "Active: at least one purchase in the recent window before the snapshot.",
        theme,
    )
    figure = chart.figure
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
    return chart


def segment_mix(mix: pd.DataFrame, *, theme: Theme = LIGHT) -> Chart:
    """Each segment's share of customers at each snapshot, under the name that it has now."""
    chart = new_chart(
        "Segment mix over time",
        "Share of customers in each segment at each snapshot; a segment keeps its colour, and has the name of today.",
        theme,
    )
    figure = chart.figure
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
    return chart


def spend_by_risk_band(bands: pd.DataFrame, currency: str | None, horizon_days: int, *, theme: Theme = LIGHT) -> Chart:
    """Expected spend at each snapshot, by the risk band of those who would spend it."""
    chart = new_chart(
        "Expected spend by risk of churn",
        f"Spend expected in the next {horizon_days} days, split by the risk band of the customers it rests on.",
        theme,
    )
    figure = chart.figure
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
    return chart


def recommended_actions(actions: pd.DataFrame, currency: str | None, *, theme: Theme = LIGHT) -> Chart:
    """Customers per recommended action, with the revenue at stake."""
    chart = new_chart(
        "Recommended actions and what is at stake",
        "Bars: customers. Beside them what is at stake: churn probability times what they would spend if they stay.",
        theme,
        height=90 + 44 * len(actions),
    )
    figure = chart.figure
    rows = actions.iloc[::-1]
    stakes = [
        f"{integer(count)} · {compact_money(stake, currency)}" if not is_missing(stake) else integer(count)
        for count, stake in zip(rows["customer_count"], rows["revenue_at_stake_amount"], strict=True)
    ]
    add_labelled_bars(figure, [wrapped(action) for action in rows["action"]], rows["customer_count"], stakes, theme)
    figure.update_xaxes(title="Customers")
    return chart
