"""Cohorts of customers who first bought in the same month: who came back, and what they spent so far."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir

from genome_pipeline.calendar import Period
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.transforms.totals import cohort_start


def latest_month(as_of: date, period: Period) -> date:
    """First day of the month, or of the week of a calendar by weeks, that ends with the snapshot or that it is in."""
    step = Period.WEEK if period is Period.WEEK else Period.MONTH
    return step.start_of(as_of - date.resolution)


def cohorts(features: ir.Table, activity: ir.Table, as_of: date, period: Period) -> ir.Table:
    """Table ``cohorts`` at one snapshot, from its ``customer_features`` and the activity of its latest month.

    All sums are exact. No earlier activity is read: what a customer spent so far is a gene.
    """
    month = latest_month(as_of, period)
    within = activity.filter(
        activity.period_start_date >= ibis.date(month),
        activity.period_start_date < ibis.date(as_of),
        activity.purchase_day_count > 0,
    )
    active = within.select("customer_id").distinct().mutate(is_active=ibis.literal(True))
    rows = features.left_join(active, "customer_id").mutate(
        cohort_start_date=cohort_start(features.first_order_date, period)
    )
    found = rows.group_by("cohort_start_date").agg(
        cohort_customer_count=rows.count(),
        active_customer_count=rows.is_active.count(),
        cumulative_spend_amount=rows.spend_amount.sum().cast("decimal(18,2)"),
    )
    start = found.cohort_start_date
    if period is Period.WEEK:
        age = ibis.date(month).delta(start, unit="day") // 7
    else:
        age = (month.year - start.year()) * 12 + (month.month - start.month())
    return found.mutate(
        as_of=ibis.date(as_of),
        cohort_age_count=age.cast("int64"),
        retention_share=found.active_customer_count / found.cohort_customer_count,
    ).select(*TABLES["cohorts"].columns)
