"""``category_activity`` of all periods so far, and ``customer_risk`` -> ``customer_next_category``, with its model."""

from __future__ import annotations

from collections.abc import Sequence
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
from genome_pipeline.orchestration.assets.snapshots import in_batches
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms.sampling import stratified_sample
from genome_pipeline.transforms.taste import bought_categories, category_histories, category_sums

LEARNED_SNAPSHOTS = 4
"""Matured snapshots that a model learns from, a month apart."""

MARKET_CUSTOMERS = 10_000
"""At most this many customers of a snapshot say how categories go together, and are learned from."""

_KNOWN = ("purchase_day_count", "recent_purchase_day_count", "t_days", "days_since_last_order")
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
    for batch, inputs in in_batches(pipeline, snapshots(context, pipeline), known.read):
        models, found = [], []
        with pipeline.engine.exchange() as exchange:
            with warehouse.open() as database:
                lots = [exchange.put(database, known.with_risk(database, as_of)) for as_of in batch]
            for as_of, (current, labelled), lot in zip(batch, inputs, lots, strict=True):
                model = fit_next_category(current, labelled, pipeline.settings.predict.seed)
                stored = model.to_bytes()
                file = pipeline.artifacts.write(_MODEL.name, as_of, ".json", stored)
                models.append(model.candidates(as_of).assign(artifact_file=file))
                found.append(
                    exchange.map_customers(
                        lot, stored, NextCategoryModel.from_bytes, NextCategoryModel.predict, _TABLE.fields
                    )
                )
            with warehouse.open() as database:
                for table, rows in ((_MODEL, pd.concat(models)), (_TABLE, exchange.get(database, found))):
                    report_rows(
                        context,
                        pipeline,
                        warehouse.replace_slices(database, table, batch, rows, context.run_id),
                    )


class _Known:
    """What is known of customers' categories. Snapshots to learn from are kept while models of the run need them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._settings = pipeline.settings
        self._pipeline = pipeline
        self._labelled: dict[date, LabelledHistories] = {}

    def read(self, database: Backend, dates: Sequence[date]) -> list[tuple[pd.DataFrame, list[LabelledHistories]]]:
        """Histories of some customers of each snapshot, and the matured snapshots to learn from, oldest first."""
        days = self._settings.predict.horizon_days
        before, observed = snapshots_before(database, max(dates)), observed_at(database, self._settings, dates)
        wanted = [
            latest_matured_dates([day for day in before if day < as_of], until, days, LEARNED_SNAPSHOTS)
            for as_of, until in zip(dates, observed, strict=True)
        ]
        needed = sorted({day for each in wanted for day in each})
        self._labelled = {day: self._labelled.get(day) or self._label(database, day) for day in needed}
        return [
            (self._frame(database, self._sample(database, as_of), as_of), [self._labelled[day] for day in each])
            for as_of, each in zip(dates, wanted, strict=True)
        ]

    def with_risk(self, database: Backend, as_of: date) -> ir.Table:
        """Histories of all customers of a snapshot, with their churn probability beside them."""
        check_written(database, self._pipeline, "customer_risk", [as_of])
        risk = database.table("customer_risk").select("as_of", "customer_id", "churn_probability", "abstain_reason")
        customers = customers_at(database, as_of, *_KNOWN).inner_join(risk, ["as_of", "customer_id"])
        return self._histories(database, customers, as_of)

    def _sample(self, database: Backend, as_of: date) -> ir.Table:
        features = customers_at(database, as_of)
        chosen = stratified_sample(features, MARKET_CUSTOMERS, self._settings.predict.seed)
        return features.select("as_of", "customer_id", *_KNOWN).semi_join(chosen, ["as_of", "customer_id"])

    def _label(self, database: Backend, as_of: date) -> LabelledHistories:
        customers, lines = self._sample(database, as_of), database.table("validated_transactions")
        bought = bought_categories(lines, customers, as_of, self._settings.predict.horizon_days)
        histories = Histories.of(self._frame(database, customers, as_of))
        return LabelledHistories(as_of, histories, _read(database, bought))

    def _frame(self, database: Backend, customers: ir.Table, as_of: date) -> pd.DataFrame:
        return _read(database, self._histories(database, customers, as_of))

    def _histories(self, database: Backend, customers: ir.Table, as_of: date) -> ir.Table:
        calendar, days = self._settings.time, self._settings.predict.horizon_days
        sums = category_sums(database.table("category_activity"), calendar, as_of, days)
        return category_histories(sums, customers, as_of)


def _read(database: Backend, rows: ir.Table) -> pd.DataFrame:
    found: pd.DataFrame = database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
    return found
