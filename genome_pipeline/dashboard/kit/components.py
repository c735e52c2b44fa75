"""Building blocks of the pages: cards, tooltips, choices, and notes where there is nothing to show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import dash_mantine_components as dmc
import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.glossary import description, label


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


def choice_id(parameter: str, value: str) -> dict[str, str]:
    """Id of an element whose value goes into the URL as ``parameter`` when it differs from the ``value`` shown."""
    return {"choice": parameter, "shown": value}


def choice(parameter: str, name: str, options: Sequence[tuple[str, str]], value: str, *, width: int = 220) -> Component:
    """A choice that the URL keeps as ``parameter``; ``options`` are values and their labels."""
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
    """A headline number: its change since earlier snapshots, and a line over all of them."""
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
    # The component's axis starts at zero, which would make the line of most numbers flat.
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


def command(text: str) -> Component:
    """A command for a terminal; a click selects all of it."""
    return html.Code(text, className="command")


def notice(title: str, text: Any, tone: str = "plain") -> Component:
    """A message set apart from the page."""
    return html.Div(
        [html.Strong(title, className="notice-title"), html.Div(text)],
        className=f"notice notice-{tone}",
        role="status",
    )


def empty_state(title: str, *text: Any) -> Component:
    """A note where there is nothing to show: what is missing and what to do."""
    return html.Div(
        [html.Div(className="empty-mark"), html.H1(title, className="empty-title"), *[html.P(line) for line in text]],
        className="empty",
        role="status",
    )
