"""The published file, read-only: opening it, and the queries that all readers need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from genome_pipeline.contracts.published import PUBLISHED_FILE, not_ours, unreadable_because, version_in
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.errors import ConfigError
from genome_pipeline.sql import literal

CATALOG = "published"
"""Name under which the published file is attached."""

REMEMBERED = "memory.main.remembered"
"""Table in memory for what readers computed from the file (:func:`genome_pipeline.published.versions.remembered`)."""

LATEST_CHECKS = """
    SELECT * FROM data_quality
    WHERE table_name <> 'published_genome' AND checked_at > coalesce(
        (SELECT max(published_at) FROM pipeline_runs WHERE published_at <
            (SELECT max(checked_at) FROM data_quality WHERE table_name <> 'published_genome')),
        TIMESTAMP '-infinity')
    QUALIFY rank() OVER (PARTITION BY table_name, check_name, period_start_date ORDER BY checked_at DESC) = 1
"""
"""The latest outcome of each check on the present publication, by whichever run, in the published file.

These are the checks since the publication before. If that was published again without new checks, the first's count.
In the warehouse, once checks were run after the latest publication: their outcomes.
"""


class PublishedFileMissing(ConfigError):
    """Nothing has been published yet."""


class PublishedFileUnreadable(ConfigError):
    """The file at the published file's place cannot be read: damaged, of another version, or another program's."""


def attached(path: Path, config: Mapping[str, str | int] | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory database, with ``config``, to which the file is attached and made the default.

    A direct connection would read the replaced file as long as an older connection of this process is open.

    Raises:
        PublishedFileMissing: nothing was published yet.
        PublishedFileUnreadable: the file is damaged, of another version, or another program's.
    """
    if not path.exists():
        raise PublishedFileMissing(f"nothing is published at {path} yet: use `genome run` first")
    connection = connect(config=config)
    try:
        connection.execute(f"CREATE TABLE {REMEMBERED} (name VARCHAR PRIMARY KEY, value VARCHAR)")
        connection.execute(f"ATTACH {literal(str(path))} AS {CATALOG} (READ_ONLY)")
        connection.execute(f"USE {CATALOG}")
        reason = unreadable_because(version_in(connection)) or _is_no_copy_for_readers(connection)
    except duckdb.CatalogException:
        connection.close()
        raise PublishedFileUnreadable(not_ours(path)) from None
    except duckdb.Error as error:
        connection.close()
        raise PublishedFileUnreadable(
            f"{path} cannot be read ({str(error).strip().splitlines()[0]}): publish it again with `genome run`"
        ) from None
    if reason is not None:
        connection.close()
        raise PublishedFileUnreadable(f"{path} cannot be read: {reason}")
    return connection


def _is_no_copy_for_readers(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Why the attached file is not for readers, who would keep the pipeline from writing to it."""
    tables = "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND table_name = 'written_slices'"
    if not connection.execute(tables, [CATALOG]).fetchall():
        return None
    return f"it is the pipeline's own database, for the pipeline alone: name {PUBLISHED_FILE} beside it, or its folder"


def file_version(path: Path) -> tuple[int, int, int] | None:
    """What differs as soon as another file takes the place of this one; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class Reader:
    """What all readers ask of a connection to the published file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def latest(self) -> date:
        """The latest snapshot."""
        found: date = self.row("SELECT max(as_of) AS as_of FROM customer_genome_history")["as_of"]
        return found

    def snapshots(self) -> list[date]:
        """Every snapshot, oldest first."""
        return [row["as_of"] for row in self.rows("SELECT DISTINCT as_of FROM customer_genome_history ORDER BY 1")]

    def snapshot(self, as_of: date | None) -> date:
        """The snapshot at that date; None is the latest. Raises :class:`ConfigError` where there is none."""
        if as_of is None:
            return self.latest()
        known = self.snapshots()
        if as_of not in known:
            near = min(known, key=lambda day: (abs(day - as_of), day))
            raise ConfigError(
                f"there is no snapshot as of {as_of}, the nearest is {near}; there are {len(known)}, from {known[0]} to"
                f" {known[-1]}"
            )
        return as_of

    def parameters(self) -> dict[str, Any]:
        """What the run that made the file was given: horizon, interval level, currency and more."""
        found: dict[str, Any] = json.loads(
            self.row("SELECT parameters FROM pipeline_runs ORDER BY published_at DESC LIMIT 1")["parameters"]
        )
        return found

    def names(self) -> list[str]:
        """Names of its tables and views."""
        found = self.rows(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = ? ORDER BY 1", [CATALOG]
        )
        return [row["table_name"] for row in found]

    def rows(self, query: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        """The rows of the query, each as column -> value."""
        cursor = self.connection.execute(query, values or [])
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, query: str, values: list[Any] | None = None) -> dict[str, Any]:
        """The first row of the query; empty if there is none."""
        found = self.rows(query, values)
        return found[0] if found else {}

    def genome(self, customer_id: str, as_of: date) -> dict[str, Any]:
        """The customer's row of ``customer_genome``.

        Raises :class:`ConfigError`, with close ids where there are some, when the customer is unknown.
        """
        found = self.row(
            "SELECT * FROM customer_genome_history WHERE as_of = ? AND customer_id = ?", [as_of, customer_id]
        )
        if not found:
            close = self.rows(
                "SELECT customer_id FROM customer_genome_history WHERE as_of = ? AND starts_with(customer_id, ?)"
                " ORDER BY 1 LIMIT 5",
                [as_of, customer_id],
            )
            ids = ", ".join(row["customer_id"] for row in close)
            raise ConfigError(
                f"no customer {customer_id!r} in the snapshot of {as_of}"
                + (f"; ids that start so: {ids}" if ids else ": ids are as in the source, with leading zeros")
            )
        return found


class Published(Reader):
    """The published file, read-only."""

    def __init__(self, path: Path) -> None:
        """Raises as :func:`attached` does."""
        # Its own folder for rows that do not fit in memory: DuckDB's default, beside the file, is shared by all
        # readers.
        self._spilled = TemporaryDirectory(prefix="genome-")
        try:
            super().__init__(attached(path, {"temp_directory": f"{self._spilled.name}/spilled"}))
        except BaseException:
            self._spilled.cleanup()
            raise

    def __enter__(self) -> Published:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()
        self._spilled.cleanup()
