"""Source files -> ``raw_transactions``: only changed files are read, and either all of them are ingested or none."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

import duckdb
import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import RAW_COLUMNS, TABLES
from genome_pipeline.privacy import forgotten_mark_sql, pseudonym_sql
from genome_pipeline.settings import Settings
from genome_pipeline.sources.columns import wider_type
from genome_pipeline.sources.source import SourceError, SourceFile, find_files, read_file
from genome_pipeline.transforms.lines import typed_lines
from genome_pipeline.transforms.names import label
from genome_pipeline.warehouse.database import SOURCE_SETTING, record_time
from genome_pipeline.warehouse.forgotten import Forgotten, up_to_tens
from genome_pipeline.warehouse.transaction import transaction

_RAW = TABLES["raw_transactions"]

Fingerprints = dict[tuple[str, date | None], tuple[int, int]]
"""For each file and period (None: rows without a usable date), the number of rows and their hash."""

PRESENT_FILES = (
    "SELECT source_file, content_hash, row_count + suppressed_row_count AS row_count FROM source_files"
    " WHERE copy_of_source_file IS NULL"
)
"""Query of the ingested files and their number of rows, including rows of customers forgotten since."""

_LEAST_YEAR = 100
_EPOCH_DIGITS = (10, 13, 16)  # digits of a present-day moment in seconds, milliseconds and microseconds


@dataclass
class Ingestion:
    """Result of an ingestion: files by outcome, number of rows ingested, and the periods whose rows changed.

    ``copies`` maps each file left out as a copy to the file with the same bytes. ``suppressed_row_count`` counts rows
    left out because their customers were forgotten, rounded up to tens in each file. ``None`` among
    ``changed_periods`` stands for rows without a usable date.
    """

    read: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    copies: dict[str, str] = field(default_factory=dict)
    row_count: int = 0
    suppressed_row_count: int = 0
    changed_periods: set[date | None] = field(default_factory=set)


def ingest(database: Backend, settings: Settings, progress: Callable[[str], None] = lambda _: None) -> Ingestion:
    """Bring ``raw_transactions`` in line with the source's files, by their content.

    An unchanged file is not read, unless a future order in it has since come due. A changed or removed file replaces
    exactly its own rows, and only periods with different rows count as changed. Among files of the same content only
    the first by name is ingested. ``progress`` gets a message for each file read.

    Raises:
        SourceError: with the warehouse unchanged, for a file that cannot be read, whose column types do not fit the
            other files', in which no order date is readable, which holds no rows any more, or which brings a second
            currency while none is chosen; and for a log other than the one the warehouse was made from.
        ConfigError: customers were forgotten, but their key is not set.
    """
    forgotten = Forgotten.beside(settings.warehouse_path)
    forgotten.check_key(settings.privacy_key)
    found = find_files(settings.source)
    copies = _copies(found)
    files = {file.name: file for file in found if file.name not in copies}
    connection = database.con
    known = {name: content for name, content, _ in connection.execute(PRESENT_FILES).fetchall()}
    _check_place(database, settings, found, known.values())
    due = files_due(database, settings)
    # A file without a hash may have changed.
    to_read = [
        file
        for name, file in sorted(files.items())
        if file.content_hash is None or known.get(name) != _as_read(file, settings) or name in due
    ]
    result = Ingestion(
        unchanged=sorted(files.keys() - {file.name for file in to_read}),
        removed=sorted(known.keys() - files.keys()),
        copies=copies,
    )
    marks = forgotten.marks()
    ingested_at = record_time(connection)
    with transaction(database):
        replaced = [*result.removed, *(file.name for file in to_read if file.name in known)]
        before = _fingerprints(database, settings, replaced, replaced)
        held = {name: row_count for name, _, row_count in connection.execute(PRESENT_FILES).fetchall()}
        _remove(database, replaced, with_types=not result.unchanged)
        for file in to_read:
            progress(file.name)
            row_count, suppressed_row_count = _take_in(database, settings, file, ingested_at, marks)
            if held.get(file.name) and not row_count + suppressed_row_count:
                raise SourceError(
                    f"{file.name} has no row any more, where it had {held[file.name]:,}: export it again; if that is"
                    " meant, remove it"
                )
            result.row_count += row_count
            result.suppressed_row_count += suppressed_row_count
            result.read.append(file.name)
        _record_copies(connection, found, copies, ingested_at)
        _check_values(database, settings, result.read)
        _check_currency(database, settings)
        after = _fingerprints(database, settings, result.read, replaced)
        result.changed_periods = {key[1] for key in {*before, *after} if before.get(key) != after.get(key)}
        _record_changes(connection, result.changed_periods, ingested_at)
        connection.execute("DELETE FROM warehouse_identity WHERE setting_name = ?", [SOURCE_SETTING])
        connection.execute("INSERT INTO warehouse_identity VALUES (?, ?)", [SOURCE_SETTING, settings.source.place])
    return result


def _remove(database: Backend, files: list[str], *, with_types: bool) -> None:
    """Remove files from the raw rows; ``with_types`` if no file stays, so that types can be chosen anew."""
    if with_types:
        database.con.execute("DROP TABLE IF EXISTS raw_transactions")
    elif files:
        database.con.execute("DELETE FROM raw_transactions WHERE source_file IN (SELECT unnest(?))", [files])
    database.con.execute(
        "DELETE FROM source_files WHERE copy_of_source_file IS NOT NULL OR source_file IN (SELECT unnest(?))", [files]
    )


def files_due(database: Backend, settings: Settings) -> set[str]:
    """Files with an order that was set aside because it lay in the future, and does so no longer."""
    rows = database.con.execute(
        "SELECT DISTINCT source_file FROM quarantined_transactions"
        " WHERE period_start_date IS NULL AND list_contains(reasons, 'future_date')"
    ).fetchall()
    if not rows or _RAW.name not in database.list_tables():
        return set()
    lines = typed_raw(database, settings, [file for (file,) in rows])
    now = datetime.now(ZoneInfo(settings.source.time_zone)).replace(tzinfo=None)
    come = lines.filter(lines.is_in_future & (lines.ordered_at <= ibis.timestamp(now)))
    return set(come.select("source_file").distinct().to_pyarrow().to_pydict()["source_file"])


def typed_raw(database: Backend, settings: Settings, source_files: Sequence[str] | None = None) -> ir.Table:
    """The typed lines of ``raw_transactions``, of some files or of all.

    Raises :class:`SourceError` when nothing was ever taken in.
    """
    if _RAW.name not in database.list_tables():
        raise SourceError("nothing has been ingested yet: materialise raw_transactions first, or use `genome run`")
    raw = database.table(_RAW.name)
    return typed_lines(
        raw if source_files is None else raw.filter(raw.source_file.isin(list(source_files))),
        mapped=list(settings.source.columns.mapped),
        calendar=settings.time,
        formats=settings.source.formats,
        non_product_codes=settings.rules.non_product_codes,
    )


def _copies(files: Sequence[SourceFile]) -> dict[str, str]:
    """Names of files that are copies -> the first file with the same content."""
    first: dict[tuple[str | None, str | None], str] = {}
    for file in sorted(files, key=lambda file: file.name):
        first.setdefault((file.content_hash, file.sheet), file.name)
    kept = {file.name: first[file.content_hash, file.sheet] for file in files}
    return {name: other for name, other in kept.items() if name != other}


def _as_read(file: SourceFile, settings: Settings) -> str | None:
    """The file's content hash and the settings for reading it: a file read in another way counts as changed."""
    source = settings.source
    reading = (source.encoding, source.delimiter, None if source.header else "without a header")
    return file.content_hash and " ".join([file.content_hash, *(str(value) for value in reading if value)])


