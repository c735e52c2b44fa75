"""The Dash application: the shell around the pages, and the URL as its only state."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import dash_mantine_components as dmc
import duckdb
import flask
from dash import ALL, MATCH, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.dependencies import DashDependency
from dash.development.base_component import Component
from markupsafe import Markup, escape

from genome_pipeline import __version__
from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.dashboard.audit import AuditLog
from genome_pipeline.dashboard.calls import refuse_malformed
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.components import badge, empty_state, labelled, notice
from genome_pipeline.dashboard.kit.glossary import description
from genome_pipeline.dashboard.kit.request import PageRequest, url
from genome_pipeline.dashboard.kit.snapshots import Run, all_snapshots, provisional_snapshots
from genome_pipeline.dashboard.kit.theme import FONT_FAMILY, theme_of
from genome_pipeline.dashboard.pages.audience import exports
from genome_pipeline.dashboard.pages.audience import page as audience
from genome_pipeline.dashboard.pages.audience import queries as audience_queries
from genome_pipeline.dashboard.pages.audience.selection import COLUMN_NAMES, LONGEST_LINK, OPS, Selection, ops_of
from genome_pipeline.dashboard.pages.confidence import page as confidence
from genome_pipeline.dashboard.pages.customer import page as customer
from genome_pipeline.dashboard.pages.customer import queries as customer_queries
from genome_pipeline.dashboard.pages.data_quality import page as data_quality
from genome_pipeline.dashboard.pages.overview import page as overview
from genome_pipeline.dashboard.pages.risk import page as risk
from genome_pipeline.dashboard.pages.segments import page as segments
from genome_pipeline.dashboard.pages.similar import page as similar
from genome_pipeline.dashboard.pages.value import page as value
from genome_pipeline.dashboard.security import Access, Visits, log_failure, protect
from genome_pipeline.dashboard.server import Server
from genome_pipeline.dashboard.shell.first_paint import as_html
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.lookalikes import GROUP_LIMIT
from genome_pipeline.published.reader import PublishedFileMissing, PublishedFileUnreadable
from genome_pipeline.published.versions import PublishedFile

PAGES = {
    page.PATH: page for page in (overview, segments, value, risk, customer, similar, confidence, audience, data_quality)
}
# DuckDB raises RuntimeError for text that is no Unicode.
_UNSHOWABLE = (PublishedFileMissing, PublishedFileUnreadable, duckdb.Error, LookupError, ValueError, RuntimeError)
_MIME_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
_THIS_MACHINE = Access()
_WATCH_MILLISECONDS = 10_000
_PREPARE_SECONDS = 5
_THEME_COOKIE = "color_scheme"
_PRIMARY = [
    "#e6f3fb",
    "#cfe5f5",
    "#9fcbe9",
    "#6cb0dd",
    "#429ad3",
    "#2b8ccd",
    "#0072b2",
    "#00649d",
    "#005586",
    "#00456e",
]
_DARK_SHADES = [
    "#e7ebf0",
    "#c3ccd6",
    "#a3aebb",
    "#7d8a98",
    "#3d4855",
    "#323b46",
    "#232c36",
    "#1b222b",
    "#151b22",
    "#12171d",
]


class Dashboard(Dash):
    """The application.

    It sends the page asked for along with the first answer, as plain HTML, which can be read before any script has run.
    """

    def __init__(self, published: PublishedFile, visits: Visits, **settings: Any) -> None:
        super().__init__(**settings)
        self.published = published
        self.visits = visits

    def interpolate_index(self, **parts: Any) -> str:  # type: ignore[override]
        """The first answer; assets/genome.js takes the plain page away once the page itself is there."""
        pathname, search, scheme, first_paint = "/", "", _color_scheme(), Markup("")
        if flask.has_request_context():
            pathname, search = flask.request.path, flask.request.query_string.decode(errors="replace")
            content, navigation, _, title = render(self.published, pathname, search, scheme)
            _record_page(self.visits, pathname, search)
            header = html.Div(_brand(), className="header")
            first_paint = as_html([header, html.Nav(navigation), html.Main(content)])
            parts["title"] = escape(f"{title} \u00b7 {parts['title']}")
        icon = self.get_asset_url("favicon.svg")
        return f"""<!DOCTYPE html>
