"""Value: who brings the value, and whether that was foreseen."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import chart_panel
from genome_pipeline.dashboard.kit.components import columns_of, empty_state, kpi, page
from genome_pipeline.dashboard.kit.drivers import drivers_panel
from genome_pipeline.dashboard.kit.glossary import description
from genome_pipeline.dashboard.kit.outcomes import (
    error_trend,
    error_trend_chart,
    expected_and_realised_spend,
    last_matured,
    not_matured,
    realised_spend,
)
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.trend import snapshot_trend
from genome_pipeline.dashboard.pages.value import figures, queries

PATH = paths.VALUE
TITLE = "Value"
QUESTION = "Who brings the value, and was it foreseen?"

_FIRST_FIFTH = 0.2


def layout(request: PageRequest) -> Component:
    """Concentration of expected spend; on matured snapshots deciles, capture and error; what drives the prediction."""
    connection, as_of = request.connection, request.as_of
    expected = queries.expected_deciles(connection, as_of)
    if expected.empty:
        return page(TITLE, QUESTION, _no_spend())
    matured = last_matured(connection, as_of)
    deciles = queries.value_deciles(connection, matured) if matured else pd.DataFrame()
    if matured is None or deciles.empty:
        return page(
            TITLE,
            QUESTION,
            html.Div(_expected_kpis(expected, request), className="kpis kpis-3"),
            not_matured(request),
            *_drivers(request),
        )
    model = queries.capture_curve(connection, matured, "model")
    naive = queries.capture_curve(connection, matured, "naive")
    return page(
        TITLE,
        QUESTION,
        html.Div(
            [*_expected_kpis(expected, request), _capture_kpi(model, naive, matured)],
            className="kpis kpis-3",
        ),
        columns_of(
            chart_panel(
                figures.value_deciles(
                    deciles, matured, request.run.currency, request.run.horizon_days, theme=request.theme
                ),
                deciles,
                ("expected_spend", "naive_expected_spend", "actual_spend"),
            ),
            chart_panel(
                figures.capture_curve(model, naive, matured, theme=request.theme),
                pd.concat([model.assign(predictor="model"), naive.assign(predictor="naive")], ignore_index=True),
                ("predictor", "customer_share", "spend_share"),
            ),
        ),
        _over_time(request),
        *_drivers(request),
    )


def _no_spend() -> Component:
    return empty_state(
        "No spend is predicted",
        "The source has no amounts, or there are too few customers to learn from: orders and risk are predicted"
        " all the same.",
        [
            "Map ",
            html.Code("amount"),
            " or ",
            html.Code("unit_price"),
            " in genome.toml, under ",
            html.Code("[source.columns]"),
            ", and run ",
            html.Code("genome run"),
            ".",
        ],
    )


def _expected_kpis(deciles: pd.DataFrame, request: PageRequest) -> list[Component]:
    total = deciles["expected_spend"].sum()
    top = deciles.iloc[0]
    share = top["expected_spend"] / total if total else None
    return [
        kpi(
            "Expected spend",
            formats.compact_money(total, request.run.currency),
            name="expected-spend",
            explanation=f"Sum over customers. {description('expected_spend')}",
            note=f"next {request.run.horizon_days} days, {formats.integer(deciles['customer_count'].sum())} customers",
        ),
        kpi(
            "Expected from the top tenth",
            formats.percent(share),
            name="top-tenth-share",
            explanation="Share of all expected spend that is expected of the tenth of customers with the highest.",
            note=f"{formats.integer(top['customer_count'])} customers,"
            f" {formats.compact_money(top['expected_spend'], request.run.currency)}",
        ),
    ]


def _capture_kpi(model: pd.DataFrame, naive: pd.DataFrame, matured: date) -> Component:
    found, baseline = (
        float(np.interp(_FIRST_FIFTH, curve["customer_share"], curve["spend_share"])) for curve in (model, naive)
    )
    return kpi(
        "Brought by the first fifth",
        formats.percent(found),
        name="captured",
        explanation=f"Of the customers of {formats.day(matured)}, the fifth with the highest expected spend brought"
        " this share of what all spent within the horizon.",
        note=f"naive order: {formats.percent(baseline)}",
    )


def _over_time(request: PageRequest) -> Component:
    connection, as_of, theme = request.connection, request.as_of, request.theme
    currency, horizon_days = request.run.currency, request.run.horizon_days
    realised, trend = realised_spend(connection, as_of), snapshot_trend(connection, as_of)
    errors = error_trend(connection, as_of, "spend", "mae")
    return columns_of(
        chart_panel(
            expected_and_realised_spend(
                trend[trend["as_of"].isin(realised["as_of"])], realised, currency, horizon_days, theme=theme
            ),
            realised,
            ("expected_spend", "naive_expected_spend", "actual_spend"),
        ),
        chart_panel(
            error_trend_chart(
                errors,
                "Error of expected spend per customer",
                "Mean distance between expected and realised spend at each matured snapshot; lower is better.",
                "Mean absolute error",
                prefix=formats.currency_prefix(currency),
                theme=theme,
            ),
            errors,
        ),
    )


def _drivers(request: PageRequest) -> list[Component]:
    return drivers_panel(request, "expected_spend")
