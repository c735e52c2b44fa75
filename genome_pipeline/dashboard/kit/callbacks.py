"""Callbacks of parts that several pages share, and how to register a callback that runs in the browser."""

from __future__ import annotations

from collections.abc import Sequence

from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State
from dash.dependencies import DashDependency


def in_browser(app: Dash, name: str, output: Output, inputs: Sequence[DashDependency]) -> None:
    """Code in the browser (assets/genome.js) makes changes of the URL or the window."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("genome", name), output, *inputs, prevent_initial_call=True
    )


def register(app: Dash) -> None:
    """Register those of choices and of charts."""
    in_browser(
        app,
        "choose",
        Output("url", "search", allow_duplicate=True),
        [Input({"choice": ALL, "shown": ALL}, "value"), State("url", "search")],
    )
    in_browser(
        app,
        "chartTable",
        Output({"type": "chart-table", "chart": MATCH}, "children"),
        [
            Input({"type": "chart-details", "chart": MATCH}, "n_clicks"),
            Input({"type": "chart-data", "chart": MATCH}, "data"),
        ],
    )
    in_browser(
        app,
        "chartCsv",
        Output({"type": "chart-download", "chart": MATCH}, "data"),
        [
            Input({"type": "chart-csv", "chart": MATCH}, "n_clicks"),
            State({"type": "chart-data", "chart": MATCH}, "data"),
        ],
    )
