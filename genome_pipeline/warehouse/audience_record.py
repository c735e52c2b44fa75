"""The record of what webhooks were told of audiences: a database beside the warehouse, as it cannot be made again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from ibis.backends.duckdb import Backend

from genome_pipeline.sql import literal
from genome_pipeline.warehouse.database import open_database
from genome_pipeline.warehouse.transaction import transaction

_REMEDY = "restore it from a backup, or remove it: every audience is then sent whole"

# A customer is confirmed once the webhook has taken them in. Before a message goes out, all in it are not: whether it
# arrived is not known if this process dies, so that they are told of again.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS told_customers (audience VARCHAR NOT NULL, customer_id VARCHAR NOT NULL,"
    " is_for_review BOOLEAN, is_confirmed BOOLEAN NOT NULL, PRIMARY KEY (audience, customer_id))",
    "CREATE TABLE IF NOT EXISTS told_messages (audience VARCHAR PRIMARY KEY, message_count BIGINT NOT NULL)",
)
_CHANGES = """
    WITH wanted AS (SELECT customer_id, is_for_review FROM published.customer_genome WHERE action_rule = $audience),
    told AS (SELECT customer_id, is_for_review, is_confirmed FROM told_customers WHERE audience = $audience)
    SELECT coalesce(wanted.customer_id, told.customer_id), wanted.customer_id IS NOT NULL AS is_in, wanted.is_for_review
    FROM wanted FULL JOIN told ON wanted.customer_id = told.customer_id
    WHERE wanted.customer_id IS NULL OR is_confirmed IS NOT TRUE
        OR wanted.is_for_review IS DISTINCT FROM told.is_for_review
    ORDER BY is_in, 1 LIMIT $most
"""


class Change(NamedTuple):
    """A customer who came into an audience, left it, or is now to be looked at by a person, or no longer."""

    customer_id: str
    is_in: bool
    is_for_review: bool | None


@dataclass(frozen=True)
class Changes:
    """What to tell next of an audience: snapshot, number of the message, and customers, those who left first."""

    as_of: date
    number: int
    customers: Sequence[Change]


@dataclass(frozen=True)
class AudienceRecord:
    """Who each webhook was told is in its audience."""

    path: Path

    @classmethod
    def beside(cls, warehouse: Path) -> AudienceRecord:
        """The record that belongs to a warehouse."""
        return cls(warehouse.with_name("audiences.duckdb"))

    def next_changes(self, published: Path, audience: str, most: int) -> Changes:
        """Up to ``most`` customers whom the published file has otherwise than was told, noted as not confirmed."""
        with self._open() as database, transaction(database) as connection:
            connection.execute(f"ATTACH {literal(str(published))} AS published (READ_ONLY)")
            ((as_of, number),) = connection.execute(
                "SELECT (SELECT max(as_of) FROM published.customer_genome_history),"
                " 1 + coalesce((SELECT message_count FROM told_messages WHERE audience = ?), 0)",
                [audience],
            ).fetchall()
            rows = connection.execute(_CHANGES, {"audience": audience, "most": most}).fetchall()
            changes = [Change(*row) for row in rows]
            connection.execute(
                "INSERT OR REPLACE INTO told_customers SELECT ?, unnest(?::VARCHAR[]), unnest(?::BOOLEAN[]), false",
                [audience, *([change[place] for change in changes] for place in (0, 2))],
            )
        return Changes(as_of, number, changes)

    def confirm(self, audience: str, changes: Changes) -> None:
        """Note that the webhook has taken a message."""
        left = [change.customer_id for change in changes.customers if not change.is_in]
        came = [change.customer_id for change in changes.customers if change.is_in]
        with self._open() as database, transaction(database) as connection:
            named = "audience = ? AND customer_id IN (SELECT unnest(?::VARCHAR[]))"
            connection.execute(f"DELETE FROM told_customers WHERE {named}", [audience, left])
            connection.execute(f"UPDATE told_customers SET is_confirmed = true WHERE {named}", [audience, came])
            connection.execute("INSERT OR REPLACE INTO told_messages VALUES (?, ?)", [audience, changes.number])

    @contextmanager
    def _open(self) -> Iterator[Backend]:
        with open_database(self.path, remedy=_REMEDY) as database:
            for table in _TABLES:
                database.con.execute(table)
            yield database
