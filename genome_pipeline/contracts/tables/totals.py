"""Tables of groups of customers: what is expected of them together, what cohorts did, and what it cost to win them."""

from __future__ import annotations

from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.contracts.table import Table

TABLES = (
    Table(
        "forecast_totals",
        "forecast",
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
        "forecast_total_errors",
        "forecast",
        "total x horizon x snapshot",
        "What the intervals in forecast_totals rest on, by which the total of any other group of customers has its own:"
        " variance = total^2 (exp(level_variance + (1 - share^2) group_variance) - 1) + own_factor v. Share is the"
        " group's part of the total of all customers, v the sum of its customers' own variances. No rows where no"
        " snapshot has matured over a horizon.",
        ("as_of", "horizon_days", "total_column", "level_variance", "group_variance", "own_factor"),
        ("as_of", "horizon_days", "total_column"),
        "as_of",
        is_published=True,
    ),
    Table(
        "cohorts",
        "customers",
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
    Table(
        "first_purchase_cohorts",
        "customers",
        "kind x cohort x snapshot",
        "The customers whose first purchase was of the same category, or in the same country, where the log says it:"
        " how many bought in the latest month (week, of a calendar by weeks), and what all of them spent since their"
        " first order. What is still to come is in forecast_totals.",
        (
            "as_of",
            "cohort_kind",
            "cohort",
            "cohort_customer_count",
            "active_customer_count",
            "retention_share",
            "cumulative_spend_amount",
        ),
        ("as_of", "cohort_kind", "cohort"),
        "as_of",
        is_published=True,
    ),
)

MADE_AT_PUBLISHING = (
    Table(
        "acquisition_costs",
        "customers",
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
