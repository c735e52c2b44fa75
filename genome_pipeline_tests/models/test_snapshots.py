from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_pipeline.models.btyd import NotEnoughData
from genome_pipeline.models.snapshots import (
    LabelledSnapshot,
    last_matured,
    pooled_rows,
    snapshot_date,
    snapshots_to_learn_from,
    training_horizon,
    training_snapshots,
    usable_snapshots,
)
from genome_pipeline_tests.models.populations import customers

START = date(2024, 1, 1)


def at(day: int) -> date:
    return START + timedelta(days=day)


def labelled(day: int, horizon_days: int, size: int = 30) -> LabelledSnapshot:
    features = customers([f"{number:02d}" for number in range(size)], as_of=at(day))
    outcomes = features[["customer_id"]].assign(actual_orders=0.0, actual_spend=0.0, has_churned=True)
    return LabelledSnapshot(at(day), horizon_days, features, outcomes)


def wanted(days: range | list[int], now: int, horizon_days: int = 90) -> list[tuple[int, int]]:
    """What to learn from at day ``now``, as day numbers with the days of outcomes."""
    found = snapshots_to_learn_from([at(day) for day in days], at(now), at(now), horizon_days)
    return [((day - START).days, horizon) for day, horizon in found]


@pytest.mark.parametrize(("horizon_days", "half"), [(1, 1), (2, 1), (90, 45), (91, 46), (365, 183)])
def test_half_a_horizon_is_rounded_up(horizon_days: int, half: int) -> None:
    assert training_horizon(horizon_days) == half


def test_a_first_snapshot_has_nothing_to_learn_from() -> None:
    assert wanted([], 60) == []
    assert wanted([30], 74) == []  # half a horizon ends on day 75


def test_half_horizons_are_known_before_one_has_passed() -> None:
    assert wanted([30], 75) == [(30, 45)]
    assert wanted([30], 119) == [(30, 45)]
    assert wanted([30], 120) == [(30, 45), (30, 90)]


def test_what_is_wanted_of_a_long_log() -> None:
    """Of months of 30 days, at day 480, horizon 90: by now 420 has half a horizon, 390 all, and by 390 330 half."""
    now_trained_on = [(day, 45) for day in (420, 390, 360, 330, 300)]
    then_trained_on = [(day, 45) for day in (330, 300, 270, 240, 210)]
    a_year_before = (120, 90)
    assert wanted(range(0, 480, 30), 480) == sorted({*now_trained_on, *then_trained_on, (390, 90), a_year_before})


def test_the_season_before_is_at_most_twenty_days_off() -> None:
    assert (135, 90) in wanted([135, 400], 520)  # 520 - 365 = 155
    assert (175, 90) in wanted([175, 400], 520)
    assert (134, 90) not in wanted([134, 400], 520)
    assert (176, 90) not in wanted([176, 400], 520)


def test_snapshots_of_days_are_a_month_apart() -> None:
    trained_on = [day for day, horizon in wanted(range(200), 200) if horizon == 45]
    then = [65, 40, 15]  # by the last matured one, of day 110
    assert trained_on == sorted([155, 130, 105, 80, 55, *then])


def test_outcomes_after_the_end_of_the_log_are_not_wanted() -> None:
    found = snapshots_to_learn_from([at(0), at(30)], at(130), at(100), 90)
    assert found == [(at(0), 45), (at(0), 90), (at(30), 45)]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 700), max_size=40), st.integers(1, 200), st.integers(0, 40))
