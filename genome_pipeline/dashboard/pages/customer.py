"""Customer: who is this."""

from __future__ import annotations

from numbers import Number
from typing import Any

import dash_mantine_components as dmc
import pandas as pd
import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.dashboard import figures, formats, queries
from genome_pipeline.dashboard.components import (
    badge,
    bare_chart,
    chart_panel,
    columns_of,
    empty_state,
    hint,
    labelled,
    notice,
    page,
    panel,
    table,
)
from genome_pipeline.dashboard.glossary import description, label
from genome_pipeline.dashboard.pages.request import PageRequest
from genome_pipeline.dashboard.theme import Theme

PATH = "/customer"
TITLE = "Customer"
QUESTION = "Who is this, what will they do next, and how sure are we?"
SEARCH = "customer-search"

_WATCHED = (
    "segment_name",
    "action",
    "expected_spend",
    "expected_orders",
    "churn_probability",
    "confidence",
    "revenue_at_stake_amount",
    "days_since_last_order",
    "recent_spend_amount",
    "momentum_share",
)
"""What is compared with the previous snapshot."""

_TONES = {"low": "good", "medium": "plain", "high": "bad"}
_CONFIDENCE_TONES = {"low": "bad", "medium": "plain", "high": "good"}


def layout(request: PageRequest) -> Component:
    """The search, and the card of the customer in the URL."""
    customer_id = request.parameters.get("customer_id", "")
    found = queries.customer(request.connection, request.as_of, customer_id)
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


def suggestions(request: PageRequest, path: str = PATH, parameter: str = "customer_id") -> Component:
    """Customers to start with, as links to the page at ``path``."""
    currency = request.run.currency
    customers = queries.most_at_stake(request.connection, request.as_of)
    if customers.empty:
        return empty_state("Search for a customer", "Type the beginning of a customer id in the field above.")
    rows = [
        [
            dcc.Link(
                row["customer_id"],
                href=request.link(path, {parameter: row["customer_id"]}),
                className="customer-link",
            ),
            row["segment_name"],
            formats.money(row["expected_spend"], currency),
            formats.percent(row["churn_probability"]),
            formats.decimal(row["confidence"]),
            row["action"],
            formats.money(row["revenue_at_stake_amount"], currency),
        ]
        for _, row in customers.iterrows()
    ]
    return panel(
        table(
            ("Customer", "Segment", "Expected spend", "Churn", "Confidence", "Action", "At stake"),
            rows,
            numeric=(2, 3, 4, 6),
        ),
        title="Where most is at stake",
        reading="A place to start: where leaving is likely and would cost most.",
        columns=("revenue_at_stake_amount", "expected_spend", "churn_probability", "confidence"),
    )


def customer_link(request: PageRequest, customer_id: str) -> Component:
    """A link to the card of a customer, at the same snapshot."""
    return dcc.Link(customer_id, href=request.link(PATH, {"customer_id": customer_id}), className="customer-link")


