"""Cohorts of customers who first bought in the same month: who came back, and what they spent so far."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from genome_pipeline.calendar import Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.transforms.totals import cohort_start


def cohorts(features: ir.Table, activity: ir.Table, period: Period) -> ir.Table:
    """Table ``cohorts``, from the ``customer_features`` of some snapshots and the activity of each one's latest month.

    That month, or week of a calendar by weeks, ends with the snapshot, or the snapshot is in it. All sums are exact. No
    earlier activity is read: what a customer spent so far is a gene.
    """
    rows = features.select("as_of", "customer_id", "first_order_date", "spend_amount").mutate(
        month=cohort_start(features.as_of - ibis.interval(days=1), period),
        cohort_start_date=cohort_start(features.first_order_date, period),
    )
    months = rows.select("as_of", "month").distinct()
    bought = activity.filter(activity.purchase_day_count > 0).select("customer_id", "period_start_date")
    active = (
        bought.inner_join(months, [bought.period_start_date >= months.month, bought.period_start_date < months.as_of])
        .select("as_of", "customer_id")
        .distinct()
        .mutate(is_active=ibis.literal(True))
    )
    joined = rows.left_join(active, ["as_of", "customer_id"])
    found = joined.group_by("as_of", "month", "cohort_start_date").agg(
        cohort_customer_count=joined.count(),
        active_customer_count=joined.is_active.count(),
        cumulative_spend_amount=joined.spend_amount.sum().cast("decimal(18,2)"),
    )
    month, start = found.month, found.cohort_start_date
    if period is Period.WEEK:
        age = month.delta(start, unit="day") // 7
    else:
        age = (month.year() - start.year()) * 12 + (month.month() - start.month())
    return found.mutate(
        cohort_age_count=age.cast("int64"),
        retention_share=found.active_customer_count / found.cohort_customer_count,
    ).select(*TABLES["cohorts"].columns)
