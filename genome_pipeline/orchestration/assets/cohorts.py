"""``customer_features`` and ``customer_activity`` of the latest month -> ``cohorts``."""

from __future__ import annotations

from datetime import date

import dagster as dg
import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from genome_pipeline.calendar import Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.frames import check_begun, check_written
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms import cohorts as transform


@table_stage(
    "cohorts",
    reads={"customer_features": Reads.SAME, "customer_activity": Reads.UP_TO_THIS},
    kinds={"ibis"},
)
def cohorts(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Count who of each cohort came back in the latest month, and add up what each has spent."""
    dates = snapshots(context, pipeline)
    with pipeline.warehouse.open() as database:
        check_written(database, pipeline, "customer_features", dates)
        check_begun(database, pipeline, "customer_activity")
        rows = pd.concat([cohorts_at(database, as_of, pipeline.settings.time.period) for as_of in dates])
        written = pipeline.warehouse.replace_slices(database, TABLES["cohorts"], dates, rows, context.run_id)
    report_rows(context, pipeline, written)


def cohorts_at(database: Backend, as_of: date, period: Period) -> pd.DataFrame:
    """Rows of the table at one snapshot."""
    features = database.table("customer_features")
    chosen = features.filter(features.as_of == ibis.date(as_of))
    rows = transform.cohorts(chosen, database.table("customer_activity"), as_of, period)
    found: pd.DataFrame = database.con.execute(ibis.to_sql(rows, dialect="duckdb")).df()
    return found
