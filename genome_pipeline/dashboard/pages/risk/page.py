"""Risk: who is becoming unstable, and how far the probabilities can be relied on."""

from __future__ import annotations

from datetime import date
from typing import cast

import dash_mantine_components as dmc
import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import chart_panel
from genome_pipeline.dashboard.kit.components import choice, choice_id, columns_of, empty_state, kpi, page, panel
from genome_pipeline.dashboard.kit.drivers import drivers_panel
from genome_pipeline.dashboard.kit.glossary import description
from genome_pipeline.dashboard.kit.outcomes import error_trend, error_trend_chart, last_matured, not_matured
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.pages.risk import figures, queries

PATH = paths.RISK
TITLE = "Risk"
QUESTION = "Who is becoming unstable, and whom is it worth to call?"

_GROUPINGS = {"risk_band": "Risk band", "segment_name": "Segment"}
_DEFAULT_CUTOFF = 50


def layout(request: PageRequest) -> Component:
    """The cutoff and what it would catch, the distribution, reliability, error over time, and what drives churn."""
    connection, as_of = request.connection, request.as_of
    matured = last_matured(connection, as_of)
    cutoffs = queries.churn_cutoffs(connection, as_of, matured)
    if cutoffs["customer_count"].iloc[0] == 0:
        return page(
            TITLE,
            QUESTION,
            empty_state(
                "No churn probability at this snapshot",
                "There were too few customers to learn from.",
                ["Choose a later snapshot above, or run ", html.Code("genome run"), " on a longer log."],
            ),
        )
    distribution = _distribution(request)
    if matured is None or cutoffs["recall"].isna().all():
        return page(TITLE, QUESTION, _cutoff(request, cutoffs, None), distribution, not_matured(request))
    return page(
        TITLE,
        QUESTION,
        _cutoff(request, cutoffs, matured),
        columns_of(distribution, _reliability(request, matured)),
        _error_trend(request),
        *drivers_panel(request, "churn_probability"),
    )


def _cutoff(request: PageRequest, cutoffs: pd.DataFrame, matured: date | None) -> Component:
    """The slider, whom it selects now, how such a cutoff did before, and the way to the list of those customers."""
    percent_ = _chosen_cutoff(request)
    row = cutoffs.iloc[percent_]
    base_rate = cutoffs["precision"].iloc[0]
    selected = _selected(request, row, cutoffs["customer_count"].iloc[0])
    if matured:
        selected += _right_before(request, row, base_rate, matured)
    control = panel(
        _slider(percent_),
        html.Div(selected, className="kpis kpis-2"),
        dcc.Link(
            f"Show these {formats.integer(row['customer_count'])} customers as an audience",
            href=request.link(paths.AUDIENCE, {"where": f"churn_probability:ge:{percent_ / 100:g}"}),
            className="more",
            id="to-audience",
        ),
        title=f"Churn probability of at least {percent_}%",
        reading="Move the cutoff: below, whom it selects now, and how often such a choice was right before."
        if matured
        else "Move the cutoff to see whom it selects.",
        columns=("churn_probability", "revenue_at_stake_amount"),
        name="cutoff",
    )
    if matured is None:
        return control
    return columns_of(
        control,
        chart_panel(
            figures.cutoff_tradeoff(cutoffs, percent_ / 100, matured, base_rate, theme=request.theme),
            cutoffs,
            ("churn_probability", "has_churned"),
        ),
    )


def _selected(request: PageRequest, row: pd.Series, everyone: int) -> list[Component]:
    """Whom the cutoff selects now; ``everyone`` has a probability."""
    currency, horizon_days = request.run.currency, request.run.horizon_days
    return [
        kpi(
            "Customers",
            formats.integer(row["customer_count"]),
            name="cutoff-customers",
            explanation="Customers of this snapshot whose churn probability is at least the cutoff.",
            note=f"{formats.percent(row['customer_count'] / everyone)} of all with a probability",
        ),
        kpi(
            "Expected loss",
            formats.compact_money(row["revenue_at_stake_amount"], currency),
            name="cutoff-loss",
            explanation=f"Sum over these customers. {description('revenue_at_stake_amount')}",
            note="no amounts in the source"
            if formats.is_missing(row["revenue_at_stake_amount"])
            else f"within {horizon_days} days",
        ),
    ]


def _right_before(request: PageRequest, row: pd.Series, base_rate: float, matured: date) -> list[Component]:
    """How often the cutoff was right at a matured snapshot, and how many of those who left it caught."""
    horizon_days = request.run.horizon_days
    lift = row["precision"] / base_rate if base_rate and row["precision"] == row["precision"] else None
    return [
        kpi(
            "Precision",
            formats.percent(row["precision"]),
            name="cutoff-precision",
            explanation=f"Of the customers of {formats.day(matured)} at or above the cutoff, the share that made no"
            f" purchase in the {horizon_days} days after.",
            note=f"{formats.decimal(lift, 1)} times the average" if lift else "nobody was above it",
        ),
        kpi(
            "Recall",
            formats.percent(row["recall"]),
            name="cutoff-recall",
            explanation=f"Of the customers of {formats.day(matured)} who left, the share at or above the cutoff.",
            note="of all who left",
        ),
    ]


def _slider(percent_: int) -> Component:
    return html.Div(
        dmc.Slider(
            id=choice_id("cutoff", str(percent_)),
            value=percent_,
            min=0,
            max=99,
            step=1,
            marks=[{"value": mark, "label": f"{mark}%"} for mark in (0, 25, 50, 75, 99)],
            label=None,
            updatemode="mouseup",
            thumbLabel="Cutoff: churn probability of at least, in percent",
        ),
        className="slider",
    )


def _chosen_cutoff(request: PageRequest) -> int:
    """The cutoff of the URL, in whole percent from 0 to 99."""
    asked = request.parameters.get("cutoff", "")
    return int(asked) if asked.isascii() and asked.isdigit() and int(asked) <= 99 else _DEFAULT_CUTOFF


def _distribution(request: PageRequest) -> Component:
    grouping = cast(queries.Grouping, request.chosen("by", _GROUPINGS, "risk_band"))
    bins = queries.churn_distribution(request.connection, request.as_of, grouping)
    return chart_panel(
        figures.churn_distribution(bins, grouping, request.run.horizon_days, theme=request.theme),
        bins,
        ("churn_probability", "risk_band"),
        tools=choice("by", "Stacked by", list(_GROUPINGS.items()), grouping),
    )


def _reliability(request: PageRequest, matured: date) -> Component:
    bins = queries.reliability(request.connection, matured)
    return chart_panel(
        figures.reliability(bins, matured, request.run.horizon_days, theme=request.theme),
        bins,
        ("churn_probability", "has_churned"),
    )


def _error_trend(request: PageRequest) -> Component:
    brier, auc = (error_trend(request.connection, request.as_of, "churn", metric) for metric in ("brier", "auc"))
    return columns_of(
        chart_panel(
            error_trend_chart(
                brier,
                "Error of the churn probability",
                "Brier score: mean squared distance of the probability and what happened (0 or 1); lower is better.",
                "Brier score",
                theme=request.theme,
            ),
            brier,
        ),
        chart_panel(
            error_trend_chart(
                auc,
                "How well leavers are told from stayers",
                "AUC: how often a customer who leaves has the higher probability of a pair; 1 always, 0.5 by chance.",
                "AUC",
                theme=request.theme,
            ),
            auc,
        ),
    )
