"""Columns on a customer's activity in a period, beside the genes."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, Unit, count, date, days, money

COLUMNS = (
    date("first_order_date", "Day of the first purchase.", is_nullable=True),
    date("last_order_date", "Day of the last purchase.", is_nullable=True),
    count("line_count", "Purchased lines."),
    count("order_product_count", "Distinct products of each order, summed over orders.", is_nullable=True),
    Column("item_count", "DECIMAL(18,3)", "Units purchased.", Unit.COUNT, 0, is_nullable=True),
    count("weekend_purchase_day_count", "Purchase days that fall on a Saturday or Sunday."),
    Column("categories", "VARCHAR[]", "Distinct categories purchased, sorted.", is_nullable=True),
    money("gross_amount", "Amount of purchases, before returns.", 0, is_nullable=True),
    money("first_day_amount", "Amount purchased on the first purchase day.", 0, is_nullable=True),
    Column("squared_order_amount_sum", "DECIMAL(38,4)", "Sum of squared order amounts.", None, 0, is_nullable=True),
    Column("squared_gap_days_sum", "BIGINT", "Sum of squared days between consecutive purchase days.", None, 0),
    days("recent_window_days", "Length of the recent window."),
)
