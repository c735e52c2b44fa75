"""Removing customers from Dagster's records of its runs.

The pipeline writes no customer into them. Runs of older versions gave rows as examples of a failed check, and the
message of an unforeseen error may quote a value. What was counted while the customers were included is removed as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from genome_pipeline.orchestration.internals import event_log_connection
from genome_pipeline.warehouse.erasure import text_without, without_numbers

_TEXTS = {
    "event_logs": "event",
    "asset_check_executions": "evaluation_event",
    "asset_keys": "last_materialization",
    "job_ticks": "tick_body",
    "bulk_actions": "body",
}
"""Tables of Dagster's storage, and the column of each that may hold a message; their key is ``id``."""

_RECORDS = ("AssetMaterialization", "AssetCheckEvaluation")
_FACTS = ("metadata", "metadata_entries")
_TOLD = ("description", "message", "user_message")
"""Keys of the facts that are attached to a record, and of its words."""


def forget_in_logs(instance: DagsterInstance, home: Path, customer_ids: Sequence[str]) -> int:
    """Remove the ids from every event and the output of every run, and facts and numbers from records of assets.

    ``home`` is ``DAGSTER_HOME``. Returns the number of texts that changed. SQLite files in which bytes of an id remain
    are rewritten.
    """
    ids = _as_written(customer_ids)
    count = sum(_in_sqlite(path, ids) for path in sorted(home.rglob("*.db")))
    with event_log_connection(instance) as connection:
        if connection is not None:
            count += _in_tables(connection, ids)
    for pattern in ("*.err", "*.out"):
        count += sum(_in_output(path, ids) for path in home.rglob(pattern))
    return count


def _as_written(customer_ids: Sequence[str]) -> list[str]:
    """The ids as they are, and as JSON writes them, also within JSON inside JSON."""
    once = [json.dumps(customer_id)[1:-1] for customer_id in customer_ids]
    twice = [json.dumps(customer_id)[1:-1] for customer_id in once]
    return list(dict.fromkeys([*customer_ids, *once, *twice]))


def _in_sqlite(path: Path, ids: Sequence[str]) -> int:
    with _autocommitted(path) as connection:
        count = _in_tables(connection, ids)
        content = b"".join(file.read_bytes() for file in (path, *path.parent.glob(f"{path.name}-*")))
        if count or any(customer_id.encode() in content for customer_id in ids):
            connection.execute(text("VACUUM"))  # a changed or deleted row leaves its bytes behind
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    return count


@contextmanager
def _autocommitted(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def _in_tables(connection: Connection, ids: Sequence[str]) -> int:
    """Number of texts changed."""
    count = 0
    for table in sorted(_TEXTS.keys() & set(inspect(connection).get_table_names())):
        column = _TEXTS[table]
        rows = connection.execute(text(f"SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL"))
        # After the last row is read: a row that changes meanwhile would be read again.
        changed = [{"key": key, "cleaned": new} for key, old in rows if (new := _text_without(old, ids)) != old]
        if changed:
            connection.execute(text(f"UPDATE {table} SET {column} = :cleaned WHERE id = :key"), changed)
        count += len(changed)
    return count


def _text_without(written: str, ids: Sequence[str]) -> str:
    is_record = any(kind in written for kind in _RECORDS)
    if not is_record and not any(customer_id in written for customer_id in ids):
        return written
    try:
        value = json.loads(written)
    except ValueError:
        return text_without(written, ids)
    cleaned = _value_without(value, ids)
    if is_record:
        cleaned = _without_facts(cleaned)
    return written if cleaned == value else json.dumps(cleaned)


def _value_without(value: Any, ids: Sequence[str]) -> Any:
    match value:
        case str():
            return text_without(value, ids)
        case list():
            return [_value_without(each, ids) for each in value]
        case dict():
            return {key: _value_without(each, ids) for key, each in value.items()}
        case _:
            return value


def _without_facts(value: Any) -> Any:
    """Dagster's record of an asset or a check without what was attached to it, and without numbers in its words."""
    match value:
        case list():
            return [_without_facts(each) for each in value]
        case dict():
            kept = {key: type(each)() if key in _FACTS else _without_facts(each) for key, each in value.items()}
            return kept | {key: without_numbers(kept[key]) for key in _TOLD if isinstance(kept.get(key), str)}
        case _:
            return value


def _in_output(path: Path, ids: Sequence[str]) -> int:
    written = path.read_text(encoding="utf-8", errors="surrogateescape")
    cleaned = text_without(written, ids)
    if cleaned != written:
        path.write_text(cleaned, encoding="utf-8", errors="surrogateescape")
    return int(cleaned != written)
