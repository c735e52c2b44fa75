"""The genes: the measured numbers of a customer, and what is so of some of them."""

from __future__ import annotations

GENES = (
    "order_count",
    "purchase_day_count",
    "frequency_count",
    "active_period_count",
    "active_period_share",
    "recency_days",
    "t_days",
    "days_since_last_order",
    "spend_amount",
    "monetary_value_amount",
    "average_order_value_amount",
    "order_value_std_amount",
    "items_per_order_count",
    "products_per_order_count",
    "category_count",
    "order_gap_mean_days",
    "order_gap_std_days",
    "order_gap_cv_ratio",
    "overdue_ratio",
    "weekend_share",
    "recent_purchase_day_count",
    "previous_purchase_day_count",
    "recent_spend_amount",
    "previous_spend_amount",
    "momentum_share",
    "return_line_count",
    "return_amount",
    "return_share",
    "last_gap_days",
    "active_year_share",
    "year_ago_purchase_day_count",
    "two_years_ago_purchase_day_count",
)
"""The measured genome: the numeric columns of ``customer_features``."""

NULLABLE_GENES = frozenset(
    {
        "spend_amount",
        "monetary_value_amount",
        "average_order_value_amount",
        "order_value_std_amount",
        "items_per_order_count",
        "products_per_order_count",
        "category_count",
        "order_gap_mean_days",
        "order_gap_std_days",
        "order_gap_cv_ratio",
        "overdue_ratio",
        "recent_spend_amount",
        "previous_spend_amount",
        "momentum_share",
        "return_amount",
        "return_share",
        "last_gap_days",
        "year_ago_purchase_day_count",
        "two_years_ago_purchase_day_count",
    }
)

CUMULATIVE_GENES = (
    "order_count",
    "purchase_day_count",
    "frequency_count",
    "active_period_count",
    "spend_amount",
    "category_count",
    "return_line_count",
    "return_amount",
)
"""Genes that are running totals: they grow as long as a customer is known, so what moves is what a period adds."""

CLOCK_GENES = (
    "t_days",
    "recency_days",
    "days_since_last_order",
    "active_period_share",
    "active_year_share",
    "year_ago_purchase_day_count",
    "two_years_ago_purchase_day_count",
)
"""Genes that are distances between dates, or tell of a season: the calendar moves them, whatever customers do."""
