"""Tables as the contracts declare them: created, completed, and migrated from older versions."""

from __future__ import annotations

import logging
from pathlib import Path

import duckdb
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.column import AS_READ, Column
from genome_pipeline.contracts.tables import TABLES, Table
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.migrations import SCHEMA_VERSION, STEPS
from genome_pipeline.warehouse.transaction import transaction

logger = logging.getLogger(__name__)

VERSION_SETTING = "schema_version"


def schema_version(database: Backend) -> int | None:
    """Version of the tables; None where there are none yet."""
    if "warehouse_identity" not in database.list_tables():
        return None
    found = database.con.execute(
        "SELECT setting_value FROM warehouse_identity WHERE setting_name = ?", [VERSION_SETTING]
    ).fetchall()
    return int(found[0][0]) if found else 1


def migrate(database: Backend, path: Path) -> None:
    """Bring the tables to the present version; refuse tables of a newer program.

    The version is written last, so that an interrupted migration continues at the next opening.
    """
    version = schema_version(database)
    if version == SCHEMA_VERSION:
        return
    if version is not None and version > SCHEMA_VERSION:
        raise WarehouseError(
            f"{path} has schema version {version}, this program knows {SCHEMA_VERSION}: use the newer program, or set"
            " GENOME_HOME to another folder"
        )
    if version is None:
        check_own(database, path)
    else:
        logger.info("bringing %s from schema version %d to %d", path.name, version, SCHEMA_VERSION)
        for statement in (statement for step in range(version, SCHEMA_VERSION) for statement in STEPS[step]):
            try:
                database.con.execute(statement)
            except duckdb.Error as error:
                raise WarehouseError(
                    f"{path} says it has schema version {version}, but cannot be brought to {SCHEMA_VERSION}"
                    f" ({first_line(error)}): restore it from a backup, or `genome rebuild` makes it anew from the"
                    " source"
                ) from None
    with transaction(database) as connection:
        if version is None:
            connection.execute(TABLES["warehouse_identity"].ddl())
        connection.execute("DELETE FROM warehouse_identity WHERE setting_name = ?", [VERSION_SETTING])
        connection.execute("INSERT INTO warehouse_identity VALUES (?, ?)", [VERSION_SETTING, str(SCHEMA_VERSION)])


def complete_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Copy tables whose columns are in another order than their contract's, or lack columns that can be filled in.

    Slices with a filled-in column count as made under other settings: the next run makes them again.
    """
    found = _columns(connection)
    for name, table in TABLES.items():
        columns = found.get(name, [])
        lacking = [column for column in table.fields if column.name not in columns]
        is_ours = columns and set(columns) <= set(table.columns)
        if columns == [*table.columns] or not is_ours or not all(_can_be_filled(table, column) for column in lacking):
            continue
        filled = "".join(f", {_filling(table, column)} AS {column.name}" for column in lacking)
        connection.execute(table.ddl(f"{name}_in_order"))
        connection.execute(f"INSERT INTO {name}_in_order BY NAME SELECT *{filled} FROM {name}")
        connection.execute(f"DROP TABLE {name}")
        connection.execute(f"ALTER TABLE {name}_in_order RENAME TO {name}")
        if lacking:
            connection.execute(
                "UPDATE written_slices SET settings_hash = 'a column added' WHERE table_name = ?", [name]
            )


def _can_be_filled(table: Table, column: Column) -> bool:
    """Whether the column may hold a placeholder until its slices are made again: a number or nullable, and derived."""
    is_as_read = any(other.type == AS_READ for other in table.fields)
    return table.is_by_period and not is_as_read and (column.name in table.nullable or column.unit is not None)


def _filling(table: Table, column: Column) -> str:
    return "NULL" if column.name in table.nullable else str(column.minimum or 0)


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """The columns of each table, in order."""
    return dict(
        connection.execute(
            "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()"
            " WHERE schema_name = 'main' AND NOT internal GROUP BY table_name"
        ).fetchall()
    )


def lacking_columns(database: Backend) -> list[str]:
    """Columns that tables lack, as ``table.column``: they were added to the contract later."""
    found = _columns(database.con)
    return [
        f"{name}.{column}"
        for name, table in TABLES.items()
        for column in table.columns
        if name in found and column not in found[name]
    ]


def check_own(database: Backend, path: Path) -> None:
    """Raises :class:`WarehouseError` if the database has tables but no version: it belongs to another program."""
    found = database.con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
    if found:
        raise WarehouseError(
            f"{path} is another program's database, with a table {found[0][0]!r}: set GENOME_HOME to another folder, or"
            " move that file away"
        )


def ensure_tables(database: Backend) -> None:
    """Create missing tables from the contract; raise for tables that another version of the program made differently.

    ``raw_transactions`` takes its types from the first file, so ingestion creates it.
    """
    columns = _columns(database.con)
    for table in TABLES.values():
        if table.is_made_at_publishing:
            continue
        if table.name not in columns:
            if table.name != "raw_transactions":
                database.con.execute(table.ddl())
        elif differing := sorted({*columns[table.name]} ^ {*table.columns}):
            raise WarehouseError(
                f"the warehouse was made by another version: its table {table.name} differs in {', '.join(differing)};"
                " `genome rebuild` makes the warehouse anew from the source, or set GENOME_HOME to another folder"
            )


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).strip().splitlines()[0]
