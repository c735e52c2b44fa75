"""``genome forget``: customers taken out of everything that was kept of them, and kept out from then on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from genome_pipeline import __version__
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.errors import ConfigError
from genome_pipeline.export import renew_exports
from genome_pipeline.privacy import HOW_TO_MAKE_A_KEY, PrivacyKey
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.erasure import RemovedRows, known_ids, rewrite_without, rows_of
from genome_pipeline.warehouse.ingestion import check_forgotten


def rows_to_forget(settings: Settings, customer_ids: Sequence[str]) -> dict[str, Any]:
    """How many rows each file holds of the customers, as the source names them. Writes nothing.

    Gives ``customer_count`` and ``files``: path relative to the home -> table -> rows. Raises :class:`ConfigError` for
    an id that no file names and that was not forgotten before.
    """
    stored = _stored_ids(settings, customer_ids)
    return {"customer_count": len(stored), "files": _rows_in_files(settings, stored)}


def forget(settings: Settings, customer_ids: Sequence[str]) -> dict[str, Any]:
    """Take the customers out of every file under the home, and leave them out when the source brings them again.

    The warehouse comes first: from then on they cannot come back, whatever interrupts the rest, and forgetting them
    again completes it. Each file is replaced in one step. Gives what :func:`rows_to_forget` does, and
    ``log_text_count``, the messages of Dagster's that named one of them. Raises :class:`ConfigError` as that does,
    where no key is set or another than before, and while a run is in progress.
    """
    key = key_of(settings)
    stored = _stored_ids(settings, customer_ids)
    found = _rows_in_files(settings, stored)
    pipeline = Pipeline.of(settings)
    with pipeline.warehouse.open() as database:
        check_forgotten(database, settings)

    from genome_pipeline.event_logs import forget_in_logs
    from genome_pipeline.instance import open_instance, release_dead_runs, runs_in_progress

    with open_instance(settings) as instance:
        dagster_home = Path(instance.root_directory)
        release_dead_runs(instance)
        if running := runs_in_progress(instance):
            raise ConfigError(
                f"run {running[0]} is in progress, and may hold rows of the customers in memory: let it finish, or"
                " cancel it, and forget again"
            )

        def record(connection: duckdb.DuckDBPyConnection, removed: RemovedRows) -> None:
            _record(connection, removed, [key.forgotten_mark(name) for name in map(str.strip, customer_ids)], key)

        rewrite_without(settings.warehouse_path, stored, record)
        _clear_leftovers(settings)
        for path in _databases(settings):
            if path != settings.warehouse_path and rows_of(path, stored):
                rewrite_without(path, stored)
        _forget_in_indexes(pipeline, stored)
        _renew_what_is_made_from_the_published(settings)
        log_text_count = forget_in_logs(instance, dagster_home, stored)
    return {"customer_count": len(stored), "files": found, "log_text_count": log_text_count}


def key_of(settings: Settings) -> PrivacyKey:
    """The key of the list of forgotten customers. Raises :class:`ConfigError` where none is set."""
    if (key := settings.privacy_key) is None:
        raise ConfigError(
            "a forgotten customer is known by a keyed hash when the source brings them again, and no key is set:"
            f" {HOW_TO_MAKE_A_KEY}"
        )
    return key


def _stored_ids(settings: Settings, customer_ids: Sequence[str]) -> list[str]:
    """What stands in the tables for the customers, each once. Raises :class:`ConfigError` for one nobody knows."""
    if not settings.warehouse_path.exists():
        raise ConfigError(f"nothing has been taken in at {settings.warehouse_path} yet: there is nobody to forget")
    named = list(dict.fromkeys(name.strip() for name in customer_ids))
    with Pipeline.of(settings).warehouse.open() as database:
        marks = {mark for (mark,) in database.con.execute("SELECT customer_hash FROM forgotten_customers").fetchall()}
    key, stored = settings.privacy_key, {name: settings.stored_id(name) for name in named}
    known = set[str]().union(*(known_ids(path, list(stored.values())) for path in _databases(settings)))
    unknown = [
        name
        for name, id_ in stored.items()
        if id_ not in known and (key is None or key.forgotten_mark(name) not in marks)
    ]
    if unknown:
        raise ConfigError(
            f"no customer {', '.join(map(repr, unknown))} is in {settings.home}, and nothing was removed: ids are as in"
            " the source, with leading zeros"
        )
    return list(stored.values())


def _rows_in_files(settings: Settings, stored: Sequence[str]) -> dict[str, RemovedRows]:
    found = {path: rows_of(path, stored) for path in _databases(settings)}
    return {str(path.relative_to(settings.home)): rows for path, rows in found.items() if rows}


def _databases(settings: Settings) -> list[Path]:
    """Every DuckDB file under the home: the warehouse, what is published, and copies that somebody made."""
    return sorted(path for path in settings.home.rglob("*.duckdb") if not path.name.startswith("."))


def _clear_leftovers(settings: Settings) -> None:
    """Remove what runs and erasures that died had begun to write, or had put aside for want of memory."""
    for path in settings.home.rglob("*.duckdb.tmp"):
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(settings.exchange_path, ignore_errors=True)
    for pattern in ("genome-*.duckdb*", ".*.part*"):
        for path in settings.published_path.parent.glob(pattern):
            path.unlink()


def _forget_in_indexes(pipeline: Pipeline, stored: Sequence[str]) -> None:
    from genome_pipeline.models.similarity import SimilarityIndex

    for path in sorted((pipeline.artifacts.folder / "similarity_index").glob("*.npz")):
        content = path.read_bytes()
        index = SimilarityIndex.from_bytes(content)
        left = index.without(stored)
        if left is not index:
            pipeline.artifacts.replace(path, left.to_bytes())


def _renew_what_is_made_from_the_published(settings: Settings) -> None:
    """The report, in which a failed check may name a customer, and the exported tables."""
    if settings.published_path.exists():
        renew_exports(settings.published_path, settings.exports_path)
        if settings.report_path.exists():
            from genome_pipeline.dashboard.report import write_report

            write_report(settings.published_path, settings.report_path)


def _record(connection: duckdb.DuckDBPyConnection, removed: RemovedRows, marks: Sequence[str], key: PrivacyKey) -> None:
    """Write marks and the record of the erasure to the copy of the warehouse, and bring its counts in line."""
    now = datetime.now(UTC).replace(tzinfo=None)
    connection.execute(
        "UPDATE copy.main.source_files AS files SET row_count = row_count - leaving,"
        " suppressed_row_count = suppressed_row_count + leaving FROM (SELECT source_file, count(*) AS leaving"
        " FROM raw_transactions SEMI JOIN leaving_rows USING (source_file, source_row) GROUP BY 1) AS counts"
        " WHERE files.source_file = counts.source_file"
    )
    for name in removed:
        slice_by = TABLES[name].slice_by
        if slice_by is not None:
            connection.execute(
                "UPDATE copy.main.written_slices SET row_count = (SELECT count(*) FROM"
                f" copy.main.{name} WHERE coalesce({slice_by}::VARCHAR, 'undated') = slice_key) WHERE table_name = ?",
                [name],
            )
    connection.execute(
        "INSERT INTO copy.main.forgotten_customers SELECT DISTINCT mark, ?, ?::TIMESTAMP FROM"
        " (SELECT unnest(?) AS mark) WHERE mark NOT IN (SELECT customer_hash FROM copy.main.forgotten_customers)",
        [key.fingerprint, now, list(marks)],
    )
    connection.execute(
        "INSERT INTO copy.main.erasures BY NAME SELECT ? AS forgotten_at, ? AS forgotten_customer_count,"
        " ? AS removed_rows, ? AS version",
        [now, len(set(marks)), json.dumps(removed), __version__],
    )
