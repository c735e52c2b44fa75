"""What is expected of groups of customers together, with the interval of each total."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pandas as pd

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.published.versions import remembered_rows


def totals_of(connection: duckdb.DuckDBPyConnection, as_of: date, kind: str) -> pd.DataFrame:
    """``forecast_totals`` of the groups of one kind at a snapshot, shortest horizon first.

    ``abstain_reason`` is empty where nothing is missing.
    """
    found = remembered_rows(
        connection,
        "SELECT * EXCLUDE (as_of) FROM forecast_totals_history WHERE as_of = $as_of AND group_kind = $kind"
        " ORDER BY horizon_days, group_key",
        {"as_of": as_of, "kind": kind},
    )
    return found.fillna({"abstain_reason": ""})


def total_cell(row: pd.Series[Any], name: str, currency: str | None) -> str:
    """A total with its interval: ``"$1.23k ($1.10k to $1.36k)"``; without one where there is none."""
    told = [_told(row[column], name, currency) for column in (name, f"{name}_lower", f"{name}_upper")]
    return told[0] if formats.is_missing(row[f"{name}_lower"]) else f"{told[0]} ({told[1]} to {told[2]})"


def total_interval(row: pd.Series[Any], name: str, level: str, currency: str | None) -> str:
    """``" (80%: $1.10k to $1.36k)"``, to stand behind a total; empty where there is no interval."""
    ends = [_told(row[f"{name}_{end}"], name, currency) for end in ("lower", "upper")]
    return "" if formats.is_missing(row[f"{name}_lower"]) else f" ({level}: {ends[0]} to {ends[1]})"


def spend_interval(lower: float | None, upper: float | None, level: float, currency: str | None) -> str:
    """``"80%: $1.10k to $1.36k"``; empty where there is no interval."""
    if formats.is_missing(lower) or formats.is_missing(upper):
        return ""
    ends = " to ".join(formats.compact_money(end, currency) for end in (lower, upper))
    return f"{formats.percent(level, 0)}: {ends}"


def _told(value: Any, name: str, currency: str | None) -> str:
    return formats.compact_money(value, currency) if name.endswith("_amount") else formats.integer(value)
