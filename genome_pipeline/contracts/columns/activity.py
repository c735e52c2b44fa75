"""What a customer did in a period, and the measured genome."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, Unit, count, currency, date, days, money, ratio, share

COLUMNS = (
    date("first_order_date", "Day of the first purchase.", is_nullable=True),
    date("last_order_date", "Day of the last purchase.", is_nullable=True),
    count("order_count", "Orders with at least one purchased line."),
    count("purchase_day_count", "Days with at least one purchase."),
    count("line_count", "Purchased lines."),
    count("order_product_count", "Distinct products of each order, summed over orders.", is_nullable=True),
    Column("item_count", "DECIMAL(18,3)", "Units purchased.", Unit.COUNT, 0, is_nullable=True),
    count("weekend_purchase_day_count", "Purchase days that fall on a Saturday or Sunday."),
    Column("categories", "VARCHAR[]", "Distinct categories purchased, sorted.", is_nullable=True),
    money("gross_amount", "Amount of purchases, before returns.", 0, is_nullable=True),
    money("return_amount", "Amount taken back in returns, as a positive number.", 0, is_nullable=True),
    money("spend_amount", "Purchases less returns.", is_nullable=True),
    money("first_day_amount", "Amount purchased on the first purchase day.", 0, is_nullable=True),
    Column("squared_order_amount_sum", "DECIMAL(38,4)", "Sum of squared order amounts.", None, 0, is_nullable=True),
    Column("squared_gap_days_sum", "BIGINT", "Sum of squared days between consecutive purchase days.", None, 0),
    days("last_gap_days", "Days between the last two purchase days; null without a repeat.", is_nullable=True),
    count("return_line_count", "Lines that take something back."),
    count("frequency_count", "BTYD frequency x: repeat purchase days (purchase days after the first)."),
    days("recency_days", "BTYD recency t_x: days from first to last purchase. Not days_since_last_order."),
    days("t_days", "BTYD T: days from first purchase to as_of."),
    days("days_since_last_order", "Days from last purchase to as_of (the RFM sense of recency)."),
    count("active_period_count", "Periods with at least one purchase.", 1),
    share("active_period_share", "Periods with a purchase, of those since the first purchase."),
    currency(
        "monetary_value_amount",
        "Mean amount per repeat purchase day; null without a repeat purchase.",
        0,
        is_nullable=True,
    ),
    currency("average_order_value_amount", "Mean amount per order.", 0, is_nullable=True),
    currency(
        "order_value_std_amount", "Standard deviation of order amounts; null below two orders.", 0, is_nullable=True
    ),
    Column("items_per_order_count", "DOUBLE", "Mean units per order.", Unit.COUNT, 0, is_nullable=True),
    Column("products_per_order_count", "DOUBLE", "Mean distinct products per order.", Unit.COUNT, 0, is_nullable=True),
    count("category_count", "Distinct categories purchased so far.", is_nullable=True),
    days(
        "order_gap_mean_days",
        "Mean days between consecutive purchase days; null without a repeat.",
        "DOUBLE",
        is_nullable=True,
    ),
    days("order_gap_std_days", "Standard deviation of those gaps; null below two gaps.", "DOUBLE", is_nullable=True),
    ratio(
        "order_gap_cv_ratio",
        "Irregularity: standard deviation of gaps over their mean; null below two gaps.",
        is_nullable=True,
    ),
    ratio(
        "overdue_ratio",
        "days_since_last_order over order_gap_mean_days; above 1 the next order is overdue.",
        is_nullable=True,
    ),
    share("weekend_share", "Purchase days that fall on a weekend, of all purchase days."),
    share("active_year_share", "Years with a purchase, of those since the first purchase, counted back from as_of."),
    count(
        "year_ago_purchase_day_count",
        "Purchase days in the window, as long as the recent one, that began a year before as_of; null for who first"
        " bought later.",
        is_nullable=True,
    ),
    count("two_years_ago_purchase_day_count", "The same two years before as_of.", is_nullable=True),
    count("recent_purchase_day_count", "Purchase days in the recent window (whole periods nearest the horizon)."),
    count("previous_purchase_day_count", "Purchase days in the window of equal length before the recent one."),
    money("recent_spend_amount", "Purchases less returns in the recent window.", is_nullable=True),
    money("previous_spend_amount", "Purchases less returns in the window before the recent one.", is_nullable=True),
    days("recent_window_days", "Length of the recent window."),
    share(
        "momentum_share",
        "Recent purchase days, of recent and previous ones; 0.5 is steady, null without any.",
        is_nullable=True,
    ),
    share(
        "return_share",
        "Amount returned, of amount purchased; above 1 where more came back than was bought.",
        None,
        is_nullable=True,
    ),
)
