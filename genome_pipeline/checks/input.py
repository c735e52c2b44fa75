"""Nothing lost between the source and the validated lines, and what period the log covers."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from genome_pipeline.assets.frames import observed_at
from genome_pipeline.checks.bridge import check
from genome_pipeline.partitions import period_starts
from genome_pipeline.quality.reconciliation import reconcile
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline.resources import Pipeline
from genome_pipeline.transforms.validation import row_and_cent_totals
from genome_pipeline.warehouse.ingestion import typed_raw


@check(
    "raw_transactions",
    description="Every row counted while a source file was read is in the table.",
    is_blocking=True,
)
def rows_counted(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """Compare the stored rows of each file with the number read."""
    with pipeline.warehouse.open() as database:
        differing = database.con.execute(
            "SELECT source_file, f.row_count, coalesce(r.row_count, 0) FROM source_files f FULL JOIN"
            " (SELECT source_file, count(*) AS row_count FROM raw_transactions GROUP BY 1) r USING (source_file)"
            " WHERE f.row_count IS DISTINCT FROM coalesce(r.row_count, 0)"
        ).fetchall()
        total = int(database.table("raw_transactions").count().execute())
    observed = "; ".join(f"{name}: {read} rows read, {stored} stored" for name, read, stored in differing)
    return [
        CheckResult(
            "raw_transactions", "rows_counted", "ERROR", not differing, observed or f"{total:,} rows stored", total
        )
    ]


@check(
    "quarantined_transactions",
    description="Every source row is either validated or quarantined: rows and cents reconcile per period and in all.",
    is_blocking=True,
)
def nothing_lost(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """Reconcile the run's periods, and the rows that belong to none."""
    periods = period_starts(context)
    with pipeline.warehouse.open() as database:
        totals = []
        for lines, amount in (
            (typed_raw(database, pipeline.settings), "amount"),
            (database.table("validated_transactions"), "amount"),
            (database.table("quarantined_transactions"), "line_amount"),
        ):
            wanted = lines.filter(lines.period_start_date.isin(periods) | lines.period_start_date.isnull())
            totals.append(row_and_cent_totals(wanted, amount).to_pandas())
    return [
        CheckResult(
            "quarantined_transactions",
            "nothing_lost_in_total" if found.is_total else f"nothing_lost_{found.period_start_date or 'undated'}",
            "ERROR",
            found.is_passed,
            found.observed,
            found.raw.row_count,
        )
        for found in reconcile(*totals)
    ]


@check(
    "validated_transactions",
    description="The log reaches the end of the last period; otherwise recency is overstated at that snapshot.",
    is_blocking=False,
)
def covers_period(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """Compare the log's last day with the end of the run's last period."""
    as_of = pipeline.settings.time.as_of(period_starts(context)[-1])
    with pipeline.warehouse.open() as database:
        until = observed_at(database, as_of)
    missing = (as_of - until).days
    observed = (
        f"the log ends {missing} days before {as_of}: days since the last order are overstated at that snapshot"
        if missing
        else f"the log reaches {as_of}"
    )
    return [CheckResult("validated_transactions", "covers_period", "WARN", missing == 0, observed, 0)]
