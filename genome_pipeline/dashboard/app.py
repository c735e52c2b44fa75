"""The Dash application: the shell around the pages, and the URL as its only state."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import flask
from dash import Dash, Input, Output, State, html
from dash.development.base_component import Component
from markupsafe import Markup, escape

from genome_pipeline.dashboard import data_docs
from genome_pipeline.dashboard.audit import AuditLog
from genome_pipeline.dashboard.calls import refuse_malformed
from genome_pipeline.dashboard.kit import callbacks as kit_callbacks
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.components import empty_state, notice
from genome_pipeline.dashboard.kit.request import LONGEST_LINK, UNSHOWABLE, PageRequest, parameters_of
from genome_pipeline.dashboard.kit.snapshots import Run, all_snapshots, chosen_snapshot, provisional_snapshots
from genome_pipeline.dashboard.kit.theme import theme_of
from genome_pipeline.dashboard.pages.audience import callbacks as audience_callbacks
from genome_pipeline.dashboard.pages.audience import page as audience
from genome_pipeline.dashboard.pages.audience.selection import chosen_by
from genome_pipeline.dashboard.pages.cohorts import page as cohorts
from genome_pipeline.dashboard.pages.confidence import page as confidence
from genome_pipeline.dashboard.pages.customer import callbacks as customer_callbacks
from genome_pipeline.dashboard.pages.customer import page as customer
from genome_pipeline.dashboard.pages.customer import queries as customer_queries
from genome_pipeline.dashboard.pages.data_quality import page as data_quality
from genome_pipeline.dashboard.pages.overview import page as overview
from genome_pipeline.dashboard.pages.proof import page as proof
from genome_pipeline.dashboard.pages.risk import page as risk
from genome_pipeline.dashboard.pages.segments import page as segments
from genome_pipeline.dashboard.pages.similar import callbacks as similar_callbacks
from genome_pipeline.dashboard.pages.similar import page as similar
from genome_pipeline.dashboard.pages.value import page as value
from genome_pipeline.dashboard.security import Access, Visits, protect
from genome_pipeline.dashboard.server import Server, return_freed_memory
from genome_pipeline.dashboard.shell import callbacks as shell_callbacks
from genome_pipeline.dashboard.shell.first_paint import as_html
from genome_pipeline.dashboard.shell.frame import brand, chosen_color_scheme, frame
from genome_pipeline.dashboard.shell.navigation import navigation, snapshot_tools
from genome_pipeline.dashboard.shell.unshown import too_long, unshown
from genome_pipeline.published.lookalikes import GROUP_LIMIT
from genome_pipeline.published.versions import PublishedFile

PAGES = {
    page.PATH: page
    for page in (overview, segments, cohorts, value, risk, customer, similar, confidence, audience, proof, data_quality)
}
_TITLES = {path: page.TITLE for path, page in PAGES.items()}
_THIS_MACHINE = Access()
_PREPARE_SECONDS = 5


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
        pathname, search, scheme, first_paint = overview.PATH, "", chosen_color_scheme(), Markup("")
        if flask.has_request_context():
            pathname, search = flask.request.path, flask.request.query_string.decode(errors="replace")
            content, links, _, title = render(self.published, pathname, search, scheme)
            _record_page(self.visits, pathname, search)
            header = html.Div(brand(), className="header")
            first_paint = as_html([header, html.Nav(links), html.Main(content)])
            parts["title"] = escape(f"{title} \u00b7 {parts['title']}")
        icon = self.get_asset_url("favicon.svg")
        return f"""<!DOCTYPE html>
<html lang="en" data-mantine-color-scheme="{scheme}">
<head>{parts["metas"]}<title>{parts["title"]}</title><link rel="icon" type="image/svg+xml" href="{icon}">
{parts["css"]}</head>
<body><div id="first-paint">{first_paint}</div>{parts["app_entry"]}
<footer>{parts["config"]}{parts["scripts"]}{parts["renderer"]}</footer></body>
</html>"""


def create_app(
    published_path: Path,
    access: Access = _THIS_MACHINE,
    audit: AuditLog | None = None,
    data_docs_path: Path | None = None,
) -> Dashboard:
    """The dashboard of one published file; every page is made anew from the file as it is at that moment.

    What visitors see is recorded in ``audit``, where one is given. ``data_docs_path`` is the folder of Data Docs.
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
    app.layout = partial(frame, has_login=not access.is_open)
    _register_routing(app)
    shell_callbacks.register(app)
    kit_callbacks.register(app)
    customer_callbacks.register(app, published, visits)
    similar_callbacks.register(app)
    audience_callbacks.register(app, published, visits)
    data_docs.register(app.server, data_docs_path, visits)
    protect(app.server, access, app.csp_hashes(), visits)
    refuse_malformed(app)
    return app


