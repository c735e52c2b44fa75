"""Tables of the forecast over every horizon."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table
from genome_pipeline.contracts.tables.features import EVERY_CUSTOMER
from genome_pipeline.contracts.tables.risk import CHURN
from genome_pipeline.contracts.tables.value import ORDERS, SPEND


def churn_within(horizon_days: int) -> str:
    """Name of the column with the churn probability over a horizon, where a customer has one row.

    >>> churn_within(90)
    'churn_probability_90'
    """
    return f"churn_probability_{horizon_days}"


LIFETIME_VALUE = ("lifetime_value_amount", "lifetime_value_amount_lower", "lifetime_value_amount_upper")

NEXT_ORDER = (
    "next_order_date",
    "next_order_date_lower",
    "next_order_date_upper",
    "further_order_probability",
    "silence_probability",
    "is_overdue",
)

TABLES = (
    Table(
        "outlook_model",
        "forecast",
        "horizon other than the main one x snapshot",
        "What the forecast over each further horizon rests on, and its errors at earlier dates. Of the main horizon,"
        " risk_model and value_model say it.",
        (
            "as_of",
            "horizon_days",
            "selection_as_of",
            "training_snapshot_count",
            "training_row_count",
            "brier_score",
            "log_loss",
            "auc",
            "orders_mae",
            "spend_mae_amount",
            "abstain_reason",
            "artifact_file",
        ),
        ("as_of", "horizon_days"),
        "as_of",
        is_published=True,
    ),
    Table(
        "customer_outlook",
        "forecast",
        "customer x horizon x snapshot",
        "The forecast over every horizon. The main one's is that of customer_risk and customer_value. A longer horizon"
        " never says less than a shorter one.",
        ("as_of", "customer_id", "horizon_days", *CHURN, *ORDERS, *SPEND, "is_extrapolated", "abstain_reason"),
        ("as_of", "customer_id", "horizon_days"),
        "as_of",
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
    Table(
        "customer_next_order",
        "forecast",
        "customer x snapshot",
        "When each customer is likely to order next, with its interval, and whether their silence is unusual.",
        ("as_of", "customer_id", *NEXT_ORDER, "abstain_reason"),
        ("as_of", "customer_id"),
        "as_of",
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
    Table(
        "customer_lifetime_value",
        "forecast",
        "customer x snapshot",
        "What each customer will still spend in the years declared to be a lifetime (predict.lifetime_years): the"
        " forecast over the longest horizon, continued in the shape of their Pareto/NBD and discounted. Always an"
        " extrapolation.",
        (
            "as_of",
            "customer_id",
            *LIFETIME_VALUE,
            "lifetime_horizon_days",
            "lifetime_year_count",
            "discount_rate_share",
            "abstain_reason",
        ),
        ("as_of", "customer_id"),
        "as_of",
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
)
