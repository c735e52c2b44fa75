"""A page as plain HTML: what the browser shows while the scripts that draw the page are still on their way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dash import html
from dash.development.base_component import Component
from markupsafe import Markup, escape

_VOID = {"br", "hr", "img", "input"}
_ATTRIBUTES = {name: name for name in ("href", "role", "title", "open", "aria-current")} | {"className": "class"}


def as_html(content: Any) -> Markup:
    """The texts, tables and links of a page, and room for what takes a script to draw.

    Elements carry no id: those belong to the page that takes this one's place.
    """
    if isinstance(content, Component):
        return _drawn(content)
    if content is None or isinstance(content, bool):
        return Markup("")
    if isinstance(content, Iterable) and not isinstance(content, str):
        return Markup("").join(map(as_html, content))
    return escape(content)


def _drawn(content: Any) -> Markup:
    kind, inside = type(content).__name__, getattr(content, "children", None)
    match kind:
        case "Tooltip":
            tag = "div"
        case "Link":
            tag = "a"
        case "NavLink":
            tag, inside = "a", [content.leftSection, html.Span(content.label)]
        case "Sparkline":
            inside = html.Div(style={"width": f"{content.w}px", "height": f"{content.h}px"})
            tag = "div"
        case _ if isinstance(content, getattr(html, kind, ())):
            tag = kind.lower()
        case _ if hasattr(content, "style"):
            tag, inside = "div", None
        case _:
            return Markup("")
    given = {name: getattr(content, prop, None) for prop, name in _ATTRIBUTES.items()}
    given["style"] = ";".join(f"{name}:{value}" for name, value in getattr(content, "style", {}).items())
    written = Markup("").join(Markup(' {}="{}"').format(name, value) for name, value in given.items() if value)
    end = Markup("") if tag in _VOID else Markup("</{}>").format(tag)
    return Markup("<{}{}>").format(tag, written) + as_html(inside) + end
