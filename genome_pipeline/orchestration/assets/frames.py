"""Reading slices of the warehouse as pandas frames, for the models."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from ibis.backends.duckdb import Backend

from genome_pipeline.calendar import observed_until
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.snapshots import LabelledSnapshot, labelled_with_stand_ins, snapshots_to_learn_from
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.transforms.experiments import stand_ins, without_treated
from genome_pipeline.transforms.outcomes import realised_outcomes
from genome_pipeline.transforms.sampling import SNAPSHOT_ROWS, stratified_sample
from genome_pipeline.transforms.taste import segment_tastes, taste_shares
from genome_pipeline.warehouse.errors import WarehouseError


def snapshot_frames(
    database: Backend, table: str, dates: Sequence[date], columns: Sequence[str] = ("*",)
) -> dict[date, pd.DataFrame]:
    """The rows of each snapshot, ordered by key, with amounts as floats: all columns, or ``columns`` and the date.

    Raises :class:`WarehouseError` when a snapshot has never been written.
    """
    by = str(TABLES[table].slice_by)
    chosen = columns if columns == ("*",) else dict.fromkeys((by, *columns))
    rows: pd.DataFrame = database.con.execute(
        f"SELECT {', '.join(chosen)} FROM {table} WHERE {by} IN (SELECT unnest(?))", [dates]
    ).df()
    return _each_snapshot(database, table, dates, _ordered(rows, (by, *TABLES[table].key)))


def _ordered(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The rows sorted by those ``keys`` that are among their columns.

    Only positions are sorted: the database would move whole rows, which takes several times as long as reading them.
    """
    known = [key for key in dict.fromkeys(keys) if key in rows.columns]
    order = pc.sort_indices(pa.table({key: rows[key] for key in known}), [(key, "ascending") for key in known])
    return rows.take(order.to_numpy()).reset_index(drop=True)


def _each_snapshot(
    database: Backend, table: str, dates: Sequence[date], rows: pd.DataFrame
) -> dict[date, pd.DataFrame]:
    frames = _by_date(rows, str(TABLES[table].slice_by))
    for as_of in dates:
        if as_of not in frames:
            if not was_written(database, table, as_of):
                raise WarehouseError(f"{table} has no snapshot at {as_of}: materialise that period first")
            frames[as_of] = rows.iloc[:0]
    return frames


def customers_at(database: Backend, as_of: date, *columns: str) -> ir.Table:
    """``customer_features`` of one snapshot: all columns, or some with the keys.

    Raises :class:`WarehouseError` when the snapshot has never been written.
    """
    if not was_written(database, "customer_features", as_of):
        raise WarehouseError(f"customer_features has no snapshot at {as_of}: materialise that period first")
    features = database.table("customer_features")
    rows = features.filter(features.as_of == ibis.date(as_of))
    return rows.select("as_of", "customer_id", *columns) if columns else rows


def model_files(database: Backend, table: str, dates: Sequence[date]) -> dict[date, str]:
    """File name of the stored model or index of each snapshot. Raises :class:`WarehouseError` if one was never made."""
    return {as_of: str(rows.artifact_file.iloc[0]) for as_of, rows in snapshot_frames(database, table, dates).items()}


def _by_date(rows: pd.DataFrame, column: str) -> dict[date, pd.DataFrame]:
    """Rows that are sorted by a column of dates, split by date."""
    days, starts = np.unique(rows[column].to_numpy(), return_index=True)
    ends = np.append(starts, len(rows))[1:]
    return {
        pd.Timestamp(day).date(): rows.iloc[start:end].reset_index(drop=True)
        for day, start, end in zip(days, starts, ends, strict=True)
    }


def check_written(database: Backend, pipeline: Pipeline, table: str, slices: Sequence[date]) -> None:
    """Raises :class:`WarehouseError` if one of the slices was never written; a slice without rows counts as written."""
    missing = [day for day in slices if not was_written(database, table, day)]
    if missing:
        raise WarehouseError(_never_made(pipeline, f"{table} of {missing[0]}"))


def check_begun(database: Backend, pipeline: Pipeline, table: str) -> None:
    """Raises :class:`WarehouseError` if no slice of the table was ever written, so that a reader would find no rows."""
    if not database.con.execute("SELECT 1 FROM written_slices WHERE table_name = ? LIMIT 1", [table]).fetchall():
        raise WarehouseError(_never_made(pipeline, table))


def _never_made(pipeline: Pipeline, what: str) -> str:
    return (
        f"{what} was never made in {pipeline.settings.home.absolute()}: materialise it first, or use `genome run`; if"
        " it was made in another folder, set GENOME_HOME to that one"
    )


