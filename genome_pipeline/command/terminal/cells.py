"""Formatting values and tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table


def clean(text: str) -> str:
    """The text without characters that control the terminal."""
    return "".join(mark if mark.isprintable() else " " if mark.isspace() else "\ufffd" for mark in text)


def new_grid() -> Table:
    """A table of names and values, without lines."""
    grid = Table(show_header=False, box=None, pad_edge=False)
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    return grid


def facts_table(facts: dict[str, Any]) -> Table:
    """A table with a line per fact; several values are listed one below the other."""
    grid = new_grid()
    for name, value in facts.items():
        text = "\n".join(map(_text, value)) if isinstance(value, list) else _text(value)
        grid.add_row(name.replace("_", " ").capitalize(), escape(text))
    return grid


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def amount(value: float | None, currency: str) -> str:
    """An amount of money, or a dash if there is none."""
    return "-" if value is None else f"{value:,.2f} {currency}".strip()


def percent(value: float | None) -> str:
    """A share in percent, or a dash if there is none."""
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """A number with three significant digits, or all digits before the point; a dash if there is none."""
    return "-" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
