"""What to do about each customer: the first rule of the playbook that applies, the reason, and the revenue at stake.

Revenue at stake is churn_probability * orders_if_retained * spend_per_order_amount. All three come from the forecast.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.playbook import (
    EVERYTHING_RULE,
    FACTS,
    LEFT_ALONE_RULE,
    WAIT_RULE,
    Condition,
    PlaybookRule,
    amount,
)
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import by_customer, numbers

WAIT_ACTION = "Wait for more data"
WAIT_WORDS = "neither orders nor churn can be predicted"
LEAVE_ALONE_ACTION = "Leave alone"
LEAVE_ALONE_WORDS = "drawn to be left alone by a running experiment on the action that they would get"

_OF_RISK = ("churn_probability", "risk_band")
_DECIMALS = 6


AUDIENCE_COLUMNS = frozenset(("action_rule", "is_for_review", "revenue_at_stake_amount", "confidence"))
"""Columns of ``customer_actions`` and ``customer_confidence`` that :func:`audiences` reads, besides keys."""

_STAKE_COLUMNS = frozenset(
    (
        *("orders_if_retained", "spend_per_order_amount"),
        *(f"churn_probability{bound}" for bound in ("", "_lower", "_upper")),
        *(f"expected_spend{bound}" for bound in ("_lower", "_upper")),
    )
)


def columns_used(playbook: Sequence[PlaybookRule]) -> frozenset[str]:
    """Columns that :func:`recommend_actions` reads from its tables, besides keys."""
    asked = {condition.column for rule in playbook for condition in rule.when}
    told = {name for rule in playbook for name in rule.told_columns}
    return _STAKE_COLUMNS | asked | told | {*_OF_RISK, "confidence", "abstain_reason"}


def recommend_actions(
    features: pd.DataFrame,
    segments: pd.DataFrame,
    value: pd.DataFrame,
    risk: pd.DataFrame,
    next_order: pd.DataFrame,
    leading: pd.DataFrame,
    estimates: pd.DataFrame,
    confidence: pd.DataFrame,
    playbook: Sequence[PlaybookRule],
    review_confidence: float,
    currency: str,
) -> pd.DataFrame:
    """Contract ``customer_actions``: one row per row of ``features``, by customer.

    Customers without a prediction get the action to wait, with the reason. All others get the action of the first rule
    that applies. Where their confidence is below ``review_confidence``, a person is asked to review the action first.
    A churn probability without an interval is not calibrated yet: no condition on it or on its band is met.

    Args:
        features: contract ``customer_features`` of one snapshot; the other frames are about the same snapshot.
        segments: contract ``customer_segments``.
        value: contract ``customer_value``.
        risk: contract ``customer_risk``.
        next_order: contract ``customer_next_order``.
        leading: rows of :func:`genome_pipeline.transforms.taste.leading_categories`, of those who have any.
        estimates: contract ``neighbor_estimates``.
        confidence: contract ``customer_confidence``.
        playbook: the rules in order; the last has no conditions.
        review_confidence: in [0, 1].
        currency: code to write after amounts; may be empty.
    """
    customers = by_customer(features)
    stake = _revenue_at_stake(customers, value, risk)
    facts = _facts(customers, [stake, segments, value, risk, next_order, leading, estimates, confidence])
    why_wait = confidence.set_index("customer_id")["abstain_reason"].reindex(customers["customer_id"])
    waits = why_wait.notna().to_numpy()
    is_calibrated = np.isfinite(numbers(facts["churn_probability_lower"]))
    judged = facts.assign(**{name: facts[name].where(is_calibrated) for name in _OF_RISK})
    applies = [waits, *(_applies(rule, judged) for rule in playbook)]
    rule = np.argmax(applies, axis=0)
    reason = np.where(waits, why_wait.to_numpy(object), "")
    for position, one in enumerate(playbook, start=1):
        mine = rule == position
        reason[mine] = _reasons(one, facts[mine], currency)
    return pd.DataFrame(
        {
            "as_of": customers["as_of"],
            "customer_id": customers["customer_id"],
            "action": np.array([WAIT_ACTION, *(one.action for one in playbook)], dtype=object)[rule],
            "action_rule": np.array([WAIT_RULE, *(one.name for one in playbook)], dtype=object)[rule],
            "action_reason": reason,
            "is_for_review": (numbers(facts["confidence"]) < review_confidence) & ~waits,
            **{name: stake[name] for name in stake.columns if name != "customer_id"},
        }
    )


def leave_alone(actions: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``customer_actions`` in which nobody gets the action of an experiment that leaves them alone.

    An experiment on everything leaves its controls without any action.

    Args:
        actions: contract ``customer_actions`` of one snapshot.
        controls: rows of :func:`genome_pipeline.transforms.experiments.controls_at` at that snapshot.
    """
    of_everything = controls[controls["action_rule"] == EVERYTHING_RULE]
    acted_on = actions[["customer_id", "action"]][actions["action_rule"] != WAIT_RULE]
    told = ["customer_id", "action", "experiment_id", "until_date"]
    held = pd.concat([controls[told], of_everything[told].drop(columns="action").merge(acted_on, on="customer_id")])
    first = held.drop_duplicates(["customer_id", "action"])
    found = actions[["customer_id", "action"]].merge(first, on=["customer_id", "action"], how="left")
    is_alone = found["experiment_id"].notna().to_numpy()
    why = [
        f"Left alone by chance until {until:%Y-%m-%d}, so that experiment {name} can tell what acting brings"
        for name, until in zip(
            found["experiment_id"][is_alone], pd.to_datetime(found["until_date"][is_alone]), strict=True
        )
    ]
    left = actions.copy()
    left.loc[is_alone, ["action", "action_rule", "is_for_review"]] = LEAVE_ALONE_ACTION, LEFT_ALONE_RULE, False
    left.loc[is_alone, "action_reason"] = why
    return left


