"""The playbook: ordered rules that recommend one action for every customer, with the customer's own numbers as reason.

"Valuable", "frequent" and "at risk" are relative to the snapshot's own customers, so that the playbook suits a grocer
and a furniture shop alike. ``revenue_at_stake_amount`` is ``expected_spend``: what the customer is expected to spend
within the horizon, and what is lost if they leave; sums over customers are comparable to forecast revenue. It is null
where spend is not predicted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd

from genome_pipeline.contracts.columns import COLUMNS, Unit
from genome_pipeline.models.genes import by_customer, numbers

TOP_SHARE = 0.25
"""Share of the customers that count as valuable, frequent or buyers of big baskets."""

UNSURE_SHARE = 0.10
"""Share of the customers, those of lowest confidence, whose predictions a person should look at."""

RISK_RATIO = 2.0
"""Churn probability, over its mean, from which a customer is at risk; half is always enough."""

GONE_PROBABILITY = 0.90
"""Churn probability from which a customer counts as gone."""

OVERDUE_RATIO = 2.0
"""Usual gaps since the last order from which it is clearly overdue."""

RECENT_T_DAYS = 90
"""Days since the first order within which a customer is new."""

FADING_MOMENTUM = 1 / 3
"""momentum_share up to which purchases fell to half, or less, of the window before."""


@dataclass(frozen=True)
class PlaybookRule:
    """One rule: who it is for (``condition`` in words, ``applies`` on the facts), what to do, and why.

    ``reason`` is a template; names in braces are columns of the facts.
    """

    name: str
    action: str
    condition: str
    applies: Callable[[pd.DataFrame], pd.Series[bool]]
    reason: str


PLAYBOOK: tuple[PlaybookRule, ...] = (
    PlaybookRule(
        "review_by_a_person",
        "Have a person look before acting",
        "expected spend in the top quarter, confidence in the lowest tenth",
        lambda facts: facts["has_high_stake"] & facts["is_unsure"],
        "Confidence is only {confidence}, among the lowest tenth, with {expected_spend} of expected spend at stake",
    ),
    PlaybookRule(
        "win_back_valuable",
        "Win back with a personal offer",
        "value in the top quarter, and at risk: churn probability at least 50% or twice the average, below 90%",
        lambda facts: facts["is_valuable"] & facts["is_at_risk"] & ~facts["is_gone"],
        "Among the most valuable customers with {purchase_day_count} purchase days, last order"
        " {days_since_last_order} ago, {churn_probability} likely to buy nothing",
    ),
    PlaybookRule(
        "call_overdue_big_spender",
        "Call about the next order",
        "average order value in the top quarter, two repeat purchases or more, at least 2 usual gaps since the last"
        " order, churn probability below 90%",
        lambda facts: (
            facts["has_big_baskets"]
            & (facts["overdue_ratio"] >= OVERDUE_RATIO)
            & (facts["frequency_count"] >= 2)
            & ~facts["is_gone"]
        ),
        "Orders of {average_order_value_amount} on average, every {order_gap_mean_days}; the last was"
        " {days_since_last_order} ago",
    ),
    PlaybookRule(
        "invite_second_purchase",
        "Invite to a second purchase",
        "one purchase day so far, first order at most 90 days ago, churn probability below 90%",
        lambda facts: (facts["frequency_count"] == 0) & (facts["t_days"] <= RECENT_T_DAYS) & ~facts["is_gone"],
        "Bought once, {t_days} ago, and not since",
    ),
    PlaybookRule(
        "let_go",
        "Spend nothing on winning back",
        "churn probability at least 90%, value not in the top quarter",
        lambda facts: facts["is_gone"] & ~facts["is_valuable"],
        "Last order {days_since_last_order} ago, {churn_probability} likely to buy nothing",
    ),
    PlaybookRule(
        "last_call_valuable",
        "Send one last win-back message",
        "churn probability at least 90%, value in the top quarter",
        lambda facts: facts["is_gone"] & facts["is_valuable"],
        "Among the most valuable customers with {purchase_day_count} purchase days, but the last order was"
        " {days_since_last_order} ago: {churn_probability} likely to buy nothing",
    ),
    PlaybookRule(
        "stop_fading",
        "Remind with a reason to come back",
        "purchase days in the recent window at most half of those of the window before, two or more then",
        lambda facts: (facts["momentum_share"] <= FADING_MOMENTUM + 1e-9) & (facts["previous_purchase_day_count"] >= 2),
        "{recent_purchase_day_count} purchase days recently, after {previous_purchase_day_count} in the window before",
    ),
    PlaybookRule(
        "upsell_frequent",
        "Suggest products that go with theirs",
        "recent purchase days in the top quarter and at least 2, average order value below the median",
        lambda facts: facts["is_frequent"] & (facts["recent_purchase_day_count"] >= 2) & facts["has_small_baskets"],
        "{recent_purchase_day_count} purchase days recently, but only {average_order_value_amount} per order",
    ),
    PlaybookRule(
        "reward_loyal",
        "Thank and reward",
        "value in the top quarter, bought in the recent window, and not at risk",
        lambda facts: facts["is_valuable"] & (facts["recent_purchase_day_count"] >= 1) & ~facts["is_at_risk"],
        "Among the most valuable customers with {purchase_day_count} purchase days, last order"
        " {days_since_last_order} ago",
    ),
    PlaybookRule(
        "keep_in_contact",
        "Keep in regular contact",
        "everyone else",
        lambda facts: pd.Series(True, index=facts.index),
        "Segment {segment_name}: {purchase_day_count} purchase days, last order {days_since_last_order} ago",
    ),
)
"""The rules in order: the first that applies to a customer gives the action; the last applies to everyone."""


def recommend_actions(
    features: pd.DataFrame,
    segments: pd.DataFrame,
    value: pd.DataFrame,
    risk: pd.DataFrame,
    confidence: pd.DataFrame,
) -> pd.DataFrame:
    """Contract ``customer_actions``: one row per row of ``features``, by customer.

    Args:
        features: contract ``customer_features`` of one snapshot; the other frames are about the same snapshot.
        segments: contract ``customer_segments``.
        value: contract ``customer_value``.
        risk: contract ``customer_risk``.
        confidence: contract ``customer_confidence``.
    """
    customers = by_customer(features)
    facts = _facts(customers, segments, value, risk, confidence)
    rule = np.select([one.applies(facts).to_numpy(dtype=bool) for one in PLAYBOOK], list(range(len(PLAYBOOK))))
    reason = pd.Series("", index=facts.index, dtype=object)
    for position, one in enumerate(PLAYBOOK):
        mine = rule == position
        reason[mine] = _fill(one.reason, facts[mine])
    return pd.DataFrame(
        {
            "as_of": customers["as_of"],
            "customer_id": customers["customer_id"],
            "action": np.array([one.action for one in PLAYBOOK], dtype=object)[rule],
            "action_rule": np.array([one.name for one in PLAYBOOK], dtype=object)[rule],
            "action_reason": reason,
            "revenue_at_stake_amount": facts["expected_spend"],
        }
    )


_GENES = (
    "purchase_day_count",
    "frequency_count",
    "t_days",
    "days_since_last_order",
    "spend_amount",
    "average_order_value_amount",
    "order_gap_mean_days",
    "overdue_ratio",
    "recent_purchase_day_count",
    "previous_purchase_day_count",
    "momentum_share",
)


def _facts(
    customers: pd.DataFrame,
    segments: pd.DataFrame,
    value: pd.DataFrame,
    risk: pd.DataFrame,
    confidence: pd.DataFrame,
) -> pd.DataFrame:
    """What the rules look at, in the order of ``customers``. A comparison with an unknown value is false."""
    facts = pd.DataFrame({gene: numbers(customers[gene]) for gene in _GENES})
    for frame, column in (
        (value, "expected_spend"),
        (risk, "churn_probability"),
        (confidence, "confidence"),
    ):
        facts[column] = numbers(frame.set_index("customer_id")[column].reindex(customers["customer_id"]))
    facts["segment_name"] = segments.set_index("customer_id")["segment_name"].reindex(customers["customer_id"]).array
    spend = facts["spend_amount"]
    worth = spend if spend.notna().any() else facts["purchase_day_count"]
    churn = facts["churn_probability"]
    facts["is_valuable"] = _is_top(worth)
    facts["has_high_stake"] = _is_top(facts["expected_spend"])
    facts["has_big_baskets"] = _is_top(facts["average_order_value_amount"])
    facts["has_small_baskets"] = facts["average_order_value_amount"] < facts["average_order_value_amount"].median()
    facts["is_frequent"] = _is_top(facts["recent_purchase_day_count"])
    facts["is_unsure"] = facts["confidence"] <= facts["confidence"].quantile(UNSURE_SHARE)
    facts["is_at_risk"] = churn >= min(0.5, RISK_RATIO * churn.mean())
    facts["is_gone"] = churn >= GONE_PROBABILITY
    return facts


def _is_top(values: pd.Series[float]) -> pd.Series[bool]:
    """Whether the value is above 0 and in the top share of the known ones."""
    return (values >= values.quantile(1 - TOP_SHARE)) & (values > 0)


def _fill(template: str, facts: pd.DataFrame) -> Any:
    """The template with every customer's own numbers, shape (customers,)."""
    texts = np.full(len(facts), "", dtype=object)
    for literal, name, _, _ in Formatter().parse(template):
        texts = texts + literal
        if name is not None:
            texts = texts + _text(name, facts[name])
    return texts


def _text(name: str, column: pd.Series[Any]) -> Any:
    """Texts as they are, numbers in the words of their unit, shape (customers,)."""
    if COLUMNS[name].type == "VARCHAR":
        return column.to_numpy(dtype=object)
    values = numbers(column)
    match COLUMNS[name].unit:
        case Unit.PROBABILITY | Unit.SCORE:
            words = np.char.mod("%.0f%%", 100 * values)
        case Unit.DAYS:
            words = np.where(np.rint(values) == 1, "1 day", np.char.mod("%.0f days", values))
        case Unit.CURRENCY:
            words = np.char.mod("%.2f", values)
        case _:
            words = np.char.mod("%.0f", values)
    return np.where(np.isnan(values), "unknown", words).astype(object)
