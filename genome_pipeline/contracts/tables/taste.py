"""Tables of what customers buy: their categories, period by period and at each snapshot."""

from __future__ import annotations

from genome_pipeline.contracts.table import Reference, Table
from genome_pipeline.contracts.tables.features import SNAPSHOT_CUSTOMER

KEPT_CATEGORIES = 12
"""So many categories of the log, by spend, stand for themselves in ``customer_categories``; the others are one."""

OTHER_CATEGORIES = "all other categories"
"""What the others are called. A category of the log may be called so too: ``category_rank`` tells them apart."""

TASTE_SHARES = tuple(f"category_share_{rank}" for rank in range(1, KEPT_CATEGORIES + 2))
"""What a customer's shares are called side by side, by ``category_rank``; the last is that of all other categories."""

NEXT_CATEGORIES = 10
"""So many categories of each customer are listed as the next ones."""

LEADING = (
    "next_category",
    "next_category_probability",
    "suggested_category",
    "suggested_category_probability",
)
"""What stands in ``customer_genome`` of the categories listed."""

_PERIOD_CUSTOMER = ("period_start_date", "customer_id")

TABLES = (
    Table(
        "category_activity",
        "customers",
        "customer x category x period",
        "Mergeable sums of what each customer bought of a category in a period. Lines without a category are left out.",
        (
            *_PERIOD_CUSTOMER,
            "category",
            "purchase_day_count",
            "first_order_date",
            "last_order_date",
            "net_amount",
        ),
        (*_PERIOD_CUSTOMER, "category"),
        "period_start_date",
        never_null=("period_start_date", "category"),
        references=(Reference("customer_activity", _PERIOD_CUSTOMER, _PERIOD_CUSTOMER),),
    ),
    Table(
        "customer_categories",
        "customers",
        "customer x category x snapshot",
        "What each customer spends on: shares of spend over the categories bought. The"
        f" {KEPT_CATEGORIES} categories of the log with the largest spend stand for themselves, all others are one."
        " Customers without spend in any have no rows.",
        (*SNAPSHOT_CUSTOMER, "category_rank", "category", "net_amount", "category_spend_share"),
        (*SNAPSHOT_CUSTOMER, "category_rank"),
        "as_of",
        never_null=("category", "net_amount"),
        is_published=True,
        references=(Reference("customer_taste", SNAPSHOT_CUSTOMER, SNAPSHOT_CUSTOMER, is_complete=True),),
    ),
    Table(
        "customer_taste",
        "customers",
        "customer x snapshot",
        "The genes of taste: how many categories, how concentrated, which one most, and how far the shares of spend"
        " in the recent window are from those before. Of customers with spend in some category.",
        (
            *SNAPSHOT_CUSTOMER,
            "category_count",
            "category_concentration",
            "top_category",
            "top_category_share",
            "taste_shift_share",
        ),
        SNAPSHOT_CUSTOMER,
        "as_of",
        never_null=("category_count",),
        is_published=True,
        references=(Reference("customer_features", SNAPSHOT_CUSTOMER, SNAPSHOT_CUSTOMER),),
    ),
    Table(
        "next_category_model",
        "forecast",
        "snapshot",
        "What the next categories rest on: the snapshots learned from, and on the latest of them how much of what was"
        " bought would have been listed, beside the customer's own most frequent categories.",
        (
            "as_of",
            "selection_as_of",
            "training_snapshot_count",
            "training_row_count",
            "recall_at_ten_share",
            "own_recall_at_ten_share",
            "abstain_reason",
            "artifact_file",
        ),
        ("as_of",),
        "as_of",
        never_null=("artifact_file",),
        is_published=True,
    ),
    Table(
        "customer_next_category",
        "forecast",
        "customer x rank x snapshot",
        f"The {NEXT_CATEGORIES} categories that each customer is most likely to buy within the main horizon, with the"
        " probability, which is never above that of a purchase in customer_risk.",
        (
            *SNAPSHOT_CUSTOMER,
            "next_category_rank",
            "category",
            "category_probability",
            "last_order_date",
            "reorder_date",
            "abstain_reason",
        ),
        (*SNAPSHOT_CUSTOMER, "next_category_rank"),
        "as_of",
        never_null=("category",),
        is_published=True,
        references=(Reference("customer_features", SNAPSHOT_CUSTOMER, SNAPSHOT_CUSTOMER),),
    ),
)