def _check_place(
    database: Backend, settings: Settings, files: Sequence[SourceFile], known: Collection[str | None]
) -> None:
    """Raises :class:`SourceError` for another log: at another place, and without any file of known content."""
    before = database.con.execute(
        "SELECT setting_value FROM warehouse_identity WHERE setting_name = ?", [SOURCE_SETTING]
    ).fetchall()
    if not before or not known:
        return
    ((place,),) = before
    if place == settings.source.place:
        return
    if settings.source.is_database:
        raise SourceError(
            f"{settings.warehouse_path} holds the rows of {place}, and the config now asks for"
            f" {settings.source.place}: `genome rebuild` takes that in, or set GENOME_HOME to another folder"
        )
    # The settings for reading a file follow its hash.
    contents = {content.split()[0] for content in known if content}
    if not any(file.content_hash and file.content_hash.split()[0] in contents for file in files):
        raise SourceError(
            f"{settings.warehouse_path} holds the rows of {place}, and {settings.source.place} has no file of the"
            " same content: set GENOME_HOME (or home in the config) to another folder for another log; if this one has"
            " moved, `genome rebuild` takes it in from there"
        )


def _take_in(
    database: Backend, settings: Settings, file: SourceFile, ingested_at: datetime, forgotten: set[str]
) -> tuple[int, int]:
    """Numbers of rows ingested, and of rows left out, the latter rounded up to tens."""
    connection = database.con
    with read_file(connection, file, settings.source) as rows:
        types = dict(zip(rows.columns, map(str, rows.types), strict=True))
        raw_types = {name: types[name] for name in RAW_COLUMNS}
        if settings.privacy.pseudonyms:
            raw_types["raw_customer_id"] = "VARCHAR"
        if _RAW.name not in database.list_tables():
            connection.execute(_RAW.ddl(types=raw_types))
        empty = _widen(connection, file, rows, raw_types, settings)
        nulls = f" REPLACE ({', '.join(f'NULL AS {name}' for name in empty)})" if empty else ""
        rows.project(f"*{nulls}").create_view("incoming", replace=True)
        query, values = without_forgotten(database, settings, forgotten, RAW_COLUMNS)
        ((inserted,),) = connection.execute(
            f"INSERT INTO raw_transactions BY NAME SELECT *, $file AS source_file, $at::TIMESTAMP AS ingested_at"
            f" FROM ({query})",
            {"file": file.name, "at": ingested_at, **values},
        ).fetchall()
        connection.execute("DROP VIEW incoming")
    ((left_out,),) = connection.execute("DELETE FROM raw_transactions WHERE source_row < 0").fetchall()
    row_count = inserted - left_out
    connection.execute(
        "INSERT INTO source_files BY NAME SELECT ? AS source_file, ? AS content_hash, NULL AS copy_of_source_file,"
        " ? AS row_count, ? AS raw_types, ? AS ingested_at, ? AS suppressed_row_count",
        [
            file.name,
            _as_read(file, settings),
            row_count,
            json.dumps(raw_types),
            ingested_at,
            up_to_tens(left_out),
        ],
    )
    return row_count, up_to_tens(left_out)


