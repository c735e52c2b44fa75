"""What a customer buys, and which categories are likely to be next, beside one another."""

from __future__ import annotations

import pandas as pd
from dash.development.base_component import Component

from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.components import columns_of, panel
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import table
from genome_pipeline.dashboard.pages.customer import queries

_TITLE = "What they buy"


def taste(request: PageRequest, customer_id: str) -> Component:
    """The categories that the customer spends on, beside those that they are most likely to buy next."""
    connection, as_of = request.connection, request.as_of
    shares = queries.customer_categories(connection, as_of, customer_id)
    following = queries.customer_next_categories(connection, as_of, customer_id)
    if shares.empty and following.empty:
        return panel(
            title=_TITLE,
            reading="No purchase of this customer has a category. If none of the log has, map one as"
            " source.columns.category.",
        )
    days = request.run.horizon_days
    return columns_of(
        panel(
            _shares(shares, request.run.currency),
            title=_TITLE,
            reading=_in_words(queries.customer_taste(connection, as_of, customer_id)),
            columns=("category_spend_share", "category_concentration", "taste_shift_share"),
            name="taste",
        ),
        panel(
            _following(following),
            title=f"What they buy next, within {days} days",
            reading=_why(following),
            columns=("category_probability", "reorder_date"),
            name="next-categories",
        ),
    )


def _shares(shares: pd.DataFrame, currency: str | None) -> Component | None:
    if shares.empty:
        return None
    rows = [
        [row["category"], formats.money(row["net_amount"], currency), formats.percent(row["category_spend_share"])]
        for _, row in shares.iterrows()
    ]
    return table(("Category", "Spend so far", "Share"), rows, numeric=(1, 2))


def _in_words(taste: pd.DataFrame) -> str:
    if taste.empty:
        return "No spend in any category, so that there are no shares of it."
    (genes,) = taste.to_dict("records")
    count, even = int(genes["category_count"]), 1 / genes["category_concentration"]
    words = f"{count:,} categor{'y' if count == 1 else 'ies'}, as concentrated as {formats.decimal(even, 1)} even ones."
    if not formats.is_missing(genes["taste_shift_share"]):
        words += f" In the recent window {formats.percent(genes['taste_shift_share'], 0)} of the spend moved."
    return words


def _following(following: pd.DataFrame) -> Component | None:
    if following.empty:
        return None
    rows = [
        [
            row["category"],
            formats.percent(row["category_probability"]),
            "never" if formats.is_missing(row["last_order_date"]) else formats.day(row["last_order_date"]),
            formats.day(row["reorder_date"]),
        ]
        for _, row in following.iterrows()
    ]
    return table(("Category", "Probability", "Last bought", "Due"), rows, numeric=(1,))


def _why(following: pd.DataFrame) -> str:
    if following.empty:
        return "No purchase of this customer has a category."
    reason = following["abstain_reason"].iloc[0]
    if not formats.is_missing(reason):
        return f"No probability: {reason}."
    return "No category is likelier than a purchase. Due: by the mean gap, where there is a rhythm."
