"""Callbacks of the Similar page."""

from __future__ import annotations

from dash import Dash, Input, Output, State

from genome_pipeline.dashboard.kit.callbacks import in_browser
from genome_pipeline.dashboard.pages.similar.page import FIND, IDS


def register(app: Dash) -> None:
    """Register the button that puts the ids into the link."""
    in_browser(
        app,
        "findSimilar",
        Output("url", "search", allow_duplicate=True),
        [Input(FIND, "n_clicks"), State(IDS, "value"), State("url", "search")],
    )
