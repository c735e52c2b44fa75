"""The choice among candidates, with parts whose losses are written out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.btyd import NotEnoughData
from genome_pipeline.models.selection import (
    CandidateRow,
    Choice,
    Fits,
    Floats,
    Trial,
    abstention,
    candidate_table,
    choose,
    parts_of,
)
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline_tests.models.populations import AS_OF, customers

PREFERRED = "btyd+boosting"
CANDIDATES = ("naive", "btyd", "boosting", PREFERRED)
SELECTION = AS_OF - timedelta(days=90)


@dataclass(frozen=True)
class Constant:
    """Predicts one number, by which it is recognised and judged."""

    value: float

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        return np.full(len(features), self.value)

    def parameters(self) -> dict[str, Any] | None:
        return {"value": self.value} if self.value else None

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        raise NotImplementedError


def labelled(as_of: date, horizon_days: int) -> LabelledSnapshot:
    features = customers([f"{number:02d}" for number in range(30)], as_of=as_of)
    outcomes = features[["customer_id"]].assign(actual_orders=0.0, actual_spend=0.0, has_churned=True)
    return LabelledSnapshot(as_of, horizon_days, features, outcomes)


def snapshots(has_trained_then: bool = True) -> list[LabelledSnapshot]:
    """The last matured snapshot, and half horizons known now and, if so, then."""
    days = [45, 75, *([135] if has_trained_then else [])]
    return [labelled(SELECTION, 90), *(labelled(AS_OF - timedelta(days=day), 45) for day in days)]


def chosen_from(
    losses: Mapping[str, float],
    learned: Sequence[LabelledSnapshot],
    *,
    missing_now: Sequence[str] = (),
    missing_then: Sequence[str] = (),
) -> Choice:
    """The choice where a candidate's loss is that given for it; parts may be missing at either date."""
    parts = {"naive": 0.0, "btyd": 1.0, "boosting": 2.0}
    by_values = {tuple(parts[part] for part in parts_of(name)): name for name in CANDIDATES}

    def fits(features: pd.DataFrame, training: Sequence[LabelledSnapshot]) -> Fits:
        is_now = features["as_of"].iloc[0] == AS_OF

        def fit(name: str) -> Constant:
            if name in (missing_now if is_now else missing_then):
                raise NotEnoughData(f"too little for {name}")
            if name == "boosting" and not training:
                raise NotEnoughData("nothing to train on")
            return Constant(parts[name])

        return {name: lambda name=name: fit(name) for name in parts}  # type: ignore[misc]

    def try_out(selection: LabelledSnapshot, predictions: Sequence[Floats]) -> Trial:
        name = by_values[tuple(float(values[0]) for values in predictions)]
        return Trial(np.full(30, losses[name]), f"Loss {losses[name]}", {"log_loss": losses[name]})

    current = customers(["a"] * 30, as_of=AS_OF)
    return choose(CANDIDATES, PREFERRED, current, learned, 90, fits, try_out)


def reasons(choice: Choice) -> dict[str, str]:
    return {row.candidate: row.choice_reason for row in choice.rows}


def chosen(choice: Choice) -> str | None:
    names = [row.candidate for row in choice.rows if row.is_chosen]
    assert len(names) <= 1
    assert set(choice.parts) == {part for name in names for part in parts_of(name)}
    return names[0] if names else None


def losses(naive: float, btyd: float, boosting: float, both: float) -> dict[str, float]:
    return {"naive": naive, "btyd": btyd, "boosting": boosting, PREFERRED: both}


def test_the_preferred_candidate_is_taken_within_the_tolerance() -> None:
    choice = chosen_from(losses(2.0, 1.0, 1.2, 1.02), snapshots())
    assert chosen(choice) == PREFERRED
    assert reasons(choice) == {
        "naive": f"Loss 2.0 on {SELECTION}, out of time: no better than btyd+boosting.",
        "btyd": f"Loss 1.0 on {SELECTION}, out of time: better than btyd+boosting, but by less than 2%.",
        "boosting": f"Loss 1.2 on {SELECTION}, out of time: no better than btyd+boosting.",
        PREFERRED: f"Loss 1.02 on {SELECTION}, out of time: about as good as the best of 4 candidates.",
    }


def test_a_candidate_that_is_clearly_better_is_taken() -> None:
    choice = chosen_from(losses(2.0, 1.0, 1.2, 1.021), snapshots())
    assert chosen(choice) == "btyd"
    assert reasons(choice)["btyd"] == f"Loss 1.0 on {SELECTION}, out of time: the best of 4 candidates."
    assert reasons(choice)[PREFERRED] == f"Loss 1.021 on {SELECTION}, out of time: no better than btyd."