<html lang="en" data-mantine-color-scheme="{scheme}">
<head>{parts["metas"]}<title>{parts["title"]}</title><link rel="icon" type="image/svg+xml" href="{icon}">
{parts["css"]}</head>
<body><div id="first-paint">{first_paint}</div>{parts["app_entry"]}
<footer>{parts["config"]}{parts["scripts"]}{parts["renderer"]}</footer></body>
</html>"""


def create_app(published_path: Path, access: Access = _THIS_MACHINE, audit: AuditLog | None = None) -> Dashboard:
    """The dashboard of one published file; every page is made anew from the file as it is at that moment.

    What visitors see is recorded in ``audit``, where one is given.
    """
    published, visits = PublishedFile(published_path), Visits(audit)
    app = Dashboard(
        published,
        visits,
        name=__name__,
        title="Customer Genome",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        enable_mcp=False,
    )
    app.layout = partial(_shell, has_login=not access.is_open)
    _register_callbacks(app, published)
    _register_audience(app, published)
    protect(app.server, access, app.csp_hashes(), visits)
    refuse_malformed(app)
    return app


def serve(published_path: Path, access: Access, audit: AuditLog, host: str, port: int) -> None:
    """Serve the dashboard until Ctrl-C or SIGTERM. Raises :class:`ConfigError` where the port is taken."""
    app = create_app(published_path, access, audit)
    server = Server(app.server, host, port)
    stopped = threading.Event()
    # As Ctrl-C does: what was put aside on the disk goes with the process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        # No daemon, so that it is waited for: a query that outlives the interpreter aborts the process.
        threading.Thread(target=_keep_prepared, args=(app.published, stopped)).start()
        server.run()
    finally:
        stopped.set()
        app.published.close()


def _keep_prepared(published: PublishedFile, stopped: threading.Event) -> None:
    prepared = ""
    while not stopped.is_set():
        version = published.version()
        if version not in (prepared, ""):
            prepare(published, stopped)
            prepared = version
        stopped.wait(_PREPARE_SECONDS)


def prepare(published: PublishedFile, stopped: threading.Event) -> None:
    """Make what is made once for each version of the file, at its latest snapshot: nobody has to wait for it then."""
    pages = [(path, "") for path in PAGES]
    with suppress(*_UNSHOWABLE), published.connect() as connection:
        two = customer_queries.customer_ids(connection, all_snapshots(connection)[0], "", limit=2)
        # Whoever they are: what their pages are held against is the same for everyone.
        pages += [
            (customer.PATH, f"?{urlencode({'customer_id': two[0]})}"),
            (similar.PATH, f"?{urlencode({'id': two}, doseq=True)}"),
        ]
    for path, search in pages:
        if not stopped.is_set():
            render(published, path, search, None)


def _color_scheme() -> str:
    return theme_of(flask.request.cookies.get(_THEME_COOKIE) if flask.has_request_context() else None).color_scheme


def _brand() -> Component:
    return dcc.Link([html.Span(className="brand-mark"), html.Span("Customer Genome")], href="/", className="brand")


def _shell(*, has_login: bool) -> Component:
    """What stays in place while pages change."""
    log_out = html.Form(html.Button("Log out", className="button"), action="/logout", method="post")
    shell: Component = dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="page-title"),
            dcc.Store(id="shown-version"),
            dcc.Interval(id="publish-watch", interval=_WATCH_MILLISECONDS),
            dcc.Store(id="saved-views", storage_type="local"),
            dmc.AppShell(
                [
                    dmc.AppShellHeader(
                        html.Div(
                            [
                                _brand(),
                                html.Div(
                                    [
                                        html.Div(id="snapshot-tools", className="snapshot-tools"),
                                        dmc.ActionIcon(
                                            html.Span(className="icon icon-theme"),
                                            id="theme-toggle",
                                            variant="default",
                                            size="lg",
                                            n_clicks=0,
                                            **labelled("Switch between light and dark"),
                                        ),
                                        log_out if has_login else None,
                                    ],
                                    className="header-tools",
                                ),
                            ],
                            className="header",
                        )
                    ),
                    dmc.AppShellNavbar(html.Nav(id="navigation", **labelled("Pages"))),
                    dmc.AppShellMain(
                        [
                            html.Div(
                                [
                                    "A new snapshot has been published since this page was made. ",
                                    html.Button("Show it", id="show-publish", n_clicks=0, className="button"),
                                ],
                                id="publish-notice",
                                className="notice notice-action publish-notice",
                                role="status",
                                hidden=True,
                            ),
                            dcc.Loading(
                                html.Main(id="page"),
                                delay_show=400,
                                overlay_style={"visibility": "visible", "opacity": 0.5},
                                custom_spinner=dmc.Loader(type="bars", color="genome.6"),
                            ),
                        ]
                    ),
                ],
                header={"height": 60},
                navbar={"width": {"base": 92, "md": 208}, "breakpoint": 0, "collapsed": {"mobile": False}},
                padding="lg",
            ),
        ],
        id="provider",
        forceColorScheme=_color_scheme(),
        theme={
            "primaryColor": "genome",
            "primaryShade": {"light": 6, "dark": 4},
            "colors": {"genome": _PRIMARY, "dark": _DARK_SHADES},
            "fontFamily": FONT_FAMILY,
            "defaultRadius": "md",
        },
    )
    return shell


def _record_page(visits: Visits, pathname: str, search: str) -> None:
    if pathname in PAGES and len(search) <= LONGEST_LINK:
        visits.record("page", _customers_shown(pathname, search), page=pathname, **_filters(pathname, search))


def _customers_shown(pathname: str, search: str) -> list[str]:
    """The customers a link asks for, as the page reads it: what else stands in the link must not crowd them out."""
    if pathname == customer.PATH:
        asked = [_parameters(search).get("customer_id", "").strip()]
    elif pathname == similar.PATH:
        asked = similar.ids_asked(search)
    else:
        asked = []
    # Of more, the page shows none.
    return [customer_id for customer_id in asked if customer_id][:GROUP_LIMIT]


def _filters(pathname: str, search: str) -> dict[str, Any]:
    """What an audience was chosen by, without the values, which may name customers."""
    if pathname != audience.PATH:
        return {}
    selection = Selection.parse(search)
    return {"rule": selection.rule, "filters": sorted({condition.column for condition in selection.conditions})}


def _register_callbacks(app: Dashboard, published: PublishedFile) -> None:
    @app.callback(
        Output("page", "children"),
        Output("navigation", "children"),
        Output("snapshot-tools", "children"),
        Output("page-title", "data"),
        Output("shown-version", "data"),
        Output("publish-notice", "hidden"),
        Input("url", "pathname"),
        Input("url", "search"),
        Input("provider", "forceColorScheme"),
        Input("show-publish", "n_clicks"),
    )
    def show_page(pathname: str | None, search: str | None, color_scheme: str | None, _: int | None) -> tuple[Any, ...]:
        # Taken before: a publish while the page is made is then noticed.
        version = published.version()
        page = render(published, pathname or "/", search or "", color_scheme)
        _record_page(app.visits, pathname or "/", search or "")
        return *page, version, True

    @app.callback(
        Output("publish-notice", "hidden", allow_duplicate=True),
        Input("publish-watch", "n_intervals"),
        State("shown-version", "data"),
        prevent_initial_call=True,
    )
    def watch_publishes(_: int | None, shown: str | None) -> bool:
        return published.version() in (shown, "")

    @app.callback(
        Output(customer.SEARCH, "data"),
        Input(customer.SEARCH, "searchValue"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def suggest_customers(prefix: str | None, search: str | None) -> Any:
        try:
            with published.connect() as connection:
                as_of, _ = _chosen_snapshot(all_snapshots(connection), _parameters(search))
                found = customer_queries.customer_ids(connection, as_of, prefix or "")
        except _UNSHOWABLE:
            return no_update
        app.visits.record("search", row_count=len(found))
        return found

    for name, chooser in (("chooseSnapshot", "snapshot"), ("chooseCustomer", customer.SEARCH)):
        _in_browser(
            app,
            name,
            Output("url", "search", allow_duplicate=True),
            [Input(chooser, "value"), State("url", "search")],
        )
    _in_browser(
        app,
        "choose",
        Output("url", "search", allow_duplicate=True),
        [Input({"choice": ALL, "shown": ALL}, "value"), State("url", "search")],
    )
    _in_browser(
        app,
        "chartTable",
        Output({"type": "chart-table", "chart": MATCH}, "children"),
        [
            Input({"type": "chart-details", "chart": MATCH}, "n_clicks"),
            Input({"type": "chart-data", "chart": MATCH}, "data"),
        ],
    )
    _in_browser(
        app,
        "chartCsv",
        Output({"type": "chart-download", "chart": MATCH}, "data"),
        [
            Input({"type": "chart-csv", "chart": MATCH}, "n_clicks"),
            State({"type": "chart-data", "chart": MATCH}, "data"),
        ],
    )
    _in_browser(
        app,
        "findSimilar",
        Output("url", "search", allow_duplicate=True),
        [Input(similar.FIND, "n_clicks"), State(similar.IDS, "value"), State("url", "search")],
    )
    _in_browser(
        app,
        "toggleColorScheme",
        Output("provider", "forceColorScheme"),
        [Input("theme-toggle", "n_clicks"), State("provider", "forceColorScheme")],
    )
    _in_browser(app, "setTitle", Output("page-title", "modified_timestamp"), [Input("page-title", "data")])


def _register_audience(app: Dashboard, published: PublishedFile) -> None:
    @app.callback(
        Output(audience.GRID, "getRowsResponse"),
        Input(audience.GRID, "getRowsRequest"),
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
                as_of, _ = _chosen_snapshot(all_snapshots(connection), _parameters(search))
                first = int(wanted["startRow"])
                # No more than the grid asks for: all at once is an export, which has limits of its own.
                last = min(int(wanted["endRow"]), first + audience.BLOCK_ROWS)
                rows, size = audience_queries.audience_rows(connection, as_of, selection, first, last)
                currency = Run.of(connection).currency
        except (*_UNSHOWABLE, TypeError, OverflowError):
            # The grid would wait for ever; the page itself says what is wrong when it is drawn anew.
            return {"rowData": [], "rowCount": 0}
        app.visits.record("rows", row_count=len(rows), **_filters(audience.PATH, search or ""))
        return {"rowData": [audience.written(row, currency) for row in rows], "rowCount": size}

    @app.callback(
        Output(audience.FILTER_OP, "data"),
        Output(audience.FILTER_OP, "value"),
        Output(audience.FILTER_VALUE, "data"),
        Output(audience.FILTER_VALUE, "placeholder"),
        Input(audience.FILTER_COLUMN, "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def suggest_values(column: str | None, search: str | None) -> Any:
        if column not in COLUMN_NAMES:
            return no_update
        ops = [{"value": op, "label": OPS[op]} for op in ops_of(column)]
        if len(ops_of(column)) == len(OPS):
            return ops, "ge", [], "2017-03-01" if COLUMNS[column].type == "DATE" else "a number"
        try:
            with published.connect() as connection:
                as_of, _ = _chosen_snapshot(all_snapshots(connection), _parameters(search))
                return ops, "eq", audience_queries.column_values(connection, as_of, column), "choose or write"
        except _UNSHOWABLE:
            return ops, "eq", [], ""

    def export_audience(kind: str) -> flask.Response:
        search = flask.request.query_string.decode(errors="replace")
        try:
            selection = Selection.parse(search)
            with (
                making.turn() as place,
                published.connect_alone(exports.EXPORT_SECONDS, exports.MEMORY) as (connection, folder),
            ):
                as_of, _ = _chosen_snapshot(all_snapshots(connection), _parameters(search))
                file, row_count = exports.audience_file(connection, folder, as_of, selection, kind, place)
        except exports.ExportRefused as refused:
            return _refusal(str(refused), refused.status)
        except (*_UNSHOWABLE, ConfigError) as error:
            log_failure(error)
            return _refusal(
                "The export could not be made: nothing is published, it took too long, or the disk is full. Try again"
                " with fewer customers or columns; the log says where it stopped.",
                503,
            )
        facts = {"columns": list(selection.columns), **_filters(audience.PATH, search)}
        app.visits.record("export", kind=kind, as_of=str(as_of), row_count=row_count, **facts)
        return flask.send_file(file, _MIME_TYPES[kind], as_attachment=True, download_name=f"audience-{as_of}.{kind}")

    making = exports.Exports()

    app.server.add_url_rule("/export/audience.<any(csv, parquet):kind>", view_func=export_audience)

    search = Output("url", "search", allow_duplicate=True)
    shown = State(audience.SHOWN, "data")
    for name, inputs in (
        ("chooseTop", [Input(audience.TOP_CHOICE, "value"), shown]),
        ("chooseFirst", [Input(audience.FIRST_CHOICE, "value"), shown]),
        ("chooseColumns", [Input(audience.COLUMNS_CHOICE, "value"), shown]),
        ("sortAudience", [Input(audience.GRID, "getRowsRequest"), shown]),
        (
            "addFilter",
            [
                Input(audience.FILTER_ADD, "n_clicks"),
                State(audience.FILTER_COLUMN, "value"),
                State(audience.FILTER_OP, "value"),
                State(audience.FILTER_VALUE, "value"),
            ],
        ),
        ("chooseView", [Input(audience.VIEW_CHOICE, "value"), State("saved-views", "data")]),
    ):
        _in_browser(app, name, search, [*inputs, State("url", "search")])
    _in_browser(
        app,
        "changeViews",
        Output("saved-views", "data"),
        [
            Input(audience.VIEW_SAVE, "n_clicks"),
            Input(audience.VIEW_DELETE, "n_clicks"),
            State(audience.VIEW_NAME, "value"),
            State(audience.VIEW_CHOICE, "value"),
            State("url", "search"),
            State("saved-views", "data"),
        ],
    )
    # Whenever the page is drawn anew, too: the list is part of it.
    _in_browser(
        app,
        "listViews",
        Output(audience.VIEW_CHOICE, "data"),
        [Input("saved-views", "data"), Input("page-title", "data")],
    )


def _refusal(reason: str, status: int) -> flask.Response:
    return flask.Response(reason, status, {"Retry-After": "60"} if status == 503 else None, mimetype="text/plain")


def _in_browser(app: Dash, name: str, output: Output, inputs: Sequence[DashDependency]) -> None:
    """What only changes the URL, or the window, is done in the browser: see assets/genome.js."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("genome", name), output, *inputs, prevent_initial_call=True
    )


