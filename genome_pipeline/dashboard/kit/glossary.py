"""What the columns are called on screen, and what they mean: the contract's own descriptions."""

from __future__ import annotations

import html

from genome_pipeline.contracts.columns import COLUMNS

_LABELS = {
    "action_rule": "Rule",
    "active_period_count": "Active periods",
    "active_period_share": "Share of periods active",
    "average_order_value_amount": "Average order value",
    "category_count": "Categories",
    "check_name": "Check",
    "content_hash": "Content",
    "customer_count": "Customers",
    "days_since_last_order": "Days since last order",
    "frequency_count": "Repeat purchase days",
    "ingested_at": "Read",
    "is_for_review": "For review",
    "is_passed": "Result",
    "items_per_order_count": "Items per order",
    "median_average_order_value_amount": "Average order value",
    "median_days_since_last_order": "Days since last order",
    "median_frequency_count": "Repeat purchase days",
    "median_momentum_share": "Momentum",
    "median_order_gap_mean_days": "Days between orders",
    "median_spend_amount": "Spend so far",
    "median_t_days": "Customer age",
    "momentum_share": "Momentum",
    "order_count": "Orders",
    "order_gap_cv_ratio": "Irregularity",
    "order_gap_mean_days": "Days between orders",
    "order_gap_std_days": "Spread of days between orders",
    "order_value_std_amount": "Spread of order values",
    "overdue_ratio": "Overdue",
    "p_alive": "Still active (BTYD)",
    "period_start_date": "Period",
    "previous_purchase_day_count": "Purchase days before the recent window",
    "previous_segment_id": "Previous segment number",
    "previous_spend_amount": "Spend before the recent window",
    "products_per_order_count": "Products per order",
    "purchase_day_count": "Purchase days",
    "recency_days": "First to last purchase",
    "recent_purchase_day_count": "Recent purchase days",
    "recent_spend_amount": "Recent spend",
    "return_amount": "Returned amount",
    "return_line_count": "Returned lines",
    "return_share": "Returned share",
    "revenue_at_stake_amount": "Revenue at stake",
    "revenue_at_stake_amount_lower": "Revenue at stake, lower",
    "revenue_at_stake_amount_upper": "Revenue at stake, upper",
    "row_count": "Rows",
    "second_segment_id": "Second segment number",
    "second_segment_name": "Second segment",
    "segment_id": "Segment number",
    "segment_name": "Segment",
    "source_file": "File",
    "spend_amount": "Spend so far",
    "t_days": "Customer age",
    "table_name": "Table",
    "weekend_share": "Weekend share",
}
_KINDS = ("_amount", "_count", "_days", "_share", "_ratio", "_date", "_id")


def label(column_name: str) -> str:
    """The column's name on screen."""
    if column_name in _LABELS:
        return _LABELS[column_name]
    for kind in _KINDS:
        if column_name.endswith(kind):
            column_name = column_name.removesuffix(kind)
            break
    return column_name.replace("_", " ").capitalize()


def description(column_name: str) -> str:
    """The column's meaning, with its unit."""
    column = COLUMNS[column_name]
    return f"{column.description} Unit: {column.unit}." if column.unit else column.description


def plot_text(value: object) -> str:
    """Text from data for use in a figure: Plotly reads tags in labels and hovers, so they are made literal."""
    return html.escape(str(value), quote=False)
