"""The parts of all figures: axes, bands, lines and labelled bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from genome_pipeline.dashboard.kit.glossary import plot_text
from genome_pipeline.dashboard.kit.theme import PATTERNS, Theme


def wrapped(text: object, width: int = 24) -> str:
    """Text from data on at most two lines, made literal."""
    words, lines = str(text).split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    if len(lines) > 2:
        lines = [lines[0], f"{' '.join(lines[1:])[: width - 1]}…"]
    return "<br>".join(plot_text(line) for line in lines)


def add_band(
    figure: go.Figure, x: pd.Series, lower: pd.Series, upper: pd.Series, color: str, name: str, opacity: float = 0.22
) -> None:
    """Shade the area between ``lower`` and ``upper``."""
    figure.add_scatter(
        x=x, y=upper, mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip", legendgroup=name
    )
    figure.add_scatter(
        x=x,
        y=lower,
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=translucent(color, opacity),
        name=name,
        legendgroup=name,
        hoverinfo="skip",
    )


def translucent(color: str, opacity: float) -> str:
    """``#rrggbb`` as an rgba colour; ``opacity`` is in [0, 1]."""
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def period_axis(figure: go.Figure, starts: pd.Series) -> None:
    """Ticks at starts of periods, at most eight of them."""
    days = sorted(starts.unique())
    has_whole_months = all(pd.Timestamp(start).day == 1 for start in days)
    figure.update_xaxes(
        tickvals=days[:: math.ceil(len(days) / 8) or 1],
        tickformat="%b<br>%Y" if has_whole_months else "%-d %b<br>%Y",
        tickangle=0,
    )


def snapshot_axis(figure: go.Figure, snapshots: Sequence[date]) -> None:
    """One tick per snapshot while there is room for them; fewer labels after that."""
    if len(snapshots) <= 6:
        figure.update_xaxes(tickvals=list(snapshots), tickformat="%-d %b<br>%Y")
    else:
        figure.update_xaxes(nticks=6, tickformat="%-d %b<br>%Y", tickangle=0)


def add_labelled_bars(
    figure: go.Figure, names: Sequence[str], lengths: pd.Series, texts: Sequence[str], theme: Theme
) -> None:
    """One bar per name, from the left, with a text beyond its end."""
    figure.add_bar(
        x=lengths,
        y=list(names),
        orientation="h",
        marker={"color": theme.model},
        text=[f" {text}" for text in texts],
        textposition="outside",
        cliponaxis=False,
        textfont={"color": theme.ink, "size": 12},
        hovertemplate="%{y}<br>%{text}<extra></extra>",
    )
    longest = float(lengths.max()) if len(lengths) else 1.0
    # Room for the text beyond the longest bar.
    figure.update_xaxes(range=[0, max(longest, 1.0) * 1.6], tickformat=",~s", nticks=5)
    figure.update_yaxes(type="category", showgrid=False, tickfont={"color": theme.ink})


def add_line(
    figure: go.Figure,
    x: pd.Series,
    y: pd.Series,
    *,
    name: str,
    color: str,
    hover: str,
    dash: str = "solid",
    marker: str = "circle",
) -> None:
    """A line with a marker at each point, told from others by dash and marker too; ``hover`` is a hovertemplate."""
    figure.add_scatter(
        x=x,
        y=y,
        name=name,
        mode="lines+markers",
        line={"color": color, "dash": dash, "width": 2.5},
        marker={"symbol": marker, "size": 8},
        hovertemplate=f"{hover}<extra>{name}</extra>",
    )


def patterned(color: str, position: int, theme: Theme) -> dict[str, Any]:
    """Marker of the bars of the series at ``position``: a colour and a pattern, as colour alone is not enough."""
    return {
        "color": color,
        "pattern": {
            "shape": PATTERNS[position % len(PATTERNS)],
            "fillmode": "overlay",
            "fgcolor": theme.surface,
            "fgopacity": 0.6,
            "size": 6,
        },
    }