_Shown = tuple[Component, list[Component], Component | None, str]


def render(published: PublishedFile, pathname: str, search: str, color_scheme: str | None) -> _Shown:
    """Page, navigation, snapshot selector and window title of a URL; what cannot be shown becomes a friendly page."""
    is_too_long = len(search) > LONGEST_LINK
    navigation = _navigation(pathname, {} if is_too_long else _parameters(search))
    try:
        if is_too_long:
            content, title = (
                empty_state(
                    "This link is too long",
                    f"A link may have {LONGEST_LINK:,} characters: take some customers or filters out.",
                ),
                "Too long a link",
            )
        else:
            return _page(published, navigation, pathname, search, color_scheme)
    except PublishedFileMissing:
        content, title = (
            empty_state(
                "Nothing has been published yet",
                ["Run ", html.Code("genome run"), " to make the first snapshot; this page shows it once it is there."],
                ["It will be read from ", html.Code(str(published.path)), "."],
            ),
            "No snapshot yet",
        )
    except duckdb.InterruptException:
        content, title = (
            empty_state("This page took too long", "The machine may be busy with other work: open the page again."),
            "Took too long",
        )
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        log_failure(error)
        content, title = (
            empty_state(
                "The published file is of another version",
                "It lacks something that this page shows: another version of the program has published it.",
                ["Run ", html.Code("genome run"), f" with this one ({__version__}) to publish it anew."],
            ),
            "Another version",
        )
    except Exception as error:  # whatever it is, a page says what to do
        log_failure(error)
        content, title = (
            empty_state(
                "The published file cannot be shown",
                "It may be damaged, or this page may have met something it does not expect.",
                ["Run ", html.Code("genome run"), " to publish it anew; the log says what went wrong, and where."],
            ),
            "Unreadable file",
        )
    return content, navigation, None, title


