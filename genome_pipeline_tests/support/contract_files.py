"""Small DuckDB files that keep, or break, the contract of a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from genome_pipeline.contracts.column import AS_READ, Column
from genome_pipeline.contracts.tables import TABLES, Table

BY_NAME = {
    "as_of": "DATE '2020-02-01'",
    "matured_as_of": "DATE '2020-06-01'",
    "selection_as_of": "DATE '2019-11-01'",
    "customer_id": "'k000000'",
    "neighbor_customer_id": "'k000001'",
    "experiment_id": "'k000000'",
    "orders_if_retained": "NULL",  # with it, expected orders follow from the churn probability
}
BY_TYPE = {
    "VARCHAR": "'x'",
    "VARCHAR[]": "['x']",
    "DATE": "DATE '2020-01-01'",
    "TIMESTAMP": "TIMESTAMP '2020-01-01 12:00:00'",
    "BOOLEAN": "true",
    AS_READ: "'x'",
}


def write(
    file: Path, table: Table, row_count: int = 20, changes: Mapping[str, str] | None = None, ddl: str | None = None
) -> Path:
    """Create the table with rows that keep its contract, but for the SQL expressions of ``changes``.

    What the rows refer to in other tables is created too, where those are not there.
    The expressions may use ``i``, the number of the row from 0. Nulls are let in, for the checks to find.
    """
    values = {column.name: _value(table, column) for column in table.fields} | dict(changes or {})
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {table.name}")
        connection.execute(ddl or table.ddl().replace(" NOT NULL", ""))
        connection.execute(
            f"INSERT INTO {table.name} BY NAME SELECT"
            f" {', '.join(f'{value} AS {name}' for name, value in values.items())} FROM range({row_count}) AS r(i)"
        )
        there = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        if {"action", "customer_id"} <= {*table.columns}:  # checked beside them
            for other in ("experiments", "experiment_members"):
                connection.execute(TABLES[other].ddl().replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
        for reference in table.references:
            if reference.table not in there:
                named = zip(reference.columns, reference.their_columns, strict=True)
                rows = f"SELECT DISTINCT {', '.join(f'{own} AS {other}' for own, other in named)} FROM {table.name}"
                connection.execute(f"CREATE TABLE IF NOT EXISTS {reference.table} AS {rows} LIMIT 0")
                connection.execute(f"INSERT INTO {reference.table} {rows} EXCEPT SELECT * FROM {reference.table}")
    return file


def _value(table: Table, column: Column) -> str:
    is_last_of_key = column.name == [name for name in table.key if name != table.slice_by or len(table.key) == 1][-1]
    if column.values:
        return f"'{column.values[0]}'"
    if is_last_of_key and column.type == "DATE":
        return "DATE '2020-01-01' + CAST(i AS INTEGER)"
    if is_last_of_key and column.type == "TIMESTAMP":
        return "TIMESTAMP '2020-01-01 12:00:00' + to_seconds(i)"
    if is_last_of_key and column.type == "VARCHAR":
        return "'k' || lpad(CAST(i AS VARCHAR), 6, '0')"
    if is_last_of_key:
        return "i + 1"
    return BY_NAME.get(column.name, BY_TYPE.get(column.type, "1"))
