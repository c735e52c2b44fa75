"""Customer: who is this."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import bare_chart, chart_panel
from genome_pipeline.dashboard.kit.components import badge, columns_of, hint, labelled, notice, page, panel
from genome_pipeline.dashboard.kit.customers import customer_genome, suggestions
from genome_pipeline.dashboard.kit.glossary import description
from genome_pipeline.dashboard.kit.neighbors import matured_neighbors_panel, neighbors_panel
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.snapshots import Run
from genome_pipeline.dashboard.kit.theme import Theme
from genome_pipeline.dashboard.pages.customer import figures, queries
from genome_pipeline.dashboard.pages.customer.explanation import changes, drivers
from genome_pipeline.dashboard.pages.customer.outlook import outlook
from genome_pipeline.dashboard.pages.customer.taste import taste
from genome_pipeline.dashboard.pages.customer.timeline import NextOrder, activity_timeline

PATH = paths.CUSTOMER
TITLE = "Customer"
QUESTION = "Who is this, what will they do next, and how sure are we?"
SEARCH = "customer-search"

_TONES = {"low": "good", "medium": "plain", "high": "bad"}
_CONFIDENCE_TONES = {"low": "bad", "medium": "plain", "high": "good"}


def layout(request: PageRequest) -> Component:
    """The search, and the card of the customer in the URL."""
    customer_id = request.parameters.get("customer_id", "")
    found = customer_genome(request.connection, request.as_of, customer_id)
    if not found.empty:
        search = _search([customer_id], customer_id)
        return page(TITLE, QUESTION, *_card(request, customer_id, found.iloc[0]), tools=search)
    search = _search(queries.customer_ids(request.connection, request.as_of, customer_id), customer_id)
    unknown = _unknown(request, customer_id) if customer_id else None
    return page(TITLE, QUESTION, unknown, suggestions(request), tools=search)


def _search(known: list[str], customer_id: str) -> Component:
    search: Component = dmc.Select(
        id=SEARCH,
        placeholder="Find a customer: type the beginning of an id",
        data=known,
        value=customer_id if customer_id in known else None,
        searchable=True,
        clearable=False,
        allowDeselect=False,
        nothingFoundMessage="No customer id begins like this at this snapshot",
        limit=20,
        w=380,
        className="customer-search",
        **labelled("Find a customer by id"),
    )
    return search


def _unknown(request: PageRequest, customer_id: str) -> Component:
    return notice(
        "No such customer",
        [
            "No customer has the id ",
            html.Code(customer_id),
            f" at the snapshot of {formats.day(request.as_of)}. The id may be misspelt, or their first purchase came"
            " later: search above, or choose another snapshot.",
        ],
        "warning",
    )


def _card(request: PageRequest, customer_id: str, genome: pd.Series) -> list[Component | None]:
    connection, as_of, run, theme = request.connection, request.as_of, request.run, request.theme
    genes = queries.fingerprint(connection, as_of, genome)
    activity = queries.customer_activity(connection, as_of, customer_id, run.period)
    predictions = queries.customer_predictions(connection, as_of, customer_id)
    lifetime = queries.lifetime_value(connection, as_of, customer_id)
    expected = NextOrder.of(genome)
    return [
        _identity(customer_id, genome, lifetime, run),
        _action(genome, run.currency),
        html.Div(_predictions(request, genome), className="predictions"),
        outlook(request, customer_id),
        taste(request, customer_id),
        *drivers(request, customer_id),
        changes(request, customer_id, genome),
        columns_of(
            chart_panel(
                figures.fingerprint(genes, genome["segment_name"], run.currency, theme=theme),
                genes,
                FINGERPRINT_GENES,
            ),
            html.Div(
                [
                    chart_panel(
                        activity_timeline(activity, run.currency, run.period, as_of, expected, theme=theme),
                        activity,
                        ("gross_amount", "return_amount", "purchase_day_count"),
                    ),
                    _confidence(genome, theme),
                ],
                className="stack",
            ),
        ),
        columns_of(
            chart_panel(
                figures.customer_value_history(
                    predictions, run.currency, run.horizon_days, run.interval_level, theme=theme
                ),
                predictions,
                ("expected_spend", "expected_spend_lower", "expected_spend_upper", "actual_spend"),
            ),
            chart_panel(
                figures.customer_churn_history(predictions, run.horizon_days, theme=theme),
                predictions,
                ("churn_probability", "churn_probability_lower", "churn_probability_upper", "has_churned"),
            ),
        ),
        neighbors_panel(request, customer_id),
        matured_neighbors_panel(request, customer_id, genome),
    ]


def _identity(customer_id: str, genome: pd.Series, lifetime: pd.Series, run: Run) -> Component:
    facts = [
        ("First purchase", formats.day(genome["first_order_date"])),
        ("Last purchase", formats.day(genome["last_order_date"])),
        ("Next order", _next_order(genome, run.interval_level)),
        ("Lifetime value", _lifetime_value(lifetime, run)),
        ("Purchase days", formats.integer(genome["purchase_day_count"])),
        ("Country", genome["country"] if not formats.is_missing(genome["country"]) else None),
    ]
    badges = [
        badge(f"{genome['segment_name']} · membership {formats.percent(genome['membership_probability'], 0)}"),
        badge(f"{genome['risk_band']} churn risk", _TONES[genome["risk_band"]])
        if not formats.is_missing(genome["risk_band"])
        else badge("no churn prediction", "warning"),
        badge(f"{genome['confidence_band']} confidence", _CONFIDENCE_TONES[genome["confidence_band"]])
        if not formats.is_missing(genome["confidence_band"])
        else badge("no confidence", "warning"),
    ]
    if genome["is_overdue"] is True or str(genome["is_overdue"]) == "True":
        silent = formats.percent(genome["silence_probability"], 0)
        badges.append(badge(f"overdue: {silent} of their gaps are so long", "warning"))
    if genome["has_moved"] is True or str(genome["has_moved"]) == "True":
        badges.append(badge(f"moved from segment {genome['previous_segment_id']:.0f}"))
    return html.Section(
        [
            html.Div(
                [
                    html.Div("Customer", className="kpi-title"),
                    html.H2(customer_id, className="customer-name", id="customer-name"),
                    html.Div(badges, className="badges"),
                ]
            ),
            html.Dl(
                [html.Div([html.Dt(name), html.Dd(value)]) for name, value in facts if value is not None],
                className="identity-facts",
            ),
        ],
        className="panel identity",
    )


def _next_order(row: pd.Series, interval_level: float) -> str | None:
    """When they are likely to order next; None where nothing is predicted."""
    if formats.is_missing(row["further_order_probability"]):
        return None
    expected = NextOrder.of(row)
    if expected is None:
        return f"none likely: {formats.percent(row['further_order_probability'], 0)} for a further one"
    return f"{formats.day(expected.expected)} ({formats.percent(interval_level, 0)}: {expected.in_words})"


def _lifetime_value(row: pd.Series, run: Run) -> str | None:
    """What they will still spend in the years of a lifetime; None where that is not predicted."""
    if formats.is_missing(row["lifetime_value_amount"]):
        return None
    value, low, high = (
        formats.money(row[f"lifetime_value_amount{end}"], run.currency) for end in ("", "_lower", "_upper")
    )
    has_bounds = not formats.is_missing(row["lifetime_value_amount_upper"])
    bounds = f"{formats.percent(run.interval_level, 0)}: {low} to {high}; " if has_bounds else ""
    rate = formats.percent(row["discount_rate_share"], 0)
    years = int(row["lifetime_year_count"])
    return (
        f"{value} over the next {years} year{'' if years == 1 else 's'} ({bounds}extrapolated from"
        f" {row['lifetime_horizon_days']:.0f} days, discounted by {rate} a year)"
    )


def _action(genome: pd.Series, currency: str | None) -> Component:
    stake = genome["revenue_at_stake_amount"]
    at_stake = "" if formats.is_missing(stake) else f" At stake: {formats.money(stake, currency)}."
    return notice(
        f"Recommended: {genome['action']}",
        f"{str(genome['action_reason']).rstrip('.')}.{at_stake} Rule: {str(genome['action_rule']).replace('_', ' ')}.",
        "action",
    )


def _predictions(request: PageRequest, genome: pd.Series) -> list[Component]:
    run, theme = request.run, request.theme
    level = formats.percent(run.interval_level, 0)
    within = f"next {run.horizon_days} days"
    prefix = formats.currency_prefix(run.currency)

    def amount(value: float | None) -> str:
        return formats.money(value, run.currency)

    return [
        _prediction(
            genome,
            "expected_spend",
            f"Expected spend, {within}",
            amount,
            f"{level} interval",
            genome["naive_expected_spend"],
            genome["value_abstain_reason"],
            lambda value, lower, upper, naive: figures.prediction_interval(
                value, lower, upper, naive, title="Expected spend", reading="", tickprefix=prefix, theme=theme
            ),
        ),
        _prediction(
            genome,
            "expected_orders",
            f"Expected orders, {within}",
            formats.decimal,
            f"{level} interval",
            genome["naive_expected_orders"],
            genome["value_abstain_reason"],
            lambda value, lower, upper, naive: figures.prediction_interval(
                value, lower, upper, naive, title="Expected orders", reading="", theme=theme
            ),
        ),
        _prediction(
            genome,
            "churn_probability",
            f"Churn probability, {within}",
            formats.percent,
            "interval",
            genome["naive_churn_probability"],
            genome["risk_abstain_reason"],
            lambda value, lower, upper, naive: figures.prediction_interval(
                value,
                lower,
                upper,
                naive,
                title="Churn probability",
                reading="",
                tickformat=".0%",
                maximum=1.0,
                theme=theme,
            ),
        ),
    ]


def _prediction(
    genome: pd.Series,
    column: str,
    title: str,
    written: Any,
    interval_name: str,
    naive: float | None,
    abstain_reason: str | None,
    draw: Any,
) -> Component:
    value, lower, upper = genome[column], genome[f"{column}_lower"], genome[f"{column}_upper"]
    head = html.Div([html.Span(title, className="kpi-title"), hint(description(column), title)], className="kpi-head")
    if formats.is_missing(value):
        return html.Section(
            [
                head,
                html.Div("No prediction", className="kpi-value kpi-absent", id=f"card-{column}"),
                html.P(f"Why: {_reason(abstain_reason)}", className="kpi-note"),
                html.P(f"Naive baseline: {written(naive)}", className="kpi-note"),
            ],
            className="kpi",
        )
    interval = (
        f"{interval_name} {written(lower)} to {written(upper)}"
        if not formats.is_missing(lower)
        else f"no interval: {_reason(abstain_reason)}"
    )
    return html.Section(
        [
            head,
            html.Div(written(value), className="kpi-value", id=f"card-{column}"),
            html.Div(interval, className="kpi-note"),
            bare_chart(draw(value, lower, upper, naive)),
            html.Div(f"● prediction   ▬ interval   \u00d7\u00a0naive:\u00a0{written(naive)}", className="kpi-legend"),
        ],
        className="kpi",
    )


def _reason(abstain_reason: str | None) -> str:
    if abstain_reason is None or formats.is_missing(abstain_reason):
        return "the data do not carry one"
    return abstain_reason.replace("_", " ")


def _confidence(genome: pd.Series, theme: Theme) -> Component:
    value = genome["confidence"]
    if formats.is_missing(value):
        return panel(
            html.P(f"Why: {_reason(genome['value_abstain_reason'])}"),
            title="Confidence: none",
            reading="Without a prediction there is nothing to be confident of.",
            columns=("confidence",),
        )
    columns = ("confidence", *figures.CONFIDENCE_PARTS)
    chart = figures.confidence_parts(genome, theme=theme)
    return chart_panel(chart, genome[list(columns)].to_frame().T.astype(float), columns)
