"""Callbacks of the shell: the choice of a snapshot, the colours, the title of the window."""

from __future__ import annotations

from dash import Dash, Input, Output, State

from genome_pipeline.dashboard.kit.callbacks import in_browser


def register(app: Dash) -> None:
    """Register them: all run in the browser."""
    in_browser(
        app,
        "chooseSnapshot",
        Output("url", "search", allow_duplicate=True),
        [Input("snapshot", "value"), State("url", "search")],
    )
    in_browser(
        app,
        "toggleColorScheme",
        Output("provider", "forceColorScheme"),
        [Input("theme-toggle", "n_clicks"), State("provider", "forceColorScheme")],
    )
    in_browser(app, "setTitle", Output("page-title", "modified_timestamp"), [Input("page-title", "data")])
