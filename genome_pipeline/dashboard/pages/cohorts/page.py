"""Cohorts: what customers who began together did, and will do."""

from __future__ import annotations

from typing import Any

import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.contracts.columns.totals import KEPT_COHORTS
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import chart_panel
from genome_pipeline.dashboard.kit.components import badge, choice, kpi, page, panel
from genome_pipeline.dashboard.kit.glossary import description
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table
from genome_pipeline.dashboard.kit.totals import total_cell, totals_of
from genome_pipeline.dashboard.pages.cohorts import figures, queries
from genome_pipeline.dashboard.pages.cohorts.figures import COHORTS_SHOWN, cohort_name

PATH = paths.COHORTS
TITLE = "Cohorts"
QUESTION = "What did customers who began together bring, what will they bring, and when do they pay back?"


_BY_MONTH = "month"
_KIND_NAMES = {"first_category": "first category", "first_country": "first country"}


def layout(request: PageRequest) -> Component:
    """Cohorts by month, or by what the URL says of the first purchase."""
    kinds = queries.first_purchase_kinds(request.connection, request.as_of)
    options = [(_BY_MONTH, f"{_step(request)} of the first purchase"), *((kind, _KIND_NAMES[kind]) for kind in kinds)]
    kind = request.chosen("by", dict(options), _BY_MONTH)
    tools = choice("by", "Cohorts by", options, kind) if kinds else None
    return _by_month(request, tools) if kind == _BY_MONTH else _by_first_purchase(request, kind, tools)


def _by_month(request: PageRequest, tools: Component | None) -> Component:
    """Headlines, the triangle of who came back, one cohort's spend with its forecast, and payback of each."""
    cohorts = queries.cohorts_by_age(request.connection, request.as_of)
    paid = queries.payback(request.connection, request.as_of)
    return page(
        TITLE,
        QUESTION,
        html.Div(_kpis(cohorts, paid, request), className="kpis kpis-3"),
        chart_panel(
            figures.retention_triangle(cohorts, _step(request), theme=request.theme),
            cohorts[
                [
                    "cohort_start_date",
                    "cohort_age_count",
                    "cohort_customer_count",
                    "active_customer_count",
                    "retention_share",
                ]
            ],
            ("cohort_start_date", "active_customer_count", "retention_share"),
        ),
        _spend(cohorts, request),
        _payback(paid, request),
        tools=tools,
    )


def _by_first_purchase(request: PageRequest, kind: str, tools: Component | None) -> Component:
    """Every cohort of a kind beside its forecast, and one cohort's spend over time."""
    connection, as_of, currency, step = request.connection, request.as_of, request.run.currency, _step(request)
    cohorts = queries.first_purchase_cohorts(connection, as_of, kind)
    totals = totals_of(connection, as_of, kind)
    horizons = sorted(totals["horizon_days"].unique())
    by_key = {key: of.set_index("horizon_days") for key, of in totals.groupby("group_key")}
    rows = [
        [
            html.Div([html.Strong(row["cohort"]), *_notes(by_key[row["cohort"]])]),
            formats.integer(row["cohort_customer_count"]),
            formats.percent(row["retention_share"]),
            formats.compact_money(row["cumulative_spend_amount"], currency),
            formats.money(row["cumulative_spend_amount"] / row["cohort_customer_count"], currency),
            *(total_cell(by_key[row["cohort"]].loc[days], "expected_spend_amount", currency) for days in horizons),
        ]
        for _, row in cohorts.iterrows()
    ]
    headings = (
        "Cohort",
        "Customers",
        f"Bought in the last {step}",
        "Spent so far",
        "Per customer",
        *(f"Next {days} days" for days in horizons),
    )
    name = _KIND_NAMES[kind]
    content = panel(
        table(headings, rows, numeric=range(1, 5 + len(horizons))),
        title=f"Customers by {name}: what they brought, and what they will bring from {formats.day(as_of)} on",
        reading=f"By the first purchase in the log. The {KEPT_COHORTS} cohorts with the most customers stand for"
        f" themselves. Expected spend is the sum of the customers, with the interval of that sum in brackets.",
        columns=("cohort", "retention_share", "cumulative_spend_amount", *_SPEND),
        name="first-purchase-cohorts",
    )
    if cohorts["cumulative_spend_amount"].isna().all():
        return page(TITLE, QUESTION, content, tools=tools)
    names = cohorts["cohort"].tolist()
    chosen = request.chosen("cohort", names, names[0])
    history = queries.spend_of_cohort(connection, as_of, kind, chosen)
    own = totals[totals["group_key"] == chosen]
    return page(
        TITLE,
        QUESTION,
        content,
        chart_panel(
            figures.spend_of_group(history, own, chosen, step, currency, theme=request.theme),
            own[["horizon_days", "customer_count", *_SPEND, "abstain_reason"]],
            ("cumulative_spend_amount", *_SPEND),
            tools=choice("cohort", "Cohort", [(value, value) for value in names], chosen),
        ),
        tools=tools,
    )


def _step(request: PageRequest) -> str:
    """What a cohort is: the customers of a month, or of a week of a calendar by weeks."""
    return "week" if request.run.period == "week" else "month"


