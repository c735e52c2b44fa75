"""What is recommended, what is at stake, and what became of earlier audiences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.contracts.playbook import DEFAULT_PLAYBOOK, Condition, PlaybookRule
from genome_pipeline.contracts.tables.taste import LEADING
from genome_pipeline.models.actions import _meets, audiences, columns_used, leave_alone, recommend_actions
from genome_pipeline_tests.support.populations import (
    AS_OF,
    assert_keeps_contract,
    customers,
    estimates_of,
    next_order_of,
    risk_of,
    segments_of,
    shop,
    value_of,
)


def _recommend(
    features: pd.DataFrame,
    risk: pd.DataFrame,
    value: pd.DataFrame,
    confidence: Any = 0.7,
    next_order: pd.DataFrame | None = None,
    leading: pd.DataFrame | None = None,
    playbook: Sequence[PlaybookRule] = DEFAULT_PLAYBOOK,
    **scored: Any,
) -> pd.DataFrame:
    facts = {"confidence": confidence, "abstain_reason": None} | scored
    scores = pd.DataFrame({"as_of": AS_OF, "customer_id": features["customer_id"]}).assign(**facts)
    # As the pipeline reads them: without what no rule looks at.
    used = {"as_of", "customer_id", *columns_used(playbook)}
    if next_order is None:
        next_order = next_order_of(features)
    if leading is None:
        leading = pd.DataFrame(columns=["as_of", "customer_id", *LEADING])
    frames = features, segments_of(features), value, risk, next_order, leading, estimates_of(features), scores
    read = [frame[[name for name in frame if name in used]] for frame in frames]
    rest, segments, spend, churn, arrivals, listed, estimates, confidences = read
    actions = recommend_actions(
        rest, segments, spend, churn, arrivals, listed, estimates, confidences, playbook, 1 / 3, "EUR"
    )
    assert_keeps_contract("customer_actions", actions)
    return actions


def _first_among_typical(**facts: Any) -> pd.Series:
    """The recommendation for one customer among twenty typical ones."""
    ids = [f"c{number:02d}" for number in range(21)]
    features = customers(ids)
    risk, value, next_order = risk_of(features), value_of(features), next_order_of(features)
    features.loc[1:, "spend_amount"] = 300.0 + np.arange(20)
    features.loc[1:, "recent_purchase_day_count"] = 1
    for frame in (features, risk, value, next_order):
        for name, fact in facts.items():
            if name in frame.columns:
                frame.loc[0, name] = fact
    confidence = np.where(np.arange(21) == 0, facts.get("confidence", 0.9), 0.7)
    return _recommend(features, risk, value, confidence, next_order).iloc[0]


def _playbook(*when: dict[str, Any], reason: str = "why") -> list[PlaybookRule]:
    """A rule with these conditions, and one for everyone else."""
    last = PlaybookRule(name="rest", action="Nothing", reason="rest")
    return [PlaybookRule(name="first", action="Act", when=when, reason=reason), last]


@pytest.mark.parametrize(
    ("facts", "rule", "reason"),
    [
        (
            {"spend_amount": 5000.0, "churn_probability": 0.62, "days_since_last_order": 41},
            "win_back_valuable",
            "Spent 5,000.00 EUR so far, last order 41 days ago, 62% likely to buy nothing",
        ),
        (
            {"churn_probability": 0.62, "spend_amount": 20.0, "days_since_last_order": 300},
            "win_back",
            "Last order 300 days ago, 62% likely to buy nothing",
        ),
        (
            {"churn_probability": 0.11, "spend_amount": 5000.0},
            "hold_valuable",
            "Spent 5,000.00 EUR so far, but 11% likely to buy nothing; last order 10 days ago",
        ),
        (
            {"frequency_count": 0, "purchase_day_count": 1, "t_days": 1},
            "invite_second_purchase",
            "Bought once, 1 day ago, and not since",
        ),
        (
            {"frequency_count": 0, "purchase_day_count": 1, "t_days": 200},
            "revive_one_time_buyer",
            "Bought once, 200 days ago, and not since",
        ),
        (
            {"is_overdue": True, "silence_probability": 0.04, "days_since_last_order": 102},
            "remind_overdue",
            "Ordered every 34 days on average; last order 102 days ago, and 4% of their gaps are so long",
        ),
        (
            {"momentum_share": 0.25, "recent_purchase_day_count": 1, "previous_purchase_day_count": 3},
            "stop_fading",
            "1 purchase days recently, after 3 in the window before",
        ),
        (
            {"spend_amount": 5000.0, "churn_probability": 0.01},
            "reward_loyal",
            "Spent 5,000.00 EUR on 6 purchase days, last order 10 days ago",
        ),
        (
            {"recent_purchase_day_count": 9, "average_order_value_amount": 12.0, "churn_probability": 0.01},
            "upsell_frequent",
            "9 purchase days recently, but only 12.00 EUR per order",
        ),
        (
            {"churn_probability": 0.11, "spend_amount": 20.0, "recent_purchase_day_count": 0},
            "nudge",
            "11% likely to buy nothing, last order 10 days ago",
        ),
        (
            {"churn_probability": 0.01, "spend_amount": 20.0, "recent_purchase_day_count": 0},
            "keep_in_contact",
            "6 purchase days, last order 10 days ago",
        ),
    ],
)
def test_each_default_rule_fires_and_says_why_in_the_customers_own_numbers(
    facts: dict[str, Any], rule: str, reason: str
) -> None:
    recommended = _first_among_typical(**facts)
    assert recommended["action_rule"] == rule
    assert recommended["action_reason"] == reason
    assert recommended["action"] == next(one.action for one in DEFAULT_PLAYBOOK if one.name == rule)


def test_where_nearly_all_leave_the_surest_are_made_a_last_offer() -> None:
    features = shop()
    risk = risk_of(features, churn_probability=np.where(features["customer_id"] < "b", 0.6, 0.88))
    actions = _recommend(features, risk, value_of(features)).set_index("customer_id")
    assert actions.loc["c000", "action_rule"] == "last_offer"


@pytest.mark.parametrize(
    ("condition", "picked"),
    [
        ({"column": "order_count", "at_least": 3}, "cde"),
        ({"column": "order_count", "at_least": 2, "at_most": 3}, "bc"),
        ({"column": "order_count", "top_share": 0.4}, "de"),
        ({"column": "order_count", "bottom_share": 0.4}, "ab"),
        ({"column": "order_count", "at_least_times_mean": 1.5}, "e"),
        ({"column": "momentum_share", "at_most": 1.0}, "bcde"),
        ({"column": "momentum_share", "top_share": 0.9}, ""),
        ({"column": "country", "is": "FR"}, "b"),
        ({"column": "country", "is": ["FR", "DE"]}, "bc"),
        ({"column": "has_moved", "is": True}, ""),
    ],
)
def test_conditions_compare_as_they_say_and_an_unknown_value_meets_none(condition: dict[str, Any], picked: str) -> None:
    features = customers(
        list("abcde"),
        order_count=[1, 2, 3, 4, 5],
        momentum_share=[None, 0.0, 0.0, 0.0, 0.0],
        country=[None, "FR", "DE", "IT", "IT"],
    )
    actions = _recommend(features, risk_of(features), value_of(features), playbook=_playbook(condition))
    assert "".join(actions.loc[actions["action_rule"] == "first", "customer_id"]) == picked


def test_the_first_rule_that_applies_is_taken_and_every_condition_must_hold() -> None:
    features = customers(list("ab"), order_count=[5, 5], t_days=[10, 900])
    rules = _playbook({"column": "order_count", "at_least": 5}, {"column": "t_days", "at_least": 365})
    actions = _recommend(features, risk_of(features), value_of(features), playbook=rules)
    assert actions["action_rule"].tolist() == ["rest", "first"]


def _leading(customer_id: str, *values: object) -> pd.DataFrame:
    """What :func:`leading_categories` gives of one customer."""
    return pd.DataFrame([(AS_OF, customer_id, *values)], columns=["as_of", "customer_id", *LEADING])


def test_a_cross_sell_names_the_category_to_suggest_and_without_one_is_a_whole_sentence() -> None:
    features = customers(["a", "b", "c"], recent_purchase_day_count=9, average_order_value_amount=12.0)
    risk = risk_of(features, churn_probability=0.01)
    value = value_of(features)
    leading = pd.concat([_leading("a", "MEAT", 0.6, "PASTRY", 0.2), _leading("b", "MEAT", None, None, None)])
    only = [rule for rule in DEFAULT_PLAYBOOK if rule.name in ("upsell_frequent", "keep_in_contact")]
    actions = _recommend(features, risk, value, playbook=only, leading=leading)
    bare = "9 purchase days recently, but only 12.00 EUR per order"
    assert actions["action_reason"].tolist() == [f"{bare}; suggest PASTRY", bare, bare]


def test_a_rule_may_ask_for_the_next_category_and_its_probability() -> None:
    features = customers(["a", "b", "c"])
    leading = pd.concat([_leading("a", "MEAT", 0.6, "MEAT", 0.6), _leading("b", "MEAT", 0.3, "MEAT", 0.3)])
    rules = _playbook(
        {"column": "next_category", "is": "MEAT"},
        {"column": "next_category_probability", "at_least": 0.5},
        reason="{next_category}, {next_category_probability}",
    )
    actions = _recommend(features, risk_of(features), value_of(features), playbook=rules, leading=leading)
    assert actions["action_reason"].tolist() == ["MEAT, 60%", "rest", "rest"]


def test_revenue_at_stake_is_what_is_lost_of_the_spend_of_those_who_stay_within_its_interval() -> None:
    features = customers(["a", "b", "c"])
    value = value_of(
        features, expected_spend=[60.0, 60.0, np.nan], expected_spend_lower=[-5.0, 40.0, np.nan],
        expected_spend_upper=[90.0, 200.0, np.nan], orders_if_retained=[2.0, 3.0, np.nan],
        spend_per_order_amount=[50.0, 200.0, np.nan],
    )  # fmt: skip
    risk = risk_of(
        features, churn_probability=[0.4, 0.98, 0.4], churn_probability_lower=[0.2, np.nan, 0.2],
        churn_probability_upper=[0.5, np.nan, 0.5],
    )  # fmt: skip
    actions = _recommend(features, risk, value).filter(like="revenue")
    np.testing.assert_allclose(
        actions.to_numpy(float),
        [[0.4 * 100, 0.0, 0.5 * 100], [0.98 * 600, np.nan, np.nan], [np.nan, np.nan, np.nan]],
    )


def test_a_customer_without_a_prediction_waits_and_low_confidence_is_for_review() -> None:
    features = customers(["a", "b", "c"])
    actions = _recommend(
        features,
        risk_of(features),
        value_of(features),
        confidence=[np.nan, 0.2, 0.5],
        abstain_reason=["value: too few customers; risk: too few customers", None, None],
    ).set_index("customer_id")
    assert list(actions.loc["a", ["action", "action_rule", "action_reason"]]) == [
        "Wait for more data",
        "wait",
        "value: too few customers; risk: too few customers",
    ]
    assert actions["is_for_review"].to_dict() == {"a": False, "b": True, "c": False}


def test_no_rule_acts_on_a_churn_probability_that_is_not_calibrated_yet() -> None:
    features = shop()
    high = {"churn_probability": np.where(features["customer_id"] < "b", 0.99, 0.1), "risk_band": "high"}
    playbook = [
        PlaybookRule(name="band", action="Act", when=[{"column": "risk_band", "is": "high"}], reason="why"),
        PlaybookRule(name="sure", action="Act", when=[{"column": "churn_probability", "at_least": 0.9}], reason="why"),
        PlaybookRule(name="rest", action="Nothing", reason="{churn_probability}"),
    ]
    uncalibrated = risk_of(features, **high, churn_probability_lower=np.nan, churn_probability_upper=np.nan)
    actions = _recommend(features, uncalibrated, value_of(features), playbook=playbook)
    assert set(actions["action_rule"]) == {"rest"}
    assert set(actions["action_reason"]) == {"99%", "10%"}
    calibrated = _recommend(features, risk_of(features, **high), value_of(features), playbook=playbook)
    assert set(calibrated["action_rule"]) == {"band"}


def test_every_customer_has_one_action_whatever_the_order_of_rows() -> None:
    features = shop()
    risk = risk_of(features, churn_probability=np.linspace(0, 1, len(features)))
    straight = _recommend(features, risk, value_of(features))
    shuffled = _recommend(features.sample(frac=1, random_state=6), risk, value_of(features))
    pd.testing.assert_frame_equal(straight, shuffled)
    assert straight["customer_id"].tolist() == sorted(features["customer_id"])


def test_no_customers_have_no_actions() -> None:
    features = shop().head(0)
    assert _recommend(features, risk_of(features), value_of(features)).empty


def test_an_audience_tells_what_became_of_those_whom_its_rule_picked_before() -> None:
    features = customers(list("abcd"), order_count=[9, 9, 1, 1])
    playbook = _playbook({"column": "order_count", "at_least": 5})
    value = value_of(features, orders_if_retained=6.0, spend_per_order_amount=50.0)
    actions = _recommend(features, risk_of(features, churn_probability=0.5), value, playbook=playbook)
    confidence = pd.DataFrame({"customer_id": list("abcd"), "confidence": [0.4, 0.6, 0.1, np.nan]})
    picked = pd.DataFrame(
        [("m1", "first", 10, 8, 50.0), ("m1", "rest", 30, 6, 450.0), ("m2", "rest", 40, 10, 300.0)],
        columns=["as_of", "action_rule", "customer_count", "churned_count", "actual_spend"],
    )
    table = audiences(actions, confidence, picked, playbook, AS_OF, "EUR")
    assert_keeps_contract("action_audiences", table)
    assert table["action_rule"].tolist() == ["wait", "first", "rest"]
    found = table.set_index("action_rule").drop(columns=["as_of", "action", "rule_position"])
    assert found.loc["first"].to_dict() == {
        "rule_condition": "order count at least 5",
        "customer_count": 2,
        "customer_share": 0.5,
        "review_customer_count": 0,
        "revenue_at_stake_amount": 300.0,
        "mean_confidence": 0.5,
        "matured_customer_count": 10,
        "actual_churn_share": 0.8,
        "average_churn_share": 0.3,
        "churn_lift_ratio": pytest.approx(0.8 / 0.3),
        "concurrent_churn_share": 0.35,
        "actual_mean_spend_amount": 5.0,
        "spend_lift_ratio": 0.5,
    }
    assert list(found.loc["wait", ["customer_count", "matured_customer_count"]]) == [0, 0]


def test_before_anything_has_matured_audiences_have_no_backtest() -> None:
    features = shop()
    actions = _recommend(features, risk_of(features), value_of(features))
    nothing = pd.DataFrame(columns=["as_of", "action_rule", "customer_count", "churned_count", "actual_spend"])
    confidence = pd.DataFrame({"customer_id": features["customer_id"], "confidence": 0.5})
    table = audiences(actions, confidence, nothing, DEFAULT_PLAYBOOK, AS_OF, "EUR")
    assert_keeps_contract("action_audiences", table)
    assert table["customer_count"].sum() == len(features)
    assert table["churn_lift_ratio"].isna().all()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"top_share": 0.25}, [True, True, False, False]),
        ({"bottom_share": 0.75}, [True, True, True, True]),
        ({"at_least": 5.0}, [True, True, False, False]),
        ({"at_least_times_mean": 2.0}, [True, True, False, False]),
    ],
)
def test_the_last_bits_of_a_sum_put_nobody_in_or_out(condition: dict[str, float], expected: list[bool]) -> None:
    values = pd.Series([5.0, 5.0 - 1e-12, 0.0, 0.0])
    assert _meets(Condition(column="expected_spend", **condition), values).tolist() == expected


def _left_alone(actions: pd.DataFrame, controls: Sequence[tuple[str, str]], rule: str = "win_back") -> pd.DataFrame:
    rows = [(name, action, rule, "win_back-2024-01-01", date(2024, 3, 1)) for name, action in controls]
    columns = ["customer_id", "action", "action_rule", "experiment_id", "until_date"]
    left = leave_alone(actions, pd.DataFrame(rows, columns=columns))
    assert_keeps_contract("customer_actions", left)
    return left


def test_a_control_does_not_get_the_action_of_its_experiment_but_any_other() -> None:
    features = shop()
    free = _recommend(features, risk_of(features), value_of(features))
    one, other = free["customer_id"].astype(str).to_list()[:2]
    held = _left_alone(free, [(one, str(free.loc[0, "action"])), (other, "Another action than theirs")])
    row = held.iloc[0]
    assert (row["action_rule"], row["action"], row["is_for_review"]) == ("left_alone", "Leave alone", False)
    assert row["action_reason"] == (
        "Left alone by chance until 2024-03-01, so that experiment win_back-2024-01-01 can tell what acting brings"
    )
    pd.testing.assert_frame_equal(held[1:], free[1:])
    pd.testing.assert_frame_equal(_left_alone(free, []), free)


def test_a_rule_of_another_name_or_condition_does_not_reach_a_control_with_the_same_action() -> None:
    features = shop()
    free = _recommend(features, risk_of(features), value_of(features))
    one, action = str(free.loc[0, "customer_id"]), str(free.loc[0, "action"])
    other = PlaybookRule(name="renamed", action=action, reason="Everyone")
    changed = _recommend(features, risk_of(features), value_of(features), playbook=(other,))
    assert set(changed["action"]) == {action}
    held = _left_alone(changed, [(one, action)])
    assert held.loc[held["action_rule"] == "left_alone", "customer_id"].tolist() == [one]


def test_a_control_of_everything_gets_no_action_but_may_wait() -> None:
    features = shop()
    confidence = pd.Series([None, *["no"] * 1, *[None] * (len(features) - 2)], dtype=object)
    free = _recommend(features, risk_of(features), value_of(features), abstain_reason=confidence)
    ids = free["customer_id"].tolist()
    held = _left_alone(free, [(name, "Every action of the playbook") for name in ids[:2]], "everything")
    assert held["action_rule"].tolist()[:2] == ["left_alone", "wait"]
    pd.testing.assert_frame_equal(held[1:], free[1:])


def test_an_audience_of_controls_stands_last_and_only_where_there_are_any() -> None:
    features = shop()
    free = _recommend(features, risk_of(features), value_of(features))
    held = _left_alone(free, [(str(free.loc[0, "customer_id"]), str(free.loc[0, "action"]))])
    confidence = pd.DataFrame({"customer_id": features["customer_id"], "confidence": 0.5})
    picked = pd.DataFrame(columns=["as_of", "action_rule", "customer_count", "churned_count", "actual_spend"])
    found = [audiences(each, confidence, picked, DEFAULT_PLAYBOOK, AS_OF, "EUR") for each in (free, held)]
    assert "left_alone" not in set(found[0]["action_rule"])
    last = found[1].iloc[-1]
    assert (last["action_rule"], last["customer_count"]) == ("left_alone", 1)
    assert [table["customer_count"].sum() for table in found] == [len(features)] * 2
    assert_keeps_contract("action_audiences", found[1])
