"""Removing customers from DuckDB files for good: a copy without them replaces the file.

DuckDB keeps the bytes of deleted rows in its file, so deleting is not enough. The old file stays whole until the copy
replaces it.

From a sum that included a customer, and the rows of all other customers, the customer's part follows by subtraction. So
sums of the snapshots that included them are left out, too; the caller computes them again from the rows that stay.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import ID_COLUMNS, TABLES
from genome_pipeline.sql import literal
from genome_pipeline.transforms.names import label
from genome_pipeline.warehouse.database import open_database
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.forgotten import to_disk

FORGOTTEN = "[forgotten]"
"""Replaces an id in a text."""

EXAMPLES = "e.g. "
"""Precedes the example rows in the finding of a check."""

_BEGINNING, _BEGINS_AT = b"DUCK", 8  # bytes at this offset of each DuckDB file, after a checksum
_SHOWN_LENGTH = 60  # findings of checks truncate ids to this length
_EXAMPLES_IN = ("data_quality", "observed")

_NUMBER_IN_TEXT = r"\d[\d.,:-]*"
_HIDDEN = "\u2026"
_TEXTS_WITH_NUMBERS = {"checked_slices": "observed", "pipeline_runs": "forced_past"}
"""Table -> its column of texts that quote numbers counted by checks."""

_MEANS_OF_OTHERS = tuple(name for name in TABLES["customer_genome"].columns if name.startswith("neighbor_"))

RemovedRows = dict[str, int]
"""Table -> number of rows removed; a text that named a customer counts for the table it is in."""

NEIGHBORS = ("matured_neighbors", "neighbor_estimates")
"""Tables of customers with facts about other customers."""

SUMS = tuple(
    table.name
    for table in TABLES.values()
    if table.is_snapshot and "as_of" in table.columns and not set(table.columns) & set(ID_COLUMNS)
)
"""Tables of snapshots whose rows are about many customers."""


@dataclass(frozen=True)
class LeftOut:
    """What a copy lacks compared with the original file.

    ``since`` is the first snapshot that included one of the customers; None if none did. ``sums`` are the removed rows
    of :data:`SUMS` from that snapshot on; for :data:`NEIGHBORS`, the ``as_of`` of removed rows.
    """

    row_counts: RemovedRows
    rows_by_file: dict[str, int]
    since: date | None
    sums: dict[str, pd.DataFrame]


def files_under(folder: Path) -> Iterator[Path]:
    """Every regular file under the folder, including those in linked folders, and linked files."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()  # this folder is a link to one above it
            continue
        seen.add(real)
        yield from (path for path in (Path(place, name) for name in names) if path.is_file())


def databases_under(folder: Path) -> list[Path]:
    """The DuckDB files under the folder, recognised by their first bytes; files being written are left out."""
    return sorted(path for path in files_under(folder) if path.suffix != ".part" and _is_database(path))


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_BEGINNING) + _BEGINS_AT)[_BEGINS_AT:] == _BEGINNING


def text_without(text: str, customer_ids: Iterable[str]) -> str:
    """The text with :data:`FORGOTTEN` in place of the ids, where an id is a whole word.

    In the finding of a check only its examples are searched: numbers before them may look like an id.
    """
    before, mark, after = text.partition(EXAMPLES)
    if not mark:
        before, after = "", text
    for customer_id in customer_ids:
        for shown in {customer_id, customer_id[:_SHOWN_LENGTH]}:
            after = re.sub(rf"(?<![\w.,:/+-]){re.escape(shown)}(?![\w/+-]|[.,:]\w)", FORGOTTEN, after)
    return before + mark + after


def without_numbers(text: str) -> str:
    """The text with an ellipsis in place of each number, except in the example rows of a check.

    >>> without_numbers("12 of 1,340 customers")
    '… of … customers'
    """
    before, mark, after = text.partition(EXAMPLES)
    return re.sub(_NUMBER_IN_TEXT, _HIDDEN, before) + mark + after


def rows_of(path: Path, customer_ids: Sequence[str]) -> RemovedRows:
    """How many rows of each table :func:`rewrite_without` would remove. Writes nothing."""
    with open_database(path, read_only=True) as database:
        _mark(database, customer_ids)
        counts = {name: _count(database.con, name, customer_ids) for name in _tables(database.con)}
    return {name: count for name, count in counts.items() if count}


