"""Tables: small ones of finished cells, and grids that can be sorted and filtered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_ag_grid as dag
import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit.glossary import description, label

GRID_OPTIONS: dict[str, Any] = {
    "theme": {"function": "themeQuartz.withParams(genomeGrid)"},
    "rowHeight": 38,
    "headerHeight": 40,
    "tooltipShowDelay": 300,
    "enableCellTextSelection": True,
    "suppressCellFocus": False,
    "animateRows": False,
}
"""What all grids look like."""


def table(headings: Sequence[Any], rows: Sequence[Sequence[Any]], *, numeric: Sequence[int] = ()) -> Component:
    """A small table of finished cells; columns in ``numeric`` are aligned right."""

    def kind(position: int) -> str:
        return "number" if position in numeric else ""

    head = [html.Th(heading, className=kind(position), scope="col") for position, heading in enumerate(headings)]
    body = [html.Tr([html.Td(item, className=kind(position)) for position, item in enumerate(row)]) for row in rows]
    return html.Div(
        html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="table"),
        className="table-scroll",
        tabIndex=0,
    )


def grid(frame: pd.DataFrame, column_definitions: Sequence[dict[str, Any]], *, name: str) -> Component:
    """A sortable, filterable table; headers are explained in the contract's words."""
    definitions = [
        {
            "headerName": label(definition["field"]),
            "headerTooltip": description(definition["field"]),
            "tooltipField": definition["field"],
            **definition,
        }
        for definition in column_definitions
    ]
    ag_grid: Component = dag.AgGrid(
        id=name,
        rowData=frame.to_dict("records"),
        columnDefs=definitions,
        defaultColDef={
            "sortable": True,
            "filter": True,
            "floatingFilter": len(frame) > 8,
            "suppressHeaderFilterButton": True,
            "suppressHeaderMenuButton": True,
            "suppressFloatingFilterButton": True,
            "cellDataType": False,
            "resizable": True,
            "minWidth": 80,
        },
        dashGridOptions=GRID_OPTIONS,
        style={"height": f"{min(520, 44 + (40 if len(frame) > 8 else 0) + 38 * max(len(frame), 1))}px"},
    )
    return ag_grid
