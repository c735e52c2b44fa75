"""Audience: leave with a list."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import dash_mantine_components as dmc
import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.contracts.playbook import LEFT_ALONE_RULE, WAIT_RULE
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.components import labelled, notice, page, panel
from genome_pipeline.dashboard.kit.glossary import label
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.totals import total_interval
from genome_pipeline.dashboard.pages.audience import queries
from genome_pipeline.dashboard.pages.audience.grid import grid
from genome_pipeline.dashboard.pages.audience.selection import (
    CATEGORY_COLUMNS,
    COLUMN_NAMES,
    OPS,
    Condition,
    Selection,
    is_number,
)
from genome_pipeline.dashboard.pages.audience.trial import held_back, trial

PATH = paths.AUDIENCE
TITLE = "Audience"
QUESTION = "Whom does it concern? Choose customers, and leave with the list."
FILTER_COLUMN, FILTER_OP, FILTER_VALUE, FILTER_ADD = (
    f"audience-filter-{part}" for part in ("column", "op", "value", "add")
)
SHOWN = "audience-shown"
COLUMNS_CHOICE, TOP_CHOICE, FIRST_CHOICE = "audience-columns", "audience-top", "audience-first"
BUYS_CHOICE = "audience-buys"
VIEW_NAME, VIEW_SAVE, VIEW_CHOICE, VIEW_DELETE = (
    f"audience-view-{part}" for part in ("name", "save", "choice", "delete")
)


def layout(request: PageRequest) -> Component:
    """Recommended actions to start from, the selection in the URL, and its customers."""
    selection = Selection.parse(request.search)
    totals = queries.audience_totals(request.connection, request.as_of, selection)
    everyone, _ = queries.audience_size(request.connection, request.as_of, Selection())
    audiences = queries.audiences(request.connection, request.as_of)
    faults = list(selection.faults)
    categories = queries.next_categories(request.connection, request.as_of)
    if selection.buys and not totals.matching_count and selection.buys not in categories:
        faults.append(f"nobody has {selection.buys!r} among their next categories: choose one from 'About to buy'")
    chosen = audiences[audiences["action_rule"] == selection.rule]
    held = held_back(request.connection, request.as_of, selection)
    if selection.rule and chosen.empty:
        faults.append(f"no rule is called {selection.rule!r} at this snapshot: choose one of the recommended actions")
    return page(
        TITLE,
        QUESTION,
        notice("A part of the link was left out", [html.Div(fault) for fault in faults], "warning") if faults else None,
        _actions(request, selection, audiences),
        notice("This list is history", held, "warning") if held else None,
        None if chosen.empty else trial(request, chosen.iloc[0], held),
        _selection(request, selection, audiences, categories),
        _customers(request, selection, totals, everyone),
        # The values that the fields already show, so that only a new choice changes the URL.
        dcc.Store(
            id=SHOWN,
            data={
                "columns": list(selection.columns),
                "top": float(selection.top),
                "first": selection.first,
                "sort": ":".join(selection.sort),
                "buys": selection.buys,
            },
        ),
        tools=_views(),
    )


def _link(request: PageRequest, selection: Selection) -> str:
    return request.link(PATH, selection.parameters)


def _actions(request: PageRequest, selection: Selection, audiences: pd.DataFrame) -> Component:
    """A card for each rule that found someone; they fold away once a selection is made."""
    is_somebody = audiences["customer_count"] > 0
    cards = [_action(request, selection, row) for _, row in audiences[is_somebody].iterrows()]
    nobody = ", ".join(audiences.loc[~is_somebody, "action"])
    return html.Details(
        [
            html.Summary("Start from a recommended action", className="panel-title"),
            html.P(
                "What the playbook recommends, and to whom. Backtest: what those whom the rule picked earlier then did,"
                " beside the average customer; a high number says that the rule finds those who leave.",
                className="panel-reading",
            ),
            html.Div(cards, className="actions"),
            html.P(f"For nobody at this snapshot: {nobody}.", className="kpi-note") if nobody else None,
        ],
        open=not selection.rule and not selection.conditions and not selection.buys,
        className="panel fold",
    )


def _action(request: PageRequest, selection: Selection, audience: pd.Series) -> Component:
    currency = request.run.currency
    lift, rule = audience["churn_lift_ratio"], audience["action_rule"]
    condition = audience["rule_condition"]
    backtest = (
        "no earlier audience has matured"
        if formats.is_missing(lift)
        else f"stopped {formats.decimal(lift, 1)} times as often as average,"
        f" of {formats.integer(audience['matured_customer_count'])}"
    )
    facts = [
        ("Customers", formats.integer(audience["customer_count"])),
        ("At stake", formats.compact_money(audience["revenue_at_stake_amount"], currency)),
        ("Confidence", formats.decimal(audience["mean_confidence"])),
    ]
    is_chosen = rule == selection.rule
    card: Component = dcc.Link(
        [
            html.Strong(("✓ " if is_chosen else "") + audience["action"], className="action-name"),
            html.Span(
                f"{condition[:1].upper()}{condition[1:]}"
                if rule in (WAIT_RULE, LEFT_ALONE_RULE)
                else f"For {condition}",
                className="kpi-note",
            ),
            html.Span(
                [html.Span([html.B(value), f" {name.lower()}"]) for name, value in facts], className="action-facts"
            ),
            None if rule == LEFT_ALONE_RULE else html.Span(f"Backtest: {backtest}", className="kpi-note"),
        ],
        href=_link(request, replace(Selection.about(selection.buys), rule=rule, columns=selection.columns)),
        className=f"action{' action-chosen' if is_chosen else ''}",
    )
    return card


def _selection(request: PageRequest, selection: Selection, audiences: pd.DataFrame, categories: list[str]) -> Component:
    """The filters, each with a link that removes it, and fields to add more."""
    chips = [
        _chip(
            request, _condition_text(request, condition), replace(selection, conditions=_without(selection, condition))
        )
        for condition in selection.conditions
    ]
    if selection.buys:
        chips.insert(0, _chip(request, f"About to buy: {selection.buys}", selection.without_category()))
    if selection.rule:
        named = dict(zip(audiences["action_rule"], audiences["action"], strict=True))
        action = named.get(selection.rule, selection.rule)
        chips.insert(0, _chip(request, f"Action: {action}", replace(selection, rule="")))
    nothing = html.Span("No filter: everyone is in.", className="kpi-note")
    return panel(
        html.Div(chips or nothing, className="chips", id="audience-chips"),
        _fields(selection, categories),
        title="Who is in",
        reading=f"'About to buy' keeps those who have a category among their ten next ones: how likely they buy it"
        f" within {request.run.horizon_days} days, and when it is due where they have a rhythm.",
    )


def _fields(selection: Selection, categories: list[str]) -> Component:
    """Fields that choose a next category, add a filter, and choose the number of customers and the columns."""
    return html.Div(
        [
            _about_to_buy(selection, categories),
            dmc.Select(
                id=FILTER_COLUMN,
                label="Filter by",
                data=_column_choices(selection),
                value="churn_probability",
                searchable=True,
                allowDeselect=False,
                w=220,
            ),
            dmc.Select(
                id=FILTER_OP,
                label="Condition",
                data=[{"value": op, "label": text} for op, text in OPS.items()],
                value="ge",
                allowDeselect=False,
                w=120,
            ),
            dmc.Autocomplete(id=FILTER_VALUE, label="Value", placeholder="0.5", data=[], w=160),
            dmc.Button("Add filter", id=FILTER_ADD, n_clicks=0, variant="light"),
            html.Span(className="fill"),
            dmc.NumberInput(
                id=TOP_CHOICE,
                label="Top %",
                value=float(selection.top),
                min=0.01,
                max=100,
                debounce=True,
                w=110,
            ),
            dmc.NumberInput(
                id=FIRST_CHOICE,
                label="No more than",
                value=selection.first if selection.first is not None else "",
                placeholder="all",
                min=1,
                max=999_999_999,
                allowDecimal=False,
                debounce=True,
                w=120,
            ),
            dmc.MultiSelect(
                id=COLUMNS_CHOICE,
                label="Columns",
                data=_column_choices(selection),
                value=list(selection.columns),
                searchable=True,
                debounce=True,
                hidePickedOptions=True,
                className="columns-choice",
            ),
        ],
        className="fields",
    )


def _about_to_buy(selection: Selection, categories: list[str]) -> Component:
    field: Component = dmc.Select(
        id=BUYS_CHOICE,
        label="About to buy",
        data=categories,
        value=selection.buys or None,
        placeholder="any category" if categories else "no categories",
        disabled=not categories,
        searchable=True,
        allowDeselect=False,
        limit=100,
        w=200,
    )
    return field


def _column_choices(selection: Selection) -> list[dict[str, str]]:
    names = (*COLUMN_NAMES, *(CATEGORY_COLUMNS if selection.buys else ()))
    return [{"value": name, "label": label(name)} for name in sorted(names, key=label)]


def _without(selection: Selection, condition: Condition) -> tuple[Condition, ...]:
    return tuple(other for other in selection.conditions if other is not condition)


def _chip(request: PageRequest, text: str, rest: Selection) -> Component:
    link: Component = dcc.Link(
        [text, html.Span("\u00d7", className="chip-cross")],
        href=_link(request, rest),
        className="chip",
        title=f"Take away: {text}",
    )
    return link


def _condition_text(request: PageRequest, condition: Condition) -> str:
    values = [
        formats.column_value(condition.column, value, request.run.currency)
        if is_number(condition.column)
        else str(value)
        for value in condition.values
    ]
    return f"{label(condition.column)} {OPS[condition.op]} {' or '.join(values)}"


def _customers(request: PageRequest, selection: Selection, totals: queries.AudienceTotals, everyone: int) -> Component:
    currency = request.run.currency
    share = totals.customer_count / everyone if everyone else 0.0
    expected = totals.expected
    days, level = f"{request.run.horizon_days} days", f"{formats.percent(request.run.interval_level, 0)}"
    figures = [
        ("at stake", formats.compact_money(totals.revenue_at_stake_amount, currency)),
        (
            f"expected in {days}{total_interval(expected, 'expected_spend_amount', level, currency)}",
            formats.compact_money(expected["expected_spend_amount"], currency),
        ),
        (
            f"purchase days in {days}{total_interval(expected, 'expected_order_count', level, currency)}",
            formats.integer(expected["expected_order_count"]),
        ),
        ("mean churn probability", formats.percent(totals.mean_churn_probability)),
        ("mean confidence", formats.decimal(totals.mean_confidence)),
    ]
    summary = html.Div(
        [
            html.Span(
                [
                    html.B(formats.integer(totals.customer_count), id="audience-count"),
                    f" of {formats.integer(everyone)} customers ({formats.percent(share)})",
                ]
            ),
            *[html.Span([html.B(value), f" {name}"]) for name, value in figures],
        ],
        className="audience-summary",
        role="status",
    )
    reason = expected["abstain_reason"]
    totals_told = {"expected spend": "expected_spend_amount", "purchase days": "expected_order_count"}
    without = [words for words, name in totals_told.items() if formats.is_missing(expected[f"{name}_lower"])]
    is_told = isinstance(reason, str) and without
    why = html.P(f"No interval of {' and '.join(without)}: {reason}.", className="kpi-note") if is_told else None
    alone = totals.left_alone_count if selection.rule != LEFT_ALONE_RULE else 0
    query = urlencode([("as_of", request.as_of.isoformat()), *selection.parameters])
    exports = html.Div(
        [
            html.A(
                f"Export {kind.upper() if kind == 'csv' else 'Parquet'}",
                href=f"/export/audience.{kind}?{query}",
                className="button",
            )
            for kind in ("csv", "parquet")
        ],
        className="exports",
    )
    content = grid(request, selection) if totals.customer_count else html.P("Nobody is left: take a filter away.")
    return panel(
        html.Div([summary, exports], className="audience-head"),
        why,
        _left_alone(alone) if alone else None,
        content,
        title="Customers",
        reading="Click a heading to sort, a customer to see why. 'Top %' and 'No more than' take the first in this"
        " order. An export holds exactly these rows and columns. The interval of a total is that of the sum, as on the"
        " pages Overview and Segments; it is not the sum of the customers' intervals.",
    )


def _left_alone(count: int) -> Component:
    return html.P(
        f"{formats.integer(count)} of these {'is' if count == 1 else 'are'} left alone by an experiment, as the column"
        " Action says: whoever acts on them too spoils it.",
        className="kpi-note",
        id="audience-left-alone",
    )


def _views() -> Component:
    """Selections kept under a name, in this browser."""
    return html.Div(
        [
            dmc.Select(id=VIEW_CHOICE, placeholder="Saved views", data=[], w=170, **labelled("Saved views")),
            dmc.TextInput(id=VIEW_NAME, placeholder="Name of this view", w=170, **labelled("Name of this view")),
            dmc.Button("Save", id=VIEW_SAVE, n_clicks=0, variant="light"),
            dmc.Button("Delete", id=VIEW_DELETE, n_clicks=0, variant="subtle"),
        ],
        className="views",
    )