def known_ids(path: Path, customer_ids: Sequence[str]) -> set[str]:
    """The customers, among these, that any table names."""
    with open_database(path, read_only=True) as database:
        connection = database.con
        _mark(database, customer_ids)
        found = set(_names(connection, "SELECT DISTINCT name FROM leaving_rows"))
        for table in _tables(connection):
            for column in _id_columns(connection, table):
                query = f'SELECT DISTINCT {column} FROM "{table}" WHERE {column} IN (SELECT unnest(?))'
                found |= {name for (name,) in connection.execute(query, [list(customer_ids)]).fetchall()}
    return found


def rewrite_without(
    path: Path, customer_ids: Sequence[str], complete: Callable[[Backend, LeftOut], None] = lambda *_: None
) -> RemovedRows:
    """Replace the database, in one step, by a copy without the customers and without sums that included them.

    Findings of checks at periods since the customers' first one lose their numbers; everything else is unchanged.
    ``complete`` may write to the copy before it replaces the file. Meanwhile other processes wait, and readers that
    have the old file open keep it. Raises :class:`WarehouseError`, and leaves the file unchanged, when the copy fails
    its checks.
    """
    # If the path is a link, resolve it: otherwise the old file would remain where the link points.
    target = path.resolve()
    building = target.with_name(f".{target.name}.part")
    building.unlink(missing_ok=True)
    building.with_name(f"{building.name}.wal").unlink(missing_ok=True)
    log = path.with_name(f"{path.name}.wal")
    if log.exists():
        # A process died and left a log, which would be read into the copy, so it is merged into the file first.
        with open_database(path) as database:
            database.con.execute("CHECKPOINT")
    try:
        # While it is open for reading, no other process can write to it until the copy has replaced it.
        with open_database(path, read_only=True) as database:
            if log.exists():
                raise WarehouseError(f"{path} is as before: another process wrote to it meanwhile; forget again")
            connection = database.con
            ours, version = connection.execute(
                "SELECT database_name, tags['storage_version'] FROM duckdb_databases()"
                " WHERE database_name = current_database()"
            ).fetchall()[0]
            version = version.removesuffix("+")
            connection.execute(
                f"ATTACH {literal(str(building))} AS copy (READ_WRITE, STORAGE_VERSION {literal(version)})"
            )
            connection.execute(f'COPY FROM DATABASE "{ours}" TO copy (SCHEMA)')
            _mark(database, customer_ids)
            held = _held(connection, customer_ids)
            removed = {name: _copy(connection, name, customer_ids, held) for name in _tables(connection)}
            removed = {name: count for name, count in removed.items() if count}
            left_out = LeftOut(removed, _rows_by_file(connection), held.since, _sums(connection, held))
            connection.execute("CHECKPOINT copy")
            connection.execute("DETACH copy")
            with open_database(building) as copy:
                complete(copy, left_out)
                copy.con.execute("CHECKPOINT")
            to_disk(building)
            os.replace(building, target)
            to_disk(target.parent)
    except (duckdb.Error, OSError) as error:
        raise WarehouseError(
            f"{path} is as before: it could not be written anew ({str(error).splitlines()[0]}); see that its folder can"
            " be written and has room for a second such file, and forget again"
        ) from None
    finally:
        building.unlink(missing_ok=True)
        building.with_name(f"{building.name}.wal").unlink(missing_ok=True)
    return removed


def _mark(database: Backend, customer_ids: Sequence[str]) -> None:
    """Create temporary tables of the source rows to remove, and of the texts to change."""
    connection = database.con
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE leaving_rows (source_file VARCHAR, source_row BIGINT, name VARCHAR)"
    )
    connection.execute("CREATE OR REPLACE TEMP TABLE changed_texts (row_number BIGINT, new_text VARCHAR)")
    for name in _tables(connection):
        if "raw_customer_id" in _columns(connection, name):
            rows = database.table(name)
            labelled = ibis.to_sql(rows.select("source_file", "source_row", name=label(rows.raw_customer_id)))
            connection.execute(
                f"INSERT INTO leaving_rows FROM ({labelled}) WHERE name IN (SELECT unnest($ids))",
                {"ids": list(customer_ids)},
            )
        if name == _EXAMPLES_IN[0]:
            shown = [part for customer_id in customer_ids for part in (customer_id, customer_id[:_SHOWN_LENGTH])]
            texts = connection.execute(
                f"SELECT rowid, {_EXAMPLES_IN[1]} FROM {name}"
                f" WHERE len(list_filter($shown, lambda part: contains({_EXAMPLES_IN[1]}, part))) > 0",
                {"shown": shown},
            ).fetchall()
            for row_number, text in texts:
                if (new_text := text_without(text, customer_ids)) != text:
                    connection.execute("INSERT INTO changed_texts VALUES (?, ?)", [row_number, new_text])