def _page(
    published: PublishedFile, navigation: list[Component], pathname: str, search: str, color_scheme: str | None
) -> _Shown:
    parameters = _parameters(search)
    with published.connect() as connection:
        run, snapshots = Run.of(connection), all_snapshots(connection)
        as_of, is_known = _chosen_snapshot(snapshots, parameters)
        provisional = provisional_snapshots(connection)
        follows_latest = "as_of" not in parameters or not is_known
        tools = _snapshot_tools(run, snapshots, provisional, as_of, follows_latest=follows_latest)
        page = PAGES.get(pathname)
        if page is None:
            nowhere = empty_state("There is no such page", "Choose one from the list on the left.")
            return nowhere, navigation, tools, "Not found"
        request = PageRequest(
            connection, run, snapshots, provisional, as_of, parameters, theme_of(color_scheme), search
        )
        content = page.layout(request)
        if not is_known:
            content = html.Div([_unknown_snapshot(parameters["as_of"], as_of), content])
        return content, navigation, tools, page.TITLE


def _parameters(search: str | None) -> dict[str, str]:
    return dict(parse_qsl((search or "").removeprefix("?")))


def _chosen_snapshot(snapshots: list[date], parameters: Mapping[str, str]) -> tuple[date, bool]:
    """The snapshot of the URL, else the latest; and whether the URL's is one of the file's."""
    if not snapshots:
        raise LookupError("the published file has no snapshot")
    asked = parameters.get("as_of")
    for snapshot in snapshots:
        if asked == snapshot.isoformat():
            return snapshot, True
    return snapshots[0], asked is None


def _unknown_snapshot(asked: str, as_of: date) -> Component:
    return notice(
        "No such snapshot",
        ["There is no snapshot of ", html.Code(asked), f"; this is the latest one, of {formats.day(as_of)}."],
        "warning",
    )


def _navigation(pathname: str, parameters: Mapping[str, str]) -> list[Component]:
    kept = {"as_of": parameters["as_of"]} if "as_of" in parameters else {}
    return [
        dmc.NavLink(
            label=page.TITLE,
            href=url(path, kept),
            active=path == pathname,
            leftSection=html.Span(className=f"icon icon-{page.TITLE.lower().replace(' ', '-')}"),
            className="nav-link",
            **({"aria-current": "page"} if path == pathname else {}),
        )
        for path, page in PAGES.items()
    ]


def _snapshot_tools(
    run: Run, snapshots: list[date], provisional: frozenset[date], as_of: date, *, follows_latest: bool
) -> Component:
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
