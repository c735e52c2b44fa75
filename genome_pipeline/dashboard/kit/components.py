"""Building blocks of the pages: cards, panels, tables, tooltips, and the states in which there is nothing to show."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
import pandas as pd
import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.glossary import description, label
from genome_pipeline.published.export import neutral

_TABLE_ROWS = 200
"""Rows of a chart's data shown on the page; the CSV file has them all."""

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


def page(title: str, question: str, *sections: Any, tools: Any = None) -> Component:
    """A page: its title, the question it answers, tools beside them, and its sections."""
    return html.Div(
        [
            html.Div(
                [
                    html.Div([html.H1(title, className="page-title"), html.P(question, className="page-question")]),
                    tools,
                ],
                className="page-head",
            ),
            *[section for section in sections if section is not None],
        ],
        className="page",
    )


def hint(text: str, about: str) -> Component:
    """A small mark with a tooltip, reachable by keyboard."""
    return _tooltip(f"{about}: {text}", text)


def columns_hint(column_names: Sequence[str]) -> Component:
    """A mark that explains columns in the contract's words."""
    explained = [
        html.Div([html.Strong(f"{label(name)}: "), description(name)], className="hint-line") for name in column_names
    ]
    about = "; ".join(f"{label(name)}: {description(name)}" for name in column_names)
    return _tooltip(about, explained)


def labelled(text: str) -> dict[str, Any]:
    """Attributes that give an element a name for those who cannot see it."""
    return {"aria-label": text}


def _tooltip(spoken: str, content: Any) -> Component:
    tooltip: Component = dmc.Tooltip(
        html.Span("i", className="hint", tabIndex=0, role="note", **labelled(spoken)),
        label=content,
        multiline=True,
        w=320,
        withArrow=True,
        events={"hover": True, "focus": True, "touch": True},
    )
    return tooltip


def panel(*content: Any, title: str, reading: str = "", columns: Sequence[str] = (), name: str = "") -> Component:
    """A titled card; ``columns`` are explained in a tooltip."""
    heading = [html.H2(title, className="panel-title"), columns_hint(columns) if columns else None]
    return html.Section(
        [
            html.Div(heading, className="panel-head"),
            html.P(reading, className="panel-reading") if reading else None,
            *content,
        ],
        className=f"panel {name}",
    )


def chart_panel(figure: go.Figure, data: pd.DataFrame, columns: Sequence[str] = (), *, tools: Any = None) -> Component:
    """A card with a figure, and below it the figure's data as a table and as a CSV file.

    The figure's own title and reading stand above it as text, where they wrap. ``data`` is what was drawn, in columns
    named as in the contract; ``tools`` are the choices that change the figure.
    """
    title, reading = figure.layout.title.text, figure.layout.title.subtitle.text
    return panel(
        tools,
        _graph(figure, title, has_download=True),
        _chart_data(title, data),
        title=title,
        reading=reading,
        columns=columns,
    )


def _chart_data(title: str, data: pd.DataFrame) -> Component:
    """The data of a chart: a table that is made when it is opened, and a button that saves all rows."""
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


def choice_id(parameter: str, value: str) -> dict[str, str]:
    """Id of an element whose value goes into the URL as ``parameter`` once it is another than the ``value`` shown."""
    return {"choice": parameter, "shown": value}


def choice(parameter: str, name: str, options: Sequence[tuple[str, str]], value: str, *, width: int = 220) -> Component:
    """A choice that stands in the URL as ``parameter``; ``options`` are values and what they are called."""
    select: Component = dmc.Select(
        id=choice_id(parameter, value),
        label=name,
        data=[{"value": option, "label": text} for option, text in options],
        value=value,
        allowDeselect=False,
        searchable=len(options) > 12,
        w=width,
        size="xs",
    )
    return select


def bare_chart(figure: go.Figure) -> Component:
    """A figure without a card of its own, for use inside one."""
    return _graph(figure, figure.layout.title.text, has_download=False)


