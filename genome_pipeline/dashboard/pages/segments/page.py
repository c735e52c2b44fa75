"""Segments: how customers group, and where they move."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import chart_panel
from genome_pipeline.dashboard.kit.components import choice, columns_of, empty_state, page, panel
from genome_pipeline.dashboard.kit.glossary import label
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table
from genome_pipeline.dashboard.kit.totals import total_cell
from genome_pipeline.dashboard.pages.segments import figures, queries
from genome_pipeline.dashboard.pages.segments.customer_map import MAP_GENES, project

PATH = paths.SEGMENTS
TITLE = "Segments"
QUESTION = "How do customers group, what is each group worth, and who moved?"

_CANDIDATES = 6
"""Segment models shown at once, the chosen one first."""

_READING = (
    "The number stays with a segment from one snapshot to the next; why it has its name is said below. Expected spend"
    " has the interval of the segment's total in brackets."
)
_VALUE = (
    "segment_name",
    *(f"expected_spend_{level}" for level in ("first_decile", "median", "last_decile")),
    *(f"expected_spend_amount{end}" for end in ("", "_lower", "_upper")),
)


def layout(request: PageRequest) -> Component:
    """Sizes and value, profiles with their spread, the map, movements since any snapshot, and how they were chosen."""
    connection, as_of, theme = request.connection, request.as_of, request.theme
    currency = request.run.currency
    profiles = queries.segment_profiles(connection, as_of)
    if profiles.empty:
        return page(
            TITLE,
            QUESTION,
            empty_state("No segments at this snapshot", "There were too few customers to form stable groups."),
        )
    sizes = profiles[["segment_name", "customer_count", "customer_share", "recent_spend_amount", "spend_share"]]
    return page(
        TITLE,
        QUESTION,
        panel(
            _segment_table(profiles, currency),
            title=f"{len(profiles)} segment{'s' if len(profiles) > 1 else ''} at {formats.day(as_of)}",
            reading=_READING,
            columns=("segment_name", "spend_share", "expected_spend_amount", "churn_probability", "confidence"),
            name="segment-table",
        ),
        columns_of(
            chart_panel(figures.segment_sizes(profiles, theme=theme), sizes, ("customer_share", "spend_share")),
            _value(request, profiles),
        ),
        chart_panel(
            figures.segment_profile_heatmap(profiles, currency, theme=theme),
            profiles[["segment_name", *figures.PROFILE_COLUMNS]],
            figures.PROFILE_COLUMNS,
        ),
        columns_of(
            _spread(request, profiles["segment_id"].tolist()), _map(request, int(profiles["customer_count"].sum()))
        ),
        _migrations(request),
        _names(profiles),
        _events(request),
        _candidates(request),
    )


def _value(request: PageRequest, profiles: pd.DataFrame) -> Component:
    run = request.run
    if profiles["expected_spend_amount"].isna().all():
        return panel(
            html.P("Map amount or unit_price in [source.columns] of genome.toml, and run genome run."),
            title="No spend is predicted",
            reading="The source has no amounts, or there are too few customers to learn from.",
        )
    chart = figures.segment_value(profiles, run.currency, run.horizon_days, theme=request.theme)
    return chart_panel(chart, profiles[[*_VALUE]], ("expected_spend_amount",))


def _names(profiles: pd.DataFrame) -> Component:
    return panel(
        table(
            ("Segment", "What sets it apart", "What it buys more of", "Why it has this name"),
            [
                [
                    html.Strong(row["segment_name"]),
                    row["distinguishing_genes"],
                    "" if formats.is_missing(row["overbought_categories"]) else row["overbought_categories"],
                    row["naming_rule"],
                ]
                for _, row in profiles.iterrows()
            ],
        ),
        title="How the segments got their names",
        reading="By stated rules on the profile, never by hand.",
        columns=("segment_name", "distinguishing_genes", "overbought_categories", "naming_rule"),
    )


def _spread(request: PageRequest, order: list[int]) -> Component:
    gene = request.chosen("gene", FINGERPRINT_GENES, "spend_amount")
    spread = queries.gene_by_segment(request.connection, request.as_of, gene)
    tools = choice("gene", "Gene", [(name, label(name)) for name in FINGERPRINT_GENES], gene)
    if spread.empty:
        return panel(
            tools,
            html.P("Choose another gene: the source does not carry what this one is measured from."),
            title=f"{label(gene)}: how it is spread in each segment",
            reading="It is not known of any customer of this snapshot.",
        )
    ordered = spread.sort_values("segment_id", key=lambda ids: ids.map(order.index))
    return chart_panel(
        figures.gene_by_segment(ordered, gene, request.run.currency, theme=request.theme), spread, (gene,), tools=tools
    )


def _map(request: PageRequest, customer_count: int) -> Component:
    sample = queries.customer_sample(request.connection, request.as_of, MAP_GENES)
    projected = project(sample)
    if projected is None:
        return panel(
            html.P("The map appears once customers differ in more than one gene."),
            title="Map of the customers",
            reading="There are too few customers, or too little sets them apart.",
        )
    return chart_panel(
        figures.customer_map(projected, customer_count, theme=request.theme),
        projected.points[["customer_id", "segment_name", "x", "y", *MAP_GENES]],
        MAP_GENES,
    )


def _segment_table(profiles: pd.DataFrame, currency: str | None) -> Component:
    headings = (
        "Segment",
        "Customers",
        "Share",
        "Recent spend",
        "Share of spend",
        "Expected spend",
        "Mean churn",
        "Mean confidence",
    )
    rows = [
        [
            html.Strong(f"{row['segment_id']} · {row['segment_name']}"),
            formats.integer(row["customer_count"]),
            formats.percent(row["customer_share"]),
            formats.money(row["recent_spend_amount"], currency),
            formats.percent(row["spend_share"]),
            total_cell(row, "expected_spend_amount", currency),
            formats.percent(row["churn_probability"]),
            formats.decimal(row["confidence"]),
        ]
        for _, row in profiles.iterrows()
    ]
    return table(headings, rows, numeric=range(1, 8))


def _events(request: PageRequest) -> Component:
    events = queries.segment_events(request.connection, request.as_of)
    rows = [
        [f"{row['segment_id']} · {row['segment_name']}", row["event"].capitalize(), _event(row), row["event_reason"]]
        for _, row in events.iterrows()
    ]
    return panel(
        table(("Segment", "Event", "", "Because"), rows) if rows else html.P("The segments are those of before."),
        title="What happened to the segments",
        reading="A segment keeps its number and name while it keeps its character; every other change is listed here.",
        columns=("event", "event_reason"),
    )


def _event(row: pd.Series[Any]) -> str:
    if row["event"] == "rename":
        return f"was {row['previous_segment_name']}"
    related = {"split": "from", "merge": "into"}.get(row["event"])
    return f"{related} {row['related_segment_name']}" if related else ""


def _candidates(request: PageRequest) -> Component:
    rows = [
        [
            html.Strong(row["candidate"]) if row["is_chosen"] else row["candidate"],
            formats.decimal(row["silhouette_score"]),
            formats.decimal(row["stability_score"]),
            formats.decimal(row["smallest_jaccard_score"]),
            formats.percent(row["smallest_share"]),
            row["choice_reason"],
        ]
        for _, row in queries.segment_candidates(request.connection, request.as_of).iterrows()
    ]
    headings = ("Candidate", "Silhouette", "Stability", "Smallest Jaccard", "Smallest share", "Chosen or not")
    first, rest = (table(headings, part, numeric=range(1, 5)) for part in (rows[:_CANDIDATES], rows[_CANDIDATES:]))
    hidden = len(rows) - _CANDIDATES
    return panel(
        first,
        html.Details([html.Summary(f"{hidden} more, of a lower silhouette"), rest], className="rest")
        if hidden > 0
        else None,
        title="Segment models tried",
        reading="Candidates are tested until one is stable; the others were not tested.",
        columns=("silhouette_score", "stability_score", "smallest_jaccard_score", "smallest_share", "choice_reason"),
    )


def _migrations(request: PageRequest) -> Component:
    currency = request.run.currency
    earlier = [snapshot for snapshot in request.snapshots if snapshot < request.as_of]
    if not earlier:
        return panel(
            html.P("Movements appear from the second snapshot on."),
            title="Where customers moved",
            reading="There is no earlier snapshot to compare this one with.",
        )
    options = [(snapshot.isoformat(), formats.day(snapshot)) for snapshot in earlier]
    since = date.fromisoformat(request.chosen("since", dict(options), earlier[0].isoformat()))
    if since == earlier[0]:
        migrations = queries.segment_migrations(request.connection, request.as_of)
    else:
        migrations = queries.migrations_between(request.connection, since, request.as_of)
    is_old = migrations["from_segment_id"] > 0
    moved = migrations[is_old & (migrations["from_segment_id"] != migrations["to_segment_id"])]
    moved = moved.sort_values("customer_count", ascending=False)
    total, mover_count = migrations.loc[is_old, "customer_count"].sum(), moved["customer_count"].sum()
    rows: list[list[Any]] = [
        [
            html.Span([row["from_segment_name"], html.Br(), "→ ", html.Strong(row["to_segment_name"])]),
            formats.integer(row["customer_count"]),
            formats.money(row["recent_spend_amount"], currency),
        ]
        for _, row in moved.head(8).iterrows()
    ]
    share = formats.percent(mover_count / total) if total else formats.NOTHING
    return columns_of(
        chart_panel(
            figures.segment_migrations(migrations, since, theme=request.theme),
            migrations,
            ("from_segment_name", "to_segment_name", "customer_count"),
            tools=choice("since", "Since", options, since.isoformat()),
        ),
        panel(
            table(("From → to", "Customers", "Recent spend"), rows, numeric=(1, 2)),
            title="Largest movements",
            reading=f"{formats.integer(mover_count)} of {formats.integer(total)} earlier customers ({share})"
            " changed segment.",
            columns=("from_segment_name", "to_segment_name", "recent_spend_amount"),
        ),
        wide="3fr 2fr",
    )
