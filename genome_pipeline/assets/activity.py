"""``validated_transactions`` -> ``customer_activity``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg
from ibis.backends.duckdb import Backend

from genome_pipeline.assets.stage import report_rows, table_stage
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.partitions import Reads, period_starts
from genome_pipeline.resources import Pipeline
from genome_pipeline.transforms import activity

TOGETHER_LINES = 4_000_000
"""Lines of the periods that are summed up together: DuckDB holds sets of products and categories in memory."""


@table_stage("customer_activity", reads={"validated_transactions": Reads.SAME}, kinds={"ibis"})
def customer_activity(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Sum up what each customer did in the run's periods."""
    with pipeline.warehouse.open() as database, pipeline.engine.work(database) as work:
        lines = database.table("validated_transactions")
        for periods in periods_together(database, period_starts(context)):
            rows = activity.customer_activity(work.share(lines.filter(lines.period_start_date.isin(periods))))
            written = pipeline.warehouse.replace_slices(
                database, TABLES["customer_activity"], periods, work.fetch(rows), context.run_id
            )
            report_rows(context, pipeline, written)


def periods_together(database: Backend, periods: Sequence[date]) -> Iterator[list[date]]:
    """The periods in order, as many together as have :data:`TOGETHER_LINES`; a larger one by itself."""
    lines = dict(
        database.con.execute(
            "SELECT slice_key, row_count FROM written_slices WHERE table_name = 'validated_transactions'"
        ).fetchall()
    )
    together: list[date] = []
    for period in periods:
        if together and sum(lines.get(str(each), 0) for each in [*together, period]) > TOGETHER_LINES:
            yield together
            together = []
        together.append(period)
    yield together
