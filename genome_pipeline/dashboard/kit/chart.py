"""A figure with its title and how to read it, and the card that shows it with its data."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.components import labelled, panel
from genome_pipeline.dashboard.kit.glossary import label
from genome_pipeline.dashboard.kit.theme import Theme
from genome_pipeline.published.export import neutral

_TABLE_ROWS = 200
"""Rows of a chart's data shown on the page; the CSV file has them all."""


@dataclass(frozen=True)
class Chart:
    """A figure, its title, and a text on how to read it. ``height`` is in pixels."""

    title: str
    reading: str
    height: int
    figure: go.Figure


def new_chart(title: str, reading: str, theme: Theme, height: int = 300) -> Chart:
    """A chart whose figure is still empty."""
    return Chart(title, reading, height, go.Figure(layout={"template": theme.template}))


def chart_panel(chart: Chart, data: pd.DataFrame, columns: Sequence[str] = (), *, tools: Any = None) -> Component:
    """A card with a chart, and below it the chart's data as a table and as a CSV file.

    ``data`` is what was drawn, in columns named as in the contract; ``tools`` are the choices that change the chart.
    """
    return panel(
        tools,
        _graph(chart, has_download=True),
        _chart_data(chart.title, data),
        title=chart.title,
        reading=chart.reading,
        columns=columns,
    )


def _chart_data(title: str, data: pd.DataFrame) -> Component:
    """The data of a chart: a table that is filled when it is opened, and a button that saves all rows."""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    texts = data.assign(
        **{
            column: data[column].map(lambda value: neutral(value) if isinstance(value, str) else value)
            for column in data.columns
            if not pd.api.types.is_numeric_dtype(data[column])
        }
    )
    stored = {
        "headings": [label(column) for column in data.columns],
        "is_number": [pd.api.types.is_numeric_dtype(data[column]) for column in data.columns],
        "rows": [
            [_cell(column, value) for column, value in zip(data.columns, row, strict=True)]
            for row in data.head(_TABLE_ROWS).itertuples(index=False)
        ],
        "left_out": max(len(data) - _TABLE_ROWS, 0),
        "csv": texts.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC),
        "file": f"{name}.csv",
    }
    return html.Div(
        [
            dcc.Store(id={"type": "chart-data", "chart": name}, data=stored),
            dcc.Download(id={"type": "chart-download", "chart": name}),
            html.Details(
                [html.Summary("Data as a table"), html.Div(id={"type": "chart-table", "chart": name})],
                id={"type": "chart-details", "chart": name},
            ),
            html.Button(
                "Save as CSV",
                id={"type": "chart-csv", "chart": name},
                className="chart-csv",
                **labelled(f"{title}: save as CSV"),
            ),
        ],
        className="chart-data",
    )


def _cell(column: str, value: Any) -> str:
    if formats.is_missing(value):
        return formats.NOTHING
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return formats.day(value)
    return formats.column_value(column, value) if column in COLUMNS else formats.decimal(value, 4)


def bare_chart(chart: Chart) -> Component:
    """A chart without a card of its own, for use inside one."""
    return _graph(chart, has_download=False)


def _graph(chart: Chart, *, has_download: bool) -> Component:
    # The figure fills its card, which may be higher than the figure's own height.
    chart.figure.update_layout(autosize=True)
    return dcc.Graph(
        figure=chart.figure,
        responsive=True,
        config={
            "displaylogo": False,
            "displayModeBar": "hover" if has_download else False,
            "modeBarButtons": [["toImage"]],
            "toImageButtonOptions": {"format": "png", "scale": 2, "filename": chart.title},
        },
        className="graph",
        style={"height": f"{chart.height}px"},
    )
