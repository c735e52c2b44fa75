"""A frame of transactions, read as a source is, and what was known of its customers at any date; all in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.calendar import Calendar, observed_until
from genome_pipeline.contracts.formats import Formats
from genome_pipeline.contracts.rules import active_rules
from genome_pipeline.contracts.tables import RAW_COLUMNS
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.models.genes import by_customer
from genome_pipeline.models.snapshots import LabelledSnapshot, snapshots_to_learn_from
from genome_pipeline.sources import SourceError, SourceFile
from genome_pipeline.sources.columns import choose
from genome_pipeline.sql import identifier
from genome_pipeline.transforms.activity import customer_activity
from genome_pipeline.transforms.features import customer_features
from genome_pipeline.transforms.lines import typed_lines
from genome_pipeline.transforms.outcomes import realised_outcomes
from genome_pipeline.transforms.sampling import SNAPSHOT_ROWS, stratified_sample
from genome_pipeline.transforms.validation import judged_lines, rejections, valid_lines

_ZONE = "UTC"
_FRAME = SourceFile("the frame", Path(), None, None)


@dataclass(frozen=True)
class Reading:
    """How a frame is read and its customers measured.

    Attributes:
        columns: our names of columns -> the frame's.
        calendar: periods whose ends are snapshots.
        horizon_days: the horizon, which also sets the recent window of customers' genes.
        disabled: row rules that are switched off.
    """

    columns: dict[str, str]
    calendar: Calendar
    horizon_days: int
    disabled: tuple[str, ...]


@dataclass(frozen=True)
class Transactions:
    """The valid lines of a frame, in a database in memory, and what follows from them.

    Attributes:
        row_count: rows of the frame.
        set_aside: number of rows that a rule set aside, by reason, most first; a row may have several reasons.
        order_days: days with a purchase, in order.
    """

    reading: Reading
    database: Backend
    row_count: int
    set_aside: dict[str, int]
    order_days: list[date]

    @classmethod
    @contextmanager
    def of(cls, frame: object, reading: Reading) -> Iterator[Transactions]:
        """Read a frame of pandas, Polars or Arrow; the database is closed afterwards.

        Raises :class:`SourceError` for a column that is missing or of a type that cannot be read as intended.
        """
        with TemporaryDirectory(prefix="genome-") as folder:
            connection = connect(config={"temp_directory": folder})
            try:
                connection.execute(f"SET TimeZone = '{_ZONE}'")
                database = ibis.duckdb.from_connection(connection)
                row_count = _take_in(database, frame, reading)
                yield cls(reading, database, row_count, _validate(database, reading), _order_days(database))
            finally:
                connection.close()

    def reached(self) -> date:
        """The latest snapshot that the log reaches: the end of the last period, unless the log stops before it."""
        period = self.reading.calendar.period
        last = period.start_of(self.order_days[-1])
        end = self.reading.calendar.as_of(last)
        return end if observed_until(end, self.order_days) == end else last

    def observed_until(self, as_of: date) -> date:
        """The day until which the log can be taken as complete at a snapshot, at most today."""
        seen = min(as_of, datetime.now(ZoneInfo(_ZONE)).date())
        return observed_until(seen, [day for day in self.order_days if day < seen])

    def features(self, as_of: date) -> pd.DataFrame:
        """``customer_features`` of everybody who bought before a snapshot, in order of ``customer_id``."""
        return self._frame(self._customers(as_of))

    def learned_from(
        self, as_of: date, features: pd.DataFrame, seed: int
    ) -> tuple[pd.DataFrame, list[LabelledSnapshot]]:
        """What models at a snapshot are fitted to: its ``features``, and earlier snapshots with their outcomes.

        A snapshot of more than :data:`~genome_pipeline.transforms.sampling.SNAPSHOT_ROWS` customers is sampled.
        """
        calendar, horizon_days = self.reading.calendar, self.reading.horizon_days
        periods = calendar.periods(self.order_days[0], calendar.period_start(as_of))
        known = [day for day in map(calendar.as_of, periods) if day < as_of]
        wanted = snapshots_to_learn_from(known, as_of, self.observed_until(as_of), horizon_days)
        dates = sorted({day for day, _ in wanted})
        sampled = {day: self._sampled(day, self.features(day), seed) for day in dates}
        labelled = [self._labelled(day, days, sampled[day]) for day, days in wanted]
        return self._sampled(as_of, features, seed), labelled

    def _customers(self, as_of: date) -> ir.Table:
        reading = self.reading
        return customer_features(
            self.database.table("customer_activity"), reading.calendar, as_of, reading.horizon_days
        )

    def _sampled(self, as_of: date, features: pd.DataFrame, seed: int) -> pd.DataFrame:
        if len(features) <= SNAPSHOT_ROWS:
            return features
        drawn = self._frame(stratified_sample(self._customers(as_of), SNAPSHOT_ROWS, seed))
        return features[features["customer_id"].isin(drawn["customer_id"])].reset_index(drop=True)

    def _labelled(self, as_of: date, days: int, features: pd.DataFrame) -> LabelledSnapshot:
        self.database.con.register("known", features[["as_of", "customer_id"]])
        known = self.database.table("known")
        customers = known.select(as_of=known.as_of.date(), customer_id=known.customer_id)
        outcomes = self._frame(realised_outcomes(self.database.table("validated_transactions"), customers, days))
        self.database.con.unregister("known")
        return LabelledSnapshot(as_of, days, features, outcomes.drop(columns="as_of"))

    def _frame(self, rows: ir.Table) -> pd.DataFrame:
        found: pd.DataFrame = self.database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
        return by_customer(found)


def _take_in(database: Backend, frame: object, reading: Reading) -> int:
    """Make ``raw_transactions`` of the frame; returns its number of rows."""
    connection = database.con
    try:
        connection.register("given", frame)
    except duckdb.Error as error:
        raise SourceError(
            f"{_FRAME.name} cannot be read ({str(error).splitlines()[0]}): convert that column, or leave it out"
        ) from None
    given = connection.table("given")
    names, types = given.columns, [*map(str, given.types)]
    places = choose(names, types, _FRAME, reading.columns, "columns")
    raw = {f"raw_{ours}": _value(names[place], types[place]) for ours, place in places.items()}
    columns = ", ".join(f"{raw.get(name, 'NULL::VARCHAR')} AS {name}" for name in RAW_COLUMNS)
    connection.execute(
        f"CREATE TABLE raw_transactions AS SELECT '{_FRAME.name}' AS source_file, row_number() OVER () AS source_row,"
        f" now()::TIMESTAMP AS ingested_at, {columns} FROM given"
    )
    connection.unregister("given")
    ((count,),) = connection.execute("SELECT count(*) FROM raw_transactions").fetchall()
    return int(count)


def _value(name: str, type_: str) -> str:
    """SQL of a column of the frame; categories are texts."""
    return f"{identifier(name)}::VARCHAR" if type_.startswith("ENUM") else identifier(name)


def _validate(database: Backend, reading: Reading) -> dict[str, int]:
    """Make ``validated_transactions`` and ``customer_activity``; returns the number of rows set aside, by reason."""
    mapped = list(reading.columns)
    lines = typed_lines(database.table("raw_transactions"), mapped=mapped, calendar=reading.calendar, formats=Formats())
    judged = judged_lines(lines, active_rules(mapped, reading.disabled))
    rejected = database.create_table("rejections", rejections(judged))
    valid = database.create_table("validated_transactions", valid_lines(lines, rejected))
    database.create_table("customer_activity", customer_activity(valid))
    counts = database.con.execute(
        "SELECT reason, count(*) FROM (SELECT unnest(reasons) AS reason FROM rejections) GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    return dict(counts)


def _order_days(database: Backend) -> list[date]:
    rows: Sequence[tuple[date]] = database.con.execute(
        "SELECT DISTINCT ordered_at::DATE AS day FROM validated_transactions WHERE NOT is_return ORDER BY day"
    ).fetchall()
    return [day for (day,) in rows]
