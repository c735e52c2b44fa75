"""What was known at a row of the panel, and what then happened."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
from ibis.backends.duckdb import Backend
from numpy.typing import NDArray

from benchmarks.panel.logs import ROWS, LogAbsent, Row, purchases
from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.models.genes import by_customer
from genome_pipeline.models.snapshots import LabelledSnapshot, snapshots_to_learn_from, training_horizon
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.features import customer_features
from genome_pipeline.transforms.outcomes import realised_outcomes

_STEP_DAYS = 30
_YEAR_DAYS = 365
_BASELINE_SNAPSHOTS = 5
_OLDEST_DAYS = 1_700
"""How far back from a row snapshots are offered, besides the horizon."""


@dataclass(frozen=True)
class Data:
    """Everything known at ``as_of``, and what then happened.

    Attributes:
        row: the row of the panel.
        features: ``customer_features`` at ``as_of``.
        year_features: the same with a recent window of a year, or the whole log where it is shorter.
        labelled: snapshots that ours learns from.
        matured: snapshots that the baselines learn from, oldest first.
        actual: ``realised_outcomes`` of the horizon, in the order of ``features``.
        log_days: days of log before ``as_of``.
    """

    row: Row
    features: pd.DataFrame
    year_features: pd.DataFrame
    labelled: tuple[LabelledSnapshot, ...]
    matured: tuple[LabelledSnapshot, ...]
    actual: pd.DataFrame
    log_days: int


def each_row(rows: Sequence[Row]) -> Iterator[Data]:
    """The data of each row, log by log; a log that is not here is named, and left out."""
    for log, of_log in groupby(rows, key=lambda row: row.log):
        try:
            database, start = _read(log)
        except LogAbsent as reason:
            print(f"{log} skipped. {reason}\n", flush=True)
            continue
        for row in of_log:
            yield _data(database, start, row)


def labelled_data(row: Row) -> Data:
    """The data of one row. Raises :class:`LogAbsent`."""
    return _data(*_read(row.log), row)


def beside_lines(row: Row) -> tuple[Backend, Data]:
    """The data of one row, beside the database of all lines of its log. Raises :class:`LogAbsent`."""
    database, start = _read(row.log)
    return database, _data(database, start, row)


def over_horizons(row: Row, horizons_days: Sequence[int]) -> Iterator[Data]:
    """The data of a row for each horizon, all with the features of the row's own. Raises :class:`LogAbsent`."""
    database, start = _read(row.log)
    for days in horizons_days:
        yield _data(database, start, replace(row, horizon_days=days), row.horizon_days)


def last_day(log: str) -> date:
    """The last day with a purchase. Raises :class:`LogAbsent`."""
    day: date = _read(log)[0].table("activity").last_order_date.max().to_pyarrow().as_py()
    return day


def rows_of_log(log: str) -> Iterator[tuple[Backend, Data]]:
    """The data of each row of a log, beside the database of all its lines. Raises :class:`LogAbsent`."""
    database, start = _read(log)
    for row in ROWS:
        if row.log == log:
            yield database, _data(database, start, row)


def next_orders(database: Backend, data: Data) -> tuple[NDArray[np.float64], int]:
    """Days from the row's date to each customer's next order, infinite for none, and the days that the log goes on."""
    as_of = data.row.as_of
    found = database.con.execute(
        "SELECT customer_id, min(ordered_at::DATE) - ?::DATE AS waited FROM lines WHERE ordered_at >= ? GROUP BY 1",
        [as_of, as_of],
    ).df()
    customers = by_customer(data.features)["customer_id"]
    waited = found.set_index("customer_id")["waited"].reindex(customers).astype(float).fillna(np.inf)
    ((length,),) = database.con.execute("SELECT max(ordered_at::DATE) - ?::DATE + 1 FROM lines", [as_of]).fetchall()
    return waited.to_numpy(), int(length)


@lru_cache(maxsize=1)
def _read(log: str) -> tuple[Backend, date]:
    """Lines and activity of a log in a database of its own, and its first day."""
    database = ibis.duckdb.connect()
    with tempfile.TemporaryDirectory(prefix="genome-benchmark-") as folder:
        database.con.execute(f"CREATE TABLE lines AS {purchases(log, Path(folder))}")
    activity = database.create_table("activity", customer_activity(database.table("lines")))
    return database, activity.period_start_date.min().to_pyarrow().as_py()


def _data(database: Backend, start: date, row: Row, window_days: int | None = None) -> Data:
    """The data of a row, with recent windows of its horizon or of ``window_days``."""
    window_days = row.horizon_days if window_days is None else window_days
    lines, activity, calendar = database.table("lines"), database.table("activity"), Calendar(Period.DAY, start)
    frames: dict[date, pd.DataFrame] = {}

    def features(as_of: date) -> pd.DataFrame:
        # Activity is by day: that before a date knows nothing of what came after it.
        if as_of not in frames:
            frames[as_of] = _frame(database, customer_features(activity, calendar, as_of, window_days))
        return frames[as_of]

    def labelled(as_of: date, days: int) -> LabelledSnapshot:
        known = features(as_of)
        database.con.register("customers", known[["as_of", "customer_id"]])
        outcomes = _frame(database, realised_outcomes(lines, database.table("customers"), days))
        return LabelledSnapshot(as_of, days, known, outcomes.drop(columns="as_of"))

    half = training_horizon(row.horizon_days)
    grids = {days: _grid(row.as_of - timedelta(days=days), start) for days in (row.horizon_days, half)}
    wanted = snapshots_to_learn_from(
        sorted({*grids[row.horizon_days], *grids[half]}), row.as_of, row.as_of, row.horizon_days
    )
    days = row.horizon_days if grids[row.horizon_days] else half
    year_days = min(_YEAR_DAYS, (row.as_of - start).days)
    now = labelled(row.as_of, row.horizon_days)
    return Data(
        row,
        now.features,
        by_customer(_frame(database, customer_features(activity, calendar, row.as_of, year_days))),
        tuple(labelled(*one) for one in wanted),
        tuple(labelled(day, days) for day in grids[days][-_BASELINE_SNAPSHOTS:]),
        now.outcomes,
        (row.as_of - start).days,
    )


def _grid(latest: date, start: date) -> list[date]:
    """Dates 30 days apart up to the latest, oldest first, with purchases before each."""
    count = min((latest - start).days, _OLDEST_DAYS) // _STEP_DAYS + 1
    dates = [latest - timedelta(days=_STEP_DAYS * step) for step in reversed(range(count))]
    return [day for day in dates if day > start]


def _frame(database: Backend, rows: ibis.Table) -> pd.DataFrame:
    frame: pd.DataFrame = database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
    return frame
