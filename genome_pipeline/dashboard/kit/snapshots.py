"""The run that made the file, and the snapshots in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb
import pandas as pd

from genome_pipeline.published.versions import remembered


@dataclass(frozen=True)
class Run:
    """The run that made the file."""

    run_id: str
    as_of: date
    version: str
    published_at: datetime
    horizon_days: int
    interval_level: float
    currency: str | None
    period: str
    raw_row_count: int
    validated_row_count: int
    quarantined_row_count: int
    source_name: str
    forced_past: str | None

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection) -> Run:
        """The run that made the file, with the parameters it was given."""
        rows = connection.execute(
            "SELECT run_id, as_of, version, published_at, parameters, forced_past FROM pipeline_runs"
            " ORDER BY published_at DESC LIMIT 1"
        ).fetchall()
        if not rows:
            raise LookupError("the published file has no row in pipeline_runs")
        (row,) = rows
        parameters = json.loads(row[4])
        return cls(
            run_id=row[0],
            as_of=row[1],
            version=row[2],
            published_at=row[3],
            horizon_days=int(parameters["horizon_days"]),
            interval_level=float(parameters["interval_level"]),
            currency=parameters["currency"],
            period=parameters["period"],
            raw_row_count=int(parameters["raw_row_count"]),
            validated_row_count=int(parameters["validated_row_count"]),
            quarantined_row_count=int(parameters["quarantined_row_count"]),
            source_name=parameters["source_name"],
            forced_past=row[5],
        )


def all_snapshots(connection: duckdb.DuckDBPyConnection) -> list[date]:
    """Every snapshot in the file, latest first."""
    return [as_of for as_of, _ in _snapshots(connection)]


def provisional_snapshots(connection: duckdb.DuckDBPyConnection) -> frozenset[date]:
    """The snapshots that were made before their period had ended."""
    return frozenset(as_of for as_of, is_provisional in _snapshots(connection) if is_provisional)


def _snapshots(connection: duckdb.DuckDBPyConnection) -> list[tuple[date, bool]]:
    def find() -> list[Any]:
        return connection.execute(
            "SELECT as_of::VARCHAR, bool_or(is_provisional) FROM customer_genome_history GROUP BY as_of ORDER BY 1 DESC"
        ).fetchall()

    return [(date.fromisoformat(as_of), flag) for as_of, flag in remembered(connection, "snapshots", find)]


def chosen_snapshot(snapshots: list[date], parameters: Mapping[str, str]) -> tuple[date, bool]:
    """The snapshot of the URL, else the latest; and whether the file has the URL's snapshot."""
    if not snapshots:
        raise LookupError("the published file has no snapshot")
    asked = parameters.get("as_of")
    for snapshot in snapshots:
        if asked == snapshot.isoformat():
            return snapshot, True
    return snapshots[0], asked is None


def up_to(trend: pd.DataFrame, as_of: date, column: str = "as_of") -> pd.DataFrame:
    """The rows of a trend over all snapshots that were known at ``as_of``."""
    return trend[trend[column] <= pd.Timestamp(as_of)].reset_index(drop=True)