@dataclass(frozen=True)
class _Held:
    """Since when the customers were known: first snapshot and first period; and whether any row names them."""

    since: date | None
    first_period: date | None
    is_anything: bool


def _held(connection: duckdb.DuckDBPyConnection, customer_ids: Sequence[str]) -> _Held:
    first: dict[str, date | None] = {}
    for column in ("as_of", "period_start_date"):
        found: list[date] = []
        for table in _tables(connection):
            if column in _columns(connection, table) and table != _EXAMPLES_IN[0]:
                condition, values = _leaves(connection, table, customer_ids)
                query = f'SELECT min({column}) FROM "{table}" WHERE {condition}'
                found += [day for (day,) in connection.execute(query, values).fetchall() if day is not None]
        first[column] = min(found, default=None)
    is_anything = any(_count(connection, table, customer_ids) for table in _tables(connection))
    return _Held(first["as_of"], first["period_start_date"], is_anything)


def _is_of_them(table: str, held: _Held) -> str:
    """SQL condition, never null, that is true of sums that included one of the customers."""
    name = table.removesuffix("_history")
    if held.since is not None and name in SUMS:
        return f"as_of >= DATE '{held.since}'"
    if held.since is not None and name in NEIGHBORS:
        return f"coalesce(neighbor_as_of >= DATE '{held.since}', false)"
    return "false"


def _sums(connection: duckdb.DuckDBPyConnection, held: _Held) -> dict[str, pd.DataFrame]:
    found = {}
    for table in _tables(connection):
        if (condition := _is_of_them(table, held)) != "false":
            name = table.removesuffix("_history")
            columns = "DISTINCT as_of" if name in NEIGHBORS else "*"
            found[name] = connection.execute(f'SELECT {columns} FROM "{table}" WHERE {condition}').df()
    return found


