from collections.abc import Sequence
from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.models.snapshots import (
    LabelledSnapshot,
    labelled_with_stand_ins,
    origins,
    pooled_rows,
    season_before,
    snapshot_date,
    snapshots_to_learn_from,
    training_horizon,
    training_snapshots,
    usable_snapshots,
)
from genome_pipeline_tests.support.populations import customers

START = date(2024, 1, 1)


def at(day: int) -> date:
    return START + timedelta(days=day)


def labelled(day: int, horizon_days: int, size: int = 30) -> LabelledSnapshot:
    features = customers([f"{number:02d}" for number in range(size)], as_of=at(day))
    outcomes = features[["customer_id"]].assign(actual_orders=0.0, actual_spend=0.0, has_churned=True)
    return LabelledSnapshot(at(day), horizon_days, features, outcomes)


def test_a_stand_in_gives_its_features_and_outcomes_under_the_name_of_another() -> None:
    features = customers(["a", "b", "c", "nobody"], as_of=START).assign(order_count=[1, 2, 3, 4])
    outcomes = pd.DataFrame(
        {"customer_id": ["b", "c"], "actual_orders": [5.0, 6.0], "actual_spend": 0.0, "has_churned": False}
    )
    instead = pd.DataFrame({"customer_id": ["a"], "stand_in_id": ["c"]})
    found = labelled_with_stand_ins(START, 30, features, outcomes, instead)
    assert found.features["customer_id"].tolist() == ["a", "b", "c"]
    assert found.features["order_count"].tolist() == [3, 2, 3]
    assert found.outcomes["actual_orders"].tolist() == [6, 5, 6]


def days_of(snapshots: Sequence[LabelledSnapshot]) -> list[int]:
    return [(snapshot.as_of - START).days for snapshot in snapshots]


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


def test_what_is_trained_on_and_predicted_again_of_a_long_log() -> None:
    """Months of 30 days, at day 480, horizon 90: 390 is the latest whose horizon has passed, 420 that of half of it."""
    whole = [labelled(day, 90) for day in range(0, 480, 30) if day + 90 <= 480]
    half = [labelled(day, 45) for day in range(0, 480, 30) if day + 45 <= 480]
    snapshots = [*whole, *half]
    assert days_of(training_snapshots(snapshots, at(480), 45, 90)) == [300, 330, 360, 390, 420]
    # Eight spread evenly over the 390 days there are: the nearest to 0, 56, 111, 167, 223, 279, 334 and 390.
    assert days_of(training_snapshots(snapshots, at(480), 90, 90)) == [0, 60, 120, 180, 210, 270, 330, 390]
    # 0, 60, 120 and 240 days before the latest, and the season of a year before, which is day 115.
    assert days_of(origins(snapshots, at(480), 90)) == [120, 150, 270, 330, 390]
    # At an origin, what was known by then: 150 + 90 = 240.
    assert days_of(training_snapshots(snapshots, at(240), 90, 90)) == [0, 30, 60, 90, 120, 150]


def test_a_log_of_one_matured_snapshot_is_learned_from() -> None:
    assert days_of(origins([labelled(30, 90)], at(120), 90)) == [30]
    assert days_of(training_snapshots([labelled(30, 90)], at(120), 90, 90)) == [30]
    assert days_of(training_snapshots([labelled(30, 45)], at(120), 45, 90)) == [30]


def test_of_a_short_log_the_oldest_is_learned_from_too() -> None:
    """Though snapshots that would be nearer to some of the wanted dates are older than the log."""
    short = [labelled(day, horizon) for day in (0, 30, 60) for horizon in (45, 90)]
    assert days_of(origins(short, at(200), 90)) == [0, 60]
    assert days_of(training_snapshots(short, at(200), 90, 90)) == [0, 30, 60]
    assert days_of(training_snapshots(short, at(200), 45, 90)) == [0, 30, 60]


