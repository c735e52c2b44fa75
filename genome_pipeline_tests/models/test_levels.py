from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from genome_pipeline.models.levels import Credibility, factors_to_totals, level_evidence, share_of, shift_to_share
from genome_pipeline.models.snapshots import LabelledSnapshot
from genome_pipeline_tests.models.populations import customers

NOW = date(2024, 12, 31)
YEAR = timedelta(days=365)


def labelled(as_of: date, horizon_days: int, log_days: int = 180) -> LabelledSnapshot:
    features = customers(["a", "b"], as_of=as_of, t_days=[log_days, 1])
    outcomes = features[["customer_id"]].assign(actual_orders=0.0, actual_spend=0.0, has_churned=True)
    return LabelledSnapshot(as_of, horizon_days, features, outcomes)


RECENT = [labelled(NOW - timedelta(days=days), 45) for days in (165, 135, 105, 75, 45)]
LAST = labelled(NOW - timedelta(days=105), 90)
LATELY = Credibility(180 / 225 / 2, 0.9)


def test_the_same_season_a_year_before_tells_by_its_share_of_log_and_horizon() -> None:
    season = labelled(NOW - YEAR, 90, log_days=180)
    assert level_evidence([season, *RECENT, LAST], NOW, 90) == ([season], Credibility(2 / 3, 2 / 3))
    older = labelled(NOW - YEAR, 90, log_days=810)
    assert level_evidence([older, *RECENT, LAST], NOW, 90) == ([older], Credibility(0.9, 0.9))


@pytest.mark.parametrize("off", [-20, 20])
def test_a_season_is_twenty_days_either_way(off: int) -> None:
    season = labelled(NOW - YEAR + timedelta(days=off), 90)
    assert level_evidence([season, *RECENT], NOW, 90)[0] == [season]
    beside = labelled(NOW - YEAR + timedelta(days=off + off // 20), 90)
    assert level_evidence([beside, *RECENT], NOW, 90) == (tuple(RECENT[-3:]), LATELY)


def test_a_season_before_which_the_log_was_shorter_than_the_horizon_tells_nothing() -> None:
    assert level_evidence([labelled(NOW - YEAR, 90, log_days=89), *RECENT], NOW, 90) == (tuple(RECENT[-3:]), LATELY)
    shortest = labelled(NOW - YEAR, 90, log_days=90)
    assert level_evidence([shortest, *RECENT], NOW, 90) == ([shortest], Credibility(0.5, 0.5))


def test_in_the_first_year_the_latest_three_half_horizons_tell() -> None:
    assert level_evidence([*RECENT, LAST], NOW, 90) == (tuple(RECENT[-3:]), LATELY)
    assert level_evidence([RECENT[0], LAST], NOW, 90) == ((RECENT[0],), LATELY)
    assert level_evidence([], NOW, 90) == ((), Credibility(0, 0))


def test_in_a_log_that_has_just_begun_less_is_believed_of_totals() -> None:
    young = [labelled(NOW - timedelta(days=days), 45, log_days) for days, log_days in ((105, 15), (75, 45), (45, 75))]
    assert level_evidence(young, NOW, 90)[1] == Credibility(0.5 / 2, 0.9)


def test_half_a_horizon_of_the_season_before_is_not_its_level() -> None:
    half = labelled(NOW - YEAR, 45)
    assert level_evidence([half, *RECENT], NOW, 90)[0] == tuple(RECENT[-3:])


@pytest.mark.parametrize(("events", "size", "share"), [(0, 4, 0.1), (4, 4, 0.9), (2, 4, 0.5), (0, 49, 0.01)])
def test_few_who_end_alike_are_no_proof_that_all_do(events: int, size: int, share: float) -> None:
    assert share_of(np.arange(size) < events) == pytest.approx(share)


def test_a_shift_of_equal_log_odds_is_the_difference() -> None:
    assert shift_to_share(np.full(3, np.log(0.25)), 0.5) == pytest.approx(np.log(4))
    assert shift_to_share(np.array([-1.0, 1.0]), 0.5) == pytest.approx(0, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20),
    st.floats(1e-6, 1 - 1e-6),
)
def test_shifted_log_odds_have_the_share(log_odds: list[float], share: float) -> None:
    """However far apart the scores are."""
    scores = np.array(log_odds)
    assert expit(scores + shift_to_share(scores, share)).mean() == pytest.approx(share, abs=1e-9)


def test_factors_bring_totals_to_those_of_the_target() -> None:
    predicted = np.array([[1.0, 3.0], [10.0, 30.0]])
    assert factors_to_totals(predicted, np.array([[2.0, 4.0], [0.0, 20.0]])).tolist() == [1.5, 0.5]


def test_factors_are_bounded() -> None:
    predicted = np.array([[1.0, 1.0], [1.0, 1.0]])
    assert factors_to_totals(predicted, np.array([[100.0, 0.0], [0.1, 0.0]])).tolist() == [4.0, 0.25]


def test_a_target_of_nothing_is_a_low_level_and_one_unknown_is_none() -> None:
    """More came back than was bought counts as nothing."""
    predicted, unknown = np.ones((2, 2)), np.full(2, np.nan)
    assert factors_to_totals(predicted, np.array([[0.0, 0.0], [-5.0, 1.0]])).tolist() == [0.25, 0.25]
    assert factors_to_totals(predicted, np.stack([unknown, unknown])).tolist() == [1.0, 1.0]
    assert factors_to_totals(np.stack([np.zeros(2), unknown]), np.ones((2, 2))).tolist() == [1.0, 1.0]


def test_a_customer_unknown_on_either_side_counts_on_neither() -> None:
    predicted, target = np.array([[1.0, 1.0, np.nan]]), np.array([[3.0, np.nan, 9.0]])
    assert factors_to_totals(predicted, target).tolist() == [3.0]