def without_forgotten(
    database: Backend, settings: Settings, forgotten: set[str], columns: Sequence[str]
) -> tuple[str, dict[str, bytes | list[str]]]:
    """The query of the view ``incoming``, and its parameters: pseudonyms replace ids, forgotten customers are left out.

    ``columns`` are its columns besides ``source_row``, with ``raw_customer_id`` among them. A row
    of a forgotten customer keeps only its number, made negative, so that it can be counted: a source may be readable
    only once.
    """
    key = settings.privacy_key
    if key is None or not (forgotten or settings.privacy.pseudonyms):
        return "SELECT * FROM incoming", {}
    incoming = database.table("incoming")
    labelled = ibis.to_sql(incoming.mutate(label=label(incoming.raw_customer_id)), dialect="duckdb")
    is_forgotten = (
        f"coalesce({forgotten_mark_sql('label')} IN (SELECT unnest($forgotten)), false)" if forgotten else "false"
    )
    stored = {name: name for name in columns}
    if settings.privacy.pseudonyms:
        # A placeholder for a missing customer identifies nobody, and is shown as the reason for setting the row aside.
        stored["raw_customer_id"] = f"coalesce({pseudonym_sql('label')}, raw_customer_id::VARCHAR)"
    columns = ", ".join(f"CASE WHEN NOT is_forgotten THEN {value} END AS {name}" for name, value in stored.items())
    query = (
        f"SELECT CASE WHEN is_forgotten THEN -source_row ELSE source_row END AS source_row, {columns}"
        f" FROM (SELECT *, {is_forgotten} AS is_forgotten FROM ({labelled}))"
    )
    values: dict[str, bytes | list[str]] = {**key.query_values, "forgotten": sorted(forgotten)}
    return query, {name: value for name, value in values.items() if f"${name}" in query}


