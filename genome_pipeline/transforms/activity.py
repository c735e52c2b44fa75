"""Valid lines -> what each customer did in each period, as sums that merge over periods."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.tables import TABLES

_KEYS = ["period_start_date", "customer_id"]


def customer_activity(lines: ir.Table) -> ir.Table:
    """Table ``customer_activity`` from ``validated_transactions`` of any number of periods.

    All sums are exact (integers and decimals), so the result depends neither on the order of rows nor on the
    number of threads.
    """
    lines = lines.mutate(order_date=lines.ordered_at.date())
    purchases = lines.filter(~lines.is_return)
    orders = purchases.group_by([*_KEYS, "order_id"]).agg(
        amount=purchases.amount.sum().cast("decimal(18,2)"),
        products=purchases.product_id.nunique(),
    )
    by_order = orders.group_by(_KEYS).agg(
        order_count=orders.count(),
        order_product_count=orders.products.sum().nullif(0),
        squared_order_amount_sum=(orders.amount * orders.amount).sum(),
    )
    days = purchases.group_by([*_KEYS, "order_date"]).agg(amount=purchases.amount.sum())
    in_order = ibis.window(group_by=_KEYS, order_by=days.order_date)
    days = days.mutate(
        gap_days=days.order_date.delta(days.order_date.lag().over(in_order), unit="day"),
        is_weekend=days.order_date.day_of_week.index() >= 5,
    )
    by_day = days.group_by(_KEYS).agg(
        first_order_date=days.order_date.min(),
        last_order_date=days.order_date.max(),
        purchase_day_count=days.count(),
        weekend_purchase_day_count=days.is_weekend.sum().cast("int64"),
        first_day_amount=days.amount.argmin(days.order_date),
        squared_gap_days_sum=(days.gap_days * days.gap_days).sum().fill_null(0),
    )
    bought, returned = ~lines.is_return, lines.is_return
    by_customer = lines.group_by(_KEYS).agg(
        line_count=lines.count(where=bought),
        item_count=lines.quantity.sum(where=bought),
        categories=lines.category.collect(where=bought & lines.category.notnull(), distinct=True).sort(),
        gross_amount=_total(lines.amount, bought),
        return_amount=-_total(lines.amount, returned),
        return_line_count=lines.count(where=returned),
        country=lines.country.max(),
    )
    joined = by_customer.left_join(by_order, _KEYS).drop("period_start_date_right", "customer_id_right")
    joined = joined.left_join(by_day, _KEYS).drop("period_start_date_right", "customer_id_right")
    counts = ("order_count", "purchase_day_count", "weekend_purchase_day_count", "squared_gap_days_sum")
    joined = joined.mutate(**{name: joined[name].fill_null(0) for name in counts})
    return joined.select(*TABLES["customer_activity"].columns)


def _total(amount: ir.DecimalValue, where: ir.BooleanValue) -> ir.DecimalValue:
    """Sum of the amounts, 0 where there is no such line, null where the lines have no amounts at all."""
    return ibis.ifelse(amount.notnull().any(), amount.sum(where=where).fill_null(0), ibis.null("decimal(38,2)"))
