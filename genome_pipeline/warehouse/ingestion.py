"""Source files -> ``raw_transactions``: only what changed is read, and all of it is taken in or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import duckdb
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import RAW_COLUMNS, TABLES
from genome_pipeline.settings import Settings
from genome_pipeline.sources.files import SourceError, SourceFile, find_files, read_file
from genome_pipeline.transforms.validation import typed_lines
from genome_pipeline.warehouse.database import transaction

_RAW, _FILES, _PERIODS = TABLES["raw_transactions"], TABLES["source_files"], TABLES["changed_periods"]


@dataclass
class Ingestion:
    """What an ingestion did: files by what became of them, rows read, and the periods whose rows changed."""

    read: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    row_count: int = 0
    changed_periods: set[date] = field(default_factory=set)


def ingest(database: Backend, settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Ingestion:
    """Bring ``raw_transactions`` in line with the source's files, by content.

    An unchanged file is not read; a changed or removed one replaces exactly its own rows. ``progress`` is
    told of each file read. Raises :class:`SourceError`, with the warehouse as before, for a file that cannot
    be read, whose column types differ from the others', or in which no order date is readable.
    """
    files = {file.name: file for file in find_files(settings.source)}
    connection = database.con
    known = dict(connection.execute("SELECT source_file, content_hash FROM source_files").fetchall())
    result = Ingestion(
        unchanged=sorted(name for name, file in files.items() if known.get(name) == file.content_hash),
        removed=sorted(known.keys() - files.keys()),
    )
    to_read = [file for name, file in sorted(files.items()) if known.get(name) != file.content_hash]
    ingested_at = datetime.now(UTC).replace(tzinfo=None)
    with transaction(database):
        if not result.unchanged:
            # Nothing stays, so the types may be new.
            result.changed_periods |= _periods(database, settings)
            connection.execute("DROP TABLE IF EXISTS raw_transactions")
            connection.execute("DELETE FROM source_files")
        for name in (*result.removed, *(file.name for file in to_read)):
            if name in known and result.unchanged:
                result.changed_periods |= _periods(database, settings, name)
                connection.execute("DELETE FROM raw_transactions WHERE source_file = ?", [name])
                connection.execute("DELETE FROM source_files WHERE source_file = ?", [name])
        for file in to_read:
            progress(file.name)
            result.row_count += _take_in(database, settings, file, ingested_at)
            result.changed_periods |= _periods(database, settings, file.name)
            result.read.append(file.name)
        connection.execute(
            "DELETE FROM changed_periods WHERE period_start_date IN (SELECT unnest(?))", [list(result.changed_periods)]
        )
        connection.execute(
            "INSERT INTO changed_periods BY NAME SELECT unnest(?::DATE[]) AS period_start_date, ? AS changed_at",
            [sorted(result.changed_periods), ingested_at],
        )
    return result


def _take_in(database: Backend, settings: Settings, file: SourceFile, ingested_at: datetime) -> int:
    connection = database.con
    with read_file(connection, file, settings.source) as rows:
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
        raw_types = {name: types[name] for name in RAW_COLUMNS}
        _check_types(connection, file, raw_types, settings)
        connection.execute(_RAW.ddl(types=raw_types).replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
        rows.create_view("incoming", replace=True)
        connection.execute(
            "INSERT INTO raw_transactions BY NAME"
            " SELECT *, ? AS source_file, ?::TIMESTAMP AS ingested_at FROM incoming",
            [file.name, ingested_at],
        )
        inserted = connection.fetchone()
        connection.execute("DROP VIEW incoming")
    row_count = int(inserted[0]) if inserted else 0
    _check_dates(database, settings, file)
    connection.execute(
        f"INSERT INTO {_FILES.name} BY NAME SELECT ? AS source_file, ? AS content_hash, ? AS row_count,"
        " ? AS raw_types, ? AS ingested_at",
        [file.name, file.content_hash, row_count, json.dumps(raw_types), ingested_at],
    )
    return row_count


def _check_types(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, raw_types: dict[str, str], settings: Settings
) -> None:
    other = connection.execute("SELECT source_file, raw_types FROM source_files LIMIT 1").fetchone()
    if other is None:
        return
    for name, known in json.loads(other[1]).items():
        if raw_types[name] != known:
            theirs = settings.source.columns.mapped[name.removeprefix("raw_")]
            raise SourceError(
                f"{file.name}: column {theirs!r} is {raw_types[name]}, but {known} in {other[0]}: bring the files to"
                " one type, or give them a config of their own"
            )


def _check_dates(database: Backend, settings: Settings, file: SourceFile) -> None:
    lines = typed_raw(database, settings, file.name)
    dates = lines.aggregate(
        written=lines.raw_ordered_at.count(),
        readable=lines.ordered_at.count(),
        example=lines.raw_ordered_at.cast("string").min(),
    )
    written, readable, example = dates.to_pyarrow().to_pylist()[0].values()
    if written and not readable:
        expected = f"source.date_format = {settings.source.date_format!r}" if settings.source.date_format else "ISO"
        raise SourceError(
            f"{file.name}: none of {written:,} values in column {settings.source.columns.ordered_at!r} is a date in the"
            f" expected format ({expected}), such as {example!r}: set source.date_format to the file's own, such as"
            ' "%d/%m/%Y %H:%M"'
        )


def _periods(database: Backend, settings: Settings, source_file: str | None = None) -> set[date]:
    """Periods in which the file (or any) has rows."""
    if _RAW.name not in database.list_tables():
        return set()
    lines = typed_raw(database, settings, source_file)
    found = lines.select("period_start_date").distinct().to_pyarrow().to_pydict()["period_start_date"]
    return {period for period in found if period is not None}


def typed_raw(database: Backend, settings: Settings, source_file: str | None = None) -> ir.Table:
    """The typed lines of ``raw_transactions``, of one file or of all.

    Raises :class:`SourceError` when nothing was ever taken in.
    """
    if _RAW.name not in database.list_tables():
        raise SourceError("nothing has been ingested yet: materialise raw_transactions first, or use `genome run`")
    raw = database.table(_RAW.name)
    return typed_lines(
        raw if source_file is None else raw.filter(raw.source_file == source_file),
        mapped=list(settings.source.columns.mapped),
        calendar=settings.time,
        date_format=settings.source.date_format,
        non_product_codes=settings.rules.non_product_codes,
    )