def test_the_simplest_of_equals_is_taken_and_the_preferred_among_them() -> None:
    assert chosen(chosen_from(losses(1.0, 1.0, 1.0, 2.0), snapshots())) == "naive"
    assert chosen(chosen_from(losses(1.0, 1.0, 1.0, 1.0), snapshots())) == PREFERRED


def test_boosting_that_could_not_be_compared_is_joined_with_btyd() -> None:
    choice = chosen_from(losses(2.0, 1.0, 0.0, 0.0), snapshots(has_trained_then=False))
    assert chosen(choice) == PREFERRED
    assert set(choice.trial_parts) == {"btyd"}
    passed_over = ": passed over for btyd+boosting, which could not be compared yet."
    assert reasons(choice) == {
        "naive": f"Loss 2.0 on {SELECTION}, out of time{passed_over}",
        "btyd": f"Loss 1.0 on {SELECTION}, out of time{passed_over}",
        "boosting": "Not compared: nothing to train on.",
        PREFERRED: "Boosting could not be compared yet: joined with BTYD, as neither is known to be better.",
    }


def test_where_the_baseline_was_the_best_boosting_is_not_taken_unseen() -> None:
    choice = chosen_from(losses(1.0, 2.0, 0.0, 0.0), snapshots(has_trained_then=False))
    assert chosen(choice) == "naive"


@pytest.mark.parametrize("both", [0.9, 3.0])
def test_boosting_that_can_no_longer_be_fitted_is_passed_over(both: float) -> None:
    """A shop that closed for the months of the training snapshots."""
    choice = chosen_from(losses(2.0, 1.5, 0.9, both), snapshots(), missing_now=["boosting"])
    assert chosen(choice) == "btyd"
    assert reasons(choice)["boosting"] == (
        f"Loss 0.9 on {SELECTION}, out of time, but cannot be fitted now: too little for boosting."
    )
    assert reasons(choice)["btyd"] == f"Loss 1.5 on {SELECTION}, out of time: the best of 2 candidates."


def test_without_btyd_now_the_best_of_the_rest_is_taken() -> None:
    choice = chosen_from(losses(2.0, 0.5, 1.5, 0.4), snapshots(), missing_now=["btyd"])
    assert chosen(choice) == "boosting"
    assert "btyd" not in choice.fitted
    assert "too little for btyd" in reasons(choice)[PREFERRED]


def test_before_a_snapshot_has_matured_btyd_is_joined_with_boosting_or_alone() -> None:
    young = [labelled(AS_OF - timedelta(days=45), 45)]
    choice = chosen_from({}, young)
    assert chosen(choice) == PREFERRED
    assert choice.selection is None
    assert reasons(choice)["naive"] == "Not compared: no snapshot has matured yet."
    alone = chosen_from({}, [])
    assert chosen(alone) == "btyd"
    assert reasons(alone)["btyd"] == "No snapshot has matured yet, and this candidate needs none."
    assert reasons(alone)["boosting"] == "Not compared: nothing to train on."


def test_nothing_to_compare_and_no_btyd_is_an_abstention() -> None:
    choice = chosen_from({}, [], missing_now=["btyd"])
    assert chosen(choice) is None
    assert choice.abstain_reason == "too little for btyd"
    assert reasons(choice)["btyd"] == "Not compared: too little for btyd."


def test_rows_say_what_was_trained_on_and_survive_json() -> None:
    choice = chosen_from(losses(2.0, 1.0, 1.2, 1.0), snapshots())
    rows = {row.candidate: row for row in choice.rows}
    trained = {name: (row.training_snapshot_count, row.training_row_count) for name, row in rows.items()}
    assert trained == {"naive": (0, 0), "btyd": (0, 30), "boosting": (1, 30), PREFERRED: (3, 90)}
    assert rows[PREFERRED].parameters == {"btyd": {"value": 1.0}, "boosting": {"value": 2.0}}
    assert rows["naive"].parameters is None
    again = tuple(CandidateRow.from_dict(json.loads(json.dumps(row.to_dict()))) for row in choice.rows)
    assert again == choice.rows
    table = candidate_table("risk_model", AS_OF, again)
    assert table["log_loss"].tolist() == [2.0, 1.0, 1.2, 1.0]
    assert table["brier_score"].isna().all()


def test_an_abstention_names_its_reason_for_each_candidate() -> None:
    rows = abstention(CANDIDATES, "only 3 customers")
    assert {row.choice_reason for row in rows} == {"Not tried: only 3 customers."}
    assert not any(row.is_chosen for row in rows)
