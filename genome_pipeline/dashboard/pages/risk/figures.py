"""The figures of the Risk page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import patterned
from genome_pipeline.dashboard.kit.formats import day, percent
from genome_pipeline.dashboard.kit.glossary import plot_text
from genome_pipeline.dashboard.kit.theme import LIGHT, RISK_BANDS, Theme


def churn_distribution(bins: pd.DataFrame, grouping: str, horizon_days: int, *, theme: Theme = LIGHT) -> Chart:
    """How many customers there are at each churn probability, by risk band or segment."""
    is_band = grouping == "risk_band"
    chart = new_chart(
        "Customers by churn probability",
        f"Height: customers who will make no purchase within {horizon_days} days with the probability below;"
        f" stacked by {'risk band' if is_band else 'segment'}.",
        theme,
        height=320,
    )
    figure = chart.figure
    names = list(RISK_BANDS) if is_band else sorted(bins[grouping].dropna().unique())
    colors: Sequence[str] = (theme.model, theme.low, theme.warning) if is_band else theme.series
    for position, group in enumerate(names):
        rows = bins[bins[grouping] == group]
        name = f"{group.capitalize()} risk" if is_band else plot_text(group)
        figure.add_bar(
            x=rows["lower_bound"] + 0.025,
            y=rows["customer_count"],
            width=0.046,
            customdata=rows[["lower_bound"]].assign(upper_bound=rows["lower_bound"] + 0.05),
            name=name,
            marker=patterned(colors[position % len(colors)], position, theme),
            hovertemplate="%{y:,} customers at<br>%{customdata[0]:.0%} to %{customdata[1]:.0%}"
            f"<extra>{name}</extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(range=[0, 1], tickformat=".0%", title="Churn probability")
    figure.update_yaxes(tickformat=",~s", title="Customers")
    return chart


def reliability(bins: pd.DataFrame, matured: date, horizon_days: int, *, theme: Theme = LIGHT) -> Chart:
    """The share that churned beside what was predicted: on the diagonal a probability means what it says."""
    chart = new_chart(
        "Does a churn probability mean what it says?",
        f"Each mark: customers of {day(matured)} of about the same probability; its height is the share of them that"
        f" made no purchase in the {horizon_days} days after, the whisker its 95% interval. Honest marks lie on the"
        " dotted line, within the whisker.",
        theme,
        height=320,
    )
    figure = chart.figure
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        name="As predicted",
        mode="lines",
        line={"color": theme.muted, "dash": "dot", "width": 1.5},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=bins["churn_probability"],
        y=bins["actual_churn_share"],
        name="What happened",
        mode="markers",
        marker={"color": theme.model, "size": 11, "symbol": "circle"},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": bins["actual_churn_share_upper"] - bins["actual_churn_share"],
            "arrayminus": bins["actual_churn_share"] - bins["actual_churn_share_lower"],
            "color": theme.model,
            "thickness": 1.8,
            "width": 5,
        },
        customdata=bins[["customer_count", "actual_churn_share_lower", "actual_churn_share_upper"]],
        hovertemplate="predicted %{x:.1%}<br>happened %{y:.1%}, interval %{customdata[1]:.1%} to %{customdata[2]:.1%}"
        "<br>%{customdata[0]:,} customers<extra></extra>",
    )
    figure.update_xaxes(range=[0, 1], tickformat=".0%", title="Predicted churn probability")
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%", title="Share that churned")
    return chart


def cutoff_tradeoff(
    cutoffs: pd.DataFrame, cutoff: float, matured: date, base_rate: float, *, theme: Theme = LIGHT
) -> Chart:
    """Precision and recall of every cutoff, with the chosen one marked."""
    chart = new_chart(
        "What a cutoff catches, and how often it is right",
        f"Precision: share of those at or above the cutoff who left. Recall: share of all who left that are among them."
        f" From the predictions of {day(matured)}, of whom {percent(base_rate)} left.",
        theme,
        height=320,
    )
    figure = chart.figure
    for column, name, color, dash in (
        ("precision", "Precision", theme.model, "solid"),
        ("recall", "Recall", theme.warning, "dash"),
    ):
        figure.add_scatter(
            x=cutoffs["cutoff"],
            y=cutoffs[column],
            name=name,
            mode="lines",
            line={"color": color, "dash": dash, "width": 2.5},
            hovertemplate="cutoff %{x:.0%}<br>" + name.lower() + " %{y:.1%}<extra></extra>",
        )
    figure.add_vline(
        x=cutoff,
        line={"color": theme.ink, "width": 1.5},
        annotation={"text": f" cutoff {percent(cutoff, 0)} ", "font": {"color": theme.ink, "size": 12}},
        annotation_position="top right" if cutoff < 0.8 else "top left",
    )
    figure.update_xaxes(range=[0, 1], tickformat=".0%", title="Cutoff: churn probability of at least")
    figure.update_yaxes(range=[0, 1.15], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1], tickformat=".0%", title="Share")
    return chart
