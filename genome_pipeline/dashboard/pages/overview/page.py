"""Overview: what happened."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import chart_panel
from genome_pipeline.dashboard.kit.checks import check_summary
from genome_pipeline.dashboard.kit.components import badge, change_since, columns_of, kpi, page, panel
from genome_pipeline.dashboard.kit.glossary import description, label
from genome_pipeline.dashboard.kit.outcomes import expected_and_realised_spend, realised_spend
from genome_pipeline.dashboard.kit.performance import HEADLINE_METRICS, compare, no_performance
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table
from genome_pipeline.dashboard.kit.totals import spend_interval, total_cell, totals_of
from genome_pipeline.dashboard.kit.trend import confidence_over_time, snapshot_trend
from genome_pipeline.dashboard.pages.overview import figures, queries

PATH = paths.OVERVIEW
TITLE = "Overview"
QUESTION = "What happened, and how well did the predictions do?"

_MOVED_SHOWN = 4
_FAILED = {"ERROR": "error", "WARN": "warning"}


def layout(request: PageRequest) -> Component:
    """Headline numbers beside earlier snapshots, trends, what moved, and the model beside the naive baseline."""
    connection, as_of, theme = request.connection, request.as_of, request.theme
    currency, horizon_days = request.run.currency, request.run.horizon_days
    trend = snapshot_trend(connection, as_of)
    realised = realised_spend(connection, as_of)
    actions = queries.actions(connection, as_of)
    bands = queries.risk_band_trend(connection, as_of)
    mix = queries.segment_mix(connection, as_of)
    confidence = ["as_of", "mean_confidence", "confidence_lower_quartile", "confidence_upper_quartile"]
    return page(
        TITLE,
        f"{QUESTION} {_compared_with(trend)}",
        _forced(request),
        html.Div(_kpis(trend, request), className="kpis kpis-6"),
        columns_of(
            chart_panel(
                expected_and_realised_spend(trend, realised, currency, horizon_days, theme=theme),
                trend[["as_of", "expected_spend"]].merge(
                    realised[["as_of", "naive_expected_spend", "actual_spend"]], on="as_of", how="left"
                ),
                ("expected_spend", "naive_expected_spend", "actual_spend"),
            ),
            chart_panel(
                figures.customers_over_time(trend, theme=theme),
                trend[["as_of", "customer_count", "active_customer_count"]],
                ("recent_purchase_day_count", "recent_window_days"),
            ),
        ),
        _totals(request),
        columns_of(_moved(mix, request), _checks_panel(request), wide="3fr 2fr"),
        columns_of(
            chart_panel(figures.segment_mix(mix, theme=theme), mix, ("segment_name", "customer_share")),
            chart_panel(
                figures.spend_by_risk_band(bands, currency, horizon_days, theme=theme),
                bands,
                ("expected_spend", "risk_band"),
            ),
        ),
        columns_of(
            _performance_panel(queries.performance(connection, as_of), request, has_matured=not realised.empty),
            chart_panel(confidence_over_time(trend, theme=theme), trend[confidence], ("confidence",)),
            wide="3fr 2fr",
        ),
        chart_panel(
            figures.recommended_actions(actions, currency, theme=theme),
            actions,
            ("action", "revenue_at_stake_amount"),
        ),
    )


def _forced(request: PageRequest) -> Component | None:
    """A note where the file was published although a blocking check stood in the way."""
    if request.run.forced_past is None:
        return None
    return panel(
        badge("✗ published by force", "bad"),
        html.P(f"In spite of: {request.run.forced_past}."),
        dcc.Link("See data quality", href=request.link(paths.DATA_QUALITY), className="more"),
        title="These numbers have not passed their checks",
        reading="Somebody had them published all the same.",
        name="forced",
    )


def _totals(request: PageRequest) -> Component:
    """What today's customers are expected to bring within each horizon."""
    totals = totals_of(request.connection, request.as_of, "company")
    rows = [
        [
            f"{formats.integer(row['horizon_days'])} days",
            *(total_cell(row, name, request.run.currency) for name in TOTALS),
            row["abstain_reason"],
        ]
        for _, row in totals.iterrows()
    ]
    return panel(
        table(("Next", "Customers who buy", "Orders", "Spend", "Why something is missing"), rows, numeric=(1, 2, 3)),
        title="What today's customers will bring, and how sure that is",
        reading=f"In brackets the interval that is to hold the total {formats.percent(request.run.interval_level, 0)}"
        " of the time, whatever all customers have in common, and each by chance. Customers who are new by then are not"
        " in it.",
        columns=TOTALS,
        name="totals",
    )


