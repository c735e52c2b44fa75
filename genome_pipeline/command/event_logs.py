"""Removing customers from Dagster's records of its runs: checks give rows as examples.

Numbers that were counted or summed up while the customers were included are removed as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from genome_pipeline.warehouse.erasure import text_without, without_numbers

_TEXTS = {
    "event_logs": "event",
    "asset_check_executions": "evaluation_event",
    "asset_keys": "last_materialization",
    "job_ticks": "tick_body",
    "bulk_actions": "body",
}
"""Tables of Dagster's storage, and the column of each that may hold a message; their key is ``id``."""

_MADE, _CHECKED = "AssetMaterialization", "AssetCheckEvaluation"
_TOLD = ("description", "message", "user_message")
_COUNTED = re.compile("^(Int|Float|Json|Table|Markdown)Metadata")


def forget_in_logs(instance: DagsterInstance, home: Path, customer_ids: Sequence[str]) -> int:
    """Replace the ids in every event and in the output of every run; returns the number of texts that named one.

    ``home`` is ``DAGSTER_HOME``. SQLite files in which bytes of an id remain are rewritten.
    """
    ids = _as_written(customer_ids)
    count = sum(_in_sqlite(path, ids) for path in sorted(home.rglob("*.db")))
    if "sqlite" not in type(instance.event_log_storage).__module__:
        with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
            count += _in_tables(connection, ids)[0]
    for pattern in ("*.err", "*.out"):
        count += sum(_in_output(path, ids) for path in home.rglob(pattern))
    return count


def _as_written(customer_ids: Sequence[str]) -> list[str]:
    """The ids as they are, and as JSON writes them, also within JSON inside JSON."""
    once = [json.dumps(customer_id)[1:-1] for customer_id in customer_ids]
    twice = [json.dumps(customer_id)[1:-1] for customer_id in once]
    return list(dict.fromkeys([*customer_ids, *once, *twice]))


def _in_sqlite(path: Path, ids: Sequence[str]) -> int:
    content = b"".join(file.read_bytes() for file in (path, *path.parent.glob(f"{path.name}-*")))
    is_named = any(customer_id.encode() in content for customer_id in ids)
    if not is_named and not any(kind.encode() in content for kind in (_MADE, _CHECKED)):
        return 0
    with _autocommitted(path) as connection:
        count, changed = _in_tables(connection, ids)
        if is_named or changed:
            connection.execute(text("VACUUM"))  # a changed row leaves its old bytes behind
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    return count


@contextmanager
def _autocommitted(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def _in_tables(connection: Connection, ids: Sequence[str]) -> tuple[int, int]:
    """Number of texts that named one of the customers, and number of texts changed."""
    count = changed = 0
    for table in sorted(_TEXTS.keys() & set(inspect(connection).get_table_names())):
        column = _TEXTS[table]
        patterns = {f"id{number}": f"%{_literally(customer_id)}%" for number, customer_id in enumerate(ids)}
        patterns |= {"made": f"%{_MADE}%", "checked": f"%{_CHECKED}%"}
        wanted = " OR ".join(f"{column} LIKE :{name} ESCAPE '!'" for name in patterns)
        # All at once: a row that changes while reading would be read again.
        rows = connection.execute(text(f"SELECT id, {column} FROM {table} WHERE {wanted}"), patterns).fetchall()
        for key, written in rows:
            named, cleaned = _json_without(written, ids)
            if cleaned != written:
                connection.execute(
                    text(f"UPDATE {table} SET {column} = :cleaned WHERE id = :key"), {"cleaned": cleaned, "key": key}
                )
                count, changed = count + named, changed + 1
    return count, changed


def _literally(customer_id: str) -> str:
    return customer_id.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _json_without(written: str, ids: Sequence[str]) -> tuple[bool, str]:
    """Whether the text named one of the customers, and its replacement."""
    try:
        value = json.loads(written)
    except ValueError:
        cleaned = text_without(written, ids)
        return cleaned != written, cleaned
    nameless = _value_without(value, ids)
    is_of_assets = any(kind in written for kind in (_MADE, _CHECKED))
    uncounted = _without_counts(nameless) if is_of_assets else nameless
    return nameless != value, written if uncounted == value else json.dumps(uncounted)


def _without_counts(value: Any) -> Any:
    """Dagster's record of an asset or a check, without counts, previews, and numbers in findings."""
    match value:
        case list():
            return [_without_counts(each) for each in value if not _is_counted(each)]
        case {"__class__": kind} if kind in (_CHECKED, "EventLogEntry", "DagsterEvent"):
            kept = {key: _without_counts(each) for key, each in value.items() if not _is_counted(each)}
            told = {key: without_numbers(kept[key]) for key in _TOLD if isinstance(kept.get(key), str)}
            return kept | told
        case {"__class__": "TextMetadataEntryData", "text": str(words)}:
            return value | {"text": without_numbers(words)}
        case dict():
            return {key: _without_counts(each) for key, each in value.items() if not _is_counted(each)}
        case _:
            return value


def _is_counted(value: Any) -> bool:
    """Whether the value is a metadata entry that is a number or a table of numbers."""
    match value:
        case {"__class__": str(kind)} if _COUNTED.match(kind):
            return True
        case {"__class__": "EventMetadataEntry", "entry_data": entry}:
            return _is_counted(entry)
        case _:
            return False


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


def _in_output(path: Path, ids: Sequence[str]) -> int:
    written = path.read_text(encoding="utf-8", errors="surrogateescape")
    cleaned = text_without(written, ids)
    if cleaned != written:
        path.write_text(cleaned, encoding="utf-8", errors="surrogateescape")
    return int(cleaned != written)
