"""The figures of the Cohorts page."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from genome_pipeline.dashboard.kit.chart import Chart, new_chart
from genome_pipeline.dashboard.kit.drawing import add_band, add_line
from genome_pipeline.dashboard.kit.formats import currency_prefix, day, integer, percent
from genome_pipeline.dashboard.kit.theme import LIGHT, Theme
from genome_pipeline.models.genes import numbers

COHORTS_SHOWN = 24
"""The latest cohorts are shown, at most so many, and as many months of each."""

_TEXT_COLUMNS = 14
_POINTS = 9
"""Points of a band between two horizons."""

_MEAN_DAYS = {"month": 365.2425 / 12, "week": 7.0}


def cohort_name(start: date, step: str) -> str:
    """``"Mar 2024"``, or of a week its first day."""
    return day(start) if step == "week" else f"{start:%b %Y}"


def first_shown(cohorts: pd.DataFrame) -> pd.Timestamp:
    """The cohort whose spend is shown where none is chosen: the latest but one, which has some time behind it."""
    starts = sorted(cohorts["cohort_start_date"].unique(), reverse=True)
    return pd.Timestamp(starts[min(1, len(starts) - 1)])


def of_whole_steps(cohorts: pd.DataFrame, step: str) -> pd.DataFrame:
    """The rows whose month or week had ended when it was last counted; fewer have come back in a running one."""
    start, steps = pd.to_datetime(cohorts["cohort_start_date"]), cohorts["cohort_age_count"] + 1
    if step == "week":
        end = start + pd.to_timedelta(7 * steps, unit="D")
    else:
        end = pd.Series(
            [day + pd.DateOffset(months=int(count)) for day, count in zip(start, steps, strict=True)],
            index=cohorts.index,
            dtype="datetime64[ns]",
        )
    return cohorts[pd.to_datetime(cohorts["known_at"]) >= end]


def retention_triangle(cohorts: pd.DataFrame, step: str, *, theme: Theme = LIGHT) -> Chart:
    """Share of each cohort who bought, by months since the first."""
    cohorts = of_whole_steps(cohorts, step)
    starts = sorted(cohorts["cohort_start_date"].unique())[-COHORTS_SHOWN:]
    rows = cohorts[cohorts["cohort_start_date"].isin(starts) & (cohorts["cohort_age_count"] < COHORTS_SHOWN)]
    chart = new_chart(
        f"Who came back: customers of each cohort who bought, by {step}",
        f"A row is the customers who first bought in that {step}. Numbers are the share of them who bought so many"
        f" {step}s later; at 0 all did. The log's first cohort also holds those who had bought before the log begins."
        f" The latest {COHORTS_SHOWN} cohorts are shown.",
        theme,
        height=130 + 26 * len(starts),
    )
    shares = rows.pivot_table(index="cohort_start_date", columns="cohort_age_count", values="retention_share").iloc[
        ::-1
    ]
    sizes = rows.groupby("cohort_start_date")["cohort_customer_count"].max()
    later = shares.drop(columns=0, errors="ignore").to_numpy()
    most = float(np.nanmax(later)) if later.size and np.isfinite(later).any() else 1.0
    is_roomy = len(shares.columns) <= _TEXT_COLUMNS
    chart.figure.add_heatmap(
        x=[str(age) for age in shares.columns],
        y=[f"{cohort_name(start, step)} ({integer(sizes[start])})" for start in shares.index],
        z=shares.clip(upper=most).to_numpy(),
        zmin=0,
        zmax=most or 1.0,
        colorscale=[(0.0, theme.neutral), (1.0, theme.model)],
        opacity=0.75,
        customdata=shares.to_numpy(),
        text=[["" if pd.isna(share) else percent(share, 0) for share in row] for row in shares.to_numpy()],
        texttemplate="%{text}" if is_roomy else None,
        textfont={"color": theme.ink, "size": 11},
        xgap=2,
        ygap=2,
        showscale=False,
        hoverongaps=False,
        hovertemplate=f"%{{y}}<br>{step} %{{x}}: %{{customdata:.1%}} bought<extra></extra>",
    )
    chart.figure.update_xaxes(
        side="top", showgrid=False, type="category", title=f"{step.capitalize()}s since the first"
    )
    chart.figure.update_yaxes(type="category", showgrid=False, tickfont={"color": theme.ink})
    return chart


def cumulative_spend(
    cohorts: pd.DataFrame,
    forecasts: pd.DataFrame,
    chosen: pd.Timestamp,
    step: str,
    currency: str | None,
    *,
    theme: Theme = LIGHT,
) -> Chart:
    """Spend per customer since the first order: one cohort with what is expected of it, and the others."""
    name = cohort_name(chosen, step)
    chart = new_chart(
        f"Spend per customer of the cohort of {name}",
        "Purchases less returns since the first order, over the cohort's customers. The dashed line is expected, its"
        " band the interval of the cohort's total. Thin lines are the other cohorts.",
        theme,
        height=340,
    )
    figure, prefix = chart.figure, currency_prefix(currency)
    curves = cohorts.assign(
        age=_age(cohorts["known_at"], cohorts["cohort_start_date"], step),
        per_customer=cohorts["cumulative_spend_amount"] / cohorts["cohort_customer_count"],
    )
    hover = f"%{{x:.1f}} {step}s: {prefix}%{{y:,.2f}} a customer"
    others = curves[curves["cohort_start_date"] != chosen]
    latest = sorted(others["cohort_start_date"].unique())[-COHORTS_SHOWN:]
    for position, start in enumerate(latest):
        rows = others[others["cohort_start_date"] == start]
        figure.add_scatter(
            x=rows["age"],
            y=rows["per_customer"],
            name="Other cohorts",
            legendgroup="others",
            showlegend=position == 0,
            mode="lines",
            line={"color": theme.naive, "width": 1},
            opacity=0.55,
            hovertemplate=f"{hover}<extra>{cohort_name(start, step)}</extra>",
        )
    own = curves[curves["cohort_start_date"] == chosen]
    ahead = _ahead(own.iloc[-1], forecasts[forecasts["cohort_start_date"] == chosen], step)
    _add_ahead(figure, ahead["age"], ahead, theme, hover)
    add_line(figure, own["age"], own["per_customer"], name=name, color=theme.actual, hover=hover)
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=",~s", title="Spend per customer")
    figure.update_xaxes(rangemode="tozero", title=f"{step.capitalize()}s since the cohort began")
    return chart


def spend_of_group(
    history: pd.DataFrame, forecasts: pd.DataFrame, name: str, step: str, currency: str | None, *, theme: Theme = LIGHT
) -> Chart:
    """What the customers of one cohort by a fact of their first purchase have spent, and are expected to spend."""
    chart = new_chart(
        f"Spend of the cohort {name}",
        "Purchases less returns so far, of those who were customers by then. Which cohorts stand for themselves is"
        " chosen at each snapshot: the line of one that did so later begins later, and that of all others may fall. The"
        " dashed line is what those of the last snapshot are expected to add, its band the interval of their total.",
        theme,
        height=340,
    )
    figure, prefix = chart.figure, currency_prefix(currency)
    hover = f"%{{x|%-d %b %Y}}: {prefix}%{{y:,.0f}}"
    now = history.iloc[-1].copy()
    now["age"], now["cohort_customer_count"] = 0.0, 1
    ahead = _ahead(now, forecasts, step)
    at = pd.Timestamp(now["as_of"]) + pd.to_timedelta(ahead["age"] * _MEAN_DAYS[step], unit="D")
    _add_ahead(figure, at, ahead, theme, hover)
    add_line(
        figure, history["as_of"], history["cumulative_spend_amount"], name="So far", color=theme.actual, hover=hover
    )
    figure.update_yaxes(rangemode="tozero", tickprefix=prefix, tickformat=",~s", title="Spend since the first order")
    return chart


def _add_ahead(figure: go.Figure, at: pd.Series[Any], ahead: pd.DataFrame, theme: Theme, hover: str) -> None:
    """Draw what :func:`_ahead` gives at the places ``at``: its band, and the expected spend at the horizons' ends."""
    if ahead["upper"].notna().sum() > 1:
        add_band(figure, at, ahead["lower"], ahead["upper"], theme.model, "Interval of the total")
    if len(ahead) > 1:
        ends = ahead["is_horizon"]
        expected = ahead.loc[ends, "expected"]
        add_line(
            figure, at[ends], expected, name="Expected", color=theme.model, hover=hover, dash="dash", marker="diamond"
        )


