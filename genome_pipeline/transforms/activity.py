"""Valid lines -> each customer's activity per period, as sums that can be merged over periods."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.tables import TABLES

_KEYS = ["period_start_date", "customer_id"]


def customer_activity(lines: ir.Table) -> ir.Table:
    """Table ``customer_activity`` from ``validated_transactions`` of any number of periods.

    All sums are exact (integers and decimals), so the result depends neither on the order of rows nor on threads.
    """
    purchases = lines.filter(~lines.is_return)
    orders = purchases.group_by([*_KEYS, "order_id"]).agg(
        # Squares then fit into a decimal: totals below 1e17, which is a hundred million of the largest lines.
        amount=purchases.amount.sum().cast("decimal(19,2)"),
        products=purchases.product_id.nunique(),
    )
    by_order = orders.group_by(_KEYS).agg(
        order_count=orders.count(),
        order_product_count=orders.products.sum().nullif(0),
        squared_order_amount_sum=(orders.amount * orders.amount).sum().cast("decimal(38,4)"),
    )
    bought, returned = ~lines.is_return, lines.is_return
    by_customer = lines.group_by(_KEYS).agg(
        line_count=lines.count(where=bought),
        item_count=lines.quantity.sum(where=bought),
        categories=lines.category.collect(where=bought & lines.category.notnull(), distinct=True).sort(),
        return_amount=_returned(lines),
        return_line_count=lines.count(where=returned),
        country=lines.country.max(),
    )
    joined = by_customer
    for more in (by_order, purchase_days(lines)):
        joined = joined.left_join(more, _KEYS).drop("period_start_date_right", "customer_id_right")
    counts = ("order_count", "purchase_day_count", "weekend_purchase_day_count", "squared_gap_days_sum")
    joined = joined.mutate(
        **{name: joined[name].fill_null(0) for name in counts},
        # 0 in a period with returns only; null if lines have no amounts at all.
        gross_amount=ibis.ifelse(joined.return_amount.notnull(), joined.gross_amount.fill_null(0), None),
    )
    return joined.select(*TABLES["customer_activity"].columns)


def purchase_days(lines: ir.Table) -> ir.Table:
    """The part of :func:`customer_activity` about days with a purchase; customers with returns only are left out.

    Columns: the keys, ``first_order_date``, ``last_order_date``, ``purchase_day_count``,
    ``weekend_purchase_day_count``, ``first_day_amount``, ``gross_amount``, ``squared_gap_days_sum``, ``last_gap_days``.
    """
    purchases = lines.filter(~lines.is_return).mutate(order_date=lines.ordered_at.date())
    days = purchases.group_by([*_KEYS, "order_date"]).agg(amount=purchases.amount.sum())
    in_order = ibis.window(group_by=_KEYS, order_by=days.order_date)
    days = days.mutate(
        gap_days=days.order_date.delta(days.order_date.lag().over(in_order), unit="day"),
        is_weekend=days.order_date.day_of_week.index() >= 5,
    )
    return days.group_by(_KEYS).agg(
        first_order_date=days.order_date.min(),
        last_order_date=days.order_date.max(),
        purchase_day_count=days.count(),
        weekend_purchase_day_count=days.is_weekend.sum().cast("int64"),
        first_day_amount=days.amount.argmin(days.order_date),
        gross_amount=days.amount.sum(),
        squared_gap_days_sum=(days.gap_days * days.gap_days).sum().fill_null(0),
        last_gap_days=days.gap_days.argmax(days.order_date),
    )


def _returned(lines: ir.Table) -> ir.DecimalValue:
    """Returned amount: 0 if nothing was returned, null if the lines have no amounts at all."""
    returned = -lines.amount.sum(where=lines.is_return).fill_null(0)
    return ibis.ifelse(lines.amount.notnull().any(), returned, ibis.null("decimal(38,2)"))
