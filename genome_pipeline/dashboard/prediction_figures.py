"""Frame in, Plotly figure out, as in :mod:`genome_pipeline.dashboard.figures`: predictions, and how they turned out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd
import plotly.graph_objects as go

from genome_pipeline.dashboard.figures import RISK_BANDS
from genome_pipeline.dashboard.kit.drawing import (
    add_labelled_bars,
    add_line,
    new_figure,
    patterned,
    snapshot_axis,
    translucent,
    wrapped,
)
from genome_pipeline.dashboard.kit.formats import currency_prefix, day, integer, percent, signed
from genome_pipeline.dashboard.kit.glossary import label, plot_text
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme

# Value


def value_deciles(
    deciles: pd.DataFrame, matured: date, currency: str | None, horizon_days: int, *, theme: Theme = LIGHT
) -> go.Figure:
    """What each tenth of customers was expected to spend, beside the baseline and what it spent."""
    figure = new_figure(
        "Who was expected to bring the value, and who did",
        f"Each bar is a tenth of the customers of {day(matured)}, those of the highest expected spend first; what they"
        f" spent in the {horizon_days} days after. Good predictions lie on the bars.",
        theme,
        height=320,
    )
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
    return figure


def capture_curve(model: pd.DataFrame, naive: pd.DataFrame, matured: date, *, theme: Theme = LIGHT) -> go.Figure:
    """Share of realised spend that the customers put first held, for the model and the naive baseline."""
    figure = new_figure(
        "How much of the value the customers put first hold",
        f"Read: of the customers of {day(matured)}, the share on the axis below, those of the highest prediction,"
        " brought the share on the left of all spend. The higher the better; the dotted line is no order at all.",
        theme,
        height=320,
    )
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
    return figure


def error_trend(
    errors: pd.DataFrame,
    title: str,
    reading: str,
    unit: str,
    *,
    prefix: str = "",
    tickformat: str = ",~g",
    theme: Theme = LIGHT,
) -> go.Figure:
    """A measure of error at each matured snapshot: the model beside the naive baseline."""
    figure = new_figure(title, reading, theme)
    hover = f"%{{x|%-d %b %Y}}<br>{prefix}%{{y:,.3f}}"
    add_line(
        figure,
        errors["as_of"],
        errors["naive"],
        name="Naive baseline",
        color=theme.naive,
        hover=hover,
        dash="dot",
        marker="x",
    )
    add_line(figure, errors["as_of"], errors["model"], name="Model", color=theme.model, hover=hover)
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=tickformat, title=unit)
    snapshot_axis(figure, errors["as_of"].tolist())
    return figure


def overall_drivers(drivers: pd.DataFrame, prediction: str, currency: str | None, *, theme: Theme = LIGHT) -> go.Figure:
    """What moves a prediction most, over all customers."""
    rows = drivers.iloc[::-1]
    figure = new_figure(
        f"What moves {label(prediction).lower()} most",
        "Bar: by how much a driver moves a prediction away from the average customer's, on average."
        " Beside it: the share of customers whose prediction it raises ▲ and lowers ▼.",
        theme,
        height=70 + 34 * len(rows),
    )
    add_labelled_bars(
        figure,
        [wrapped(driver_name(driver), 32) for driver in rows["driver"]],
        rows["mean_absolute_contribution"],
        [
            f"{signed(prediction, size, currency).removeprefix('+')} · ▲ {percent(raised, 0)} ▼ {percent(lowered, 0)}"
            for size, raised, lowered in zip(
                rows["mean_absolute_contribution"], rows["raised_share"], rows["lowered_share"], strict=True
            )
        ],
        theme,
    )
    longest = float(rows["mean_absolute_contribution"].max())
    is_share = longest <= 1 and prediction == "churn_probability"
    figure.update_xaxes(
        range=[0, longest * 2],
        tickformat=".0%" if is_share else ",~s",
        tickprefix="" if is_share else currency_prefix(currency),
        title="Mean size of the contribution",
    )
    return figure


def driver_name(driver: str) -> str:
    """What a driver is called on screen: a gene by its label, the others by their own words."""
    return (
        driver.replace("_", " ").capitalize()
        if driver in ("purchase_rate", "silence", "everything_else")
        else label(driver)
    )


# Risk


def churn_distribution(bins: pd.DataFrame, grouping: str, horizon_days: int, *, theme: Theme = LIGHT) -> go.Figure:
    """How many customers there are at each churn probability, by risk band or segment."""
    is_band = grouping == "risk_band"
    figure = new_figure(
        "Customers by churn probability",
        f"Height: customers who will make no purchase within {horizon_days} days with the probability below;"
        f" stacked by {'risk band' if is_band else 'segment'}.",
        theme,
        height=320,
    )
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
    return figure


def reliability(bins: pd.DataFrame, matured: date, horizon_days: int, *, theme: Theme = LIGHT) -> go.Figure:
    """The share that churned beside what was predicted: on the diagonal a probability means what it says."""
    figure = new_figure(
        "Does a churn probability mean what it says?",
        f"Each mark: customers of {day(matured)} of about the same probability; its height is the share of them that"
        f" made no purchase in the {horizon_days} days after, the whisker its 95% interval. Honest marks lie on the"
        " dotted line, give or take the whisker.",
        theme,
        height=320,
    )
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
    return figure


def cutoff_tradeoff(
    cutoffs: pd.DataFrame, cutoff: float, matured: date, base_rate: float, *, theme: Theme = LIGHT
) -> go.Figure:
    """Precision and recall of every cutoff, with the chosen one marked."""
    figure = new_figure(
        "What a cutoff catches, and how often it is right",
        f"Precision: share of those at or above the cutoff who left. Recall: share of all who left that are among them."
        f" From the predictions of {day(matured)}, of whom {percent(base_rate)} left.",
        theme,
        height=320,
    )
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
    return figure


# Confidence


def coverage(
    slices: pd.DataFrame, names: Sequence[str], what: str, level: float, matured: date, *, theme: Theme = LIGHT
) -> go.Figure:
    """Share of outcomes within their intervals for each slice, beside the nominal level and what chance allows."""
    figure = new_figure(
        f"Do the intervals hold, {what}?",
        f"Mark: share of outcomes of {day(matured)} within their interval. Line: the {percent(level, 0)} they are meant"
        " to hold; the bar around it is what chance allows (95%) with as many customers; ◆ lies outside.",
        theme,
        height=110 + 32 * len(slices),
    )
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
    return figure


def error_by_confidence(
    errors: pd.DataFrame, confidence: str, title: str, reading: str, unit: str, *, theme: Theme = LIGHT
) -> go.Figure:
    """The error in each tenth of customers by a confidence, the model beside the naive baseline."""
    figure = new_figure(title, reading, theme)
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
    return figure


def abstentions(reasons: pd.DataFrame, customer_count: int, *, theme: Theme = LIGHT) -> go.Figure:
    """Customers without a prediction or an interval, by model and reason."""
    figure = new_figure(
        "Customers for whom no prediction, or no interval, is offered",
        "By model and reason; a customer may stand under both models.",
        theme,
        height=110 + 48 * len(reasons),
    )
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
    return figure


def interval_width_trend(
    widths: pd.DataFrame, column: str, title: str, *, prefix: str, tickformat: str, theme: Theme = LIGHT
) -> go.Figure:
    """Mean width of the intervals at each snapshot."""
    figure = new_figure(title, "The narrower, the surer; where it widens, the future has become harder to tell.", theme)
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
    return figure
