"""What Dagster wrote down of its runs, without the customers whom it names: checks give rows as examples."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from genome_pipeline.warehouse.erasure import text_without

_TEXTS = {
    "event_logs": "event",
    "asset_check_executions": "evaluation_event",
    "asset_keys": "last_materialization",
    "job_ticks": "tick_body",
    "bulk_actions": "body",
}
"""Tables of Dagster's storage, and their column in which a message may stand; ``id`` is the key of each."""


def forget_in_logs(instance: DagsterInstance, home: Path, customer_ids: Sequence[str]) -> int:
    """Replace the ids in every event and in the output of every run; returns the number of texts that named one.

    ``home`` is ``DAGSTER_HOME``. Files of SQLite are written anew where bytes of an id are left in them.
    """
    ids = _as_written(customer_ids)
    count = sum(_in_sqlite(path, ids) for path in sorted(home.rglob("*.db")))
    if "sqlite" not in type(instance.event_log_storage).__module__:
        with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
            count += _in_tables(connection, ids)
    for pattern in ("*.err", "*.out"):
        count += sum(_in_output(path, ids) for path in home.rglob(pattern))
    return count


def _as_written(customer_ids: Sequence[str]) -> list[str]:
    """The ids as they are, and as JSON writes them, also in JSON that stands in JSON."""
    once = [json.dumps(customer_id)[1:-1] for customer_id in customer_ids]
    twice = [json.dumps(customer_id)[1:-1] for customer_id in once]
    return list(dict.fromkeys([*customer_ids, *once, *twice]))


def _in_sqlite(path: Path, ids: Sequence[str]) -> int:
    files = [path, *path.parent.glob(f"{path.name}-*")]
    if not any(customer_id.encode() in file.read_bytes() for file in files for customer_id in ids):
        return 0
    with _autocommitted(path) as connection:
        count = _in_tables(connection, ids)
        connection.execute(text("VACUUM"))  # a changed row leaves its bytes behind
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    return count


@contextmanager
def _autocommitted(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def _in_tables(connection: Connection, ids: Sequence[str]) -> int:
    count = 0
    for table in sorted(_TEXTS.keys() & set(inspect(connection).get_table_names())):
        column = _TEXTS[table]
        wanted = " OR ".join(f"{column} LIKE :id{number} ESCAPE '!'" for number in range(len(ids)))
        patterns = {f"id{number}": f"%{_literally(customer_id)}%" for number, customer_id in enumerate(ids)}
        for key, written in connection.execute(text(f"SELECT id, {column} FROM {table} WHERE {wanted}"), patterns):
            cleaned = _json_without(written, ids)
            if cleaned != written:
                connection.execute(
                    text(f"UPDATE {table} SET {column} = :cleaned WHERE id = :key"), {"cleaned": cleaned, "key": key}
                )
                count += 1
    return count


def _literally(customer_id: str) -> str:
    return customer_id.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _json_without(written: str, ids: Sequence[str]) -> str:
    try:
        value = json.loads(written)
    except ValueError:
        return text_without(written, ids)
    cleaned = _value_without(value, ids)
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


def _in_output(path: Path, ids: Sequence[str]) -> int:
    written = path.read_text(encoding="utf-8", errors="surrogateescape")
    cleaned = text_without(written, ids)
    if cleaned != written:
        path.write_text(cleaned, encoding="utf-8", errors="surrogateescape")
    return int(cleaned != written)