def _card(request: PageRequest, customer_id: str, genome: pd.Series) -> list[Component]:
    connection, as_of, run, theme = request.connection, request.as_of, request.run, request.theme
    genes = queries.fingerprint(connection, as_of, genome)
    activity = queries.customer_activity(connection, as_of, customer_id, run.period)
    predictions = queries.customer_predictions(connection, as_of, customer_id)
    return [
        _identity(customer_id, genome),
        _action(genome, run.currency),
        html.Div(_predictions(request, genome), className="predictions"),
        *_drivers(request, customer_id),
        _changes(request, customer_id, genome),
        columns_of(
            chart_panel(
                figures.fingerprint(genes, genome["segment_name"], run.currency, theme=theme),
                genes,
                FINGERPRINT_GENES,
            ),
            html.Div(
                [
                    chart_panel(
                        figures.activity_timeline(
                            activity, run.currency, run.period, as_of, figures.NextOrder.of(genome), theme=theme
                        ),
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
        neighbors(request, customer_id),
        matured_neighbors(request, customer_id, genome),
    ]


def _identity(customer_id: str, genome: pd.Series) -> Component:
    facts = [
        ("First purchase", formats.day(genome["first_order_date"])),
        ("Last purchase", formats.day(genome["last_order_date"])),
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
    figure: go.Figure = draw(value, lower, upper, naive)
    return html.Section(
        [
            head,
            html.Div(written(value), className="kpi-value", id=f"card-{column}"),
            html.Div(interval, className="kpi-note"),
            bare_chart(figure),
            html.Div(f"● prediction   ▬ interval   \u00d7\u00a0naive:\u00a0{written(naive)}", className="kpi-legend"),
        ],
        className="kpi",
    )


def _drivers(request: PageRequest, customer_id: str) -> list[Component]:
    """Why the predictions are what they are: a panel for each that is explained, side by side."""
    found = queries.drivers(request.connection, request.as_of, customer_id)
    panels = [_why(prediction, rows, request.run.currency) for prediction, rows in found.groupby("prediction")]
    return [columns_of(*panels)] if panels else []


def _why(prediction: Any, drivers: pd.DataFrame, currency: str | None) -> Component:
    average, others = drivers.iloc[0], drivers.iloc[1:]
    # All may add nothing any more, and be there for what they added before.
    largest = others["contribution"].abs().max() or 1.0
    total, change = drivers["contribution"].sum(), drivers["contribution_change"].sum(min_count=1)
    name = label(prediction).lower()
    rows = [
        [average["explanation"], formats.column_value(prediction, average["contribution"], currency), None],
        *(
            [
                html.Div([row["explanation"], _contribution_bar(row["contribution"] / largest)]),
                formats.signed(prediction, row["contribution"], currency),
                formats.signed(prediction, row["contribution_change"], currency),
            ]
            for _, row in others.iterrows()
        ),
        [
            html.Strong("This customer"),
            html.Strong(formats.column_value(prediction, total, currency), id=f"why-{prediction}"),
            html.Strong(formats.signed(prediction, change, currency)),
        ],
    ]
    return panel(
        table(("Because of", "Adds", "Change"), rows, numeric=(1, 2)),
        title=f"Why: {name}",
        reading="From the average customer to this one: what each number adds, and how much of it is new since the last"
        " snapshot, both as this snapshot's model sees them.",
        columns=("contribution", "contribution_change"),
    )


def _contribution_bar(share: float) -> Component:
    """A bar to the right for what is added, to the left for what is taken away; ``share`` of the largest, -1 to 1."""
    side = "left" if share >= 0 else "right"
    return html.Div(
        html.Div(className=f"driver-bar driver-{side}", style={side: "50%", "width": f"{abs(share) * 50:.1f}%"}),
        className="driver-track",
    )


def _changes(request: PageRequest, customer_id: str, genome: pd.Series) -> Component:
    """What is different since the previous snapshot; what is as it was has no row."""
    title, previous_as_of, currency = "What changed", request.previous_as_of, request.run.currency
    found = (
        queries.customer(request.connection, previous_as_of, customer_id, _WATCHED)
        if previous_as_of is not None
        else pd.DataFrame()
    )
    if found.empty:
        return panel(title=title, reading="Nothing to compare with: the customer was not there at an earlier snapshot.")
    before, rows = found.iloc[0], []
    for column in _WATCHED:
        then, now = before[column], genome[column]
        if formats.is_missing(then) and formats.is_missing(now):
            continue
        is_number = isinstance(now, Number) or isinstance(then, Number)
        shown = [
            formats.column_value(column, value, currency)
            if is_number
            else formats.NOTHING
            if formats.is_missing(value)
            else value
            for value in (then, now)
        ]
        if shown[0] != shown[1]:
            is_difference = is_number and not formats.is_missing(then) and not formats.is_missing(now)
            change = formats.signed(column, now - then, currency) if is_difference else ""
            rows.append([label(column), *shown, change])
    if not rows:
        return panel(title=title, reading=f"Nothing worth a line since {formats.day(previous_as_of)}.")
    return panel(
        table(("", formats.day(previous_as_of), formats.day(request.as_of), "Change"), rows, numeric=(1, 2, 3)),
        title=title,
        reading="Since the previous snapshot; what is as it was is left out.",
        columns=_WATCHED,
        name="changes",
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
    figure = figures.confidence_parts(genome, theme=theme)
    figure.update_layout(title_text=f"Confidence {formats.decimal(value)}: {genome['confidence_band']}")
    columns = ("confidence", *figures.CONFIDENCE_PARTS)
    return chart_panel(figure, genome[list(columns)].to_frame().T.astype(float), columns)


def traits(shared: str, different: str) -> Component:
    """What two customers share, and below it in what the other one differs."""
    return html.Div([html.Div(shared), html.Div(f"but {different}", className="kpi-note")] if different else shared)


def neighbors(request: PageRequest, customer_id: str) -> Component:
    """The customers most like this one, each a link."""
    currency = request.run.currency
    found = queries.neighbors(request.connection, request.as_of, customer_id)
    if found.empty:
        return panel(
            title="Who resembles this customer",
            reading="No neighbours were found at this snapshot: there were too few customers to compare with.",
        )
    rows = [
        [
            formats.integer(row["neighbor_rank"]),
            customer_link(request, row["neighbor_customer_id"]),
            formats.decimal(row["similarity"], 3),
            traits(row["shared_traits"], row["different_traits"]),
            row["segment_name"],
            formats.money(row["expected_spend"], currency),
            formats.percent(row["churn_probability"]),
        ]
        for _, row in found.iterrows()
    ]
    nearest = [customer_id, *found["neighbor_customer_id"].head(3)]
    return panel(
        table(
            ("Rank", "Customer", "Similarity", "Shared and different traits", "Segment", "Expected spend", "Churn"),
            rows,
            numeric=(0, 2, 5, 6),
        ),
        dcc.Link(
            "Compare with the three nearest, side by side",
            href=request.link("/similar", [("id", name) for name in nearest]),
            className="more",
        ),
        title="Who resembles this customer",
        reading="The closest genomes by cosine similarity; 1 is the same direction in every gene.",
        columns=("similarity", "shared_traits", "different_traits"),
        name="neighbors",
    )


def matured_neighbors(request: PageRequest, customer_id: str, genome: pd.Series) -> Component:
    """What those did who were like this customer at a matured snapshot, as a second opinion."""
    currency = request.run.currency
    found = queries.matured_neighbors(request.connection, request.as_of, customer_id)
    title = "What became of customers who were like this"
    if found.empty:
        return panel(
            title=title, reading="No earlier snapshot had matured, so that it is not known what such customers did."
        )
    rows = [
        [
            formats.integer(row["neighbor_rank"]),
            customer_link(request, row["neighbor_customer_id"]),
            formats.decimal(row["similarity"], 3),
            row["shared_traits"],
            "stopped" if row["has_churned"] else "bought",
            formats.integer(row["actual_orders"]),
            formats.money(row["actual_spend"], currency),
        ]
        for _, row in found.iterrows()
    ]
    opinion = (
        f"Of the nearest such customers {formats.percent(genome['neighbor_churn_probability'])} bought nothing"
        f" (the model says {formats.percent(genome['churn_probability'])}), and they spent"
        f" {formats.money(genome['neighbor_expected_spend'], currency)} on average (the model expects"
        f" {formats.money(genome['expected_spend'], currency)}): a second opinion."
    )
    return panel(
        table(
            ("Rank", "Customer", "Similarity", "Shared traits", "Then", "Orders", "Spent"), rows, numeric=(0, 2, 5, 6)
        ),
        html.P(opinion),
        title=title,
        reading=f"They were so on {formats.day(found['neighbor_as_of'].iloc[0])}; the"
        f" {request.run.horizon_days} days after are known.",
        columns=("neighbor_as_of", "neighbor_churn_probability", "neighbor_expected_spend"),
        name="matured-neighbors",
    )