def _graph(figure: go.Figure, name: str, *, has_download: bool) -> Component:
    height = figure.layout.height
    # The title stands above as text, and the figure fills its card, which may be higher than it asks for.
    figure.update_layout(title=None, height=None, autosize=True)
    return dcc.Graph(
        figure=figure,
        responsive=True,
        config={
            "displaylogo": False,
            "displayModeBar": "hover" if has_download else False,
            "modeBarButtons": [["toImage"]],
            "toImageButtonOptions": {"format": "png", "scale": 2, "filename": name},
        },
        className="graph",
        style={"height": f"{height}px"},
    )


def columns_of(*items: Any, wide: str = "1fr 1fr") -> Component:
    """Items side by side, one below the other on a narrow screen; ``wide`` gives the proportions."""
    return html.Div(list(items), className="columns", style={"--columns": wide})


def kpi(
    title: str,
    value: str,
    *,
    name: str,
    explanation: str,
    change: Component | None = None,
    note: str | Component = "",
    history: pd.Series | None = None,
) -> Component:
    """A headline number: its change since earlier snapshots, and its course over all of them."""
    return html.Section(
        [
            html.Div([html.Span(title, className="kpi-title"), hint(explanation, title)], className="kpi-head"),
            html.Div(value, className="kpi-value", id=f"kpi-{name}"),
            html.Div(
                [
                    html.Div([change, html.Span(note, className="kpi-note") if note else None], className="kpi-foot"),
                    None if history is None else _sparkline(history.dropna().astype(float).tolist()),
                ],
                className="kpi-bottom",
            ),
        ],
        className="kpi",
    )


def _sparkline(course: Sequence[float]) -> Component | None:
    if len(course) < 3:
        return None
    low, spread = min(course), max(course) - min(course)
    # The component draws from zero, where the course of most numbers would look flat.
    shape = [(value - low) / spread if spread else 0.5 for value in course]
    sparkline: Component = dmc.Sparkline(data=shape, w=84, h=30, curveType="linear", color="genome.6", fillOpacity=0.15)
    return sparkline


def change_since(
    now: float | None, before: float | None, since: date, *, more_is_better: bool | None, as_points: bool = False
) -> Component:
    """How a number moved since an earlier snapshot: arrow, sign and words, never colour alone."""
    ago = f" since {formats.day(since)}"
    if formats.is_missing(now) or formats.is_missing(before) or now is None or before is None:
        return html.Span(f"not known{ago}", className="change change-even")
    difference = now - before
    if as_points:
        text, is_even = f"{difference:+.3f}", abs(difference) < 0.0005
    elif before == 0:
        text, is_even = f"{difference:+,.0f}", difference == 0
    else:
        text, is_even = f"{difference / abs(before):+.1%}", abs(difference / before) < 0.0005
    if is_even:
        return html.Span(f"● unchanged{ago}", className="change change-even")
    tone = "even" if more_is_better is None else "good" if (difference > 0) == more_is_better else "bad"
    arrow = "▲" if difference > 0 else "▼"
    return html.Span(
        [f"{arrow} {text.replace('-', formats.MINUS)}", html.Span(ago, className="change-even")],
        className=f"change change-{tone}",
    )


def badge(text: str, tone: str = "plain") -> Component:
    """A short label: ``plain``, ``good``, ``warning`` or ``bad``."""
    return html.Span(text, className=f"badge badge-{tone}")


def table(headings: Sequence[Any], rows: Sequence[Sequence[Any]], *, numeric: Sequence[int] = ()) -> Component:
    """A small table of ready-made cells; columns in ``numeric`` are aligned right."""

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


def notice(title: str, text: Any, tone: str = "plain") -> Component:
    """A message set apart from the page."""
    return html.Div(
        [html.Strong(title, className="notice-title"), html.Div(text)],
        className=f"notice notice-{tone}",
        role="status",
    )


def empty_state(title: str, *text: Any) -> Component:
    """What stands where there is nothing to show: what is missing and what to do."""
    return html.Div(
        [html.Div(className="empty-mark"), html.H1(title, className="empty-title"), *[html.P(line) for line in text]],
        className="empty",
        role="status",
    )
