"""One visual language: the colours of roles and series, and the Plotly templates made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import plotly.graph_objects as go
import plotly.io

ColorScheme = Literal["light", "dark"]

FONT_FAMILY = 'Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'


@dataclass(frozen=True)
class Theme:
    """Colours of one colour scheme; series colours are those of Okabe and Ito, safe for colour-blind readers.

    Colour never stands alone: series also differ by dash, marker, pattern or a label of their own.
    """

    color_scheme: ColorScheme
    ink: str
    muted: str
    grid: str
    surface: str
    model: str
    naive: str
    actual: str
    accent: str
    warning: str
    good: str
    neutral: str
    low: str
    series: tuple[str, ...]

    @property
    def template(self) -> str:
        """Name of the registered Plotly template."""
        return f"genome_{self.color_scheme}"

    @property
    def diverging(self) -> list[tuple[float, str]]:
        """Scale from below (orange) over even (surface) to above (blue) the other groups."""
        return [(0.0, self.low), (0.5, self.neutral), (1.0, self.model)]


LIGHT = Theme(
    color_scheme="light",
    ink="#1c2733",
    muted="#5b6775",
    grid="#e6eaef",
    surface="#ffffff",
    model="#0072b2",
    naive="#8a94a0",
    actual="#1c2733",
    accent="#56b4e9",
    warning="#d55e00",
    good="#00805d",
    neutral="#f4f6f8",
    low="#e69f00",
    series=("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7a00", "#5b6775"),
)
DARK = Theme(
    color_scheme="dark",
    ink="#e7ebf0",
    muted="#a3aebb",
    grid="#323b46",
    surface="#1b222b",
    model="#4aa8e0",
    naive="#8a94a0",
    actual="#e7ebf0",
    accent="#2b6f9c",
    warning="#f0803c",
    good="#2cc295",
    neutral="#27303b",
    low="#c98a00",
    series=("#4aa8e0", "#e69f00", "#2cb38a", "#d98fb6", "#8ccdf2", "#f0803c", "#d6c84a", "#a3aebb"),
)
RISK_BANDS = ("low", "medium", "high")
MARKERS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon", "x")
PATTERNS = ("", "/", ".", "x", "-", "\\", "+", "|")


def theme_of(color_scheme: str | None) -> Theme:
    """The theme of a colour scheme; the light one if the name is unknown."""
    return DARK if color_scheme == "dark" else LIGHT


def _template(theme: Theme) -> go.layout.Template:
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
        "ticklabelstandoff": 6,
        "tickfont": {"color": theme.muted, "size": 12},
        "title": {"font": {"color": theme.muted, "size": 12}, "standoff": 10},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT_FAMILY, "size": 13, "color": theme.ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(theme.series),
            "margin": {"l": 8, "r": 16, "t": 8, "b": 14},
            "hoverlabel": {
                "bgcolor": theme.surface,
                "bordercolor": theme.muted,
                "font": {"family": FONT_FAMILY, "color": theme.ink, "size": 13},
                "align": "left",
            },
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "font": {"size": 12, "color": theme.ink},
                "itemsizing": "constant",
            },
            "separators": ".,",
            "xaxis": axis,
            "yaxis": axis,
            "bargap": 0.35,
        }
    )


for _theme in (LIGHT, DARK):
    plotly.io.templates[_theme.template] = _template(_theme)
