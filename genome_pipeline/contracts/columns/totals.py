"""Columns on totals of groups of customers, on cohorts, and on what it cost to win them."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, Unit, count, currency, date, flag, money, score, text

TOTALS = ("expected_buyer_count", "expected_order_count", "expected_spend_amount")
"""What is added up over a group; each has bounds."""

FIRST_KINDS = ("first_category", "first_country")
"""What cohorts are formed by, beside the month: facts about the first purchase."""

GROUP_KINDS = ("company", "segment", "cohort", *FIRST_KINDS)

KEPT_COHORTS = 12
"""So many cohorts by a fact of the first purchase, those with the most customers, stand for themselves."""

ALL_OTHERS, NOT_KNOWN = "all others", "not known"
"""The cohort of the rest, and of the customers of whom the fact is not known."""


def _total(name: str, unit: Unit, description: str) -> tuple[Column, Column, Column]:
    return (
        Column(name, "DOUBLE", description, unit, 0, is_nullable=True),
        Column(f"{name}_lower", "DOUBLE", f"Lower bound of {name}, for the total itself.", unit, 0, is_nullable=True),
        Column(f"{name}_upper", "DOUBLE", f"Upper bound of {name}, for the total itself.", unit, 0, is_nullable=True),
    )


COLUMNS = (
    text(
        "group_kind",
        "Kind of group: all customers, a segment, or a cohort by month, category or country of the first purchase.",
        GROUP_KINDS,
    ),
    text(
        "group_key",
        "The group: 'all', the segment's number, the first day of the cohort, or its category or country as in"
        " first_purchase_cohorts.",
    ),
    text("group_name", "Its name."),
    *_total("expected_buyer_count", Unit.COUNT, "Customers of today who are expected to buy within the horizon."),
    *_total("expected_order_count", Unit.COUNT, "Sum of expected_orders (purchase days) over the group."),
    *(
        currency(
            f"expected_spend_amount_{end}",
            f"{words} bound of expected_spend_amount, for the total itself.",
            0,
            is_nullable=True,
        )
        for end, words in (("lower", "Lower"), ("upper", "Upper"))
    ),
    text("total_column", "The total that the row is about: a column of forecast_totals.", TOTALS),
    score(
        "level_variance",
        "Variance of what all customers miss alike: of buyers in squared log-odds of their share, else in squared"
        " logarithms of the total.",
        maximum=None,
    ),
    score("group_variance", "Variance of what a group misses beyond that, in the same unit.", maximum=None),
    score("own_factor", "Variance of customers' outcomes over what their forecasts imply.", maximum=None),
    # Cohorts
    text("cohort_kind", "What the cohort has in common: a fact about the first purchase.", FIRST_KINDS),
    text(
        "cohort",
        f"Its value: the {KEPT_COHORTS} of a kind with the most customers stand for themselves, the rest are"
        f" '{ALL_OTHERS}', and '{NOT_KNOWN}' are those of whom the log does not say it.",
    ),
    count("cohort_age_count", "Months, or weeks of a calendar by weeks, begun since the cohort's own; 0 for its own."),
    money(
        "cumulative_spend_amount", "Purchases less returns of the cohort, from its first order on.", is_nullable=True
    ),
    currency("cost_per_customer_amount", "Cost of winning one customer of the cohort.", 0, is_nullable=True),
    currency("acquisition_cost_amount", "cost_per_customer_amount times the cohort's customers.", 0, is_nullable=True),
    flag(
        "is_paid_back",
        "cumulative_spend_amount has reached acquisition_cost_amount, at this snapshot or an earlier one.",
        is_nullable=True,
    ),
    date(
        "payback_date",
        "First snapshot by which the cohort's spend had reached its cost, or the day on which it is expected to; null"
        " where neither is known.",
        is_nullable=True,
    ),
    date("payback_date_lower", "Earliest day of it: by the upper bound of the cohort's total.", is_nullable=True),
    date(
        "payback_date_upper",
        "Latest day of it: by the lower bound of the cohort's total; null beyond the last horizon with bounds.",
        is_nullable=True,
    ),
    text("payback_reason", "Why a day or its interval is missing; null where it is not.", is_nullable=True),
)
