"""The rows set aside (`genome quarantine`): how many for which reason, and the rows themselves, to repair."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb

from genome_pipeline.contracts.rules import RULES
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import ConfigError, Settings
from genome_pipeline.sources.rows import identifier, literal

# What a spreadsheet takes for a formula; a number with its sign is none.
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?[0-9][0-9.,]*$"
_FORMATS = {".csv": "(FORMAT csv, HEADER)", ".parquet": "(FORMAT parquet)"}


def quarantine_summary(settings: Settings) -> dict[str, Any]:
    """The rows set aside, and per reason: what it means, its rows, their amount, and the periods they are in.

    A row with two reasons counts under both; an amount is null where none could be read. Raises
    :class:`ConfigError` when nothing was ever taken in. Writes nothing.
    """
    descriptions = {rule.name: rule.description for rule in RULES}
    with _warehouse(settings).open_to_read() as database:
        count = database.con.execute("SELECT count(*) FROM quarantined_transactions").fetchall()[0][0]
        rows = database.con.execute(
            "SELECT reason, count(*), sum(line_amount), min(period_start_date), max(period_start_date) FROM"
            " (SELECT *, unnest(reasons) AS reason FROM quarantined_transactions) GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
    keys = ("reason", "description", "row_count", "amount", "first_period", "last_period")
    return {
        "quarantined_rows": count,
        "currency": settings.source.currency,
        "reasons": [dict(zip(keys, (row[0], descriptions.get(row[0], ""), *row[1:]), strict=True)) for row in rows],
    }


def write_quarantine(settings: Settings, path: Path, reason: str | None = None) -> dict[str, Any]:
    """Write the rows set aside (for ``reason``, or all) to a CSV or Parquet file, whole or not at all.

    The columns have the source's own names, with ``source_file``, ``source_row`` and ``reasons`` before them. In a
    CSV file a text that a spreadsheet would take for a formula gets an apostrophe in front. Raises
    :class:`ConfigError` for another ending, a folder that does not exist, or a reason that no row has.
    """
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"{path} must end in .csv or .parquet: that says in which format to write")
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is no folder: make it, or name another")
    mapped = {f"raw_{ours}": theirs for ours, theirs in settings.source.columns.mapped.items()}
    is_csv = path.suffix.lower() == ".csv"
    texts = {"array_to_string(reasons, ' ')": "reasons", **mapped}
    columns = ", ".join(f"{_neutral(text) if is_csv else text} AS {identifier(name)}" for text, name in texts.items())
    where, values = ("WHERE list_contains(reasons, ?)", [reason]) if reason else ("", [])
    building = path.with_name(f".{path.name}.part")
    with _warehouse(settings).open_to_read() as database:
        known = [row["reason"] for row in quarantine_summary(settings)["reasons"]] if reason else []
        if reason and reason not in known:
            raise ConfigError(f"no row is quarantined for {reason!r}; reasons there are: {', '.join(known) or 'none'}")
        try:
            written = database.con.execute(
                f"COPY (SELECT source_file, source_row, {columns} FROM quarantined_transactions {where}"
                f" ORDER BY source_file, source_row) TO {literal(str(building))} {_FORMATS[path.suffix.lower()]}",
                values,
            ).fetchall()[0][0]
            os.replace(building, path)
        except (duckdb.IOException, OSError) as error:
            raise ConfigError(f"{path} cannot be written ({str(error).splitlines()[0]}): name another file") from None
        finally:
            building.unlink(missing_ok=True)
    return {"path": str(path), "row_count": written}


def _warehouse(settings: Settings) -> Any:
    warehouse = Pipeline.of(settings).warehouse
    if not warehouse.exists():
        raise ConfigError(f"nothing has been taken in at {settings.warehouse_path} yet: use `genome run` first")
    return warehouse


def _neutral(expression: str) -> str:
    return (
        f"CASE WHEN regexp_matches({expression}, '{_FORMULA}') AND NOT regexp_matches({expression}, '{_NUMBER}')"
        f" THEN '''' || {expression} ELSE {expression} END"
    )