def _rows_by_file(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Number of raw rows to remove, by source file."""
    if "raw_transactions" not in _tables(connection):
        return {}
    return dict(
        connection.execute(
            "SELECT source_file, count(*) FROM raw_transactions SEMI JOIN leaving_rows USING (source_file, source_row)"
            " GROUP BY 1"
        ).fetchall()
    )


def _copy(connection: duckdb.DuckDBPyConnection, table: str, customer_ids: Sequence[str], held: _Held) -> int:
    """Copy the rows that stay, in order; returns how many named a customer and were removed or changed."""
    leaving = _count(connection, table, customer_ids)
    columns = _columns(connection, table)
    if table == _EXAMPLES_IN[0]:
        text = f"coalesce(new_text, {_EXAMPLES_IN[1]})"
        if held.is_anything:
            told = f"split_part({text}, '{EXAMPLES}', 1)"
            hidden = (
                f"regexp_replace({told}, '{_NUMBER_IN_TEXT}', '{_HIDDEN}', 'g') || substr({text}, length({told}) + 1)"
            )
            is_earlier = (
                f"coalesce(period_start_date < DATE '{held.first_period}', false)"
                if held.first_period is not None and "period_start_date" in columns
                else "false"
            )
            text = f"CASE WHEN {is_earlier} THEN {text} ELSE {hidden} END"
        stay = (
            f"SELECT data.* REPLACE ({text} AS {_EXAMPLES_IN[1]}) FROM {table} AS data"
            " LEFT JOIN changed_texts ON data.rowid = row_number ORDER BY data.rowid"
        )
        values: dict[str, list[str]] = {}
        fewer = 0
    elif table in _TEXTS_WITH_NUMBERS and held.is_anything:
        text = _TEXTS_WITH_NUMBERS[table]
        stay = (
            f"SELECT * REPLACE (regexp_replace({text}, '{_NUMBER_IN_TEXT}', '{_HIDDEN}', 'g') AS {text})"
            f" FROM {table} ORDER BY rowid"
        )
        values, fewer = {}, 0
    else:
        condition, values = _leaves(connection, table, customer_ids)
        condition = f"{condition} OR {_is_of_them(table, held)}"
        chosen = "*"
        if held.since is not None and table.removesuffix("_history") == "customer_genome":
            # These are means over 25 customers of an earlier snapshot; which customers they were is not recorded.
            replaced = [name for name in _MEANS_OF_OTHERS if name in columns]
            known = ", ".join(f"CASE WHEN as_of < DATE '{held.since}' THEN {name} END AS {name}" for name in replaced)
            chosen = f"* REPLACE ({known})" if replaced else "*"
        rows = f'"{table}"'
        if held.since is not None and table.removesuffix("_history") == "customer_drivers":
            rows = _with_coarse_average(table, held.since)
        stay = f"SELECT {chosen} FROM {rows} WHERE NOT ({condition})"
        query = f'SELECT count(*) FROM "{table}" WHERE {condition}'
        fewer = int(connection.execute(query, values).fetchall()[0][0])
    connection.execute(f'INSERT INTO copy.main."{table}" {stay}', values)
    before, after = (
        connection.execute(f'SELECT count(*) FROM {schema}"{table}"').fetchall()[0][0] for schema in ("", "copy.main.")
    )
    if before - fewer != after:
        raise WarehouseError(f"{table} would have {after:,} rows, not {before - fewer:,}, and stays: forget again")
    return leaving


def _with_coarse_average(table: str, since: date) -> str:
    """``customer_drivers`` with two significant digits for the average customer's contribution, a mean over all.

    The first driver takes the difference, so that the contributions of each customer still add up.
    """
    keys = "as_of, customer_id, prediction"
    return (
        "(SELECT drivers.* REPLACE (contribution + CASE WHEN driver_rank = 0 AND has_first THEN -coalesce(rest, 0) WHEN"
        f' driver_rank = 1 THEN coalesce(rest, 0) ELSE 0 END AS contribution) FROM "{table}" AS drivers'
        " LEFT JOIN (SELECT as_of, prediction, any_value(contribution) AS base, base - round(base, CAST(1 -"
        f' floor(log10(abs(base))) AS INTEGER)) AS rest FROM "{table}" WHERE driver_rank = 0 AND contribution <> 0 AND'
        f" as_of >= DATE '{since}' GROUP BY ALL) AS averages USING (as_of, prediction)"
        f' LEFT JOIN (SELECT {keys}, true AS has_first FROM "{table}" WHERE driver_rank = 1) AS firsts USING ({keys}))'
    )


def _count(connection: duckdb.DuckDBPyConnection, table: str, customer_ids: Sequence[str]) -> int:
    if table == _EXAMPLES_IN[0]:
        return int(connection.execute("SELECT count(*) FROM changed_texts").fetchall()[0][0])
    condition, values = _leaves(connection, table, customer_ids)
    return int(connection.execute(f'SELECT count(*) FROM "{table}" WHERE {condition}', values).fetchall()[0][0])


def _leaves(
    connection: duckdb.DuckDBPyConnection, table: str, customer_ids: Sequence[str]
) -> tuple[str, dict[str, list[str]]]:
    """SQL condition, never null, that is true of rows that name one of the customers, and its parameters."""
    if "raw_customer_id" in _columns(connection, table):
        return "(source_file, source_row) IN (SELECT (source_file, source_row) FROM leaving_rows)", {}
    named = [f"coalesce({name} IN (SELECT unnest($ids)), false)" for name in _id_columns(connection, table)]
    return " OR ".join(named) or "false", {"ids": list(customer_ids)} if named else {}


def _id_columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    columns = _columns(connection, table)
    return [name for name in ID_COLUMNS if name in columns and name != "raw_customer_id"]


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return _names(
        connection,
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT temporary ORDER BY 1",
    )


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    return _names(
        connection,
        "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() AND table_name = ?",
        [table],
    )


def _names(connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[str] = ()) -> list[str]:
    return [name for (name,) in connection.execute(query, list(values)).fetchall()]
