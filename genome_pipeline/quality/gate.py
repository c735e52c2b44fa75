"""Obstacles to a publication: slices that a blocking check has not passed, and snapshots that are incomplete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import duckdb

from genome_pipeline.calendar import Calendar
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.warehouse.database import WHOLE

_NAMED = 3

_NEW = """
    SELECT table_name, slice_key, written_at FROM written_slices
    UNION ALL
    SELECT 'raw_transactions', $whole, max(moment)
    FROM (SELECT max(ingested_at) AS moment FROM source_files UNION ALL SELECT max(changed_at) FROM changed_periods)
"""


@dataclass(frozen=True)
class Obstacle:
    """Slices of one table that may not be published, for one reason; ``first`` and ``last`` are their periods.

    ``observed`` is the check's finding for the first slice; ``None`` if it was not run since the slices were written.
    ``check_name`` is ``None`` if the reason is no check: the slices are missing, or older than ``upstream``. The same
    then holds for ``other_tables``.
    """

    table_name: str
    first: str
    last: str
    check_name: str | None
    observed: str | None = None
    upstream: str | None = None
    other_tables: int = 0

    def __str__(self) -> str:
        slices = {self.first, self.last} - {WHOLE}
        of = f"{self.table_name}{' of ' if slices else ''}{' to '.join(sorted(slices))}"
        if self.check_name is None:
            many = f", nor were {self.other_tables} other tables"
            others = {0: "", 1: ", nor was 1 other table"}.get(self.other_tables, many)
            return f"{of} was not made again after {self.upstream}{others}"
        if self.observed is None:
            return f"check {self.check_name} of {of} has not run since it was written"
        return f"check {self.check_name} of {of} failed: {self.observed}"


@dataclass(frozen=True)
class Gate:
    """The conditions of a publication.

    ``checks`` are the blocking checks of each table. ``made_from`` are, for each published table, the tables that its
    snapshots are made from: those of the same snapshot, and those of the period that ends with it.
    """

    checks: Mapping[str, Sequence[str]]
    made_from: Mapping[str, Sequence[str]]

    def obstacles(self, connection: duckdb.DuckDBPyConnection, calendar: Calendar) -> list[Obstacle]:
        """The obstacles, failed checks first, among slices written since the last publication."""
        return self._since(connection, calendar, "SELECT max(published_at) FROM pipeline_runs")

    def forced(self, connection: duckdb.DuckDBPyConnection, calendar: Calendar) -> list[Obstacle]:
        """The obstacles, including slices that were published by force and have not changed since."""
        latest = "SELECT max(published_at) FROM pipeline_runs WHERE forced_past IS NULL"
        return self._since(connection, calendar, latest)

    def _since(self, connection: duckdb.DuckDBPyConnection, calendar: Calendar, query: str) -> list[Obstacle]:
        ((published_at,),) = connection.execute(query).fetchall()
        since = published_at or datetime.min
        return [*self._unchecked(connection, calendar, since), *self._half_made(connection, calendar, since)]

    def _unchecked(self, connection: duckdb.DuckDBPyConnection, calendar: Calendar, since: datetime) -> list[Obstacle]:
        pairs = [(table, check) for table, checks in self.checks.items() for check in checks]
        rows = connection.execute(
            f"""
            WITH required AS (SELECT unnest($tables) AS table_name, unnest($checks) AS check_name),
            judged AS (
                SELECT table_name, slice_key, check_name,
                    CASE WHEN checked_at > written_at THEN is_passed END AS is_passed, observed
                FROM ({_NEW}) AS written JOIN required USING (table_name)
                LEFT JOIN checked_slices USING (table_name, slice_key, check_name)
                WHERE written_at > $since
            )
            SELECT table_name, check_name, is_passed, list(slice_key), arg_min(observed, slice_key)
            FROM judged WHERE is_passed IS NOT true GROUP BY table_name, check_name, is_passed
            """,
            {
                "tables": [table for table, _ in pairs],
                "checks": [check for _, check in pairs],
                "whole": WHOLE,
                "since": since,
            },
        ).fetchall()
        order = list(TABLES)
        rows.sort(key=lambda row: (row[2] is None, order.index(row[0]), row[1]))
        return [
            Obstacle(table, *_ends(table, slices, calendar), check, observed if is_passed is False else None)
            for table, check, is_passed, slices, observed in rows
        ]

    def _half_made(self, connection: duckdb.DuckDBPyConnection, calendar: Calendar, since: datetime) -> list[Obstacle]:
        involved = {*self.made_from, *(name for upstreams in self.made_from.values() for name in upstreams)}
        written: dict[str, dict[str, datetime]] = {}
        for table, key, at in connection.execute(
            "SELECT table_name, slice_key, written_at FROM written_slices WHERE table_name IN (SELECT unnest(?))",
            [sorted(involved)],
        ).fetchall():
            as_of = key if TABLES[table].is_snapshot else str(calendar.as_of(date.fromisoformat(key)))
            written.setdefault(table, {})[as_of] = at
        found = []
        for table, upstreams in self.made_from.items():
            own = written.get(table, {})
            late = {
                key: upstream
                for upstream in reversed(upstreams)
                for key, at in written.get(upstream, {}).items()
                if at > since and own.get(key, datetime.min) < at
            }
            if late:
                found.append(Obstacle(table, *_ends(table, list(late), calendar), None, upstream=late[min(late)]))
        # Obstacles of other tables follow from the first.
        return [replace(found[0], other_tables=len(found) - 1)] if found else []


def obstacles_in_words(obstacles: Sequence[Obstacle]) -> str:
    """The first obstacles, as a sentence without a full stop."""
    more = f"; and {len(obstacles) - _NAMED} more" if len(obstacles) > _NAMED else ""
    return "; ".join(map(str, obstacles[:_NAMED])) + more


def _ends(table: str, slices: Sequence[str], calendar: Calendar) -> tuple[str, str]:
    """First days of the periods of the first and the last of the slices."""
    dates = [
        str(calendar.period_start(date.fromisoformat(key)) if TABLES[table].is_snapshot else key)
        for key in sorted(slices)
    ]
    return dates[0], dates[-1]
