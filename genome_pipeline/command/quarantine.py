"""The rows set aside (`genome quarantine`): counts by reason, and the rows themselves, for repair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genome_pipeline.contracts.rules import RULES
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.published.export import check_target, write_rows
from genome_pipeline.settings import Settings
from genome_pipeline.sources.source import check_may_be_written
from genome_pipeline.sql import identifier


def quarantine_summary(settings: Settings) -> dict[str, Any]:
    """The rows set aside and, per reason, its meaning, number of rows, their amount, and their periods.

    A row with two reasons counts under both; an amount is null if none could be read. Raises :class:`ConfigError` if
    nothing was ever ingested. Writes nothing.
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

    The columns have the source's own names, after ``source_file``, ``source_row`` and ``reasons``. In a CSV file a text
    that a spreadsheet would take for a formula gets an apostrophe in front. Raises :class:`ConfigError` for another
    extension, a folder that does not exist, a path from which the source would read the file, or a reason that no row
    has.
    """
    check_target(path)
    check_may_be_written(path, settings)
    mapped = {f"raw_{ours}": theirs for ours, theirs in settings.source.columns.mapped.items()}
    texts = {"array_to_string(reasons, ' ')": "reasons", **mapped}
    columns = ", ".join(f"{text} AS {identifier(name)}" for text, name in texts.items())
    where, values = ("WHERE list_contains(reasons, ?)", [reason]) if reason else ("", [])
    with _warehouse(settings).open_to_read() as database:
        known = [row["reason"] for row in quarantine_summary(settings)["reasons"]] if reason else []
        if reason and reason not in known:
            raise ConfigError(f"no row is quarantined for {reason!r}; reasons there are: {', '.join(known) or 'none'}")
        return write_rows(
            database.con,
            f"SELECT source_file, source_row, {columns} FROM quarantined_transactions {where}"
            " ORDER BY source_file, source_row",
            values,
            path,
        )


def _warehouse(settings: Settings) -> Any:
    warehouse = Pipeline.of(settings).warehouse
    if not warehouse.exists():
        raise ConfigError(f"nothing has been taken in at {settings.warehouse_path} yet: use `genome run` first")
    return warehouse
