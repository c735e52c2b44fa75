"""``customer_activity`` of all periods so far -> ``customer_features``."""

from __future__ import annotations

from datetime import date

import dagster as dg
from ibis.backends.duckdb import Backend

from genome_pipeline.calendar import Calendar
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.frames import check_begun
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms import features


@table_stage("customer_features", reads={"customer_activity": Reads.UP_TO_THIS}, kinds={"ibis"})
def customer_features(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Measure every customer's genome at each snapshot of the run.

    A backfill from the Dagster UI asks for all snapshots after the periods it was launched for. A snapshot has no
    customers until its own period's activity has been made.
    """
    settings, warehouse = pipeline.settings, pipeline.warehouse
    with warehouse.open() as database, pipeline.engine.work(database) as work:
        check_begun(database, pipeline, "customer_activity")
        activity = work.send(database.table("customer_activity"))
        for as_of in snapshots(context, pipeline):
            rows = features.customer_features(activity, settings.time, as_of, settings.predict.horizon_days)
            missing = _missing_period(database, settings.time, as_of)
            if missing:
                context.log.warning(f"no customers at {as_of}: customer_activity of {missing} has not been made")
                rows = rows.limit(0)
            written = warehouse.replace_slices(
                database, TABLES["customer_features"], [as_of], work.fetch(rows), context.run_id
            )
            report_rows(context, pipeline, written, {as_of: {"missing_activity": str(missing or "none")}})


def _missing_period(database: Backend, calendar: Calendar, as_of: date) -> date | None:
    """First period of the log, up to the snapshot's own, whose activity was never written."""
    rows = database.con.execute(
        "SELECT slice_key FROM written_slices WHERE table_name = 'customer_activity'"
    ).fetchall()
    written = {date.fromisoformat(key) for (key,) in rows}
    own = calendar.period_start(as_of)
    needed = calendar.periods(min(written, default=own), own)
    return next((period for period in needed if period not in written), None)
