"""Columns on confidence in predictions, and on actions."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, count, currency, flag, ratio, score, share, text

COLUMNS = (
    score(
        "confidence",
        "How far the customer's predictions can be trusted: the mean of the confidence in churn, orders and spend.",
        is_nullable=True,
    ),
    score(
        "churn_confidence",
        "1 less the squared error that the churn probability is to have, over that of a coin's toss (1/4).",
        is_nullable=True,
    ),
    score(
        "orders_confidence",
        "1 less the error that expected orders are to have, over what is expected and one order more.",
        is_nullable=True,
    ),
    score(
        "spend_confidence",
        "1 less the error that expected spend is to have, over what is expected and one order's spend more.",
        is_nullable=True,
    ),
    text(
        "confidence_band",
        "Band of confidence: low below 1/3, medium below 2/3, high.",
        ("low", "medium", "high"),
        is_nullable=True,
    ),
    text("action", "Recommended action."),
    text("action_rule", "Rule of the playbook that recommended it; 'wait' and 'left_alone' are no rules of it."),
    text("action_reason", "The facts that made the rule fire."),
    flag("is_for_review", "Confidence is too low to act on without a person's look."),
    currency(
        "revenue_at_stake_amount",
        "churn_probability times the spend expected if the customer is retained; of several customers, the sum.",
        0,
        is_nullable=True,
    ),
    currency(
        "revenue_at_stake_amount_lower", "The same from the lower bounds of both predictions.", 0, is_nullable=True
    ),
    currency(
        "revenue_at_stake_amount_upper", "The same from the upper bounds of both predictions.", 0, is_nullable=True
    ),
    Column(
        "rule_position", "INTEGER", "Place of the rule: the first that applies is taken; 0 comes before all.", None, 0
    ),
    text("rule_condition", "Whom the rule is for, in words."),
    count("review_customer_count", "Customers among them for whom is_for_review holds."),
    score("mean_confidence", "Mean confidence of the customers; null without any.", is_nullable=True),
    count("matured_customer_count", "Customers whom the rule picked at the snapshots that have matured."),
    share("actual_churn_share", "Those of them who bought nothing within the horizon.", is_nullable=True),
    share("average_churn_share", "The same of all customers at all snapshots that have matured.", is_nullable=True),
    share(
        "concurrent_churn_share",
        "The same of all customers, each snapshot weighted by how many the rule picked: what the season explains.",
        is_nullable=True,
    ),
    ratio(
        "churn_lift_ratio",
        "actual_churn_share over average_churn_share: above 1 they leave more often than average.",
        is_nullable=True,
    ),
    currency("actual_mean_spend_amount", "Mean spend of the customers picked within the horizon.", is_nullable=True),
    ratio(
        "spend_lift_ratio",
        "Their mean spend over that of all customers at all matured snapshots; at least 0.",
        is_nullable=True,
    ),
)
