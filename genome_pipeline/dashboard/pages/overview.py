"""Overview: what happened."""

from __future__ import annotations

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.dashboard import figures, formats, queries
from genome_pipeline.dashboard.components import badge, change_since, chart_panel, columns_of, kpi, page, panel, table
from genome_pipeline.dashboard.glossary import description
from genome_pipeline.dashboard.pages.request import PageRequest
from genome_pipeline.dashboard.performance import HEADLINE_METRICS, compare, no_performance

PATH = "/"
TITLE = "Overview"
QUESTION = "What happened, and how well did the predictions do?"


def layout(request: PageRequest) -> Component:
    """Headline numbers beside the previous snapshot, trends, and the model beside the naive baseline."""
    connection, as_of, theme = request.connection, request.as_of, request.theme
    currency, horizon_days = request.run.currency, request.run.horizon_days
    trend = queries.snapshot_trend(connection, as_of)
    realised = queries.realised_spend(connection, as_of)
    actions = queries.actions(connection, as_of)
    bands = queries.risk_band_trend(connection, as_of)
    return page(
        TITLE,
        QUESTION,
        html.Div(_kpis(trend, request), className="kpis"),
        columns_of(
            chart_panel(
                figures.expected_and_realised_spend(trend, realised, currency, horizon_days, theme=theme),
                realised,
                ("expected_spend", "naive_expected_spend", "actual_spend"),
            ),
            chart_panel(
                figures.customers_over_time(trend, theme=theme),
                trend[["as_of", "customer_count", "active_customer_count"]],
                ("recent_purchase_day_count", "recent_window_days"),
            ),
        ),
        columns_of(
            _performance_panel(queries.performance(connection, as_of), request, has_matured=not realised.empty),
            _checks_panel(queries.check_summary(connection), request),
            wide="3fr 2fr",
        ),
        columns_of(
            chart_panel(
                figures.spend_by_risk_band(bands, currency, horizon_days, theme=theme),
                bands,
                ("expected_spend", "risk_band"),
            ),
            chart_panel(
                figures.confidence_over_time(trend, theme=theme),
                trend[["as_of", "mean_confidence", "confidence_lower_quartile", "confidence_upper_quartile"]],
                ("confidence",),
            ),
        ),
        chart_panel(
            figures.recommended_actions(actions, currency, theme=theme), actions, ("action", "revenue_at_stake_amount")
        ),
    )


def _kpis(trend: pd.DataFrame, request: PageRequest) -> list[Component]:
    currency, horizon_days = request.run.currency, request.run.horizon_days
    now = trend.iloc[-1]
    before = trend.iloc[-2] if len(trend) > 1 else pd.Series(dtype=float)

    def change(column: str, more_is_better: bool | None, as_points: bool = False) -> Component | None:
        return change_since(now[column], before.get(column), more_is_better=more_is_better, as_points=as_points)

    active_share = now["active_customer_count"] / now["customer_count"]
    return [
        kpi(
            "Customers",
            formats.integer(now["customer_count"]),
            name="customers",
            explanation="Everyone with a purchase before the snapshot.",
            change=change("customer_count", True),
            history=trend["customer_count"],
        ),
        kpi(
            "Active customers",
            formats.integer(now["active_customer_count"]),
            name="active",
            explanation=f"At least one of: {description('recent_purchase_day_count')}",
            change=change("active_customer_count", True),
            note=f"{formats.percent(active_share, 0)} of all",
            history=trend["active_customer_count"],
        ),
        kpi(
            "Recent revenue",
            formats.compact_money(now["recent_spend_amount"], currency),
            name="recent-revenue",
            explanation=f"Sum over customers. {description('recent_spend_amount')}",
            change=change("recent_spend_amount", True),
            history=trend["recent_spend_amount"],
        ),
        kpi(
            "Expected spend",
            formats.compact_money(now["expected_spend"], currency),
            name="expected-spend",
            explanation=f"Sum over customers, for the next {horizon_days} days. {description('expected_spend')}",
            change=change("expected_spend", True),
            note=f"next {horizon_days} days",
            history=trend["expected_spend"],
        ),
        kpi(
            "Revenue at risk",
            formats.compact_money(now["revenue_at_risk_amount"], currency),
            name="revenue-at-risk",
            explanation="Revenue at stake of customers whose churn risk is medium or high."
            f" {description('risk_band')} {description('revenue_at_stake_amount')}",
            change=change("revenue_at_risk_amount", False),
            note=f"{formats.integer(now['customer_at_risk_count'])} customers",
            history=trend["revenue_at_risk_amount"],
        ),
        kpi(
            "Mean confidence",
            formats.decimal(now["mean_confidence"]),
            name="confidence",
            explanation=f"Mean over customers, from 0 to 1. {description('confidence')}",
            change=change("mean_confidence", True, as_points=True),
            note=f"half in {formats.decimal(now['confidence_lower_quartile'])}"
            f"\u2013{formats.decimal(now['confidence_upper_quartile'])}",
            history=trend["mean_confidence"],
        ),
    ]


def _performance_panel(performance: pd.DataFrame, request: PageRequest, *, has_matured: bool) -> Component:
    title = "Is the model better than the naive baseline?"
    if performance.empty:
        return panel(
            html.P(f"A snapshot matures once its horizon of {request.run.horizon_days} days has passed."),
            title=title,
            reading=no_performance(has_matured),
        )
    rows = [
        [
            line.target,
            html.Span(line.measure, title=line.description),
            line.model,
            line.naive,
            badge(line.verdict, line.tone) if line.verdict else "",
        ]
        for line in compare(
            performance[performance["metric"].isin(HEADLINE_METRICS)], request.run.currency, request.run.interval_level
        )
    ]
    predicted_at, count = performance["as_of"].iloc[0], performance["customer_count"].max()
    return panel(
        table(("Target", "Measure", "Model", "Naive", "Verdict"), rows, numeric=(2, 3)),
        title=title,
        reading=f"Predictions made on {formats.day(predicted_at)} for {formats.integer(count)} customers, held against"
        f" what happened in the {request.run.horizon_days} days after.",
        columns=("target", "predictor", "naive_expected_orders", "naive_expected_spend", "naive_churn_probability"),
    )


def _checks_panel(summary: pd.DataFrame, request: PageRequest) -> Component:
    run = request.run
    total, passed = int(summary["check_count"].sum()), int(summary["passed_check_count"].sum())
    failed = [
        badge(f"✗ {count} {severity} failed", "bad" if severity == "ERROR" else "warning")
        for severity, count in zip(
            summary["severity"], summary["check_count"] - summary["passed_check_count"], strict=True
        )
        if count
    ]
    kept = run.validated_row_count / run.raw_row_count if run.raw_row_count else None
    facts = (
        ("Checks passed", html.Span(f"{formats.integer(passed)} of {formats.integer(total)}", id="kpi-checks")),
        ("Source rows kept", f"{formats.integer(run.validated_row_count)} ({formats.percent(kept)})"),
        ("Source rows set aside", formats.integer(run.quarantined_row_count)),
        ("Source", run.source_name),
        ("Published", formats.moment(run.published_at)),
        ("Program version", run.version),
    )
    return panel(
        html.Div(failed or [badge("✓ every check passed", "good")], className="badges"),
        html.Dl([item for name, value in facts for item in (html.Dt(name), html.Dd(value))], className="facts"),
        dcc.Link("See data quality", href=request.link("/data-quality"), className="more"),
        title="Can the input be trusted?",
        reading="Checks of the latest run, and what became of the source rows.",
    )
