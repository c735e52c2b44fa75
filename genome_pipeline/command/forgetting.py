"""``genome forget``: remove customers from everything stored about them, and keep them out from then on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.names import as_name
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.remaking import remake
from genome_pipeline.privacy import HOW_TO_MAKE_A_KEY, PrivacyKey
from genome_pipeline.published.delivery import sending_alone
from genome_pipeline.published.export import renew_exports
from genome_pipeline.quality.data_docs import DataDocs
from genome_pipeline.settings import Settings
from genome_pipeline.sql import identifier, literal
from genome_pipeline.warehouse.corrections import correct_counts, fill_published
from genome_pipeline.warehouse.erasure import (
    LeftOut,
    RemovedRows,
    databases_under,
    files_under,
    known_ids,
    rewrite_without,
    rows_of,
)
from genome_pipeline.warehouse.forgotten import Forgotten
from genome_pipeline.warehouse.published_changes import is_current


def rows_to_forget(settings: Settings, customer_ids: Sequence[str]) -> dict[str, Any]:
    """The number of rows about the customers, as the source names them, in each file. Writes nothing.

    Returns ``customer_count``; ``files``: path relative to the home -> table -> rows; and ``files_to_delete``: files
    under the home that name a customer and were written by the user. Raises :class:`ConfigError` for an id that no
    file names and that was not forgotten before.
    """
    stored = _stored_ids(settings, customer_ids)
    return {
        "customer_count": len(stored),
        "files": _rows_in_files(settings, stored),
        "files_to_delete": _others_files(settings, [*stored, *map(as_name, customer_ids)]),
    }


def forget(settings: Settings, customer_ids: Sequence[str]) -> dict[str, Any]:
    """Remove the customers from every file under the home, and leave them out when the source brings them again.

    Each file is replaced in one step; an interrupted command is completed by repeating it. Facts about many customers
    that included one of these are computed again (:mod:`~genome_pipeline.orchestration.runs.remaking`). Returns what
    :func:`rows_to_forget` does, and ``log_text_count``, the number of Dagster's messages that changed. Raises
    :class:`ConfigError` as that does, and if the key is missing or another than before. Waits for any other command,
    or run of Dagster's server, which may hold rows in memory.
    """
    from genome_pipeline.orchestration.runs.at_work import alone_at_work

    key = key_of(settings)
    with alone_at_work(settings, "`genome forget`"), sending_alone(settings.home):
        return _forget(settings, customer_ids, key)


def _forget(settings: Settings, customer_ids: Sequence[str], key: PrivacyKey) -> dict[str, Any]:
    forgotten = Forgotten.beside(settings.warehouse_path)
    stored = _stored_ids(settings, customer_ids)
    forgotten.check_key(key)
    found = _rows_in_files(settings, stored)
    pipeline = Pipeline.of(settings)

    from genome_pipeline.command.event_logs import forget_in_logs
    from genome_pipeline.orchestration.home import open_instance

    with open_instance(settings) as instance:
        dagster_home = Path(instance.root_directory)

        def complete_warehouse(copy: Backend, left_out: LeftOut) -> None:
            remake(copy, pipeline, left_out)
            correct_counts(copy, left_out)

        def complete_published(copy: Backend, left_out: LeftOut) -> None:
            fill_published(copy, settings.warehouse_path, left_out)

        # First, so that the customers cannot come back if the rest is interrupted.
        forgotten.add((key.forgotten_mark(as_name(name)) for name in customer_ids), key.fingerprint)
        is_made_anew = is_current(settings.published_path)
        made_anew = {settings.warehouse_path, *([settings.published_path] if is_made_anew else [])}
        # Before the warehouse, whose next run reads the record of experiments.
        for path in _databases(settings):
            if path not in made_anew and rows_of(path, stored):
                rewrite_without(path, stored)
        rewrite_without(settings.warehouse_path, stored, complete_warehouse)
        _clear_leftovers(settings)
        if is_made_anew:
            rewrite_without(settings.published_path, stored, complete_published)
        _forget_in_indexes(pipeline, stored)
        _renew_what_is_made_from_the_published(settings)
        log_text_count = forget_in_logs(instance, dagster_home, stored)
    return {
        "customer_count": len(stored),
        "files": found,
        "files_to_delete": _others_files(settings, [*stored, *map(as_name, customer_ids)]),
        "log_text_count": log_text_count,
    }


def key_of(settings: Settings) -> PrivacyKey:
    """The key of the list of forgotten customers. Raises :class:`ConfigError` where none is set."""
    if (key := settings.privacy_key) is None:
        raise ConfigError(
            "a forgotten customer is known by a keyed hash when the source brings them again, and no key is set:"
            f" {HOW_TO_MAKE_A_KEY}"
        )
    return key


def _stored_ids(settings: Settings, customer_ids: Sequence[str]) -> list[str]:
    """The ids of the customers in the tables, without duplicates. Raises :class:`ConfigError` for an unknown one."""
    if not settings.warehouse_path.exists():
        raise ConfigError(f"nothing has been taken in at {settings.warehouse_path} yet: there is nobody to forget")
    named = list(dict.fromkeys(map(as_name, customer_ids)))
    with Pipeline.of(settings).warehouse.open():
        marks = Forgotten.beside(settings.warehouse_path).marks()
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
    """Every DuckDB file under the home: the warehouse, the published file, and copies that somebody made."""
    return databases_under(settings.home)


def _others_files(settings: Settings, names: Sequence[str]) -> list[str]:
    """Files under the home that name one of the customers, or may, and were not written by this program."""
    own = (
        settings.artifacts_path,
        settings.exports_path,
        settings.exchange_path,
        settings.dagster_home,
        settings.published_path.parent,
        settings.report_path.parent,
        settings.quality_path,
    )
    found, databases = [], set(_databases(settings))
    for path in sorted(files_under(settings.home)):
        is_own = any(path.is_relative_to(folder) for folder in own) or path in databases or path.suffix == ".wal"
        if not is_own and _may_name_one(path, names):
            found.append(str(path.relative_to(settings.home)))
    return found


def _may_name_one(path: Path, names: Sequence[str]) -> bool:
    """Whether the file names one of the customers, or cannot be told to: it is compressed, or no text in UTF-8."""
    if path.suffix.lower() == ".parquet":
        with suppress(duckdb.Error), connect() as connection:
            rows = f"read_parquet({literal(str(path))})"
            texts = [
                name for name, type_, *_ in connection.execute(f"DESCRIBE FROM {rows}").fetchall() if type_ == "VARCHAR"
            ]
            named = " OR ".join(f"trim({identifier(name)}) IN (SELECT unnest($ids))" for name in texts) or "false"
            values = {"ids": list(names)} if texts else {}
            return bool(connection.execute(f"SELECT count(*) > 0 FROM {rows} WHERE {named}", values).fetchall()[0][0])
    named_in = re.compile("|".join(rf"(?<!\w){re.escape(customer_id)}(?!\w)" for customer_id in names))
    try:
        with path.open(encoding="utf-8") as lines:
            return any("\0" in line or named_in.search(line) for line in lines)
    except UnicodeDecodeError:
        return True


def _clear_leftovers(settings: Settings) -> None:
    """Remove files that interrupted runs and erasures left behind, including rows put aside for lack of memory."""
    for path in settings.home.rglob("*.duckdb.tmp"):
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(settings.exchange_path, ignore_errors=True)
    for folder, pattern in (
        (settings.published_path.parent, "genome-*.duckdb*"),
        (settings.published_path.parent, ".*.part*"),
        (settings.exports_path, ".*.part*"),
        (settings.report_path.parent, "*.building"),
        (settings.artifacts_path, "*/.*"),
    ):
        for path in folder.glob(pattern):
            path.unlink()


def _forget_in_indexes(pipeline: Pipeline, stored: Sequence[str]) -> None:
    from genome_pipeline.models.similarity.index import SimilarityIndex

    for path in sorted((pipeline.artifacts.folder / "similarity_index").glob("*.npz")):
        content = path.read_bytes()
        index = SimilarityIndex.from_bytes(content)
        left = index.without(stored)
        if left is not index:
            pipeline.artifacts.replace(path, left.to_bytes())


def _renew_what_is_made_from_the_published(settings: Settings) -> None:
    """Write the report, in which a failed check may name a customer, and the exported tables again.

    Data Docs, whose counts included the customers, are written by the next run.
    """
    DataDocs(settings.quality_path).clear()
    if settings.published_path.exists():
        renew_exports(settings.published_path, settings.exports_path)
        if settings.report_path.exists():
            from genome_pipeline.dashboard.report import write_report

            write_report(settings.published_path, settings.report_path)
