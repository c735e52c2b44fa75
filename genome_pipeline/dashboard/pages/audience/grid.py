"""The grid of an audience's customers, which asks for its rows as it is scrolled."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

import dash_ag_grid as dag
from dash import html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.glossary import description, label
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import GRID_OPTIONS
from genome_pipeline.dashboard.pages.audience.selection import Selection, is_number

GRID = "audience-grid"

BLOCK_ROWS = 100
"""Rows the grid asks for at a time."""

_WIDE_COLUMNS = {"action": 250, "action_reason": 420, "segment_name": 170}


def grid(request: PageRequest, selection: Selection) -> Component:
    """The grid, with the columns and in the order of the selection."""
    customers: Component = dag.AgGrid(
        id=GRID,
        rowModelType="infinite",
        columnDefs=[_column(name, selection) for name in selection.columns],
        defaultColDef={
            "sortable": True,
            "sortingOrder": ["desc", "asc"],
            "filter": False,
            "resizable": True,
            "cellDataType": False,
            "minWidth": 90,
            "wrapHeaderText": True,
        },
        dashGridOptions={
            **GRID_OPTIONS,
            "cacheBlockSize": BLOCK_ROWS,
            "maxBlocksInCache": 20,
            "blockLoadDebounceMillis": 80,
            "headerHeight": 52,
            "suppressMultiSort": True,
            "ensureDomOrder": True,
        },
        style={"height": "560px"},
    )
    # Another selection makes another grid, which asks for its rows again; another order keeps the grid.
    return html.Div(
        customers, key=urlencode([("as_of", request.as_of.isoformat()), *replace(selection, sort=("", "")).parameters])
    )


def _column(name: str, selection: Selection) -> dict[str, Any]:
    column, direction = selection.sort
    definition = {
        "field": name,
        "headerName": label(name),
        "headerTooltip": description(name),
        "tooltipField": name,
        "width": _WIDE_COLUMNS.get(name, 130),
        "sort": direction if name == column else None,
    }
    if is_number(name):
        definition["type"] = "rightAligned"
    if name == "customer_id":
        definition |= {"pinned": "left", "cellRenderer": "CustomerLink"}
    return definition


def written(row: dict[str, Any], currency: str | None) -> dict[str, str]:
    """A row of the grid as people read it."""
    return {name: _written(name, value, currency) for name, value in row.items()}


def _written(name: str, value: Any, currency: str | None) -> str:
    if name == "customer_id":
        return str(value)
    if formats.is_missing(value):
        return formats.NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return value.isoformat()
    return formats.column_value(name, value, currency) if is_number(name) else str(value)