def year_before(trend: pd.DataFrame) -> pd.Series | None:
    """The row of the snapshot a year before the last one of ``trend``, or up to six days earlier, if there is one.

    Monthly and daily snapshots fall exactly a year apart, weekly ones within six days.
    """
    target = trend["as_of"].iloc[-1] - pd.DateOffset(years=1)
    found = trend[trend["as_of"].between(target - pd.Timedelta(days=6), target)]
    return None if found.empty else found.iloc[-1]


def _compared_with(trend: pd.DataFrame) -> str:
    if len(trend) == 1:
        return "This is the first snapshot: there is nothing to compare it with yet."
    if year_before(trend) is None:
        return "Compared with the previous snapshot; there is none of a year before."
    return "Compared with the previous snapshot and with that of a year before."


def _moved(mix: pd.DataFrame, request: PageRequest) -> Component:
    """The segments and the genes that moved most since the previous snapshot."""
    previous = request.previous_as_of
    if previous is None:
        return panel(
            html.P("Movements appear from the second snapshot on."),
            title="What moved most",
            reading="There is no earlier snapshot to compare this one with.",
        )
    rows = [*_moved_segments(mix, request, previous), *_moved_genes(request)]
    return panel(
        table(("", "What", "Before", "Now", "Change"), rows, numeric=(2, 3, 4)),
        dcc.Link("See where customers moved", href=request.link(paths.SEGMENTS), className="more"),
        title=f"What moved most since {formats.day(previous)}",
        reading="Customers of the segments that changed most, and the genes whose distribution did (median, or mean"
        " where the median stayed).",
        columns=("customer_count", "psi"),
        name="moved",
    )


def _moved_segments(mix: pd.DataFrame, request: PageRequest, previous: date) -> list[list[Any]]:
    counts = mix.pivot_table(index="segment_id", columns="as_of", values="customer_count", aggfunc="sum")
    now, before = (
        counts.get(pd.Timestamp(snapshot), pd.Series(dtype=float)).reindex(counts.index).fillna(0)
        for snapshot in (request.as_of, previous)
    )
    names = mix.drop_duplicates("segment_id", keep="last").set_index("segment_id")["segment_name"]
    change = now - before
    most = change[change != 0].abs().sort_values(ascending=False, kind="stable").index[:_MOVED_SHOWN]
    return [
        [
            badge("segment"),
            names[segment_id],
            formats.integer(before[segment_id]),
            formats.integer(now[segment_id]),
            f"{change[segment_id]:+,.0f}".replace("-", formats.MINUS),
        ]
        for segment_id in most
    ]


def _moved_genes(request: PageRequest) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for _, gene in queries.moved_genes(request.connection, request.as_of, _MOVED_SHOWN).iterrows():
        measure = "median" if gene["median"] != gene["baseline_median"] else "mean"
        now, before = gene[measure], gene[f"baseline_{measure}"]
        added = " added" if gene["measure"] == "added" else ""
        difference = None if formats.is_missing(now) or formats.is_missing(before) else now - before
        rows.append(
            [
                badge("gene, drifted", "warning") if gene["has_drifted"] is True else badge("gene"),
                f"{label(gene['gene'])}{added}, {measure}",
                formats.column_value(gene["gene"], before, request.run.currency),
                formats.column_value(gene["gene"], now, request.run.currency),
                formats.signed(gene["gene"], difference, request.run.currency),
            ]
        )
    return rows


def _changes(trend: pd.DataFrame, column: str, *, more_is_better: bool, as_points: bool = False) -> Component:
    """How a headline number moved since the snapshot before, and since that of a year before."""
    now, last_year = trend.iloc[-1], year_before(trend)
    earlier = [*([trend.iloc[-2]] if len(trend) > 1 else []), *([] if last_year is None else [last_year])]
    return html.Div(
        [
            change_since(
                now[column], before[column], before["as_of"], more_is_better=more_is_better, as_points=as_points
            )
            for before in earlier
        ],
        className="changes",
    )


def _kpis(trend: pd.DataFrame, request: PageRequest) -> list[Component]:
    return [*_known(trend, request), *_predicted(trend, request)]


def _known(trend: pd.DataFrame, request: PageRequest) -> list[Component]:
    now = trend.iloc[-1]
    active_share = now["active_customer_count"] / now["customer_count"]
    return [
        kpi(
            "Customers",
            formats.integer(now["customer_count"]),
            name="customers",
            explanation="Everyone with a purchase before the snapshot.",
            change=_changes(trend, "customer_count", more_is_better=True),
            history=trend["customer_count"],
        ),
        kpi(
            "Active customers",
            formats.integer(now["active_customer_count"]),
            name="active",
            explanation=f"At least one of: {description('recent_purchase_day_count')}",
            change=_changes(trend, "active_customer_count", more_is_better=True),
            note=f"{formats.percent(active_share, 0)} of all",
            history=trend["active_customer_count"],
        ),
        kpi(
            "Recent revenue",
            formats.compact_money(now["recent_spend_amount"], request.run.currency),
            name="recent-revenue",
            explanation=f"Sum over customers. {description('recent_spend_amount')}",
            change=_changes(trend, "recent_spend_amount", more_is_better=True),
            history=trend["recent_spend_amount"],
        ),
    ]