def _kpis(cohorts: pd.DataFrame, paid: pd.DataFrame, request: PageRequest) -> list[Component]:
    step = _step(request)
    latest = cohorts[cohorts["cohort_start_date"] == cohorts["cohort_start_date"].max()].iloc[-1]
    whole = figures.of_whole_steps(cohorts, step)
    # The log's first cohort also holds those who had bought before the log begins, and are no newcomers.
    is_new = whole["cohort_start_date"] > cohorts["cohort_start_date"].min()
    after = whole[is_new & (whole["cohort_age_count"] == 1)]
    customers = after["cohort_customer_count"].sum()
    is_known = paid["is_paid_back"].notna()
    return [
        kpi(
            "Latest cohort",
            formats.integer(latest["cohort_customer_count"]),
            name="latest-cohort",
            explanation=description("cohort_customer_count"),
            note=f"new in {cohort_name(latest['cohort_start_date'], step)}",
        ),
        kpi(
            f"Bought again one {step} later",
            formats.percent(after["active_customer_count"].sum() / customers if customers else None),
            name="came-back",
            explanation=f"Of all customers whose second {step} is known, those who bought in it. The log's first"
            " cohort is left out, as it also holds those who had bought before the log begins.",
            note=f"of {formats.integer(customers)} customers",
        ),
        kpi(
            "Cohorts that have paid back",
            f"{int(paid.loc[is_known, 'is_paid_back'].astype(bool).sum())} of {is_known.sum()}"
            if is_known.any()
            else formats.NOTHING,
            name="paid-back",
            explanation=description("is_paid_back"),
            note="spend so far beside the cost of winning them" if is_known.any() else "no acquisition cost is known",
        ),
    ]


def _spend(cohorts: pd.DataFrame, request: PageRequest) -> Component:
    step = _step(request)
    starts = sorted(cohorts["cohort_start_date"].unique(), reverse=True)
    options = [(f"{start:%Y-%m-%d}", cohort_name(start, step)) for start in starts]
    chosen = request.chosen("cohort", dict(options), f"{figures.first_shown(cohorts):%Y-%m-%d}")
    tools = choice("cohort", "Cohort", options, chosen)
    if cohorts["cumulative_spend_amount"].isna().all():
        return panel(
            tools,
            html.P("Map amount or unit_price in [source.columns] of genome.toml, and run genome run."),
            title="What cohorts spend is not known",
            reading="The source has no amounts.",
        )
    start = pd.Timestamp(chosen)
    forecasts = queries.cohort_forecasts(request.connection, request.as_of)
    own = forecasts[forecasts["cohort_start_date"] == start]
    shown = own[["horizon_days", "customer_count", *_SPEND, "abstain_reason"]]
    rows = [
        [
            f"{formats.integer(row['horizon_days'])} days",
            html.Div(
                [
                    total_cell(row, "expected_spend_amount", request.run.currency),
                    html.Div(row["abstain_reason"], className="kpi-note"),
                ]
            ),
        ]
        for _, row in own.iterrows()
    ]
    return html.Div(
        [
            chart_panel(
                figures.cumulative_spend(cohorts, forecasts, start, step, request.run.currency, theme=request.theme),
                shown,
                ("cumulative_spend_amount", *_SPEND),
                tools=tools,
            ),
            panel(
                table(("Within the next", "Expected spend"), rows),
                title=f"What the cohort of {cohort_name(start, step)} will bring from {formats.day(request.as_of)} on",
                reading="The sum of its customers, with the interval of that sum in brackets.",
                name="cohort-totals",
            ),
        ],
        className="columns",
        style={"--columns": "2fr 1fr"},
    )


def _notes(totals: pd.DataFrame) -> list[Component]:
    """Why a total or a bound is missing, each reason once."""
    return [html.Div(reason, className="kpi-note") for reason in totals["abstain_reason"].unique() if reason]


_SPEND = ("expected_spend_amount", "expected_spend_amount_lower", "expected_spend_amount_upper")


def _payback(paid: pd.DataFrame, request: PageRequest) -> Component:
    currency, step = request.run.currency, _step(request)
    rows = [
        [
            cohort_name(row["cohort_start_date"], step).replace(" ", "\u00a0"),
            formats.integer(row["cohort_customer_count"]),
            formats.money(row["cost_per_customer_amount"], currency),
            formats.compact_money(row["acquisition_cost_amount"], currency),
            formats.compact_money(row["spent_amount"], currency),
            _when(row),
            row["payback_reason"],
        ]
        for _, row in paid.head(COHORTS_SHOWN).iterrows()
    ]
    return panel(
        table(
            (
                "Cohort",
                "Customers",
                "Cost of one",
                "Cost of all",
                "Spent so far",
                "Pays back",
                "Why something is missing",
            ),
            rows,
            numeric=(1, 2, 3, 4),
        ),
        title="When cohorts pay back",
        reading="Spend, which is not margin, beside the cost of winning the customers. A day ahead is expected, its"
        f" interval in brackets. The latest {COHORTS_SHOWN} cohorts are shown.",
        columns=("acquisition_cost_amount", "payback_date", "payback_date_lower", "payback_date_upper"),
        name="payback",
    )


def _when(row: Any) -> Any:
    paid, day = row["is_paid_back"], formats.day(row["payback_date"])
    if not formats.is_missing(paid) and paid:
        return badge(f"✓ by {day}", "good")
    if formats.is_missing(row["payback_date_lower"]) and formats.is_missing(row["payback_date"]):
        return formats.NOTHING
    latest = formats.day(row["payback_date_upper"]) if not formats.is_missing(row["payback_date_upper"]) else "?"
    interval = f" ({formats.day(row['payback_date_lower'])} to {latest})"
    return f"{day}{'' if formats.is_missing(row['payback_date_lower']) else interval}"