def _record_copies(
    connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile], copies: dict[str, str], ingested_at: datetime
) -> None:
    for file in files:
        if file.name in copies:
            connection.execute(
                "INSERT INTO source_files BY NAME SELECT ? AS source_file, content_hash,"
                " source_file AS copy_of_source_file, 0 AS row_count, raw_types, ? AS ingested_at,"
                " 0 AS suppressed_row_count FROM source_files WHERE source_file = ?",
                [file.name, ingested_at, copies[file.name]],
            )


def _record_changes(connection: duckdb.DuckDBPyConnection, periods: set[date | None], changed_at: datetime) -> None:
    for period in periods:
        connection.execute("DELETE FROM changed_periods WHERE period_start_date IS NOT DISTINCT FROM ?::DATE", [period])
        connection.execute("INSERT INTO changed_periods VALUES (?, ?)", [period, changed_at])


def _widen(
    connection: duckdb.DuckDBPyConnection,
    file: SourceFile,
    rows: duckdb.DuckDBPyRelation,
    raw_types: dict[str, str],
    settings: Settings,
) -> list[str]:
    """Widen the columns of ``raw_transactions`` to hold the file's; returns the columns without a value in the file.

    A column without any value fits every type. Raises :class:`SourceError` if no type holds both.
    """
    described = connection.execute(f"DESCRIBE {_RAW.name}").fetchall()
    known = {name: type_ for name, type_, *_ in described if name in raw_types}
    wanted, empty = dict(known), []
    for name, type_ in raw_types.items():
        if (wider := wider_type(known[name], type_)) is not None:
            wanted[name] = wider
        elif _is_empty(rows, name, type_):
            empty.append(name)
        elif _is_empty(connection.table(_RAW.name), name, known[name]):
            wanted[name] = type_
        else:
            raise SourceError(_of_two_types(connection, file, name, type_, known[name], settings))
    if wanted != known:
        # DuckDB cannot alter a column in a transaction that has deleted from its table.
        kept = ", ".join(
            name if name not in known or wider_type(known[name], wanted[name]) else f"NULL AS {name}"
            for name in _RAW.columns
        )
        connection.execute(_RAW.ddl("wider_transactions", wanted))
        connection.execute(f"INSERT INTO wider_transactions BY NAME SELECT {kept} FROM {_RAW.name}")
        connection.execute(f"DROP TABLE {_RAW.name}")
        connection.execute(f"ALTER TABLE wider_transactions RENAME TO {_RAW.name}")
    return empty


def _is_empty(rows: duckdb.DuckDBPyRelation, name: str, type_: str) -> bool:
    """Whether the column has no value."""
    value = f"nullif({name}, 'nan')" if type_ in ("FLOAT", "DOUBLE") else name
    ((count,),) = rows.aggregate(f"count({value})").fetchall()
    return bool(count == 0)