def was_written(database: Backend, table: str, as_of: date) -> bool:
    """Whether the slice was ever written; a slice without rows counts as written."""
    found = database.con.execute(
        "SELECT 1 FROM written_slices WHERE table_name = ? AND slice_key = ?", [table, str(as_of)]
    ).fetchall()
    return bool(found)


def order_days(database: Backend, until: date) -> list[date]:
    """The days with a purchase before a date, in order."""
    rows = database.con.execute(
        "SELECT DISTINCT ordered_at::DATE AS day FROM validated_transactions"
        " WHERE NOT is_return AND ordered_at < ? ORDER BY day",
        [until],
    ).fetchall()
    return [day for (day,) in rows]


def observed_at(database: Backend, settings: Settings, dates: Sequence[date]) -> list[date]:
    """The day until which the log can be taken as complete at each date, at most today; see :func:`observed_until`."""
    seen = [min(as_of, settings.today()) for as_of in dates]
    days = order_days(database, max(seen))
    return [observed_until(day, days[: bisect_left(days, day)]) for day in seen]


def provisional_at(database: Backend, settings: Settings, dates: Sequence[date]) -> list[date]:
    """The dates that the log does not reach: the period has not ended, or the log stops before its end."""
    return [as_of for as_of, until in zip(dates, observed_at(database, settings, dates), strict=True) if until < as_of]


def matured_dates(
    database: Backend, settings: Settings, dates: Sequence[date], horizon_days: int | None = None
) -> list[list[date]]:
    """For each date, the earlier snapshots whose horizon had passed by then, oldest first; by default the main one."""
    known = snapshots_before(database, max(dates))
    horizon = timedelta(days=settings.predict.horizon_days if horizon_days is None else horizon_days)
    return [[day for day in known if day + horizon <= seen] for seen in observed_at(database, settings, dates)]


