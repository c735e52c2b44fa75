"""Tables of recommended actions, and of the outcomes of their audiences."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table
from genome_pipeline.contracts.tables.features import EVERY_CUSTOMER

STAKE = ("revenue_at_stake_amount", "revenue_at_stake_amount_lower", "revenue_at_stake_amount_upper")

_BACKTEST = (
    "actual_churn_share",
    "average_churn_share",
    "churn_lift_ratio",
    "concurrent_churn_share",
    "actual_mean_spend_amount",
    "spend_lift_ratio",
)


TABLES = (
    Table(
        "customer_actions",
        "actions",
        "customer x snapshot",
        "The recommended action of every customer, the rule that chose it, and the revenue at stake.",
        ("as_of", "customer_id", "action", "action_rule", "action_reason", "is_for_review", *STAKE),
        ("as_of", "customer_id"),
        "as_of",
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
    Table(
        "action_audiences",
        "actions",
        "rule x snapshot",
        "Every rule of the playbook: how many it finds, what is at stake, and what became of those whom it picked at"
        " the snapshots that have matured.",
        (
            "as_of",
            "action_rule",
            "rule_position",
            "action",
            "rule_condition",
            "customer_count",
            "customer_share",
            "review_customer_count",
            "revenue_at_stake_amount",
            "mean_confidence",
            "matured_customer_count",
            *_BACKTEST,
        ),
        ("as_of", "action_rule"),
        "as_of",
        is_published=True,
    ),
)
