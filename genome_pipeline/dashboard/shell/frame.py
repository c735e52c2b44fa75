"""The frame of the application: what stays in place while pages change."""

from __future__ import annotations

import dash_mantine_components as dmc
import flask
from dash import dcc, html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import paths
from genome_pipeline.dashboard.kit.components import labelled
from genome_pipeline.dashboard.kit.theme import FONT_FAMILY, theme_of

_WATCH_MILLISECONDS = 10_000
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


def chosen_color_scheme() -> str:
    """The one that the visitor of the present request has chosen."""
    return theme_of(flask.request.cookies.get(_THEME_COOKIE) if flask.has_request_context() else None).color_scheme


def brand() -> Component:
    """The name of the application, a link to its first page."""
    return dcc.Link(
        [html.Span(className="brand-mark"), html.Span("Customer Genome")], href=paths.OVERVIEW, className="brand"
    )


def frame(*, has_login: bool) -> Component:
    """The header, the navigation, and room for a page; what a page is made of is put into it."""
    application: Component = dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="page-title"),
            dcc.Store(id="shown-version"),
            dcc.Interval(id="publish-watch", interval=_WATCH_MILLISECONDS),
            dcc.Store(id="saved-views", storage_type="local"),
            dmc.AppShell(
                [
                    dmc.AppShellHeader(_header(has_login=has_login)),
                    dmc.AppShellNavbar(html.Nav(id="navigation", **labelled("Pages"))),
                    dmc.AppShellMain(_main()),
                ],
                header={"height": 60},
                navbar={"width": {"base": 92, "md": 208}, "breakpoint": 0, "collapsed": {"mobile": False}},
                padding="lg",
            ),
        ],
        id="provider",
        forceColorScheme=chosen_color_scheme(),
        theme={
            "primaryColor": "genome",
            "primaryShade": {"light": 6, "dark": 4},
            "colors": {"genome": _PRIMARY, "dark": _DARK_SHADES},
            "fontFamily": FONT_FAMILY,
            "defaultRadius": "md",
        },
    )
    return application


def _header(*, has_login: bool) -> Component:
    log_out = html.Form(html.Button("Log out", className="button"), action="/logout", method="post")
    return html.Div(
        [
            brand(),
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


def _main() -> list[Component]:
    return [
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
