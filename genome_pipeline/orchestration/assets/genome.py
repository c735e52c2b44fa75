"""All customer tables -> ``customer_genome``."""

from __future__ import annotations

import dagster as dg
import ibis

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.frames import check_written, provisional_at
from genome_pipeline.orchestration.assets.stage import report_rows, snapshots, table_stage
from genome_pipeline.orchestration.partitions import Reads
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.transforms import genome

_INPUTS = (
    "customer_features",
    "customer_segments",
    "customer_value",
    "customer_risk",
    "customer_next_order",
    "customer_lifetime_value",
    "neighbor_estimates",
    "customer_confidence",
    "customer_actions",
    "customer_next_category",
)


@table_stage(
    "customer_genome",
    reads={**dict.fromkeys(_INPUTS, Reads.SAME), "validated_transactions": Reads.UP_TO_THIS},
    kinds={"ibis"},
)
def customer_genome(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Join everything known of each customer into one row."""
    dates = snapshots(context, pipeline)
    with pipeline.warehouse.open() as database:
        for name in _INPUTS:
            check_written(database, pipeline, name, dates)
        inputs = [database.table(name) for name in _INPUTS]
        chosen = [table.filter(table.as_of.isin([*map(ibis.date, dates)])) for table in inputs]
        provisional = provisional_at(database, pipeline.settings, dates)
        rows = genome.customer_genome(chosen, provisional)
        written = pipeline.warehouse.replace_slices(database, TABLES["customer_genome"], dates, rows, context.run_id)
        found = database.con.execute(
            "SELECT as_of, avg(confidence), avg((expected_orders IS NOT NULL)::INTEGER),"
            " avg((churn_probability IS NOT NULL)::INTEGER) FROM customer_genome WHERE as_of IN (SELECT unnest(?))"
            " GROUP BY 1",
            [dates],
        ).fetchall()
    facts = {
        as_of: {
            "is_provisional": as_of in provisional,
            "mean_confidence": confidence,
            "with_value_share": value,
            "with_churn_share": churn,
        }
        for as_of, confidence, value, churn in found
    }
    report_rows(context, pipeline, written, facts)
