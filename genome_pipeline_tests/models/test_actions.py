"""The playbook."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.actions import PLAYBOOK, recommend_actions
from genome_pipeline_tests.models.populations import (
    AS_OF,
    assert_keeps_contract,
    customers,
    risk_of,
    segments_of,
    shop,
    value_of,
)


def _recommend(features: pd.DataFrame, risk: pd.DataFrame, value: pd.DataFrame, confidence: Any = 0.7) -> pd.DataFrame:
    scored = pd.DataFrame({"as_of": AS_OF, "customer_id": features["customer_id"], "confidence": confidence})
    return recommend_actions(features, segments_of(features), value, risk, scored)


def _first_among_typical(**facts: Any) -> pd.Series:
    """The recommendation for one customer among twenty typical ones."""
    ids = [f"c{number:02d}" for number in range(21)]
    features = customers(ids)
    risk, value = risk_of(features), value_of(features)
    features.loc[1:, "spend_amount"] = 300.0 + np.arange(20)
    features.loc[1:, "recent_purchase_day_count"] = 1
    for frame in (features, risk, value):
        for name, fact in facts.items():
            if name in frame.columns:
                frame.loc[0, name] = fact
    confidence = np.where(np.arange(21) == 0, facts.get("confidence", 0.9), 0.7)
    actions = _recommend(features, risk, value, confidence)
    assert_keeps_contract("customer_actions", actions)
    return actions.iloc[0]


@pytest.mark.parametrize(
    ("facts", "rule", "reason"),
    [
        (
            {"expected_spend": 900.0, "confidence": 0.2},
            "review_by_a_person",
            "Confidence is only 20%, among the lowest tenth, with 900.00 of expected spend at stake",
        ),
        (
            {"spend_amount": 5000.0, "churn_probability": 0.62, "days_since_last_order": 41},
            "win_back_valuable",
            "Among the most valuable customers with 6 purchase days, last order 41 days ago, 62% likely to buy nothing",
        ),
        (
            {"average_order_value_amount": 212.5, "overdue_ratio": 3.0, "days_since_last_order": 102},
            "call_overdue_big_spender",
            "Orders of 212.50 on average, every 34 days; the last was 102 days ago",
        ),
        (
            {"frequency_count": 0, "purchase_day_count": 1, "t_days": 1},
            "invite_second_purchase",
            "Bought once, 1 day ago, and not since",
        ),
        (
            {"churn_probability": 0.97, "spend_amount": 20.0, "days_since_last_order": 300},
            "let_go",
            "Last order 300 days ago, 97% likely to buy nothing",
        ),
        (
            {"churn_probability": 0.97, "spend_amount": 5000.0, "days_since_last_order": 300},
            "last_call_valuable",
            "Among the most valuable customers with 6 purchase days, but the last order was 300 days ago:"
            " 97% likely to buy nothing",
        ),
        (
            {"momentum_share": 0.25, "recent_purchase_day_count": 1, "previous_purchase_day_count": 3},
            "stop_fading",
            "1 purchase days recently, after 3 in the window before",
        ),
        (
            {"recent_purchase_day_count": 9, "average_order_value_amount": 12.0},
            "upsell_frequent",
            "9 purchase days recently, but only 12.00 per order",
        ),
        (
            {"spend_amount": 5000.0},
            "reward_loyal",
            "Among the most valuable customers with 6 purchase days, last order 10 days ago",
        ),
        (
            {"spend_amount": 20.0},
            "keep_in_contact",
            "Segment Regulars: 6 purchase days, last order 10 days ago",
        ),
    ],
)
def test_each_rule_fires_and_says_why_in_the_customers_own_numbers(
    facts: dict[str, Any], rule: str, reason: str
) -> None:
    recommended = _first_among_typical(**facts)
    assert recommended["action_rule"] == rule
    assert recommended["action_reason"] == reason
    assert recommended["action"] == next(one.action for one in PLAYBOOK if one.name == rule)


def test_revenue_at_stake_is_expected_spend() -> None:
    assert _first_among_typical(expected_spend=123.45)["revenue_at_stake_amount"] == 123.45


def test_every_customer_has_one_action_whatever_the_order_of_rows() -> None:
    features = shop()
    risk = risk_of(features, churn_probability=np.linspace(0, 1, len(features)))
    straight = _recommend(features, risk, value_of(features))
    shuffled = _recommend(features.sample(frac=1, random_state=6), risk, value_of(features))
    pd.testing.assert_frame_equal(straight, shuffled)
    assert straight["customer_id"].tolist() == sorted(features["customer_id"])


def test_without_predictions_and_amounts_rules_on_history_still_apply() -> None:
    features = shop().assign(spend_amount=None, average_order_value_amount=None, recent_spend_amount=None)
    risk = risk_of(features, churn_probability=np.nan, risk_band=None)
    value = value_of(features, expected_orders=np.nan, expected_spend=np.nan)
    actions = _recommend(features, risk, value, np.nan)
    assert_keeps_contract("customer_actions", actions)
    assert actions["revenue_at_stake_amount"].isna().all()
    rules = actions.groupby(actions["customer_id"].str[0])["action_rule"].agg(lambda rule: "/".join(sorted(set(rule))))
    assert rules["a"] == "reward_loyal"
    assert rules["d"] == "stop_fading"


def test_the_last_rule_is_for_everyone_and_names_are_unique() -> None:
    assert PLAYBOOK[-1].applies(pd.DataFrame(index=range(3))).tolist() == [True, True, True]
    assert len({rule.name for rule in PLAYBOOK}) == len(PLAYBOOK)
