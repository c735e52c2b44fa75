"""Columns on what customers buy."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, date, money, probability, score, share, text

COLUMNS = (
    money("net_amount", "Purchases less returns; null where the log has no amounts.", is_nullable=True),
    Column(
        "category_rank",
        "INTEGER",
        "1 is the category of the log with the largest spend so far; the last is all other categories.",
        None,
        1,
    ),
    share(
        "category_spend_share",
        "The category's part of the customer's spend so far; a category with more back counts as 0.",
    ),
    score(
        "category_concentration",
        "Sum of the squared shares of spend over all categories (Herfindahl): 1 is all in one, 1/n even over n.",
    ),
    text("top_category", "The category with the largest part of the customer's spend."),
    share("top_category_share", "Its part."),
    share(
        "taste_shift_share",
        "Part of the spend that moved between categories: half the sum of the differences between the shares of spend"
        " in the recent window and before it. Null where nothing was spent in one of the two.",
        is_nullable=True,
    ),
    share(
        "recall_at_ten_share",
        "Mean part of the categories that a buyer bought within the horizon which the ten next ones would have held.",
        is_nullable=True,
    ),
    share(
        "own_recall_at_ten_share",
        "The same of the ten categories that the customer had bought most often.",
        is_nullable=True,
    ),
    Column("next_category_rank", "INTEGER", "1 is the category that the customer is most likely to buy.", None, 1),
    probability(
        "category_probability",
        "Probability that the customer buys the category within the main horizon.",
        is_nullable=True,
    ),
    text(
        "next_category",
        "The category that the customer is most likely to buy next, the first in customer_next_category; null where"
        " none is listed.",
        is_nullable=True,
    ),
    probability("next_category_probability", "category_probability of next_category.", is_nullable=True),
    text(
        "suggested_category",
        "The category to suggest: the likeliest in customer_next_category of those never bought; else of those not"
        " bought in the recent window; else of all.",
        is_nullable=True,
    ),
    probability("suggested_category_probability", "category_probability of suggested_category.", is_nullable=True),
    date(
        "reorder_date",
        "Day on which the customer buys the category again by the mean gap so far, at the earliest as_of; null where it"
        " was bought on fewer than three days, or not for twice that gap.",
        is_nullable=True,
    ),
)
