"""The record of experiments: a database beside the warehouse, as what was drawn cannot be made again from the source.

The warehouse may be made anew, put aside or deleted; whoever was left alone has to stay so. The warehouse holds a copy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.table import Table
from genome_pipeline.contracts.tables.experiments import RECORDS
from genome_pipeline.sql import literal
from genome_pipeline.warehouse.database import WHOLE, open_database, record_time
from genome_pipeline.warehouse.errors import WarehouseError
from genome_pipeline.warehouse.forgotten import to_disk
from genome_pipeline.warehouse.schema import first_line
from genome_pipeline.warehouse.transaction import transaction

_EXPERIMENTS, _MEMBERS = RECORDS
_REMEDY = "restore it from a backup, or remove it: the next run makes it anew from the warehouse"


@dataclass(frozen=True)
class ExperimentRecord:
    """What was drawn: tables ``experiments`` and ``experiment_members``, as the contracts declare them."""

    path: Path

    @classmethod
    def beside(cls, warehouse: Path) -> ExperimentRecord:
        """The record that belongs to a warehouse."""
        return cls(warehouse.with_name("experiments.duckdb"))

    def experiments(self) -> list[dict[str, Any]]:
        """Every experiment, oldest first, each as column -> value."""
        if not self.path.exists():
            return []
        # Read-only: who asks may not be allowed to write here.
        with open_database(self.path, read_only=True, remedy=_REMEDY) as database:
            if _EXPERIMENTS.name not in database.list_tables():
                return []
            found = database.con.execute(f"FROM {_EXPERIMENTS.name} ORDER BY started_at, experiment_id")
            return [dict(zip(_EXPERIMENTS.columns, row, strict=True)) for row in found.fetchall()]

    def add(self, experiment: dict[str, Any], members: pd.DataFrame) -> None:
        """Keep an experiment and its customers, both or neither."""
        with self._open() as database, transaction(database) as connection:
            marks = ", ".join("?" * len(_EXPERIMENTS.columns))
            values = [experiment[name] for name in _EXPERIMENTS.columns]
            connection.execute(f"INSERT INTO {_EXPERIMENTS.name} VALUES ({marks})", values)
            connection.register("drawn", members)
            connection.execute(f"INSERT INTO {_MEMBERS.name} BY NAME SELECT {', '.join(_MEMBERS.columns)} FROM drawn")
            connection.unregister("drawn")

    def remove(self, experiment_id: str) -> None:
        """Take an experiment out again that was never told of."""
        with self._open() as database, transaction(database) as connection:
            for table in RECORDS:
                connection.execute(f"DELETE FROM {table.name} WHERE experiment_id = ?", [experiment_id])

    def stop(self, experiment_id: str, stopped_date: date, stopped_at: datetime) -> None:
        """Note that an experiment ends at the snapshot of ``stopped_date``."""
        with self._open() as database:
            database.con.execute(
                f"UPDATE {_EXPERIMENTS.name} SET stopped_date = ?, stopped_at = ? WHERE experiment_id = ?",
                [stopped_date, stopped_at, experiment_id],
            )

    def resume(self, experiment_id: str) -> None:
        """Take back a stop that was never told of."""
        with self._open() as database:
            database.con.execute(
                f"UPDATE {_EXPERIMENTS.name} SET stopped_date = NULL, stopped_at = NULL WHERE experiment_id = ?",
                [experiment_id],
            )

    def make_from(self, warehouse: Backend) -> None:
        """Make a record that is gone anew from the warehouse's copy, whole or not at all; one that exists stays."""
        if self.path.exists():
            return
        building = self.path.with_name(f".{self.path.name}.part")
        for left_over in (building, building.with_name(f"{building.name}.wal")):
            left_over.unlink(missing_ok=True)
        connection = warehouse.con
        connection.execute(f"ATTACH {literal(str(building))} AS record")
        try:
            with transaction(warehouse):
                for table in RECORDS:
                    connection.execute(table.ddl(f"record.{table.name}"))
                    connection.execute(f"INSERT INTO record.{table.name} BY NAME FROM main.{table.name}")
        finally:
            connection.execute("DETACH record")
        to_disk(building)
        os.replace(building, self.path)
        to_disk(self.path.parent)

    def copy_to(self, warehouse: Backend, run_id: str, settings_hash: str) -> dict[str, int]:
        """Replace the warehouse's copy by the record, in one transaction; table -> rows.

        A copy that has changed counts as written, so that its checks have to pass again. Where an experiment is no
        longer in the record, actions since its draw count as never made. A record that is gone is made anew from the
        copy.
        """
        self.make_from(warehouse)
        with self._open():
            pass  # it can be read, and has its tables
        connection = warehouse.con
        connection.execute(f"ATTACH {literal(str(self.path))} AS record (READ_ONLY)")
        try:
            with transaction(warehouse):
                if any(connection.execute(_difference(table)).fetchall() for table in RECORDS):
                    _replace_copy(connection, run_id, settings_hash)
        except duckdb.Error as error:
            raise self._cannot_be_read(error) from None
        finally:
            connection.execute("DETACH record")
        return {
            table.name: int(connection.execute(f"SELECT count(*) FROM main.{table.name}").fetchall()[0][0])
            for table in RECORDS
        }

    @contextmanager
    def _open(self) -> Iterator[Backend]:
        with open_database(self.path, remedy=_REMEDY) as database:
            try:
                for table in RECORDS:
                    if table.name not in database.list_tables():
                        database.con.execute(table.ddl())
                yield database
            except (duckdb.FatalException, duckdb.InternalException, duckdb.IOException) as error:
                raise self._cannot_be_read(error) from None

    def _cannot_be_read(self, error: duckdb.Error) -> WarehouseError:
        return WarehouseError(f"{self.path} cannot be read ({first_line(error)}): {_REMEDY}")


def _difference(table: Table) -> str:
    ours, theirs = f"FROM main.{table.name}", f"FROM record.{table.name}"
    return f"({ours} EXCEPT {theirs}) UNION ALL ({theirs} EXCEPT {ours}) LIMIT 1"


def _replace_copy(connection: duckdb.DuckDBPyConnection, run_id: str, settings_hash: str) -> None:
    now = record_time(connection)
    ((gone_since,),) = connection.execute(
        f"SELECT min(as_of) FROM main.{_EXPERIMENTS.name} WHERE experiment_id NOT IN"
        f" (SELECT experiment_id FROM record.{_EXPERIMENTS.name})"
    ).fetchall()
    if gone_since is not None:
        connection.execute(
            "UPDATE written_slices SET settings_hash = 'an experiment is gone', written_at = ?"
            " WHERE table_name = 'customer_actions' AND slice_key >= ?",
            [now, str(gone_since)],
        )
    for table in RECORDS:
        connection.execute(f"DELETE FROM main.{table.name}")
        connection.execute(f"INSERT INTO main.{table.name} BY NAME FROM record.{table.name}")
        connection.execute("DELETE FROM written_slices WHERE table_name = ?", [table.name])
        connection.execute(
            "INSERT INTO written_slices BY NAME SELECT ? AS table_name, ? AS slice_key, count(*) AS row_count,"
            f" ? AS run_id, ? AS settings_hash, ? AS written_at FROM main.{table.name}",
            [table.name, WHOLE, run_id, settings_hash, now],
        )
