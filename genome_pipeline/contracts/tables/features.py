"""Tables of customers' activity by period, and of their measured genome at each snapshot."""

from __future__ import annotations

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.contracts.table import Reference, Table

_ACTIVITY = (
    "first_order_date",
    "last_order_date",
    "order_count",
    "purchase_day_count",
    "line_count",
    "order_product_count",
    "item_count",
    "weekend_purchase_day_count",
    "categories",
    "gross_amount",
    "return_amount",
    "first_day_amount",
    "squared_order_amount_sum",
    "squared_gap_days_sum",
    "last_gap_days",
    "return_line_count",
    "country",
)

SNAPSHOT_CUSTOMER = ("as_of", "customer_id")

EVERY_CUSTOMER = Reference("customer_features", SNAPSHOT_CUSTOMER, SNAPSHOT_CUSTOMER, is_complete=True)


TABLES = (
    Table(
        "customer_activity",
        "customers",
        "customer x period",
        "Mergeable sums of what each customer did in a period, so that no later stage rereads all lines.",
        ("period_start_date", "customer_id", *_ACTIVITY),
        ("period_start_date", "customer_id"),
        "period_start_date",
        never_null=("period_start_date",),
        is_published=True,
        references=(
            Reference(
                "validated_transactions",
                ("period_start_date", "customer_id"),
                ("period_start_date", "customer_id"),
                is_complete=True,
            ),
        ),
    ),
    Table(
        "customer_features",
        "customers",
        "customer x snapshot",
        "The measured genome: activity, spend, duration, breadth, rhythm, momentum and returns of every customer"
        " with a purchase before as_of.",
        ("as_of", "customer_id", "first_order_date", "last_order_date", "country", "recent_window_days", *GENES),
        ("as_of", "customer_id"),
        "as_of",
        never_null=("first_order_date", "last_order_date"),
        is_published=True,
    ),
)