def test_two_years_are_trained_on_and_no_more() -> None:
    """800 days and the horizon before now: from day 1,110 on."""
    snapshots = [labelled(day, 90) for day in range(0, 1_911, 30)]
    first, *_, last = days_of(training_snapshots(snapshots, at(2_000), 90, 90))
    assert (first, last) == (1_110, 1_890)


def test_a_season_is_at_most_twenty_days_off() -> None:
    for age, expected in ((344, False), (345, True), (365, True), (385, True), (386, False), (0, False), (730, False)):
        assert (season_before([START], START + timedelta(days=age)) == START) == expected


def test_the_season_of_a_year_before_is_predicted_again() -> None:
    snapshots = [labelled(day, 90) for day in (600, 620, 645, 700, 910)]  # of 1,000: 635
    assert days_of(origins(snapshots, at(1_000), 90)) == [645, 910]


@pytest.mark.parametrize("step", [1, 7])
def test_of_a_season_one_snapshot_tells_however_many_there_are(step: int) -> None:
    snapshots = [labelled(day, 90) for day in range(3, 911, step)]
    found = days_of(origins(snapshots, at(1_000), 90))
    assert len(found) <= 5
    assert sum(abs(day - 635) <= 20 for day in found) == 1


def test_snapshots_of_days_are_a_month_apart() -> None:
    snapshots = [labelled(day, 45) for day in range(156)]
    assert days_of(training_snapshots(snapshots, at(200), 45, 90)) == [35, 65, 95, 125, 155]


def test_outcomes_after_the_end_of_the_log_are_not_wanted() -> None:
    found = snapshots_to_learn_from([at(0), at(30)], at(130), at(100), 90)
    assert found == [(at(0), 45), (at(0), 90), (at(30), 45)]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 1_200), max_size=40), st.integers(1, 200), st.integers(0, 40))
def test_what_is_read_is_what_all_snapshots_would_give(days: set[int], horizon_days: int, late: int) -> None:
    """Nothing is known too early, and the choice among what was read is the choice among everything."""
    now, known_until = at(1_210), at(1_210 - late)
    dates = sorted(at(day) for day in days)
    found = snapshots_to_learn_from(dates, now, known_until, horizon_days)
    assert all(day + timedelta(days=horizon) <= known_until for day, horizon in found)
    half = training_horizon(horizon_days)
    everything = [
        labelled((day - START).days, horizon, size=1)
        for day in dates
        for horizon in {half, horizon_days}
        if day + timedelta(days=horizon) <= known_until
    ]
    read = [snapshot for snapshot in everything if (snapshot.as_of, snapshot.horizon_days) in found]
    again = origins(everything, now, horizon_days)
    assert origins(read, now, horizon_days) == again
    for by in (known_until, *(origin.as_of for origin in again)):
        for outcome_days in (half, horizon_days):
            chosen = training_snapshots(everything, by, outcome_days, horizon_days)
            assert training_snapshots(read, by, outcome_days, horizon_days) == chosen
            assert all(one.as_of + timedelta(days=outcome_days) <= by for one in chosen)
            # The latest is always among them.
            assert bool(chosen) == any(
                one.as_of + timedelta(days=outcome_days) <= by and one.horizon_days == outcome_days
                for one in everything
            )


def test_training_at_an_origin_knows_nothing_of_its_horizon() -> None:
    halves = [labelled(day, 45) for day in (60, 30, 0, 90)]
    origin = labelled(75, 90)
    assert training_snapshots([origin, *halves], origin.as_of, 45, 90) == (halves[2], halves[1])  # 30 + 45 = 75
    assert training_snapshots([origin, *halves], origin.as_of, 90, 90) == ()


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
    pd.testing.assert_frame_equal(features, pooled_rows(snapshots, seed=1)[0])
    with pytest.raises(NotEnoughData, match="no snapshot with enough customers had matured"):
        pooled_rows([], seed=1)
