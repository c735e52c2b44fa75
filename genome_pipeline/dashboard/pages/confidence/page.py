"""Confidence: how sure the predictions are, and whether they have earned it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import chart_panel
from genome_pipeline.dashboard.kit.components import choice, columns_of, empty_state, kpi, page, panel
from genome_pipeline.dashboard.kit.glossary import description
from genome_pipeline.dashboard.kit.outcomes import last_matured, not_matured
from genome_pipeline.dashboard.kit.performance import TARGETS
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table
from genome_pipeline.dashboard.kit.trend import confidence_over_time, snapshot_trend
from genome_pipeline.dashboard.pages.confidence import figures, queries

PATH = paths.CONFIDENCE
TITLE = "Confidence"
QUESTION = "How sure are the predictions, and have they earned it?"


def layout(request: PageRequest) -> Component:
    """Confidence now, coverage and error of the last matured snapshot, abstentions, and the course of the widths."""
    connection, as_of = request.connection, request.as_of
    trend = snapshot_trend(connection, as_of)
    matured = last_matured(connection, as_of)
    if trend["mean_confidence"].isna().all() and matured is None:
        return page(
            TITLE,
            QUESTION,
            _abstentions(request, trend),
            empty_state(
                "No confidence at this snapshot",
                "Without predictions there is nothing to be confident of.",
                ["Choose a later snapshot above, or run ", html.Code("genome run"), " on a longer log."],
            ),
        )
    overall = _overall_coverage(request, matured)
    target = request.chosen("target", overall, next(iter(overall), ""))
    outcomes = [not_matured(request)]
    if matured is not None:
        outcomes = [_coverage(request, matured, target), *_errors(request, matured)]
    targets = [(name, TARGETS[name]) for name in overall]
    return page(
        TITLE,
        QUESTION,
        html.Div(_kpis(trend, overall, request), className="kpis kpis-3"),
        *outcomes,
        columns_of(_distribution(request), _confidence_trend(request, trend)),
        _abstentions(request, trend),
        _widths(request),
        _further_horizons(request),
        tools=choice("target", "Intervals of", targets, target) if targets else None,
    )


def _overall_coverage(request: PageRequest, matured: date | None) -> dict[str, pd.DataFrame]:
    """Coverage of all customers, for each target whose intervals could be compared with what happened."""
    if matured is None:
        return {}
    level = request.run.interval_level
    found = {
        target: queries.coverage(request.connection, matured, target, "all", level) for target in ("spend", "orders")
    }
    return {target: rows for target, rows in found.items() if not rows.empty}


def _kpis(trend: pd.DataFrame, overall: Mapping[str, pd.DataFrame], request: PageRequest) -> list[Component]:
    now = trend.iloc[-1]
    return [
        kpi(
            "Mean confidence",
            formats.decimal(now["mean_confidence"]),
            name="mean-confidence",
            explanation=f"Mean over customers, from 0 to 1. {description('confidence')}",
            note=f"half in {formats.decimal(now['confidence_lower_quartile'])}"
            f"\u2013{formats.decimal(now['confidence_upper_quartile'])}",
        ),
        *[
            kpi(
                f"Coverage of {target}",
                formats.percent(rows["coverage"].iloc[0]),
                name=f"coverage-{target}",
                explanation="Share of the outcomes of the last matured snapshot within their prediction interval.",
                note=f"aim: {formats.percent(request.run.interval_level, 0)}",
            )
            for target, rows in overall.items()
        ],
    ]


def _coverage(request: PageRequest, matured: date, target: str) -> Component:
    """Coverage by value decile and by segment, of spend or of orders."""
    if not target:
        return panel(
            html.P("The first matured snapshot has no intervals: they are learned from the one before."),
            title="No interval could be compared with what happened yet",
            reading=f"The predictions of {formats.day(matured)} had no intervals.",
        )
    level = request.run.interval_level
    by_decile, by_segment = (
        queries.coverage(request.connection, matured, target, slice_name, level)
        for slice_name in ("value_decile", "segment")
    )
    deciles = [f"{decile} (highest)" if decile == "10" else decile for decile in by_decile["slice_value"]]
    return columns_of(
        chart_panel(
            figures.coverage(
                by_decile,
                [f"Tenth {decile}" for decile in deciles],
                "whatever a customer's value",
                level,
                matured,
                theme=request.theme,
            ),
            by_decile,
            ("slice_value", "expected_spend"),
        ),
        chart_panel(
            figures.coverage(
                by_segment,
                by_segment["slice_value"].tolist(),
                "segment by segment",
                level,
                matured,
                theme=request.theme,
            ),
            by_segment,
            ("segment_name",),
        ),
    )


def _errors(request: PageRequest, matured: date) -> list[Component]:
    charts = []
    for target, title, unit in (
        ("churn", "Error of the churn probability by the confidence in it", "Squared error, on average"),
        ("spend", "Error of expected spend by the confidence in it", "Error over what is expected and an order more"),
    ):
        errors = queries.error_by_confidence(request.connection, matured, target)
        if errors.empty:
            continue
        confidence = f"{target}_confidence"
        reading = (
            f"Customers of {formats.day(matured)}, in tenths by confidence. Confidence means something where the bars"
            " fall to the right."
        )
        figure = figures.error_by_confidence(errors, confidence, title, reading, unit, theme=request.theme)
        charts.append(chart_panel(figure, errors, (confidence,)))
    return [columns_of(*charts)] if charts else []


def _distribution(request: PageRequest) -> Component:
    distribution = queries.confidence_distribution(request.connection, request.as_of)
    return chart_panel(
        figures.confidence_distribution(distribution, theme=request.theme), distribution, ("confidence",)
    )


def _confidence_trend(request: PageRequest, trend: pd.DataFrame) -> Component:
    shown = trend[["as_of", "mean_confidence", "confidence_lower_quartile", "confidence_upper_quartile"]]
    return chart_panel(confidence_over_time(trend, theme=request.theme), shown, ("confidence",))


def _abstentions(request: PageRequest, trend: pd.DataFrame) -> Component:
    reasons = queries.abstentions(request.connection, request.as_of)
    if reasons.empty:
        return panel(
            title="Customers for whom no prediction, or no interval, is offered",
            reading="None: every customer of this snapshot has a prediction with its interval.",
        )
    return chart_panel(
        figures.abstentions(reasons, int(trend["customer_count"].iloc[-1]), theme=request.theme),
        reasons,
        ("value_abstain_reason", "risk_abstain_reason"),
    )


def _further_horizons(request: PageRequest) -> Component | None:
    """How the forecast over each further horizon turned out; None where none has passed."""
    found = queries.outlook_performance(request.connection, request.as_of)
    if found.empty:
        return None
    rows = [
        [
            f"{row['horizon_days']:,} days",
            formats.day(row["as_of"]),
            formats.integer(row["customer_count"]),
            formats.percent(row["mean_churn_probability"]),
            formats.percent(row["actual_churn_share"]),
            formats.decimal(row["orders_total_ratio"]),
            formats.decimal(row["spend_total_ratio"]),
            formats.percent(row["orders_coverage_share"], 0),
            formats.percent(row["spend_coverage_share"], 0),
        ]
        for _, row in found.iterrows()
    ]
    headings = ("Horizon", "Predicted on", "Customers", "To buy nothing", "Bought nothing")
    ratios = (
        "Orders, expected / actual",
        "Spend, expected / actual",
        "Orders within interval",
        "Spend within interval",
    )
    return panel(
        table([*headings, *ratios], rows, numeric=range(2, 9)),
        title="Further horizons that have passed",
        reading="The latest snapshot of each. Intervals are offered once an earlier snapshot has matured over it.",
    )


def _widths(request: PageRequest) -> Component | None:
    widths = queries.interval_width_trend(request.connection, request.as_of)
    prefix = formats.currency_prefix(request.run.currency)
    charts = [
        ("expected_spend_width", "Width of the intervals of expected spend", prefix, ",~s"),
        ("expected_orders_width", "Width of the intervals of expected orders", "", ",.1f"),
        ("churn_probability_width", "Width of the intervals of churn probability", "", ".1%"),
    ]
    drawn = [
        chart_panel(
            figures.interval_width_trend(
                widths, column, title, prefix=unit, tickformat=tickformat, theme=request.theme
            ),
            widths[["as_of", column]],
        )
        for column, title, unit, tickformat in charts
        if widths[column].notna().any()
    ]
    return columns_of(*drawn, wide=f"repeat({len(drawn)}, 1fr)") if drawn else None