def audiences(
    actions: pd.DataFrame,
    confidence: pd.DataFrame,
    picked: pd.DataFrame,
    playbook: Sequence[PlaybookRule],
    as_of: date,
    currency: str,
) -> pd.DataFrame:
    """Contract ``action_audiences`` of one snapshot: one row per rule, in order, also for rules that match nobody.

    Controls of experiments have one too, where there are any.

    Each rule is compared with the average of all customers at all matured snapshots. A rule may match mostly in seasons
    when many customers leave: ``concurrent_churn_share`` tells how much of the difference is due to the season.

    Args:
        actions: contract ``customer_actions`` of the snapshot.
        confidence: contract ``customer_confidence`` of the snapshot.
        picked: one row per matured earlier snapshot and rule: ``as_of``, ``action_rule``, ``customer_count``,
            ``churned_count`` and total ``actual_spend`` (null without amounts) of the customers the rule matched then.
        playbook: the rules in order.
        as_of: the snapshot.
        currency: code to write after amounts; may be empty.
    """
    now = actions.merge(confidence[["customer_id", "confidence"]], on="customer_id", how="left").groupby("action_rule")
    alone = [(len(playbook) + 1, LEFT_ALONE_RULE, LEAVE_ALONE_ACTION, LEAVE_ALONE_WORDS)]
    table = pd.DataFrame(
        [
            (0, WAIT_RULE, WAIT_ACTION, WAIT_WORDS),
            *(
                (position, rule.name, rule.action, rule.words(currency))
                for position, rule in enumerate(playbook, start=1)
            ),
            *(alone if LEFT_ALONE_RULE in now.groups else []),
        ],
        columns=["rule_position", "action_rule", "action", "rule_condition"],
    ).set_index("action_rule")
    table = table.assign(
        as_of=as_of,
        customer_count=now.size(),
        review_customer_count=now["is_for_review"].sum(),
        revenue_at_stake_amount=now["revenue_at_stake_amount"].sum(min_count=1),
        mean_confidence=now["confidence"].mean(),
    )
    counts = ["customer_count", "review_customer_count", "matured_customer_count"]
    table = table.join(_backtest(picked))
    table[counts] = table[counts].fillna(0).astype("int64")
    table["customer_share"] = table["customer_count"] / max(len(actions), 1)
    return table.reset_index()[list(TABLES["action_audiences"].columns)]


def _backtest(picked: pd.DataFrame) -> pd.DataFrame:
    """What customers matched by each rule did after the matured snapshots, beside the average; by ``action_rule``."""
    sums = ["customer_count", "churned_count", "actual_spend"]
    known = picked.astype(dict.fromkeys(sums, "float64"))
    concurrent = known.groupby("as_of")[sums].transform("sum")
    known["concurrent_count"] = known["customer_count"] * concurrent["churned_count"] / concurrent["customer_count"]
    total = known.drop(columns="as_of").groupby("action_rule").sum(min_count=1)
    everyone = known[sums].sum(min_count=1)
    churn, spend = (total[name] / total["customer_count"] for name in ("churned_count", "actual_spend"))
    average_churn, average_spend = (
        everyone[name] / everyone["customer_count"] for name in ("churned_count", "actual_spend")
    )
    return pd.DataFrame(
        {
            "matured_customer_count": total["customer_count"],
            "actual_churn_share": churn,
            "average_churn_share": average_churn,
            "churn_lift_ratio": churn / average_churn if average_churn > 0 else np.nan,
            "concurrent_churn_share": total["concurrent_count"] / total["customer_count"],
            "actual_mean_spend_amount": spend,
            "spend_lift_ratio": (spend / average_spend).clip(lower=0) if average_spend > 0 else np.nan,
        }
    )