def serve(
    published_path: Path, access: Access, audit: AuditLog, host: str, port: int, data_docs_path: Path | None = None
) -> None:
    """Serve the dashboard until Ctrl-C or SIGTERM.

    Raises :class:`~genome_pipeline.errors.ConfigError` where the port is taken.
    """
    return_freed_memory()
    app = create_app(published_path, access, audit, data_docs_path)
    server = Server(app.server, host, port)
    stopped = threading.Event()
    # SIGTERM ends the process as Ctrl-C does, and removes rows that were put aside on the disk.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        # No daemon thread, so that the process waits for it: a query that outlives the interpreter aborts.
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
    """Compute in advance what is computed once for each version of the file, so that no visitor waits."""
    pages = [(path, "") for path in PAGES]
    with suppress(*UNSHOWABLE), published.connect() as connection:
        two = customer_queries.customer_ids(connection, all_snapshots(connection)[0], "", limit=2)
        # Any two customers do: their pages compare them with the same numbers about all customers.
        pages += [
            (customer.PATH, f"?{urlencode({'customer_id': two[0]})}"),
            (similar.PATH, f"?{urlencode({'id': two}, doseq=True)}"),
        ]
    for path, search in pages:
        if not stopped.is_set():
            render(published, path, search, None)


def _record_page(visits: Visits, pathname: str, search: str) -> None:
    if pathname in PAGES and len(search) <= LONGEST_LINK:
        facts = chosen_by(search) if pathname == audience.PATH else {}
        visits.record("page", _customers_shown(pathname, search), page=pathname, **facts)


def _customers_shown(pathname: str, search: str) -> list[str]:
    """The customers that a link asks for, as the page reads them: other parts of the link cannot hide them."""
    if pathname == customer.PATH:
        asked = [parameters_of(search).get("customer_id", "").strip()]
    elif pathname == similar.PATH:
        asked = similar.ids_asked(search)
    else:
        asked = []
    # The page shows nobody if there are more.
    return [customer_id for customer_id in asked if customer_id][:GROUP_LIMIT]


def _register_routing(app: Dashboard) -> None:
    """The page of the URL, and a note if there is a newer snapshot than the one shown."""
    published = app.published

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
        # Taken before the page is made, so that a publication meanwhile is noticed.
        version = published.version()
        page = render(published, pathname or overview.PATH, search or "", color_scheme)
        _record_page(app.visits, pathname or overview.PATH, search or "")
        return *page, version, True

    @app.callback(
        Output("publish-notice", "hidden", allow_duplicate=True),
        Input("publish-watch", "n_intervals"),
        State("shown-version", "data"),
        prevent_initial_call=True,
    )
    def watch_publishes(_: int | None, shown: str | None) -> bool:
        return published.version() in (shown, "")


_Shown = tuple[Component, list[Component], Component | None, str]


def render(published: PublishedFile, pathname: str, search: str, color_scheme: str | None) -> _Shown:
    """Page, navigation, snapshot selector and window title of a URL; what cannot be shown becomes a friendly page."""
    is_too_long = len(search) > LONGEST_LINK
    links = navigation(_TITLES, pathname, {} if is_too_long else parameters_of(search))
    if is_too_long:
        content, title = too_long()
    else:
        try:
            return _page(published, links, pathname, search, color_scheme)
        except Exception as error:  # any error becomes a page that says what to do
            content, title = unshown(error, published.path)
    return content, links, None, title


def _page(
    published: PublishedFile, links: list[Component], pathname: str, search: str, color_scheme: str | None
) -> _Shown:
    parameters = parameters_of(search)
    with published.connect() as connection:
        run, snapshots = Run.of(connection), all_snapshots(connection)
        as_of, is_known = chosen_snapshot(snapshots, parameters)
        provisional = provisional_snapshots(connection)
        follows_latest = "as_of" not in parameters or not is_known
        tools = snapshot_tools(run, snapshots, provisional, as_of, follows_latest=follows_latest)
        page = PAGES.get(pathname)
        if page is None:
            nowhere = empty_state("There is no such page", "Choose one from the list on the left.")
            return nowhere, links, tools, "Not found"
        request = PageRequest(
            connection, run, snapshots, provisional, as_of, parameters, theme_of(color_scheme), search
        )
        content = page.layout(request)
        if not is_known:
            content = html.Div([_unknown_snapshot(parameters["as_of"], as_of), content])
        return content, links, tools, page.TITLE


def _unknown_snapshot(asked: str, as_of: date) -> Component:
    return notice(
        "No such snapshot",
        ["There is no snapshot of ", html.Code(asked), f"; this is the latest one, of {formats.day(as_of)}."],
        "warning",
    )
