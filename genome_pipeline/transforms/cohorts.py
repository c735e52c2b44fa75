"""Cohorts of customers who began in the same month, or alike: who came back, and what they spent so far."""

from __future__ import annotations

from functools import reduce

import ibis
import ibis.expr.types as ir

from genome_pipeline.calendar import Period
from genome_pipeline.contracts.columns.totals import ALL_OTHERS, FIRST_KINDS, KEPT_COHORTS, NOT_KNOWN
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.transforms.lines import period_start
from genome_pipeline.transforms.totals import cohort_start

_KEYS = ["as_of", "customer_id"]


def cohorts(features: ir.Table, activity: ir.Table, period: Period) -> ir.Table:
    """Table ``cohorts``, from the ``customer_features`` of some snapshots and the activity of each one's latest month.

    That month, or week of a calendar by weeks, ends with the snapshot, or the snapshot is in it. All sums are exact. No
    earlier activity is read: what a customer spent so far is a gene.
    """
    found = _added_up(_followed(features, activity, period), "month", "cohort_start_date")
    month, start = found.month, found.cohort_start_date
    if period is Period.WEEK:
        age = month.delta(start, unit="day") // 7
    else:
        age = (month.year() - start.year()) * 12 + (month.month() - start.month())
    return found.mutate(cohort_age_count=age.cast("int64")).select(*TABLES["cohorts"].columns)


def first_purchase_cohorts(features: ir.Table, activity: ir.Table, groups: ir.Table, period: Period) -> ir.Table:
    """Table ``first_purchase_cohorts``, likewise; ``groups`` are those of :func:`first_purchase_groups`."""
    rows = _followed(features, activity, period).inner_join(groups, _KEYS)
    return _added_up(rows, "cohort_kind", "cohort").select(*TABLES["first_purchase_cohorts"].columns)


def first_purchase_groups(features: ir.Table, activity: ir.Table, categories: ir.Table, period: Period) -> ir.Table:
    """Which cohort each customer is of by the category and by the country of the first purchase.

    Columns: ``as_of``, ``customer_id``, ``cohort_kind`` and ``cohort``. Only the period of a customer's first order
    counts of ``customer_activity`` and ``category_activity``. Of several categories of the first day, it is the one
    with the largest amount in that period. The :data:`KEPT_COHORTS` cohorts of a kind with the most customers stand for
    themselves, the rest are one; so are those of whom it is not known. A kind of which nothing is known has no rows.
    """
    begun = features.select("customer_id", "first_order_date").distinct()
    begun = begun.mutate(period_start_date=period_start(begun.first_order_date.cast("timestamp"), period))
    keys = ["customer_id", "period_start_date"]
    country = begun.inner_join(activity.select(*keys, "country"), keys).select("customer_id", value="country")
    bought = begun.inner_join(
        categories.select(*keys, "category", "net_amount", first_order_date="first_order_date"),
        [*keys, "first_order_date"],
    )
    largest = ibis.window(group_by="customer_id", order_by=[bought.net_amount.desc(), bought.category])
    category = bought.mutate(place=ibis.row_number().over(largest)).filter(lambda placed: placed.place == 0)
    values = (category.select("customer_id", value="category"), country)
    return reduce(ir.Table.union, (_of_kind(features, kind, of) for kind, of in zip(FIRST_KINDS, values, strict=True)))


def _of_kind(features: ir.Table, kind: str, values: ir.Table) -> ir.Table:
    customers = features.select(*_KEYS).left_join(values, "customer_id").drop("customer_id_right")
    # A value that is called as the rest are is of the rest.
    customers = customers.mutate(value=customers.value.nullif(NOT_KNOWN))
    known = customers.filter(customers.value.notnull() & (customers.value != ALL_OTHERS))
    counts = known.group_by("as_of", "value").agg(customers=known.count())
    by_size = ibis.window(group_by="as_of", order_by=[counts.customers.desc(), counts.value])
    kept = counts.mutate(place=ibis.row_number().over(by_size)).filter(lambda placed: placed.place < KEPT_COHORTS)
    kept = kept.select("as_of", "value", is_kept=ibis.literal(True))
    named = customers.semi_join(kept, "as_of").left_join(kept, ["as_of", "value"])
    return named.select(
        *_KEYS,
        cohort_kind=ibis.literal(kind),
        cohort=ibis.cases(
            (named.value.isnull(), NOT_KNOWN), (named.is_kept.notnull(), named.value), else_=ibis.literal(ALL_OTHERS)
        ),
    )


def _followed(features: ir.Table, activity: ir.Table, period: Period) -> ir.Table:
    """Each customer with the cohort's month and the snapshot's, and whether they bought in the latter."""
    rows = features.select(*_KEYS, "first_order_date", "spend_amount").mutate(
        month=cohort_start(features.as_of - ibis.interval(days=1), period),
        cohort_start_date=cohort_start(features.first_order_date, period),
    )
    months = rows.select("as_of", "month").distinct()
    bought = activity.filter(activity.purchase_day_count > 0).select("customer_id", "period_start_date")
    active = (
        bought.inner_join(months, [bought.period_start_date >= months.month, bought.period_start_date < months.as_of])
        .select(*_KEYS)
        .distinct()
        .mutate(is_active=ibis.literal(True))
    )
    return rows.left_join(active, _KEYS).drop("as_of_right", "customer_id_right")


def _added_up(rows: ir.Table, *by: str) -> ir.Table:
    found = rows.group_by("as_of", *by).agg(
        cohort_customer_count=rows.count(),
        active_customer_count=rows.is_active.count(),
        cumulative_spend_amount=rows.spend_amount.sum().cast("decimal(18,2)"),
    )
    return found.mutate(retention_share=found.active_customer_count / found.cohort_customer_count)