def _predicted(trend: pd.DataFrame, request: PageRequest) -> list[Component]:
    currency = request.run.currency
    now = trend.iloc[-1]
    return [
        _expected_spend(trend, request),
        kpi(
            "Revenue at risk",
            formats.compact_money(now["revenue_at_risk_amount"], currency),
            name="revenue-at-risk",
            explanation="Revenue at stake of customers whose churn risk is medium or high."
            f" {description('risk_band')} {description('revenue_at_stake_amount')}",
            change=_changes(trend, "revenue_at_risk_amount", more_is_better=False),
            note=dcc.Link(
                f"See the {formats.integer(now['customer_at_risk_count'])} customers",
                href=request.link(paths.AUDIENCE, {"where": "risk_band:in:medium,high"}),
                id="to-customers-at-risk",
            ),
            history=trend["revenue_at_risk_amount"],
        ),
        kpi(
            "Mean confidence",
            formats.decimal(now["mean_confidence"]),
            name="confidence",
            explanation=f"Mean over customers, from 0 to 1. {description('confidence')}",
            change=_changes(trend, "mean_confidence", more_is_better=True, as_points=True),
            note=f"half in {formats.decimal(now['confidence_lower_quartile'])}"
            f"\u2013{formats.decimal(now['confidence_upper_quartile'])}",
            history=trend["mean_confidence"],
        ),
    ]


def _expected_spend(trend: pd.DataFrame, request: PageRequest) -> Component:
    currency, horizon_days = request.run.currency, request.run.horizon_days
    now = trend.iloc[-1]
    interval = spend_interval(
        now["expected_spend_lower"], now["expected_spend_upper"], request.run.interval_level, currency
    )
    return kpi(
        "Expected spend",
        formats.compact_money(now["expected_spend"], currency),
        name="expected-spend",
        explanation=f"Sum over today's customers, for the next {horizon_days} days; who is new then is not in it."
        f" {description('expected_spend')} The interval is that of the sum.",
        change=_changes(trend, "expected_spend", more_is_better=True),
        note=f"next {horizon_days} days{', ' if interval else ''}{interval}",
        history=trend["expected_spend"],
    )


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
        reading=f"Predictions made on {formats.day(predicted_at)} for {formats.integer(count)} customers, compared with"
        f" what happened in the {request.run.horizon_days} days after.",
        columns=("target", "predictor", "naive_expected_orders", "naive_expected_spend", "naive_churn_probability"),
    )


def _checks_panel(request: PageRequest) -> Component:
    run, summary = request.run, check_summary(request.connection)
    total, passed = int(summary["check_count"].sum()), int(summary["passed_check_count"].sum())
    failed = [
        badge(f"✗ {count} {_FAILED[severity]}{'s' if count > 1 else ''}", "bad" if severity == "ERROR" else "warning")
        for severity, count in zip(
            summary["severity"], summary["check_count"] - summary["passed_check_count"], strict=True
        )
        if count
    ]
    kept = run.validated_row_count / run.raw_row_count if run.raw_row_count else None
    age_days = (run.published_at.date() - request.snapshots[0]).days
    age = (
        f"{formats.integer(age_days)} days old when published"
        if age_days >= 0
        else f"{formats.integer(-age_days)} days of its period to come when published"
    )
    facts = (
        ("Checks passed", html.Span(f"{formats.integer(passed)} of {formats.integer(total)}", id="kpi-checks")),
        ("Source rows kept", f"{formats.integer(run.validated_row_count)} ({formats.percent(kept)})"),
        ("Source rows set aside", formats.integer(run.quarantined_row_count)),
        ("Source", run.source_name),
        (
            "Latest snapshot",
            f"{formats.snapshot(request.snapshots[0], request.provisional)}, {age}",
        ),
        ("Published", formats.moment(run.published_at)),
        ("Program version", run.version),
    )
    return panel(
        html.Div(failed or [badge("✓ every check passed", "good")], className="badges"),
        html.Dl([item for name, value in facts for item in (html.Dt(name), html.Dd(value))], className="facts"),
        dcc.Link("See data quality", href=request.link(paths.DATA_QUALITY), className="more"),
        title="Is it fresh, and can the input be trusted?",
        reading="Age of the data, checks of what was published last, and what became of the source rows.",
    )