def test_what_is_read_is_what_all_snapshots_would_give(days: set[int], horizon_days: int, late: int) -> None:
    """Nothing is known too early, and the choice among what was read is the choice among everything."""
    now = 710
    dates = sorted(at(day) for day in days)
    found = snapshots_to_learn_from(dates, at(now), at(now - late), horizon_days)
    assert all(day + timedelta(days=horizon) <= at(now - late) for day, horizon in found)
    half = training_horizon(horizon_days)
    everything = [
        labelled((day - START).days, horizon)
        for day in dates
        for horizon in {half, horizon_days}
        if day + timedelta(days=horizon) <= at(now - late)
    ]
    read = [snapshot for snapshot in everything if (snapshot.as_of, snapshot.horizon_days) in found]
    assert training_snapshots(read, at(now), horizon_days) == training_snapshots(everything, at(now), horizon_days)
    last = last_matured(everything, horizon_days)
    assert last_matured(read, horizon_days) is last
    if last is not None:
        assert training_snapshots(read, last.as_of, horizon_days) == training_snapshots(
            everything, last.as_of, horizon_days
        )


def test_training_for_selection_is_what_was_known_by_then() -> None:
    halves = [labelled(day, 45) for day in (60, 30, 0, 90)]
    last = labelled(75, 90)
    assert training_snapshots([last, *halves], last.as_of, 90) == (halves[2], halves[1])  # 30 + 45 = 75
    assert training_snapshots([last], last.as_of, 90) == ()
    assert last_matured([*halves, last, labelled(0, 90)], 90) is last
    assert last_matured(halves, 90) is None


def test_at_most_five_snapshots_are_trained_on() -> None:
    days = [
        snapshot.as_of for snapshot in training_snapshots([labelled(d, 45) for d in range(0, 300, 30)], at(400), 90)
    ]
    assert days == [at(day) for day in (150, 180, 210, 240, 270)]


def test_usable_snapshots_are_in_order_and_large_enough() -> None:
    late, early, small = labelled(60, 45), labelled(0, 90), labelled(30, 45, size=29)
    assert usable_snapshots([late, small, early], at(105)) == (early, late)


def test_outcomes_that_are_not_known_yet_are_refused() -> None:
    with pytest.raises(ValueError, match="2024-03-01 has not matured by 2024-04-14: its horizon is 45 days"):
        usable_snapshots([labelled(60, 45)], at(104))


def test_features_and_outcomes_must_match() -> None:
    with pytest.raises(ValueError, match="same customers"):
        LabelledSnapshot(START, 90, customers(["a", "b"]), pd.DataFrame({"customer_id": ["a", "c"]}))
    with pytest.raises(ValueError, match="same customers"):
        LabelledSnapshot(START, 90, customers(["a", "a"]), pd.DataFrame({"customer_id": ["a", "a"]}))


def test_rows_are_put_in_order_of_the_customer() -> None:
    outcomes = pd.DataFrame({"customer_id": ["a", "b"], "actual_orders": [1.0, 2.0]})
    snapshot = LabelledSnapshot(START, 90, customers(["b", "a"], order_count=[20, 10]), outcomes)
    assert snapshot.features["order_count"].tolist() == [10, 20]
    assert snapshot.outcomes["actual_orders"].tolist() == [1.0, 2.0]


def test_a_frame_of_several_dates_is_not_one_snapshot() -> None:
    assert snapshot_date(customers(["a", "b"], as_of=START)) == START
    with pytest.raises(ValueError, match="not of 2"):
        snapshot_date(customers(["a", "b"], as_of=[START, at(1)]))


def test_rows_beyond_the_limit_are_sampled_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genome_pipeline.models.snapshots.MAXIMUM_TRAINING_ROWS", 40)
    snapshots = [labelled(0, 45), labelled(30, 45)]
    features, outcomes = pooled_rows(snapshots, seed=1)
    assert len(features) == 40
    assert features["customer_id"].tolist() == outcomes["customer_id"].tolist()
    assert not features.duplicated(["as_of", "customer_id"]).any()
    assert not features.equals(pooled_rows(snapshots, seed=2)[0])
    assert np.array_equal(features, pooled_rows(snapshots, seed=1)[0])
    with pytest.raises(NotEnoughData, match="no snapshot had matured early enough"):
        pooled_rows([], seed=1)
