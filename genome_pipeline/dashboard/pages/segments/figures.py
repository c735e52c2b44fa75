"""The figures of the Segments page."""

from __future__ import annotations

from datetime import date

import pandas as pd

from genome_pipeline.contracts.column import Unit
from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import translucent, wrapped
from genome_pipeline.dashboard.kit.formats import column_value, currency_prefix, day, integer, is_missing, percent
from genome_pipeline.dashboard.kit.glossary import label, plot_text
from genome_pipeline.dashboard.kit.theme import LIGHT, MARKERS, Theme
from genome_pipeline.dashboard.kit.totals import total_cell
from genome_pipeline.dashboard.pages.segments.customer_map import Axis, CustomerMap

PROFILE_COLUMNS = (
    "median_spend_amount",
    "median_average_order_value_amount",
    "median_frequency_count",
    "median_order_gap_mean_days",
    "median_days_since_last_order",
    "median_t_days",
    "median_momentum_share",
)


def segment_sizes(profiles: pd.DataFrame, *, theme: Theme = LIGHT) -> Chart:
    """Each segment's share of customers beside its share of recent spend."""
    chart = new_chart(
        "Share of customers beside share of spend",
        "A segment whose diamond lies right of its circle brings more than its share of recent spend.",
        theme,
        height=110 + 48 * len(profiles),
    )
    figure = chart.figure
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
    # Invisible marks at zero keep room for the names.
    figure.update_yaxes(type="category", tickfont={"color": theme.ink}, ticklabelstandoff=12)
    return chart


def segment_profile_heatmap(profiles: pd.DataFrame, currency: str | None, *, theme: Theme = LIGHT) -> Chart:
    """Median genes of each segment: the numbers themselves, coloured by where they stand among segments."""
    chart = new_chart(
        "What each segment is like: median customer",
        "Numbers are medians. Blue is above, orange below the middle of the segments in that column.",
        theme,
        height=110 + 54 * len(profiles),
    )
    figure = chart.figure
    rows = profiles.iloc[::-1]
    values = rows[list(PROFILE_COLUMNS)].astype(float)
    # Coloured by rank, not by value: one extreme segment would hide all differences among the others.
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
    return chart


def segment_value(profiles: pd.DataFrame, currency: str | None, horizon_days: int, *, theme: Theme = LIGHT) -> Chart:
    """What customers of each segment are expected to spend: median, and the middle 80% of customers."""
    chart = new_chart(
        f"Expected spend per customer in the next {horizon_days} days",
        "Mark: median customer of the segment. Line: the middle 80% of its customers.",
        theme,
        height=90 + 48 * len(profiles),
    )
    figure = chart.figure
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
        customdata=rows[["expected_spend_first_decile", "expected_spend_last_decile"]].assign(
            together=[total_cell(row, "expected_spend_amount", currency) for _, row in rows.iterrows()]
        ),
        hovertemplate=f"%{{y}}<br>median {prefix}%{{x:,.2f}}"
        f"<br>middle 80% {prefix}%{{customdata[0]:,.2f}} to {prefix}%{{customdata[1]:,.2f}}"
        "<br>all together %{customdata[2]}<extra></extra>",
    )
    figure.update_xaxes(rangemode="tozero", tickprefix=prefix, tickformat=",~s", title="Expected spend per customer")
    figure.update_yaxes(type="category", tickfont={"color": theme.ink})
    return chart


def gene_by_segment(spread: pd.DataFrame, gene: str, currency: str | None, *, theme: Theme = LIGHT) -> Chart:
    """How a gene is spread over the customers of each segment."""
    name = label(gene)
    chart = new_chart(
        f"{name}: how it is spread in each segment",
        "Box: the middle half of the customers, with the median. Whiskers: from the lowest 5% to the highest 5%.",
        theme,
        height=110 + 46 * len(spread),
    )
    figure = chart.figure
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
    return chart


def customer_map(customers: CustomerMap, customer_count: int, *, theme: Theme = LIGHT) -> Chart:
    """Customers in the plane of their two first principal components, coloured and shaped by segment."""
    points = customers.points
    shown = (
        "All of them are shown."
        if len(points) >= customer_count
        else f"A fair sample of {integer(len(points))} of {integer(customer_count)}."
    )
    chart = new_chart(
        "Map of the customers",
        f"Each mark is a customer, and close marks behave alike in the genes that form segments. {shown}",
        theme,
        height=460,
    )
    figure = chart.figure
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
    return chart


def _axis_title(axis: Axis) -> str:
    return f"{', '.join(axis.genes)} ({percent(axis.variance_share, 0)} of the variation)"


def segment_migrations(migrations: pd.DataFrame, since: date, *, theme: Theme = LIGHT) -> Chart:
    """Customers flowing between segments from an earlier snapshot to this one."""
    chart = new_chart(
        f"Where customers moved since {day(since)}",
        "Left: segment then. Right: segment now. Width: customers; coloured bands are those who moved.",
        theme,
        height=420,
    )
    figure = chart.figure
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
    return chart


def _named_totals(migrations: pd.DataFrame, side: str) -> pd.DataFrame:
    names = {f"{side}_id": "segment_id", f"{side}_name": "segment_name"}
    renamed = migrations.rename(columns=names)
    return renamed.groupby(list(names.values()), as_index=False).agg(customer_count=("customer_count", "sum"))