def with_taste(database: Backend, as_of: date, features: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Customers of a snapshot with the shares of what they spend on beside, and the categories by rank, from 1.

    The shares are null of a customer without taste. A rank whose last buyer was forgotten is an empty category.
    """
    categories = database.table("customer_categories")
    known = categories.filter(categories.as_of == ibis.date(as_of))
    names = known.select("category_rank", "category").distinct().order_by("category_rank").to_pandas()
    shares = taste_shares(known).drop("as_of").to_pandas()
    by_rank = dict(zip(names["category_rank"], names["category"], strict=True))
    ranks = range(1, max(by_rank, default=0) + 1)
    return features.merge(shares, on="customer_id", how="left"), tuple(by_rank.get(rank, "") for rank in ranks)


def tastes_of_segments(database: Backend, as_of: date) -> pd.DataFrame:
    """As :func:`segment_tastes`, of a snapshot."""
    categories, segments = (
        table.filter(table.as_of == ibis.date(as_of))
        for table in (database.table("customer_categories"), database.table("customer_segments"))
    )
    found: pd.DataFrame = segment_tastes(categories, segments).to_pandas()
    return found


def snapshots_before(database: Backend, as_of: date) -> list[date]:
    """The snapshots with customers before a date, oldest first."""
    rows = database.con.execute("SELECT DISTINCT as_of FROM customer_features WHERE as_of < ? ORDER BY 1", [as_of])
    return [day for (day,) in rows.fetchall()]


def sampled_frames(database: Backend, dates: Sequence[date], seed: int) -> dict[date, pd.DataFrame]:
    """Features of each snapshot as :func:`snapshot_frames` gives them, for at most :data:`SNAPSHOT_ROWS` customers.

    Raises :class:`WarehouseError` when a snapshot has never been written.
    """
    frames = _by_snapshot(database, _to_learn_from(database, dates, seed))
    # A snapshot that is not in ``frames`` has no customers, or was never written.
    return snapshot_frames(database, "customer_features", [day for day in dates if day not in frames]) | frames


def latest_matured(database: Backend, as_of: date, horizon_days: int, seed: int) -> LabelledSnapshot | None:
    """The last snapshot that had matured by ``as_of``, from ``prediction_outcomes``; None if there is none.

    A snapshot of more than :data:`SNAPSHOT_ROWS` customers is sampled.
    """
    ((day,),) = database.con.execute(
        "SELECT max(as_of) FROM prediction_outcomes WHERE matured_as_of <= ?", [as_of]
    ).fetchall()
    if day is None:
        return None
    outcomes = ["actual_orders", "actual_spend", "has_churned"]
    known = database.table("prediction_outcomes").select("as_of", "customer_id", *outcomes)
    chosen = _untouched(database, _to_learn_from(database, [day], seed), horizon_days)
    rows = _by_snapshot(database, chosen.inner_join(known, ["as_of", "customer_id"]))
    frame = rows[day]
    return LabelledSnapshot(day, horizon_days, frame.drop(columns=outcomes), frame[["customer_id", *outcomes]])


Matured = tuple[LabelledSnapshot | None, tuple[str, ...]]
"""A matured snapshot, if there is one, and the categories that tastes were compared by."""


def matured_with_taste(database: Backend, as_of: date, horizon_days: int, seed: int) -> Matured:
    """As :func:`latest_matured`, with taste beside the features."""
    matured = latest_matured(database, as_of, horizon_days, seed)
    if matured is None:
        return None, ()
    features, categories = with_taste(database, matured.as_of, matured.features)
    return replace(matured, features=features), categories


class LabelledSnapshots:
    """Features and outcomes of snapshots to learn from; each is read once and kept while models of a run need it."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._settings = pipeline.settings
        self._features: dict[date, pd.DataFrame] = {}
        self._read: dict[tuple[date, int], LabelledSnapshot] = {}

    def at(
        self, database: Backend, dates: Sequence[date], horizons_days: Sequence[int]
    ) -> list[dict[int, list[LabelledSnapshot]]]:
        """The snapshots that a model at each date learns from for each horizon, oldest first.

        Snapshots needed by none are dropped.
        """
        known, observed = snapshots_before(database, max(dates)), observed_at(database, self._settings, dates)
        wanted = [
            {
                days: snapshots_to_learn_from([day for day in known if day < as_of], as_of, until, days)
                for days in horizons_days
            }
            for as_of, until in zip(dates, observed, strict=True)
        ]
        needed = {key for by_horizon in wanted for keys in by_horizon.values() for key in keys}
        missing = needed - self._read.keys()
        for days in sorted({days for _, days in missing}):
            self._label(database, sorted(day for day, found in missing if found == days), days)
        self._read = {key: snapshot for key, snapshot in self._read.items() if key in needed}
        self._features = {day: self._features[day] for day, _ in sorted(needed)}
        return [{days: [self._read[key] for key in keys] for days, keys in one.items()} for one in wanted]

    def _label(self, database: Backend, dates: list[date], horizon_days: int) -> None:
        chosen = _to_learn_from(database, dates, self._settings.predict.seed)
        customers = chosen.select("as_of", "customer_id")
        outcomes = realised_outcomes(
            database.table("validated_transactions"), _untouched(database, customers, horizon_days), horizon_days
        )
        if unread := [day for day in dates if day not in self._features]:
            self._features |= _by_snapshot(database, chosen.filter(chosen.as_of.isin([*map(ibis.date, unread)])))
        experiments, members = database.table("experiments"), database.table("experiment_members")
        instead = _by_snapshot(database, stand_ins(customers, experiments, members, horizon_days))
        for day, frame in _by_snapshot(database, outcomes).items():
            self._read[day, horizon_days] = labelled_with_stand_ins(
                day,
                horizon_days,
                self._features[day],
                frame.drop(columns="as_of"),
                instead.get(day, pd.DataFrame(columns=["customer_id", "stand_in_id"], dtype="str")),
            )


def _to_learn_from(database: Backend, dates: Sequence[date], seed: int) -> ir.Table:
    """Features of the snapshots, with all customers or a sample of them, so that training fits in memory."""
    features = database.table("customer_features")
    chosen = features.filter(features.as_of.isin([*map(ibis.date, dates)]))
    sizes = database.con.execute(
        "SELECT count(*) FROM customer_features WHERE as_of IN (SELECT unnest(?)) GROUP BY as_of", [dates]
    ).fetchall()
    if all(size <= SNAPSHOT_ROWS for (size,) in sizes):
        return chosen
    return chosen.semi_join(stratified_sample(chosen, SNAPSHOT_ROWS, seed), ["as_of", "customer_id"])


def _untouched(database: Backend, customers: ir.Table, horizon_days: int) -> ir.Table:
    experiments, members = database.table("experiments"), database.table("experiment_members")
    return without_treated(customers, experiments, members, horizon_days)


def _by_snapshot(database: Backend, rows: ir.Table) -> dict[date, pd.DataFrame]:
    found = database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
    return _by_date(_ordered(found, ("as_of", "customer_id")), "as_of")
