import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from genome_pipeline.models.forecast.constants import Constants
from genome_pipeline.models.forecast.level import (
    Levels,
    Season,
    expected_level,
    is_refuted,
    level_of,
    shift_to_level,
    smoothed_share,
)

CONSTANTS = Constants(within_season=0.04, btyd_level_weight=0.4)


def expected(said: Levels, season: Season | None, learned_weight: float = 1.0) -> tuple[float, float]:
    return expected_level(said, season, learned_weight, CONSTANTS)


def test_without_a_season_the_level_is_that_of_pareto_nbd() -> None:
    assert expected(Levels(-1.0, 0.5), None) == pytest.approx((-1.0, 0.12))
    assert expected(Levels(-1.0, None), None) == pytest.approx((-1.0, 0.12))


def test_what_one_season_missed_is_expected_again_by_its_credibility() -> None:
    """Of 1,000 customers half bought: credibility .06 / (.06 + .04 + 2 / 250) = 5 / 9, of .2 too much said."""
    season = Season(Levels(0.2, None), 0.5, 1_000)
    level, variance = expected(Levels(-1.0, None), season)
    assert level == pytest.approx(-1.0 - 0.2 * 5 / 9)
    assert variance == pytest.approx(0.06 * 4 / 9 + 0.04)


def test_experts_that_learned_from_outcomes_give_six_tenths_of_the_level() -> None:
    season = Season(Levels(0.2, 0.1), 0.5, 1_000)
    btyd, trained = -1.0 - 0.2 * 5 / 9, -0.5 - 0.1 * 5 / 9
    level, _ = expected(Levels(-1.0, -0.5), season)
    assert level == pytest.approx(0.4 * btyd + 0.6 * trained)
    of_few, _ = expected(Levels(-1.0, -0.5), season, learned_weight=0.5)
    assert of_few == pytest.approx(0.7 * btyd + 0.3 * trained)


@pytest.mark.parametrize(("now", "then"), [(None, 0.1), (-0.5, None)])
def test_experts_whose_miss_is_not_known_do_not_count(now: float | None, then: float | None) -> None:
    level, _ = expected(Levels(-1.0, now), Season(Levels(0.2, then), 0.5, 1_000))
    assert level == pytest.approx(-1.0 - 0.2 * 5 / 9)


def test_a_season_of_four_customers_is_hardly_believed() -> None:
    """The share of four has a variance of 1 in log-odds, and so has the level that was said of them."""
    level, _ = expected(Levels(0.0, None), Season(Levels(1.0, None), 0.5, 4))
    assert level == pytest.approx(-0.06 / 2.10)


@pytest.mark.parametrize(
    ("said", "share", "customers", "refuted"),
    [
        (0.33, 0.001, 400, True),  # all leave
        (0.02, 0.60, 400, True),  # all come back
        (0.33, 0.15, 400, False),  # a season
        (0.33, 0.66, 400, False),
        (0.02, 0.003, 200, False),  # four were to buy, and by chance nobody did
        (0.9999, 0.995, 100, False),
    ],
)
def test_a_level_is_refuted_by_a_miss_that_neither_season_nor_chance_explains(
    said: float, share: float, customers: int, refuted: bool
) -> None:
    assert is_refuted(float(logit(said)), share, customers) == refuted


def test_few_who_end_alike_are_no_proof_that_all_do() -> None:
    assert smoothed_share(np.zeros(9, bool)) == pytest.approx(0.05)
    assert smoothed_share(np.ones(9, bool)) == pytest.approx(0.95)
    assert smoothed_share(np.array([True, False])) == 0.5


def test_the_level_is_of_the_mean_probability() -> None:
    assert level_of(logit(np.array([0.2, 0.6]))) == pytest.approx(logit(0.4))
    assert level_of(np.full(3, -50.0)) == pytest.approx(logit(1e-4))
    assert level_of(np.full(3, 50.0)) == pytest.approx(-logit(1e-4))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-40, 40), min_size=1, max_size=20), st.floats(-9, 9))
def test_shifted_log_odds_are_at_the_level(log_odds: list[float], level: float) -> None:
    scores = np.array(log_odds)
    assert expit(scores + shift_to_level(scores, level)).mean() == pytest.approx(expit(level), abs=1e-9)
