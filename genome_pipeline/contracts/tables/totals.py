"""Tables of groups of customers: what is expected of them together, what cohorts did, and what it cost to win them."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table

TOTALS = ("expected_buyer_count", "expected_order_count", "expected_spend_amount")
"""What is added up over a group; each has bounds."""


TABLES = (
    Table(
        "forecast_totals",
        "outlook",
        "group of customers x horizon x snapshot",
        "What is expected of today's customers together: of all, of each segment and of each cohort, with intervals"
        " that hold for the total. Customers who are new within the horizon are not in it.",
        (
            "as_of",
            "group_kind",
            "group_key",
            "group_name",
            "horizon_days",
            "customer_count",
            *(f"{name}{end}" for name in TOTALS for end in ("", "_lower", "_upper")),
            "is_extrapolated",
            "abstain_reason",
        ),
        ("as_of", "group_kind", "group_key", "horizon_days"),
        "as_of",
        is_published=True,
    ),
    Table(
        "cohorts",
        "outlook",
        "cohort x snapshot",
        "The customers who first bought in the same month (week, of a calendar by weeks): how many bought in the latest"
        " month, and what all of them spent since their first order. Over the snapshots it is the triangle of cohorts;"
        " what is still to come is in forecast_totals.",
        (
            "as_of",
            "cohort_start_date",
            "cohort_age_count",
            "cohort_customer_count",
            "active_customer_count",
            "retention_share",
            "cumulative_spend_amount",
        ),
        ("as_of", "cohort_start_date"),
        "as_of",
        is_published=True,
    ),
)

MADE_AT_PUBLISHING = (
    Table(
        "acquisition_costs",
        "outlook",
        "cohort",
        "What it cost to win one customer of each cohort, as [acquisition] of the config says when publishing.",
        ("cohort_start_date", "cost_per_customer_amount"),
        ("cohort_start_date",),
        None,
        never_null=("cost_per_customer_amount",),
        is_published=True,
        is_made_at_publishing=True,
    ),
)