def _ahead(now: pd.Series[Any], forecasts: pd.DataFrame, step: str) -> pd.DataFrame:
    """Age, expected spend per customer and its bounds, from the snapshot over every horizon.

    ``is_horizon`` tells the snapshot and the ends of horizons from what lies between, where the expected spend grows
    evenly and the distances of the bounds as square roots, as the view ``cohort_payback`` has it.
    """
    known = forecasts[forecasts["expected_spend_amount"].notna()]
    columns = ("expected_spend_amount", "expected_spend_amount_lower", "expected_spend_amount_upper")
    expected, lower, upper = (np.append(0.0, numbers(known[name])) for name in columns)
    days = np.append(0.0, numbers(known["horizon_days"]))
    at = np.unique(np.concatenate([days, *(np.linspace(*ends, _POINTS) for ends in pairwise(days))]))
    middle = np.interp(at, days, expected)
    below, above = (np.sqrt(np.interp(at, days, (bound - expected) ** 2)) for bound in (lower, upper))
    spent, customers = now["cumulative_spend_amount"], now["cohort_customer_count"]
    found = pd.DataFrame(
        {
            name: (spent + values) / customers
            for name, values in (("expected", middle), ("lower", middle - below), ("upper", middle + above))
        }
    )
    return found.assign(age=now["age"] + at / _MEAN_DAYS[step], is_horizon=np.isin(at, days))


def _age(at: pd.Series[Any], start: pd.Series[Any], step: str) -> pd.Series[Any]:
    found: pd.Series[Any] = (pd.to_datetime(at) - pd.to_datetime(start)).dt.days / _MEAN_DAYS[step]
    return found
