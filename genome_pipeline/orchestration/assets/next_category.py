"""``category_activity`` of all periods so far, and ``customer_risk`` -> ``customer_next_category``, with its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import dagster as dg
import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.categories.histories import Histories, LabelledHistories
from genome_pipeline.models.categories.next_category import NextCategoryModel, fit_next_category
from genome_pipeline.models.snapshots import latest_matured_dates
from genome_pipeline.orchestration.assets.frames import check_written, customers_at, observed_at, snapshots_before
from genome_pipeline.orchestration.assets.snapshots import in_batches, in_threads
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms.sampling import stratified_sample
from genome_pipeline.transforms.taste import bought_categories, category_histories, category_sums
from genome_pipeline.warehouse.exchange import Exchange

LEARNED_SNAPSHOTS = 4
"""Matured snapshots that a model learns from, a month apart."""

MARKET_CUSTOMERS = 10_000
"""At most this many customers of a snapshot say how categories go together, and are learned from."""

_KNOWN = ("purchase_day_count", "recent_purchase_day_count", "t_days", "days_since_last_order")
TOGETHER_CUSTOMERS = 200_000
"""At most about this many customers' categories are put into lists together, which DuckDB does in memory."""

_CUSTOMERS = "customers_learned_from"
_MODEL, _TABLE = TABLES["next_category_model"], TABLES["customer_next_category"]


@table_stage(
    "next_category_model",
    "customer_next_category",
    reads={
        "category_activity": Reads.UP_TO_THIS,
        "validated_transactions": Reads.UP_TO_THIS,
        "customer_features": Reads.UP_TO_THIS,
        "customer_risk": Reads.SAME,
    },
    kinds={"scikit-learn"},
    name="next_category",
)
def next_category(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Learn which categories customers buy next, and list the likeliest ones of each, at each snapshot of the run."""
    warehouse, known = pipeline.warehouse, _Known(pipeline)
    for batch, wanted in in_batches(pipeline, snapshots(context, pipeline), known.learned_dates):
        with pipeline.engine.exchange() as exchange:
            with warehouse.open() as database:
                lots = {
                    as_of: [exchange.put(database, rows) for rows in known.with_risk(database, as_of)]
                    for as_of in batch
                }
                known.read(database, exchange, lots, wanted)
            models = in_threads(known.fit, batch, wanted)
            rows, found = [], []
            for as_of, model in zip(batch, models, strict=True):
                stored = model.to_bytes()
                file = pipeline.artifacts.write(_MODEL.name, as_of, ".json", stored)
                rows.append(model.candidates(as_of).assign(artifact_file=file))
                load, apply = NextCategoryModel.from_bytes, NextCategoryModel.predict
                found += [exchange.map_customers(lot, stored, load, apply, _TABLE.fields) for lot in lots[as_of]]
            with warehouse.open() as database:
                for table, made in ((_MODEL, pd.concat(rows)), (_TABLE, exchange.get(database, found))):
                    written = warehouse.replace_slices(database, table, batch, made, context.run_id)
                    report_rows(context, pipeline, written)


class _Known:
    """What is known of customers' categories; what later snapshots of the run learn from is kept for them.

    Attributes:
        histories: of a snapshot's customers, or of a sample of them.
        labelled: the same, with what was bought next.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._settings = pipeline.settings
        self._pipeline = pipeline
        self.histories: dict[date, Histories] = {}
        self.labelled: dict[date, LabelledHistories] = {}

    def learned_dates(self, database: Backend, dates: Sequence[date]) -> list[list[date]]:
        """The matured snapshots that each snapshot learns from, oldest first."""
        days = self._settings.predict.horizon_days
        before, observed = snapshots_before(database, max(dates)), observed_at(database, self._settings, dates)
        return [
            latest_matured_dates([day for day in before if day < as_of], until, days, LEARNED_SNAPSHOTS)
            for as_of, until in zip(dates, observed, strict=True)
        ]

    def read(
        self, database: Backend, exchange: Exchange, lots: Mapping[date, list[str]], wanted: Sequence[Sequence[date]]
    ) -> None:
        """Read what the snapshots in ``lots`` need, from the lots where these hold few customers."""
        needed = {day for days in wanted for day in days}
        # A snapshot is learned from as long after it was made as the horizon is, or as a month.
        kept = max(LEARNED_SNAPSHOTS, len(lots)) + LEARNED_SNAPSHOTS
        self.histories = dict(sorted(self.histories.items())[-kept:])
        for day in sorted({*lots, *needed} - self.histories.keys()):
            self.histories[day] = Histories.of(self._frame(database, exchange, lots.get(day, []), day))
        self.labelled = {day: self.labelled.get(day) or self._label(database, day) for day in sorted(needed)}

    def fit(self, as_of: date, learned: Sequence[date]) -> NextCategoryModel:
        """The model of a snapshot that :meth:`read` has read."""
        known = [self.labelled[day] for day in learned]
        return fit_next_category(self.histories[as_of], known, self._settings.predict.seed)

    def with_risk(self, database: Backend, as_of: date) -> Iterator[ir.Table]:
        """Histories of all customers of a snapshot, with their churn probability beside them, in parts."""
        check_written(database, self._pipeline, "customer_risk", [as_of])
        risk = database.table("customer_risk").select("as_of", "customer_id", "churn_probability", "abstain_reason")
        customers = customers_at(database, as_of, *_KNOWN).inner_join(risk, ["as_of", "customer_id"])
        parts = _count(database, as_of) // TOGETHER_CUSTOMERS + 1
        for part in range(parts):
            in_part = customers.filter(customers.customer_id.hash().abs() % parts == part) if parts > 1 else customers
            yield self._histories(database, in_part, as_of)

    def _frame(self, database: Backend, exchange: Exchange, lots: Sequence[str], as_of: date) -> pd.DataFrame:
        features, count = customers_at(database, as_of), _count(database, as_of)
        if lots and count <= MARKET_CUSTOMERS:
            return exchange.frame(lots[0])
        chosen = features.select("as_of", "customer_id", *_KNOWN)
        if count > MARKET_CUSTOMERS:
            sample = stratified_sample(features, MARKET_CUSTOMERS, self._settings.predict.seed)
            chosen = chosen.semi_join(sample, ["as_of", "customer_id"])
        return _read(database, self._histories(database, chosen, as_of))

    def _label(self, database: Backend, as_of: date) -> LabelledHistories:
        histories, days = self.histories[as_of], self._settings.predict.horizon_days
        database.con.register(_CUSTOMERS, histories.customers[["customer_id"]])
        try:
            lines = database.table("validated_transactions")
            bought = _read(database, bought_categories(lines, database.table(_CUSTOMERS), as_of, days))
        finally:
            database.con.unregister(_CUSTOMERS)
        return LabelledHistories(as_of, histories, bought)

    def _histories(self, database: Backend, customers: ir.Table, as_of: date) -> ir.Table:
        calendar, days = self._settings.time, self._settings.predict.horizon_days
        activity = database.table("category_activity").semi_join(customers, "customer_id")
        sums = category_sums(activity, calendar, as_of, days)
        return category_histories(sums, customers, as_of)


def _count(database: Backend, as_of: date) -> int:
    ((count,),) = database.con.execute("SELECT count(*) FROM customer_features WHERE as_of = ?", [as_of]).fetchall()
    return int(count)


def _read(database: Backend, rows: ir.Table) -> pd.DataFrame:
    found: pd.DataFrame = database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
    return found
