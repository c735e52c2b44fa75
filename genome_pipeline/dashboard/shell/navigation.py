"""The ways to other pages and to other snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.components import badge, labelled
from genome_pipeline.dashboard.kit.glossary import description
from genome_pipeline.dashboard.kit.request import url
from genome_pipeline.dashboard.kit.snapshots import Run


def navigation(titles: Mapping[str, str], pathname: str, parameters: Mapping[str, str]) -> list[Component]:
    """Links to the pages at the same snapshot; ``titles`` are by path."""
    kept = {"as_of": parameters["as_of"]} if "as_of" in parameters else {}
    return [
        dmc.NavLink(
            label=title,
            href=url(path, kept),
            active=path == pathname,
            leftSection=html.Span(className=f"icon icon-{title.lower().replace(' ', '-')}"),
            className="nav-link",
            **({"aria-current": "page"} if path == pathname else {}),
        )
        for path, title in titles.items()
    ]


def snapshot_tools(
    run: Run, snapshots: list[date], provisional: frozenset[date], as_of: date, *, follows_latest: bool
) -> Component:
    """What the snapshots are made from, and the choice of one."""
    choices = [
        {"value": "latest", "label": f"Latest: {formats.snapshot(snapshots[0], provisional)}"},
        *[{"value": snapshot.isoformat(), "label": formats.snapshot(snapshot, provisional)} for snapshot in snapshots],
    ]
    return html.Div(
        [
            html.Span(f"{run.source_name} · published {formats.moment(run.published_at)}", className="freshness"),
            html.Span(badge("provisional", "warning"), id="provisional", title=description("is_provisional"))
            if as_of in provisional
            else None,
            dmc.Select(
                id="snapshot",
                data=choices,
                value="latest" if follows_latest else as_of.isoformat(),
                allowDeselect=False,
                searchable=False,
                w=270 if provisional else 190,
                **labelled("Snapshot"),
            ),
        ],
        className="snapshot",
    )
