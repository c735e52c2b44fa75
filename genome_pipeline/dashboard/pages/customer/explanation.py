"""Why the predictions of a customer are what they are, and what changed since the snapshot before."""

from __future__ import annotations

from numbers import Number
from typing import Any

import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.components import columns_of, panel
from genome_pipeline.dashboard.kit.customers import customer_genome
from genome_pipeline.dashboard.kit.glossary import label
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table
from genome_pipeline.dashboard.pages.customer import queries

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


def drivers(request: PageRequest, customer_id: str) -> list[Component]:
    """A panel for each prediction that is explained, side by side: what adds up to it."""
    found = queries.drivers(request.connection, request.as_of, customer_id)
    panels = [_why(prediction, rows, request.run.currency) for prediction, rows in found.groupby("prediction")]
    return [columns_of(*panels)] if panels else []


def _why(prediction: Any, drivers: pd.DataFrame, currency: str | None) -> Component:
    average, others = drivers.iloc[0], drivers.iloc[1:]
    # Every driver may add nothing now, and be listed for what it added before.
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


def changes(request: PageRequest, customer_id: str, genome: pd.Series) -> Component:
    """What changed since the previous snapshot; values that did not change have no row."""
    title, previous_as_of, currency = "What changed", request.previous_as_of, request.run.currency
    found = (
        customer_genome(request.connection, previous_as_of, customer_id, _WATCHED)
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
        reading="Since the previous snapshot; what did not change is left out.",
        columns=_WATCHED,
        name="changes",
    )
