"""Activity of all periods up to a snapshot -> the measured genome of every customer."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import ibis
import ibis.expr.types as ir

from genome_pipeline.calendar import Calendar, Period
from genome_pipeline.contracts.tables import TABLES

_PERIODS_A_YEAR = {Period.MONTH: 12, Period.WEEK: 52, Period.DAY: 365}
_YEARS_AGO = {"year_ago": 1, "two_years_ago": 2}


def customer_features(activity: ir.Table, calendar: Calendar, as_of: date, horizon_days: int) -> ir.Table:
    """Table ``customer_features`` at ``as_of`` from ``customer_activity``; later periods are ignored.

    Customers without a purchase before ``as_of`` (with returns only) have no genome and are left out. The recent
    window is the number of whole periods nearest to ``horizon_days``.
    """
    windows = _Windows.at(as_of, calendar, horizon_days)
    known = activity.filter(activity.period_start_date <= windows.last_period)
    sums = _sums(known, windows)
    # Not with nunique, whose sets DuckDB cannot spill to disk.
    each = known.select("customer_id", category=known.categories.unnest()).distinct()
    breadth = each.group_by("customer_id").agg(category_count=each.category.count())
    years = _active_years(known, windows.last_period, calendar.period)
    for more in (breadth, _gaps_between_periods(known), years):
        sums = sums.left_join(more, "customer_id").drop("customer_id_right")
    genome = sums.mutate(
        as_of=ibis.date(as_of),
        recent_window_days=ibis.literal((as_of - windows.recent_start).days).cast("int64"),
        **_rfm(sums, as_of),
        **_rhythm(sums, as_of),
        **_spend(sums),
        **_activity(sums, windows, calendar.period),
    )
    return genome.select(*TABLES["customer_features"].columns)


class _Windows(NamedTuple):
    """The last period that a snapshot knows, the start of its windows, and first and last period of earlier seasons."""

    last_period: date
    recent_start: date
    previous_start: date
    seasons: dict[str, tuple[date, date]]

    @classmethod
    def at(cls, as_of: date, calendar: Calendar, horizon_days: int) -> _Windows:
        last, length = calendar.period_start(as_of), calendar.window_periods(horizon_days)
        return cls(
            last,
            calendar.window_start(as_of, horizon_days),
            calendar.window_start(as_of, horizon_days, back=1),
            {name: _season(calendar, last, length, years) for name, years in _YEARS_AGO.items()},
        )


def _sums(known: ir.Table, windows: _Windows) -> ir.Table:
    """Activity summed up by customer, for customers with a purchase."""
    bought = known.purchase_day_count > 0
    recent = known.period_start_date >= windows.recent_start
    previous = (known.period_start_date >= windows.previous_start) & ~recent
    net = known.gross_amount - known.return_amount
    sums = known.group_by("customer_id").agg(
        **_rfm_sums(known),
        country=known.country.argmax(known.period_start_date, where=known.country.notnull()),
        order_count=known.order_count.sum(),
        active_period_count=known.count(where=bought),
        first_period=known.period_start_date.min(where=bought),
        weekend_days=known.weekend_purchase_day_count.sum(),
        return_amount=known.return_amount.sum(),
        squared_order_amounts=known.squared_order_amount_sum.sum(),
        squared_gaps_within_periods=known.squared_gap_days_sum.sum(),
        item_count=known.item_count.sum(),
        order_product_count=known.order_product_count.sum(),
        return_line_count=known.return_line_count.sum(),
        recent_purchase_day_count=known.purchase_day_count.sum(where=recent).fill_null(0),
        previous_purchase_day_count=known.purchase_day_count.sum(where=previous).fill_null(0),
        recent_spend=net.sum(where=recent),
        previous_spend=net.sum(where=previous),
        last_gap_within_period=known.last_gap_days.argmax(known.period_start_date, where=bought),
        **{
            f"{name}_purchase_day_count": known.purchase_day_count.sum(
                where=known.period_start_date.between(first, last)
            )
            for name, (first, last) in windows.seasons.items()
        },
    )
    return sums.filter(sums.purchase_day_count > 0)


def _rhythm(sums: ir.Table, as_of: date) -> dict[str, ir.Value]:
    """Genes of the time between orders."""
    rfm = _rfm(sums, as_of)
    frequency, recency = rfm["frequency_count"], rfm["recency_days"].cast("float64")
    since_last = ibis.date(as_of).delta(sums.last_order_date, unit="day")
    gap_mean = recency / frequency.nullif(0)
    squared_gaps = sums.squared_gaps_within_periods + sums.squared_gaps_between_periods.fill_null(0)
    gap_std = _std(frequency.cast("float64"), recency, squared_gaps.cast("float64"))
    return {
        "days_since_last_order": since_last,
        "order_gap_mean_days": gap_mean,
        "order_gap_std_days": gap_std,
        "order_gap_cv_ratio": gap_std / gap_mean,
        "overdue_ratio": since_last / gap_mean,
        "weekend_share": sums.weekend_days / sums.purchase_day_count,
        "last_gap_days": sums.last_gap_within_period.fill_null(sums.last_gap_between_periods),
    }


def _spend(sums: ir.Table) -> dict[str, ir.Value]:
    """Genes of amounts and of the contents of orders."""
    orders, gross = sums.order_count.cast("float64"), sums.gross_amount.cast("float64")
    zero, none = ibis.literal(0).cast("decimal(18,2)"), ibis.null("decimal(38,2)")
    has_amounts = sums.gross_amount.notnull()
    return {
        "spend_amount": sums.gross_amount - sums.return_amount,
        "average_order_value_amount": gross / orders,
        "order_value_std_amount": _std(orders, gross, sums.squared_order_amounts.cast("float64")),
        "items_per_order_count": sums.item_count.cast("float64") / orders,
        "products_per_order_count": sums.order_product_count / orders,
        "recent_spend_amount": ibis.ifelse(has_amounts, sums.recent_spend.fill_null(zero), none),
        "previous_spend_amount": ibis.ifelse(has_amounts, sums.previous_spend.fill_null(zero), none),
        "return_share": sums.return_amount.cast("float64") / gross.nullif(0.0),
    }


def _activity(sums: ir.Table, windows: _Windows, period: Period) -> dict[str, ir.Value]:
    """Genes of when customers are active: over all periods, recently, and in the same season of earlier years."""
    windowed = sums.recent_purchase_day_count + sums.previous_purchase_day_count
    periods, years = (since(sums.first_period, windows.last_period, period) for since in (_periods_since, _years_since))
    return {
        "active_period_share": sums.active_period_count / periods,
        "active_year_share": sums.active_year_count / years,
        "momentum_share": sums.recent_purchase_day_count / windowed.nullif(0),
        **{
            column: ibis.ifelse(sums.first_period <= last, sums[column].fill_null(0), ibis.null("int64"))
            for column, last in ((f"{name}_purchase_day_count", last) for name, (_, last) in windows.seasons.items())
        },
    }


def rfm_summary(days: ir.Table, as_of: date) -> ir.Table:
    """The part of :func:`customer_features` that BTYD models are fitted to, from ``purchase_days`` of activity.

    One row per customer who bought before ``as_of``, which is the start of a period: ``customer_id``,
    ``frequency_count``, ``recency_days``, ``t_days`` and ``monetary_value_amount``, as defined by Fader, Hardie & Lee
    (2005).
    """
    known = days.filter(days.first_order_date < as_of)
    sums = known.group_by("customer_id").agg(**_rfm_sums(known))
    return sums.select("customer_id", **_rfm(sums, as_of))


def _rfm_sums(known: ir.Table) -> dict[str, ir.Value]:
    return {
        "first_order_date": known.first_order_date.min(),
        "last_order_date": known.last_order_date.max(),
        "purchase_day_count": known.purchase_day_count.sum(),
        "gross_amount": known.gross_amount.sum(),
        "first_day_amount": known.first_day_amount.argmin(known.period_start_date, where=known.purchase_day_count > 0),
    }


def _rfm(sums: ir.Table, as_of: date) -> dict[str, ir.Value]:
    frequency = sums.purchase_day_count - 1
    return {
        "frequency_count": frequency,
        "recency_days": sums.last_order_date.delta(sums.first_order_date, unit="day"),
        "t_days": ibis.date(as_of).delta(sums.first_order_date, unit="day"),
        "monetary_value_amount": (sums.gross_amount - sums.first_day_amount).cast("float64") / frequency.nullif(0),
    }


def _gaps_between_periods(known: ir.Table) -> ir.Table:
    """Squared days from each period's last order to the next period's first order, summed up by customer.

    Takes few columns: DuckDB sorts all columns of a window's input.
    """
    bought = known.filter(known.purchase_day_count > 0)
    in_order = ibis.window(group_by="customer_id", order_by=bought.period_start_date)
    gaps = bought.select(
        "customer_id",
        "period_start_date",
        gap_days=bought.first_order_date.delta(bought.last_order_date.lag().over(in_order), unit="day"),
    )
    return gaps.group_by("customer_id").agg(
        squared_gaps_between_periods=(gaps.gap_days * gaps.gap_days).sum(),
        last_gap_between_periods=gaps.gap_days.argmax(gaps.period_start_date),
    )


def _active_years(known: ir.Table, last_period: date, period: Period) -> ir.Table:
    """In how many of the years that end with the last period each customer bought."""
    bought = known.filter(known.purchase_day_count > 0)
    each = bought.select("customer_id", year=_years_since(bought.period_start_date, last_period, period)).distinct()
    return each.group_by("customer_id").agg(active_year_count=each.count())


def _season(calendar: Calendar, last_period: date, window: int, years: int) -> tuple[date, date]:
    """First and last period of the window that begins ``years`` years before the period after the last one."""
    first = calendar.period.shift(last_period, 1 - years * _PERIODS_A_YEAR[calendar.period])
    return first, calendar.period.shift(first, window - 1)


def _std(count: ir.FloatingValue, total: ir.FloatingValue, squares: ir.FloatingValue) -> ir.FloatingValue:
    """Sample standard deviation from exact sums; null for fewer than two values, exactly 0 if only rounding is left."""
    variance = (squares - total * total / count.nullif(0.0)) / (count - 1.0).nullif(0.0)
    mean_square = squares / count.nullif(0.0)
    spread = ibis.ifelse(variance > mean_square * 1e-12, variance, 0.0).sqrt()
    return ibis.ifelse(count >= 2.0, spread, ibis.null("float64"))


def _years_since(first: ir.DateValue, last: date, period: Period) -> ir.IntegerValue:
    """Years from ``first`` to ``last``, both included; a year that has begun counts as one."""
    return (_periods_since(first, last, period) - 1) // _PERIODS_A_YEAR[period] + 1


def _periods_since(first: ir.DateValue, last: date, period: Period) -> ir.IntegerValue:
    """Periods from ``first`` to ``last``, both included."""
    match period:
        case Period.MONTH:
            return (last.year * 12 + last.month) - (first.year() * 12 + first.month()) + 1
        case Period.WEEK:
            return ibis.date(last).delta(first, unit="day") // 7 + 1
        case Period.DAY:
            return ibis.date(last).delta(first, unit="day") + 1
