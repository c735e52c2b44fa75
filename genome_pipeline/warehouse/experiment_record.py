"""The record of experiments: a database beside the warehouse, as what was drawn cannot be made again from the source.

The warehouse may be made anew, put aside or deleted; whoever was left alone has to stay so. The warehouse holds a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables.experiments import RECORDS
from genome_pipeline.sql import literal
from genome_pipeline.warehouse.database import open_database
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

    def copy_to(self, warehouse: Backend) -> dict[str, int]:
        """Replace the warehouse's copy by the record, in one transaction; table -> rows.

        A record that is gone is made anew from the copy.
        """
        is_new = not self.path.exists()
        with self._open():
            pass  # it can be read, and has its tables
        connection = warehouse.con
        connection.execute(f"ATTACH {literal(str(self.path))} AS record")
        if is_new:
            for table in RECORDS:
                connection.execute(f"INSERT INTO record.{table.name} BY NAME FROM main.{table.name}")
        try:
            with transaction(warehouse):
                for table in RECORDS:
                    connection.execute(f"DELETE FROM main.{table.name}")
                    connection.execute(f"INSERT INTO main.{table.name} BY NAME FROM record.{table.name}")
            return {
                table.name: int(connection.execute(f"SELECT count(*) FROM main.{table.name}").fetchall()[0][0])
                for table in RECORDS
            }
        finally:
            connection.execute("DETACH record")

    @contextmanager
    def _open(self) -> Iterator[Backend]:
        with open_database(self.path, remedy=_REMEDY) as database:
            for table in RECORDS:
                if table.name not in database.list_tables():
                    database.con.execute(table.ddl())
            yield database
