"""Customers' forecasts added up over groups: all customers, segments, and cohorts by their first purchases."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import ibis
import ibis.expr.types as ir

from genome_pipeline.calendar import Period

_KEYS = ["as_of", "customer_id"]


def cohort_start(first_order: ir.DateColumn, period: Period) -> ir.DateColumn:
    """First day of the cohort of a first purchase: its month or, where the calendar goes by weeks, its week."""
    # DuckDB truncates a date to a moment, which Ibis does not know.
    return first_order.cast("timestamp").truncate("W" if period is Period.WEEK else "M").cast("date")


def group_sums(
    outlook: ir.Table,
    features: ir.Table,
    segments: ir.Table,
    firsts: ir.Table,
    period: Period,
    own_variances: Callable[[Any, Any, Any], tuple[Any, Any, Any]],
) -> ir.Table:
    """``customer_outlook`` added up over each group and horizon: the columns of ``forecast_totals`` without bounds.

    Beside them stand ``buyers_variance``, ``orders_variance`` and ``spend_variance``, the sums over the group of
    ``own_variances`` of the probability to buy, the orders and the spend expected of each customer. Sums leave out
    customers without a prediction, and are null where none has one. Cohorts are named by their first day; ``firsts``
    has the others (:func:`genome_pipeline.transforms.cohorts.first_purchase_groups`).
    """
    rows = (
        outlook.inner_join(features.select(*_KEYS, "first_order_date"), _KEYS)
        .inner_join(segments.select(*_KEYS, "segment_id", "segment_name"), _KEYS)
        .mutate(buys=lambda joined: 1 - joined.churn_probability)
    )
    variances = own_variances(rows.buys.nullif(0), rows.expected_orders.nullif(0), rows.expected_spend)
    names = ("buyers_variance", "orders_variance", "spend_variance")
    day = cohort_start(rows.first_order_date, period).cast("string")
    rows = rows.mutate(**dict(zip(names, variances, strict=True)), cohort=day)
    groups = {
        "company": (ibis.literal("all"), ibis.literal("All customers")),
        "segment": (rows.segment_id.cast("string"), rows.segment_name),
        "cohort": (rows.cohort, rows.cohort),
    }
    keyed = [
        rows.mutate(group_kind=ibis.literal(kind), group_key=key, group_name=name)
        for kind, (key, name) in groups.items()
    ]
    began = rows.drop("cohort").inner_join(firsts, _KEYS)
    keyed.append(began.mutate(group_kind=began.cohort_kind, group_key=began.cohort, group_name=began.cohort))
    return reduce(ir.Table.union, (_added_up(one, names) for one in keyed))


def _added_up(keyed: ir.Table, variances: tuple[str, ...]) -> ir.Table:
    return keyed.group_by("as_of", "group_kind", "group_key", "group_name", "horizon_days").agg(
        customer_count=keyed.count(),
        expected_buyer_count=keyed.buys.sum(),
        expected_order_count=keyed.expected_orders.sum(),
        expected_spend_amount=keyed.expected_spend.sum(),
        **{variance: keyed[variance].sum() for variance in variances},
        is_extrapolated=keyed.is_extrapolated.any(),
        abstain_reason=keyed.abstain_reason.max(),
    )
