"""The rows that an experiment adds at a snapshot, and the looks it has."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.experiments.results import Terms, looks_until, proofs, results
from genome_pipeline_tests.support.populations import assert_keeps_contract

START, LOOKS = date(2020, 6, 1), [date(2020, 7, 1), date(2020, 8, 1)]
TERMS = Terms("win_back-2020-06-01", START, LOOKS[-1], None, 61, 0.1, "orders", 0.5, ["win_back"])
COUNT = 400


def found(terms: Terms, looks: list[date], who: pd.DataFrame, what: pd.DataFrame, currency: str) -> pd.DataFrame:
    """The rows of ``experiment_results``."""
    return results(terms, looks, who, what, None, currency, 0)[0]


def members(count: int = COUNT) -> pd.DataFrame:
    number = np.arange(count)
    return pd.DataFrame(
        {
            "customer_id": [f"c{one:04d}" for one in number],
            "is_treated": number % 2 == 0,
            "expected_orders": 1.0 + number % 5,
            "expected_spend": 10.0 * (1 + number % 5),
            "churn_probability": (number % 40) / 40,
            "days_since_last_order": number % 7,
            "segment_name": np.where(number % 3 == 0, "Regulars", "Others"),
        }
    )


def done(effect: float, looks: list[date] = LOOKS, seed: int = 1) -> pd.DataFrame:
    """What members did by each look; the treated did ``effect`` orders more by the last."""
    generator = np.random.default_rng(seed)
    who = members()
    rows = []
    for number, look in enumerate(looks, start=1):
        share = number / len(looks)
        orders = np.round(who["expected_orders"] * share + generator.normal(0, 0.3, COUNT)).clip(0)
        orders = orders + np.where(who["is_treated"], effect * share, 0.0)
        rows.append(pd.DataFrame({"customer_id": who["customer_id"], "look_date": look, "orders": orders}))
    found = pd.concat(rows)
    return found.assign(spend=10 * found["orders"])


def test_looks_lie_between_the_draw_and_the_end_or_the_stop() -> None:
    snapshots = [date(2020, month, 1) for month in range(5, 11)]
    assert looks_until(TERMS, snapshots, date(2020, 6, 1)) == []
    assert looks_until(TERMS, snapshots, date(2020, 7, 1)) == LOOKS[:1]
    assert looks_until(TERMS, snapshots, date(2020, 10, 1)) == LOOKS
    assert looks_until(TERMS._replace(stopped=LOOKS[0]), snapshots, date(2020, 10, 1)) == LOOKS[:1]


def test_an_effect_is_proven_and_told_of_both_outcomes() -> None:
    rows = found(TERMS, LOOKS, members(), done(1.0), "EUR").set_index("outcome_name", drop=False)
    assert_keeps_contract("experiment_results", rows.reset_index(drop=True))
    orders = rows.loc["orders"]
    assert orders["verdict"] == "proven"
    assert orders["effect"] == pytest.approx(1.0, abs=0.1)
    assert orders["effect_lower"] > 0
    assert orders["effect_total"] == pytest.approx(200 * orders["effect"])
    assert (orders["treated_count"], orders["control_count"], orders["elapsed_share"]) == (200, 200, 1.0)
    assert rows.loc["spend", "effect"] == pytest.approx(10 * orders["effect"])
    assert orders["standard_error"] < orders["unadjusted_standard_error"] / 2  # the forecast is worth something here


def test_a_loss_is_harmful_and_nothing_is_not_proven() -> None:
    assert set(found(TERMS, LOOKS, members(), done(-1.0), "EUR")["verdict"]) == {"harmful"}
    nothing = found(TERMS, LOOKS, members(), done(0.0), "EUR").iloc[0]
    assert nothing["verdict"] == "not proven yet"
    assert nothing["decided_date"] is None


def test_the_first_look_decides_and_is_remembered() -> None:
    row = found(TERMS, LOOKS, members(), done(2.0), "EUR").iloc[0]
    assert row["decided_date"] == LOOKS[0]
    assert row["verdict_reason"].endswith(", at the look of 2020-07-01")


def test_a_stopped_run_has_nothing_to_come_and_says_how_many_more_it_needs() -> None:
    stopped = TERMS._replace(stopped=LOOKS[0], wished_lift=0.001)
    row = found(stopped, LOOKS[:1], members(), done(0.0, LOOKS[:1]), "EUR").iloc[0]
    assert row["more_customers_count"] > 0
    assert "still to come" not in row["verdict_reason"]
    running = found(TERMS, LOOKS[:1], members(), done(0.0, LOOKS[:1]), "EUR").iloc[0]
    assert running["verdict_reason"].endswith("51% of the run is still to come")


def test_who_did_nothing_counts_as_nothing_and_a_log_without_amounts_has_no_spend() -> None:
    few = done(0.0).query("customer_id < 'c0200'").assign(spend=np.nan)
    rows = found(TERMS, LOOKS, members().assign(expected_spend=np.nan), few, "")
    assert list(rows["outcome_name"]) == ["orders"]
    assert rows["control_mean"].iloc[0] == pytest.approx(1.5, abs=0.1)


def test_too_few_left_of_an_arm_give_no_row() -> None:
    left = members(50)
    assert found(TERMS, LOOKS, left, done(0.0), "EUR").empty


def run(
    name: str, effect: float, error: float = 0.1, verdict: str = "not proven yet", rule: str = "win_back"
) -> dict[str, object]:
    return {
        "experiment_id": name,
        "action_rule": rule,
        "action": "Write",
        "effect_skewness": 0.0,
        "outcome_name": "orders",
        "treated_count": 100,
        "control_mean": 1.0,
        "effect": effect,
        "effect_lower": effect - 2 * error,
        "effect_upper": effect + 2 * error,
        "lift_ratio": effect,
        "standard_error": error,
        "verdict": verdict,
        "verdict_reason": f"{verdict}: as it was",
    }


def test_runs_of_a_rule_prove_together_what_none_of_them_does() -> None:
    runs = pd.DataFrame([run("a", 0.16), run("b", 0.16), run("c", 0.16), run("d", 0.16), run("e", 0.0, rule="other")])
    table = proofs(LOOKS[-1], runs, "EUR").set_index("action_rule")
    assert_keeps_contract("rule_proofs", table.reset_index()[["as_of", "action_rule", *table.columns[1:]]])
    together = table.loc["win_back"]
    assert (together["run_count"], together["treated_count"], together["verdict"]) == (4, 400, "proven")
    assert together["effect"] == pytest.approx(0.16)
    assert together["verdict_reason"].startswith("proven: +16.00 orders per 100 customers (")
    assert together["verdict_reason"].endswith("), 4 runs")
    assert together["next_effect_lower"] < 0.16 < together["next_effect_upper"]
    assert table.loc["other", "verdict_reason"] == "not proven yet: as it was"


def test_a_run_in_which_nobody_did_anything_proves_nothing() -> None:
    assert proofs(LOOKS[-1], pd.DataFrame([run("a", 0.0, error=0.0)]), "EUR").empty


def test_at_the_end_groups_tell_on_whom_it_works_and_whether_to_choose() -> None:
    what = done(0.0)
    who = members()
    gains = who.loc[who["is_treated"] & (who["segment_name"] == "Regulars"), "customer_id"]
    what.loc[what["customer_id"].isin(gains), "orders"] += 2.0
    rows, groups = results(TERMS, LOOKS, who, what, None, "EUR", 0)
    assert_keeps_contract("experiment_groups", groups)
    orders = groups[(groups["outcome_name"] == "orders")].set_index(["split_by", "group_name"])
    assert orders.loc[("segment_name", "Regulars"), "effect"] == pytest.approx(2.0, abs=0.2)
    assert orders.loc[("segment_name", "Others"), "effect"] == pytest.approx(0.0, abs=0.2)
    assert [name for split, name in orders.index if split == "expected_spend"] == [
        "01: 10 to 10",
        "02: 20 to 20",
        "03: 30 to 30",
        "04: 40 to 40",
        "05: 50 to 50",
    ]
    assert rows["targeting_reason"].iloc[0] == (
        "200 customers were treated and 200 left alone: whether to choose by the effect on each can be told from more"
        " than 2,000 of each"
    )
    early = results(TERMS, LOOKS[:1], who, what, None, "EUR", 0)
    assert early[1].empty
    assert early[0]["targeting_reason"].isna().all()


def reached(treated: int, controls: int) -> pd.Series:
    who = members()["customer_id"]
    some: pd.Series = pd.concat([who[::2][:treated], who[1::2][:controls]])
    return some


def test_the_effect_per_customer_reached_is_told_beside_that_of_the_draw() -> None:
    row = results(TERMS, LOOKS, members(), done(1.0), reached(100, 0), "EUR", 0)[0].iloc[0]
    assert (row["unreached_treated_count"], row["contacted_control_count"], row["reached_share"]) == (100, 0, 0.5)
    assert row["reached_effect"] == pytest.approx(2 * row["effect"])
    assert row["reached_effect_standard_error"] > row["standard_error"]


def test_too_few_reached_are_counted_and_without_a_contact_log_nobody_is() -> None:
    rows = results(TERMS, LOOKS, members(), done(1.0), reached(0, 2), "EUR", 0)[0]
    assert_keeps_contract("experiment_results", rows)
    row = rows.iloc[0]
    assert (row["unreached_treated_count"], row["contacted_control_count"], row["reached_share"]) == (200, 2, -0.01)
    assert pd.isna(row["reached_effect"])
    without = results(TERMS, LOOKS, members(), done(1.0), None, "EUR", 0)[0]
    told = ["reached_share", "reached_effect", "contacted_control_count", "unreached_treated_count"]
    assert without[told].isna().all(axis=None)


def test_runs_of_an_action_that_the_rule_had_before_do_not_count() -> None:
    runs = pd.DataFrame([run("a", 5.0) | {"action": "Call"}, run("b", 0.1), run("c", 0.1)])
    assert proofs(LOOKS[-1], runs, "EUR")["run_count"].tolist() == [2]


def test_runs_of_which_a_few_customers_are_most_prove_nothing_together() -> None:
    runs = [run(name, 0.5) | {"effect_skewness": 0.6} for name in ("a", "b", "c")]
    assert proofs(LOOKS[-1], pd.DataFrame(runs), "EUR")["verdict"].tolist() == ["not proven yet"]
