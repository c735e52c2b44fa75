"""Callbacks of the Customer page."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, no_update

from genome_pipeline.dashboard.kit.callbacks import in_browser
from genome_pipeline.dashboard.kit.request import UNSHOWABLE, parameters_of
from genome_pipeline.dashboard.kit.snapshots import all_snapshots, chosen_snapshot
from genome_pipeline.dashboard.pages.customer.page import SEARCH
from genome_pipeline.dashboard.pages.customer.queries import customer_ids
from genome_pipeline.dashboard.security import Visits
from genome_pipeline.published.versions import PublishedFile


def register(app: Dash, published: PublishedFile, visits: Visits) -> None:
    """Register the search by id, and the way to the customer found."""

    @app.callback(
        Output(SEARCH, "data"),
        Input(SEARCH, "searchValue"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def suggest_customers(prefix: str | None, search: str | None) -> Any:
        try:
            with published.connect() as connection:
                as_of, _ = chosen_snapshot(all_snapshots(connection), parameters_of(search))
                found = customer_ids(connection, as_of, prefix or "")
        except UNSHOWABLE:
            return no_update
        visits.record("search", row_count=len(found))
        return found

    in_browser(
        app,
        "chooseCustomer",
        Output("url", "search", allow_duplicate=True),
        [Input(SEARCH, "value"), State("url", "search")],
    )