def _of_two_types(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, name: str, type_: str, known: str, settings: Settings
) -> str:
    files = connection.execute("SELECT source_file, raw_types FROM source_files ORDER BY source_file").fetchall()
    other = next((other for other, types in files if json.loads(types)[name] == known), "the others")
    theirs = settings.source.columns.mapped[name.removeprefix("raw_")]
    return (
        f"{file.name}: column {theirs!r} is {type_}, but {known} in {other}: bring the files to one type, or give them"
        " a config of their own"
    )


def _check_values(database: Backend, settings: Settings, files: Sequence[str]) -> None:
    """Raises :class:`SourceError` for a file without a readable date: its format is not the one in the config."""
    if not files:
        return
    lines = typed_raw(database, settings, files)
    found = lines.group_by("source_file").agg(
        written=lines.raw_ordered_at.count(),
        readable=lines.ordered_at.count(),
        latest=lines.ordered_at.max(),
        example=lines.raw_ordered_at.min(),
    )
    found = found.mutate(example=found.example.cast("string"))
    short = found.filter(found.latest.year() < _LEAST_YEAR).order_by("source_file").limit(1)
    for row in short.to_pyarrow().to_pylist():
        raise SourceError(
            f"{row['source_file']}: column {settings.source.columns.ordered_at!r} holds years of two digits, such as in"
            f' {row["example"]!r}: write %y for them in source.date_format, as in "%d/%m/%y"'
        )
    unreadable = found.filter((found.written > 0) & (found.readable == 0)).order_by("source_file").limit(1)
    for row in unreadable.to_pyarrow().to_pylist():
        wanted_format = (
            f"source.date_format = {settings.source.date_format!r}" if settings.source.date_format else "ISO"
        )
        theirs, example = settings.source.columns.ordered_at, row["example"]
        advice = (
            "they look like seconds or milliseconds since 1970, so export them as dates (2026-01-31 18:30:00)"
            if example.isdigit() and len(example) in _EPOCH_DIGITS
            else 'set source.date_format to the file\'s own, such as "%d/%m/%Y %H:%M"'
        )
        raise SourceError(
            f"{row['source_file']}: column {theirs!r} holds no date in the expected format ({wanted_format}), but"
            f" values such as {example!r}: {advice}"
        )


def _check_currency(database: Backend, settings: Settings) -> None:
    """Raises :class:`SourceError` for several currencies where none is chosen: their amounts cannot be added up."""
    theirs = settings.source.columns.currency
    if theirs is None or settings.source.currency or _RAW.name not in database.list_tables():
        return
    lines = typed_raw(database, settings)
    named = lines.filter(lines.currency.notnull())
    found = named.group_by("currency").agg(row_count=named.count())
    counts = found.order_by(found.row_count.desc(), "currency").to_pyarrow().to_pylist()
    if len(counts) > 1:
        listed = ", ".join(f"{row['currency']} (rows: {row['row_count']:,})" for row in counts[:5])
        raise SourceError(
            f"column {theirs!r} holds {len(counts)} currencies: {listed}; set source.currency to the one to count, and"
            " rows in the others are quarantined"
        )


def _fingerprints(database: Backend, settings: Settings, files: Sequence[str], compared: Sequence[str]) -> Fingerprints:
    """Fingerprints of ``files``; rows are hashed only for those in ``compared``: others are wholly new or gone."""
    if not files or _RAW.name not in database.list_tables():
        return {}
    lines = typed_raw(database, settings, files)
    whole_row = ibis.struct({name: lines[name] for name in ("source_row", *RAW_COLUMNS)})
    row_hash = ibis.ifelse(lines.source_file.isin(list(compared)), whole_row.hash(), 0) if compared else ibis.literal(0)
    rows = lines.select("source_file", "period_start_date", row_hash=row_hash)
    found = rows.group_by(["source_file", "period_start_date"]).agg(
        row_count=rows.count(), rows_hash=rows.row_hash.bit_xor()
    )
    return {
        (row["source_file"], row["period_start_date"]): (row["row_count"], row["rows_hash"])
        for row in found.to_pyarrow().to_pylist()
    }
