"""Callbacks of the Audience page, and its exports."""

from __future__ import annotations

from typing import Any

import flask
from dash import Dash, Input, Output, State, no_update

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.dashboard.kit.callbacks import in_browser
from genome_pipeline.dashboard.kit.request import UNSHOWABLE, parameters_of
from genome_pipeline.dashboard.kit.snapshots import Run, all_snapshots, chosen_snapshot
from genome_pipeline.dashboard.pages.audience import exports, grid, page, queries
from genome_pipeline.dashboard.pages.audience.selection import (
    CATEGORY_COLUMNS,
    COLUMN_NAMES,
    OPS,
    Selection,
    chosen_by,
    ops_of,
)
from genome_pipeline.dashboard.security import Visits, log_failure
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.versions import PublishedFile

_MIME_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def register(app: Dash, published: PublishedFile, visits: Visits) -> None:
    """Register the rows of the grid, the fields that change the selection, saved views, and exports."""
    _register_rows(app, published, visits)
    _register_values(app, published)
    _register_exports(app, published, visits)
    _register_fields(app)
    _register_views(app)


def _register_rows(app: Dash, published: PublishedFile, visits: Visits) -> None:
    @app.callback(
        Output(grid.GRID, "getRowsResponse"),
        Input(grid.GRID, "getRowsRequest"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def audience_rows(wanted: dict[str, Any] | None, search: str | None) -> Any:
        if wanted is None:
            return no_update
        selection = Selection.parse(search or "")
        try:
            for order in wanted["sortModel"][:1]:
                selection = selection.sorted_by(order["colId"], order["sort"])
            with published.connect() as connection:
                as_of, _ = chosen_snapshot(all_snapshots(connection), parameters_of(search))
                first = int(wanted["startRow"])
                # Only the rows that the grid asks for: an export of all rows has limits of its own.
                last = min(int(wanted["endRow"]), first + grid.BLOCK_ROWS)
                rows, size = queries.audience_rows(connection, as_of, selection, first, last)
                currency = Run.of(connection).currency
        except (*UNSHOWABLE, TypeError, OverflowError):
            # Without an answer the grid would wait for ever; the page says what is wrong when it is drawn again.
            return {"rowData": [], "rowCount": 0}
        visits.record("rows", row_count=len(rows), **chosen_by(search or ""))
        return {"rowData": [grid.written(row, currency) for row in rows], "rowCount": size}


def _register_values(app: Dash, published: PublishedFile) -> None:
    @app.callback(
        Output(page.FILTER_OP, "data"),
        Output(page.FILTER_OP, "value"),
        Output(page.FILTER_VALUE, "data"),
        Output(page.FILTER_VALUE, "placeholder"),
        Input(page.FILTER_COLUMN, "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def suggest_values(column: str | None, search: str | None) -> Any:
        if column not in (*COLUMN_NAMES, *CATEGORY_COLUMNS):
            return no_update
        ops = [{"value": op, "label": OPS[op]} for op in ops_of(column)]
        if len(ops_of(column)) == len(OPS):
            return ops, "ge", [], "2017-03-01" if COLUMNS[column].type == "DATE" else "a number"
        try:
            with published.connect() as connection:
                as_of, _ = chosen_snapshot(all_snapshots(connection), parameters_of(search))
                return ops, "eq", queries.column_values(connection, as_of, column), "choose or write"
        except UNSHOWABLE:
            return ops, "eq", [], ""


def _register_exports(app: Dash, published: PublishedFile, visits: Visits) -> None:
    making = exports.Exports()

    def export_audience(kind: str) -> flask.Response:
        search = flask.request.query_string.decode(errors="replace")
        try:
            selection = Selection.parse(search)
            with (
                making.turn() as place,
                published.connect_alone(exports.EXPORT_SECONDS, exports.MEMORY) as (connection, folder),
            ):
                as_of, _ = chosen_snapshot(all_snapshots(connection), parameters_of(search))
                file, row_count = exports.audience_file(connection, folder, as_of, selection, kind, place)
        except exports.ExportRefused as refused:
            return _refusal(str(refused), refused.status)
        except (*UNSHOWABLE, ConfigError) as error:
            log_failure(error)
            return _refusal(
                "The export could not be made: nothing is published, it took too long, or the disk is full. Try again"
                " with fewer customers or columns; the log says where it stopped.",
                503,
            )
        facts = {"columns": list(selection.columns), **chosen_by(search)}
        visits.record("export", kind=kind, as_of=str(as_of), row_count=row_count, **facts)
        return flask.send_file(file, _MIME_TYPES[kind], as_attachment=True, download_name=f"audience-{as_of}.{kind}")

    app.server.add_url_rule("/export/audience.<any(csv, parquet):kind>", view_func=export_audience)


def _refusal(reason: str, status: int) -> flask.Response:
    return flask.Response(reason, status, {"Retry-After": "60"} if status == 503 else None, mimetype="text/plain")


def _register_fields(app: Dash) -> None:
    search = Output("url", "search", allow_duplicate=True)
    shown = State(page.SHOWN, "data")
    for name, inputs in (
        ("chooseTop", [Input(page.TOP_CHOICE, "value"), shown]),
        ("chooseFirst", [Input(page.FIRST_CHOICE, "value"), shown]),
        ("chooseBuys", [Input(page.BUYS_CHOICE, "value"), shown]),
        ("chooseColumns", [Input(page.COLUMNS_CHOICE, "value"), shown]),
        ("sortAudience", [Input(grid.GRID, "getRowsRequest"), shown]),
        (
            "addFilter",
            [
                Input(page.FILTER_ADD, "n_clicks"),
                State(page.FILTER_COLUMN, "value"),
                State(page.FILTER_OP, "value"),
                State(page.FILTER_VALUE, "value"),
            ],
        ),
        ("chooseView", [Input(page.VIEW_CHOICE, "value"), State("saved-views", "data")]),
    ):
        in_browser(app, name, search, [*inputs, State("url", "search")])


def _register_views(app: Dash) -> None:
    in_browser(
        app,
        "changeViews",
        Output("saved-views", "data"),
        [
            Input(page.VIEW_SAVE, "n_clicks"),
            Input(page.VIEW_DELETE, "n_clicks"),
            State(page.VIEW_NAME, "value"),
            State(page.VIEW_CHOICE, "value"),
            State("url", "search"),
            State("saved-views", "data"),
        ],
    )
    # Also whenever the page is drawn again, as the list is part of it.
    in_browser(
        app,
        "listViews",
        Output(page.VIEW_CHOICE, "data"),
        [Input("saved-views", "data"), Input("page-title", "data")],
    )
