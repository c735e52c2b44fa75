"""What customers did after a snapshot: the truth that models learn from and are judged by."""

from __future__ import annotations

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.tables import TABLES


def realised_outcomes(lines: ir.Table, customers: ir.Table, as_of: date, horizon_days: int) -> ir.Table:
    """Outcomes of ``customers`` (a table with ``customer_id``) within ``[as_of, as_of + horizon_days)``.

    Columns: ``customer_id``, ``actual_orders`` (purchase days), ``actual_spend`` (purchases less returns, so
    possibly negative; null where the log has no amounts) and ``has_churned`` (no purchase).
    """
    within = lines.filter(
        (lines.ordered_at >= ibis.date(as_of)) & (lines.ordered_at < ibis.date(as_of + timedelta(days=horizon_days)))
    )
    done = within.group_by("customer_id").agg(
        days=within.ordered_at.date().nunique(where=~within.is_return), spend=within.amount.sum()
    )
    # A log has amounts or it has none; a customer without lines spent nothing only in the first case.
    has_amounts = lines.aggregate(has_amounts=lines.amount.notnull().any())
    joined = customers.select("customer_id").left_join(done, "customer_id").drop("customer_id_right")
    joined = joined.cross_join(has_amounts)
    return joined.select(
        "customer_id",
        actual_orders=joined.days.fill_null(0).cast("float64"),
        actual_spend=ibis.ifelse(joined.has_amounts, joined.spend.fill_null(0), ibis.null("decimal(38,2)")).cast(
            "decimal(18,2)"
        ),
        has_churned=joined.days.fill_null(0) == 0,
    )


def matured_predictions(
    matured_as_of: date,
    outcomes: ir.Table,
    features: ir.Table,
    segments: ir.Table,
    value: ir.Table,
    risk: ir.Table,
    confidence: ir.Table,
) -> ir.Table:
    """Table ``prediction_outcomes``: the predictions of one earlier snapshot beside its ``outcomes``."""
    rows = outcomes
    for part in (features, segments, value, risk, confidence):
        fresh = [name for name in part.columns if name == "customer_id" or name not in rows.columns]
        rows = rows.inner_join(part.select(*fresh), "customer_id")
    return rows.mutate(matured_as_of=ibis.date(matured_as_of)).select(*TABLES["prediction_outcomes"].columns)