def _revenue_at_stake(customers: pd.DataFrame, value: pd.DataFrame, risk: pd.DataFrame) -> pd.DataFrame:
    """Revenue at stake by customer, with an interval from the bounds of both predictions that contains the point."""
    ids = customers["customer_id"]
    value, risk = value.set_index("customer_id").reindex(ids), risk.set_index("customer_id").reindex(ids)
    churn, low_churn, high_churn = (numbers(risk[f"churn_probability{bound}"]) for bound in ("", "_lower", "_upper"))
    low_spend, high_spend = (numbers(value[f"expected_spend{bound}"]) for bound in ("_lower", "_upper"))
    retained: Floats = numbers(value["orders_if_retained"]) * numbers(value["spend_per_order_amount"])
    return pd.DataFrame(
        {
            "customer_id": ids,
            "revenue_at_stake_amount": churn * retained,
            "revenue_at_stake_amount_lower": low_churn * np.clip(low_spend, 0, retained),
            "revenue_at_stake_amount_upper": high_churn * np.maximum(high_spend, retained),
        }
    )


def _facts(customers: pd.DataFrame, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All columns that rules may test, in the order of ``customers``."""
    facts = {name: customers[name] for name in FACTS if name in customers.columns}
    for part in parts:
        rows = part.set_index("customer_id").reindex(customers["customer_id"]).reset_index(drop=True)
        facts |= {name: rows[name] for name in FACTS if name in rows.columns and name not in facts}
    return pd.DataFrame(facts, index=customers.index)


def _applies(rule: PlaybookRule, facts: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether each customer meets every condition, shape (n,)."""
    applies = np.ones(len(facts), dtype=bool)
    for condition in rule.when:
        applies &= _meets(condition, facts[condition.column])
    return applies


def _meets(condition: Condition, column: pd.Series[Any]) -> NDArray[np.bool_]:
    """Whether each value meets the condition, shape (n,); an unknown value never does."""
    if condition.is_one_of is not None:
        return column.isin(condition.is_one_of).to_numpy(bool)
    # Rounded like the bounds, so that no customer is in or out because of the last digits of a sum.
    values = numbers(column).round(_DECIMALS)
    meets = np.isfinite(values)
    known = values[meets]
    if not known.size:
        return meets
    if condition.at_least is not None:
        meets &= values >= condition.at_least
    if condition.at_most is not None:
        meets &= values <= condition.at_most
    if condition.top_share is not None:
        meets &= (values >= np.quantile(known, 1 - condition.top_share).round(_DECIMALS)) & (values > 0)
    if condition.bottom_share is not None:
        meets &= values <= np.quantile(known, condition.bottom_share).round(_DECIMALS)
    if condition.at_least_times_mean is not None:
        meets &= values >= np.round(condition.at_least_times_mean * np.sort(known).mean(), _DECIMALS)
    return meets


def _reasons(rule: PlaybookRule, facts: pd.DataFrame, currency: str) -> NDArray[np.object_]:
    """The rule's reason with each customer's own numbers, without what is unknown of them; shape (customers,)."""
    texts = np.full(len(facts), "", dtype=object)
    for part in rule.parts:
        filled = _fill(part.template, facts, currency)
        if part.is_optional:
            filled[facts[part.columns].isna().any(axis=1).to_numpy()] = ""
        texts = texts + filled
    return texts


def _fill(template: str, facts: pd.DataFrame, currency: str) -> NDArray[np.object_]:
    """The template filled in with each customer's own numbers, shape (customers,)."""
    texts = np.full(len(facts), "", dtype=object)
    for literal, name, _, _ in Formatter().parse(template):
        texts = texts + literal
        if name is not None:
            texts = texts + _text(name, facts[name], currency)
    return texts


def _text(name: str, column: pd.Series[Any], currency: str) -> NDArray[np.object_]:
    """Texts unchanged and numbers with their unit, shape (customers,)."""
    if COLUMNS[name].type in ("VARCHAR", "BOOLEAN"):
        return column.astype(object).where(column.notna(), "unknown").map(str).to_numpy(dtype=object)
    values = numbers(column)
    # Each text is formatted once, however many customers share it.
    found, position = np.unique(np.round(values, 2), return_inverse=True)
    texts = ["unknown" if np.isnan(value) else amount(COLUMNS[name], value, currency) for value in found.tolist()]
    return np.array(texts, dtype=object)[position]
