"""Answers on single customers, which are given only where ``[mcp] single_customers = true`` is configured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from genome_pipeline.ask.answers import Customer, Customers, FromData, Refusal, quoted, row
from genome_pipeline.ask.groups import Filters, Question, exact
from genome_pipeline.ask.measures import DIMENSIONS
from genome_pipeline.ask.questions import basis_of, snapshot_of
from genome_pipeline.ask.records import TARGETS, record_of
from genome_pipeline.errors import ConfigError, not_found
from genome_pipeline.published.reader import Reader
from genome_pipeline.published.summary import card_of

NOT_CONFIGURED = (
    "single customers are told only where genome.toml says [mcp] single_customers = true; ask for groups of customers"
)
ORDERS = ("revenue_at_stake_amount", "expected_spend", "churn_probability", "lifetime_value_amount", "spend_amount")
"""What a list of customers may be ordered by, largest first."""

MOST_CUSTOMERS = 50
_COLUMNS = (
    "customer_id",
    "segment_name",
    "churn_probability",
    "churn_probability_lower",
    "churn_probability_upper",
    "expected_orders",
    "expected_orders_lower",
    "expected_orders_upper",
    "expected_spend",
    "expected_spend_lower",
    "expected_spend_upper",
    "revenue_at_stake_amount",
    "revenue_at_stake_amount_lower",
    "revenue_at_stake_amount_upper",
    "lifetime_value_amount",
    "spend_amount",
    "days_since_last_order",
    "confidence",
    "action",
    "action_rule",
    "action_reason",
    "value_abstain_reason",
    "risk_abstain_reason",
)


def no_customers(published: Reader) -> Customers:
    """The refusal of a list."""
    refusal = Refusal(what="single customers", why=NOT_CONFIGURED)
    return Customers(basis=basis_of(published, published.latest()), refusals=[refusal], track_record=[], customers=[])


def no_customer(published: Reader) -> Customer:
    """The refusal of one customer, whether there is such a customer or not."""
    return Customer(
        basis=basis_of(published, published.latest()),
        refusals=[Refusal(what="a single customer", why=NOT_CONFIGURED)],
        track_record=[],
        genome={},
        outlook=[],
        lifetime_value={},
        categories=[],
        next_categories=[],
        drivers=[],
        neighbors=[],
    )


def customers(published: Reader, filters: Filters, order_by: str, count: int) -> Customers:
    """The ``count`` customers of a group who have most of a column, at the latest snapshot."""
    if order_by not in ORDERS:
        raise not_found("column to order by", quoted(order_by), ORDERS)
    as_of = published.latest()
    known = exact(published, as_of, Question(("customer_count",), filters=filters).filters)
    group = " AND ".join(["TRUE", *(f"{DIMENSIONS[name].sql} IS NOT DISTINCT FROM ?" for name, _ in known)])
    values = [value for _, value in known]
    rows = published.rows(
        f"SELECT {', '.join(_COLUMNS)} FROM customer_genome WHERE {group}"
        f" ORDER BY round({order_by}, 6) DESC NULLS LAST, customer_id LIMIT ?",
        [*values, count],
    )
    total = published.row(f"SELECT count(*) AS customers FROM customer_genome WHERE {group}", values)["customers"]
    track_record, refusals = record_of(published, TARGETS)
    if total > len(rows):
        refusals.append(Refusal(what=f"{total - len(rows):,} more customers", why=f"only {count} were asked for"))
    return Customers(
        basis=basis_of(published, as_of),
        refusals=refusals,
        track_record=track_record,
        customers=[row(each) for each in rows],
    )


def customer(published: Reader, customer_id: str, as_of: date | None) -> Customer:
    """Every published fact about one customer. Raises :class:`ConfigError` where there is no such customer."""
    day = snapshot_of(published, as_of)
    if not published.row(
        "SELECT 1 AS found FROM customer_genome_history WHERE as_of = ? AND customer_id = ?", [day, customer_id]
    ):
        close = published.rows(
            "SELECT customer_id FROM customer_genome_history WHERE as_of = ?"
            " ORDER BY levenshtein(customer_id, ?), customer_id LIMIT 3",
            [day, customer_id[:100]],
        )
        nearest = ", ".join(json.dumps(quoted(each["customer_id"])) for each in close)
        raise ConfigError(
            f"there is no customer {json.dumps(quoted(customer_id))} in the snapshot of {day}; the nearest, quoted from"
            f" the data: {nearest}"
        )
    card = card_of(published, customer_id, day)
    track_record, refusals = record_of(published, TARGETS)
    return Customer(
        basis=basis_of(published, day),
        refusals=refusals + _abstained(card),
        track_record=track_record,
        genome=row(card["genome"]),
        lifetime_value=row(card["lifetime_value"]),
        **{
            name: [row(each) for each in card[name]]
            for name in ("outlook", "categories", "next_categories", "drivers", "neighbors")
        },
    )


def _abstained(card: Mapping[str, Any]) -> list[Refusal]:
    genome = card["genome"]
    reasons = {
        "expected orders and spend": genome["value_abstain_reason"],
        "churn probability": genome["risk_abstain_reason"],
        **{
            f"parts of the outlook over {each['horizon_days']} days": each["abstain_reason"] for each in card["outlook"]
        },
    }
    return [Refusal(what=what, why=FromData(from_data=quoted(why))) for what, why in reasons.items() if why]
