"""Slices of the warehouse as pandas frames, for the models."""

from __future__ import annotations

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.calendar import observed_until
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.snapshots import LabelledSnapshot, snapshots_to_learn_from
from genome_pipeline.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.outcomes import realised_outcomes
from genome_pipeline.warehouse.database import WarehouseError

SNAPSHOT_ROWS = 50_000
"""Customers read of a snapshot to learn from; of a larger one, a fixed sample."""


def snapshot_frame(database: Backend, table: str, as_of: date) -> pd.DataFrame:
    """The rows of one snapshot, ordered by key, amounts as floats.

    Raises :class:`WarehouseError` when the snapshot has never been written.
    """
    frame: pd.DataFrame = database.con.execute(
        f"SELECT * FROM {table} WHERE {TABLES[table].slice_by} = ? ORDER BY {', '.join(TABLES[table].key)}", [as_of]
    ).df()
    if frame.empty and not was_written(database, table, as_of):
        raise WarehouseError(f"{table} has no snapshot at {as_of}: materialise that period first")
    return frame


def was_written(database: Backend, table: str, as_of: date) -> bool:
    """Whether the slice was ever written, if only to hold no rows."""
    found = database.con.execute(
        "SELECT 1 FROM written_slices WHERE table_name = ? AND slice_key = ?", [table, str(as_of)]
    ).fetchone()
    return found is not None


def observed_at(database: Backend, as_of: date) -> date:
    """Day up to which the log can be taken as complete at ``as_of``; see :func:`observed_until`."""
    days = database.con.execute(
        "SELECT DISTINCT ordered_at::DATE AS day FROM validated_transactions"
        " WHERE NOT is_return AND ordered_at < ? ORDER BY day",
        [as_of],
    ).fetchall()
    return observed_until(as_of, [day for (day,) in days])


def matured_dates(database: Backend, settings: Settings, as_of: date) -> list[date]:
    """Earlier snapshots whose horizon had passed by ``as_of``, oldest first."""
    latest = observed_at(database, as_of) - timedelta(days=settings.predict.horizon_days)
    return [day for day in _earlier(database, as_of) if day <= latest]


def _earlier(database: Backend, as_of: date) -> list[date]:
    rows = database.con.execute("SELECT DISTINCT as_of FROM customer_features WHERE as_of < ? ORDER BY 1", [as_of])
    return [day for (day,) in rows.fetchall()]


def latest_matured(database: Backend, as_of: date, horizon_days: int) -> LabelledSnapshot | None:
    """The last snapshot that had matured by ``as_of``, as ``prediction_outcomes`` has it; None where none had.

    Of more than :data:`SNAPSHOT_ROWS` customers, a fixed sample.
    """
    day, customers = database.con.execute(
        "SELECT max(as_of), count(*) FROM prediction_outcomes WHERE as_of = (SELECT max(as_of) FROM prediction_outcomes"
        " WHERE matured_as_of <= ?)",
        [as_of],
    ).fetchall()[0]
    if day is None:
        return None
    rows: pd.DataFrame = database.con.execute(
        "SELECT f.*, actual_orders, actual_spend, has_churned FROM customer_features f JOIN prediction_outcomes"
        " USING (as_of, customer_id) WHERE as_of = $day AND hash(customer_id) % $customers::UBIGINT < $limit::UBIGINT",
        {"day": day, "customers": customers, "limit": SNAPSHOT_ROWS},
    ).df()
    outcomes = ["actual_orders", "actual_spend", "has_churned"]
    return LabelledSnapshot(day, horizon_days, rows.drop(columns=outcomes), rows[["customer_id", *outcomes]])


class LabelledSnapshots:
    """Features and outcomes of snapshots to learn from, each read once in a run however many models ask."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._settings = pipeline.settings
        self._features: dict[date, pd.DataFrame] = {}
        self._read: dict[tuple[date, int], LabelledSnapshot] = {}

    def at(self, database: Backend, as_of: date) -> list[LabelledSnapshot]:
        """What a model at ``as_of`` learns from, oldest first."""
        horizon_days = self._settings.predict.horizon_days
        observed = observed_at(database, as_of)
        return self._read_once(
            database, snapshots_to_learn_from(_earlier(database, as_of), as_of, observed, horizon_days)
        )

    def _read_once(self, database: Backend, wanted: list[tuple[date, int]]) -> list[LabelledSnapshot]:
        missing = [key for key in wanted if key not in self._read]
        for horizon_days in sorted({days for _, days in missing}):
            self._label(database, [day for day, days in missing if days == horizon_days], horizon_days)
        return [self._read[key] for key in wanted]

    def _label(self, database: Backend, dates: list[date], horizon_days: int) -> None:
        chosen = _bounded(database, dates)
        outcomes = realised_outcomes(database.table("validated_transactions"), chosen, horizon_days)
        if unread := [day for day in dates if day not in self._features]:
            self._features |= _by_snapshot(database, chosen.filter(chosen.as_of.isin([*map(ibis.date, unread)])))
        for day, frame in _by_snapshot(database, outcomes).items():
            labelled = LabelledSnapshot(day, horizon_days, self._features[day], frame.drop(columns="as_of"))
            self._read[day, horizon_days] = labelled


def _bounded(database: Backend, dates: list[date]) -> ir.Table:
    """Features of the snapshots: all customers, or a fixed sample of them by hash, so that training fits in memory."""
    features = database.table("customer_features")
    chosen = features.filter(features.as_of.isin([*map(ibis.date, dates)]))
    counts = database.con.execute(
        "SELECT as_of, count(*) FROM customer_features WHERE as_of IN (SELECT unnest(?)) GROUP BY 1", [dates]
    ).fetchall()
    per_million = [(as_of, round(1_000_000 * SNAPSHOT_ROWS / n)) for as_of, n in counts if n > SNAPSHOT_ROWS]
    if not per_million:
        return chosen
    bounds = ibis.cases(*((chosen.as_of == ibis.date(as_of), bound) for as_of, bound in per_million), else_=1_000_000)
    return chosen.filter(chosen.customer_id.hash().abs() % 1_000_000 < bounds)


def _by_snapshot(database: Backend, rows: ir.Table) -> dict[date, pd.DataFrame]:
    query = f"SELECT * FROM ({ibis.to_sql(rows, dialect='duckdb')}) ORDER BY as_of, customer_id"
    frame: pd.DataFrame = database.con.execute(query).df()
    return {pd.Timestamp(str(day)).date(): part.reset_index(drop=True) for day, part in frame.groupby("as_of")}
