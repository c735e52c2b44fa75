"""Valid lines -> each customer's categories per period, as sums that can be merged -> what customers spend on."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir

from genome_pipeline.calendar import Calendar
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.tables.taste import KEPT_CATEGORIES, NEXT_CATEGORIES, OTHER_CATEGORIES, TASTE_SHARES

_MONEY = "decimal(18,2)"
_FACTOR = "decimal(19,2)"
"""Amounts that are multiplied: of up to 18 digits DuckDB would fit the product into 18, too."""


_SHARE = "decimal(18,9)"
"""Shares that are summed up: a sum of floats would depend on the order of rows."""

MOST_CATEGORIES = 100
"""The next categories are found from at most this many of a customer, those bought most often."""


def category_activity(lines: ir.Table) -> ir.Table:
    """Table ``category_activity`` from ``validated_transactions`` of any number of periods; all sums are exact."""
    keys = ["period_start_date", "customer_id", "category"]
    known = lines.filter(lines.category.notnull()).mutate(order_date=lines.ordered_at.date())
    days = known.group_by([*keys, "order_date"]).agg(has_bought=(~known.is_return).any(), amount=known.amount.sum())
    sums = days.group_by(keys).agg(
        purchase_day_count=days.count(where=days.has_bought),
        first_order_date=days.order_date.min(where=days.has_bought),
        last_order_date=days.order_date.max(where=days.has_bought),
        net_amount=days.amount.sum().cast(_MONEY),
    )
    return sums.select(*TABLES["category_activity"].columns)


def category_sums(activity: ir.Table, calendar: Calendar, as_of: date, horizon_days: int) -> ir.Table:
    """What each customer bought of each category before ``as_of``, from ``category_activity``.

    Columns: ``customer_id``, ``category``, ``purchase_day_count``, ``recent_purchase_day_count`` and
    ``previous_purchase_day_count`` (in the windows of ``customer_features``), ``first_order_date``,
    ``last_order_date``, ``net_amount`` and ``recent_net_amount`` (null where the log has no amounts). A category of
    which a customer only returned something has no purchase days.
    """
    known = activity.filter(activity.period_start_date <= calendar.period_start(as_of))
    recent_start = calendar.window_start(as_of, horizon_days)
    is_recent = known.period_start_date >= recent_start
    is_previous = (known.period_start_date >= calendar.window_start(as_of, horizon_days, back=1)) & ~is_recent
    return known.group_by("customer_id", "category").agg(
        purchase_day_count=known.purchase_day_count.sum(),
        recent_purchase_day_count=known.purchase_day_count.sum(where=is_recent).fill_null(0),
        previous_purchase_day_count=known.purchase_day_count.sum(where=is_previous).fill_null(0),
        first_order_date=known.first_order_date.min(),
        last_order_date=known.last_order_date.max(),
        net_amount=known.net_amount.sum().cast(_MONEY),
        recent_net_amount=known.net_amount.sum(where=is_recent).cast(_MONEY),
    )


def category_histories(sums: ir.Table, customers: ir.Table, as_of: date) -> ir.Table:
    """What each customer bought of which category, as lists, from :func:`category_sums`.

    ``customers`` have a ``customer_id``, and columns that are kept. Added are ``categories``, at most
    :data:`MOST_CATEGORIES` of each customer, those with the most purchase days first, of equal ones the latest bought,
    then by name; and in the same order ``counts``, ``recent_counts`` and ``previous_counts`` of purchase days,
    ``first_days`` and ``last_days`` before ``as_of``. They are null for a customer who bought nothing with a category.
    """
    bought = sums.filter(sums.purchase_day_count > 0)
    by_count = ibis.window(
        group_by="customer_id",
        order_by=[bought.purchase_day_count.desc(), bought.last_order_date.desc(), bought.category],
    )
    placed = bought.mutate(place=ibis.row_number().over(by_count))
    placed = placed.filter(placed.place < MOST_CATEGORIES)
    lists = {
        "categories": placed.category,
        "counts": placed.purchase_day_count,
        "recent_counts": placed.recent_purchase_day_count,
        "previous_counts": placed.previous_purchase_day_count,
        "first_days": ibis.date(as_of).delta(placed.first_order_date, unit="day"),
        "last_days": ibis.date(as_of).delta(placed.last_order_date, unit="day"),
    }
    of_customer = placed.group_by("customer_id").agg(
        **{name: values.collect(order_by=placed.place) for name, values in lists.items()}
    )
    return customers.left_join(of_customer, "customer_id").drop("customer_id_right")


def bought_categories(lines: ir.Table, customers: ir.Table, as_of: date, horizon_days: int) -> ir.Table:
    """The categories that ``customers`` (``customer_id``) buy within the horizon, for those who buy anything.

    Columns: ``customer_id`` and ``categories``, a sorted list; null for purchases of which none has a category.
    """
    begins = ibis.literal(as_of).cast("timestamp")
    within = lines.filter(
        ~lines.is_return,
        lines.ordered_at >= begins,
        lines.ordered_at < begins + ibis.interval(days=horizon_days),
    ).semi_join(customers, "customer_id")
    return within.group_by("customer_id").agg(
        categories=within.category.collect(where=within.category.notnull(), distinct=True).sort()
    )


def leading_categories(listed: ir.Table, features: ir.Table) -> ir.Table:
    """Of each customer in ``customer_next_category``, the likeliest category, and the one to suggest.

    ``features`` are ``customer_features`` of the same snapshots. Columns: ``as_of``, ``customer_id`` and those of
    :data:`genome_pipeline.contracts.tables.taste.LEADING`. To suggest is by preference a category that was never
    bought, else one that was not bought in the recent window, else any; of equal ones the likeliest.
    """
    keys = ["as_of", "customer_id"]
    known = listed.inner_join(features.select(*keys, "recent_window_days"), keys)
    away = known.as_of.delta(known.last_order_date, unit="day")
    staleness = ibis.cases((away.isnull(), 0), (away > known.recent_window_days, 1), else_=2)
    rank = known.next_category_rank
    preference = staleness * (NEXT_CATEGORIES + 1) + rank
    return known.group_by(keys).agg(
        next_category=known.category.argmin(rank),
        next_category_probability=known.category_probability.argmin(rank),
        suggested_category=known.category.argmin(preference),
        suggested_category_probability=known.category_probability.argmin(preference),
    )


def customer_categories(sums: ir.Table, as_of: date) -> ir.Table:
    """Table ``customer_categories`` at ``as_of`` from :func:`category_sums`; categories with more back are left out."""
    spent = sums.filter(sums.net_amount > 0).select("customer_id", "category", "net_amount")
    totals = spent.group_by("category").agg(total=spent.net_amount.sum())
    by_spend = ibis.window(order_by=[totals.total.desc(), totals.category])
    ranks = totals.select("category", place=ibis.row_number().over(by_spend) + 1)
    ranks = ranks.filter(ranks.place <= KEPT_CATEGORIES)
    placed = spent.left_join(ranks, "category").drop("category_right")
    placed = placed.mutate(
        category_rank=placed.place.fill_null(KEPT_CATEGORIES + 1).cast("int32"),
        category=ibis.ifelse(placed.place.isnull(), OTHER_CATEGORIES, placed.category),
    )
    joined = placed.group_by("customer_id", "category_rank", "category").agg(
        net_amount=placed.net_amount.sum().cast(_MONEY)
    )
    total = joined.net_amount.sum().over(ibis.window(group_by="customer_id"))
    shares = joined.mutate(
        as_of=ibis.date(as_of), category_spend_share=joined.net_amount.cast("float64") / total.cast("float64")
    )
    return shares.select(*TABLES["customer_categories"].columns)


def taste_shares(categories: ir.Table) -> ir.Table:
    """The shares of ``customer_categories`` side by side, a row for each customer; 0 of what they did not buy.

    Columns: ``as_of``, ``customer_id`` and those of :data:`genome_pipeline.contracts.tables.taste.TASTE_SHARES`.
    """
    shares = {
        name: categories.category_spend_share.max(where=categories.category_rank == rank).fill_null(0.0)
        for rank, name in enumerate(TASTE_SHARES, start=1)
    }
    return categories.group_by("as_of", "customer_id").agg(**shares)


def segment_tastes(categories: ir.Table, segments: ir.Table) -> ir.Table:
    """How the customers of each segment share their spend out, from ``customer_categories`` of one snapshot.

    ``segments`` have ``customer_id`` and ``segment_id``. Columns, a row for each segment and category that stands for
    itself: ``segment_id``, ``category``, ``taster_count`` (members with any taste), ``buyer_count`` (those with spend
    in the category), ``share_sum`` and ``squared_share_sum`` of their shares. Sums are exact. A segment that buys in no
    such category has one row, without a category.
    """
    known = categories.inner_join(segments.select("customer_id", "segment_id"), "customer_id")
    tasters = known.group_by("segment_id").agg(taster_count=known.customer_id.nunique())
    shown = known.filter(known.category_rank <= KEPT_CATEGORIES)
    share = shown.category_spend_share
    sums = shown.group_by("segment_id", "category").agg(
        buyer_count=shown.count(),
        share_sum=share.cast(_SHARE).sum().cast("float64"),
        squared_share_sum=(share * share).cast(_SHARE).sum().cast("float64"),
    )
    return tasters.left_join(sums, "segment_id").drop("segment_id_right")


def customer_taste(sums: ir.Table, as_of: date) -> ir.Table:
    """Table ``customer_taste`` at ``as_of`` from :func:`category_sums`.

    Shares are over all categories, none joined. The sums beneath each number are exact, so that the result depends
    neither on the order of rows nor on threads.
    """
    nothing = ibis.literal(0).cast(_FACTOR)

    def spent(amount: ir.DecimalValue) -> ir.DecimalValue:
        return ibis.greatest(amount, nothing).cast(_FACTOR)

    each = sums.select(
        "customer_id",
        "category",
        "purchase_day_count",
        spent=spent(sums.net_amount.fill_null(nothing)),
        recent=spent(sums.recent_net_amount.fill_null(nothing)),
        before=spent(sums.net_amount.fill_null(nothing) - sums.recent_net_amount.fill_null(nothing)),
    )
    by_customer = ibis.window(group_by="customer_id")
    placed = each.mutate(
        **{f"{name}_total": each[name].sum().over(by_customer).cast(_FACTOR) for name in ("recent", "before")},
        place=ibis.row_number().over(ibis.window(group_by="customer_id", order_by=[each.spent.desc(), each.category])),
    )
    # Differences of shares times both totals, so that nothing is rounded before all are summed.
    moved = (placed.recent * placed.before_total - placed.before * placed.recent_total).abs()
    found = placed.group_by("customer_id").agg(
        category_count=placed.count(where=placed.purchase_day_count > 0),
        total=placed.spent.sum().cast("float64"),
        squares=(placed.spent * placed.spent).sum().cast("float64"),
        top_category=placed.category.max(where=placed.place == 0),
        top_amount=placed.spent.max().cast("float64"),
        moved=moved.sum().cast("float64"),
        both=placed.recent_total.max().cast("float64") * placed.before_total.max().cast("float64"),
    )
    found = found.filter(found.total > 0)
    taste = found.mutate(
        as_of=ibis.date(as_of),
        # A square and a sum of squares may differ in the last bit.
        category_concentration=ibis.least(found.squares / (found.total * found.total), 1.0),
        top_category_share=found.top_amount / found.total,
        # The least of a null and 1 would be 1.
        taste_shift_share=ibis.ifelse(found.both > 0, ibis.least(found.moved / (found.both * 2), 1.0), None),
    )
    return taste.select(*TABLES["customer_taste"].columns)
