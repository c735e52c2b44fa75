"""Who is left alone: the same for the same key, whatever the order of rows, and evenly from every stratum."""

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.models.experiments.assignment import assign, new_key
from genome_pipeline.models.not_enough_data import NotEnoughData

KEY = "0f" * 32


def audience(count: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "customer_id": [f"C{number:05d}" for number in range(count)],
            "expected_spend": generator.lognormal(3, 1.5, count),
            "churn_probability": generator.random(count),
        }
    )


def controls(drawn: pd.DataFrame) -> set[str]:
    return set(drawn.loc[~drawn["is_treated"], "customer_id"])


def test_the_draw_is_the_same_whatever_the_order_of_rows() -> None:
    rows = audience(700)
    pd.testing.assert_frame_equal(assign(rows, 0.2, KEY), assign(rows.sample(frac=1, random_state=1), 0.2, KEY))


def test_the_draw_is_the_same_on_every_machine() -> None:
    assert sorted(controls(assign(audience(250), 0.2, KEY)))[:5] == ["C00001", "C00002", "C00005", "C00015", "C00016"]


def test_rounding_in_the_last_bits_changes_nobody() -> None:
    rows = audience(700)
    other = rows.assign(expected_spend=rows["expected_spend"] * (1 + 1e-15))
    pd.testing.assert_frame_equal(assign(rows, 0.2, KEY), assign(other, 0.2, KEY))


@pytest.mark.parametrize("share", [0.05, 0.2, 1 / 3, 0.5, 0.9])
def test_each_stratum_and_the_whole_have_their_share_to_within_one_customer(share: float) -> None:
    drawn = assign(audience(2_003), share, KEY)
    assert drawn["stratum"].nunique() == 25
    left_alone = (~drawn["is_treated"]).groupby(drawn["stratum"]).agg(["sum", "size"])
    assert (left_alone["sum"] - share * left_alone["size"]).abs().max() < 1
    assert abs((~drawn["is_treated"]).sum() - share * 2_003) < 1


def test_every_customer_has_the_same_chance() -> None:
    rows = audience(170)
    times = np.sum([~assign(rows, 0.3, f"{draw:064x}")["is_treated"] for draw in range(300)], axis=0)
    # 300 draws of .3: a standard deviation of 7.9; the furthest of 170 lies within four of them.
    assert np.abs(times - 90).max() < 32
    assert times.mean() == pytest.approx(90, abs=1)


def test_the_draws_of_two_experiments_are_independent() -> None:
    rows = audience(5_000)
    first, second = (controls(assign(rows, 0.2, key)) for key in (new_key(), new_key()))
    # Hypergeometric: 200 expected, standard deviation 11.3.
    assert abs(len(first & second) - 200) < 57


def test_customers_without_a_forecast_are_drawn_too_and_equal_ones_share_a_stratum() -> None:
    rows = audience(400).assign(expected_spend=[np.nan] * 100 + [5.0] * 300, churn_probability=0.5)
    drawn = assign(rows, 0.25, KEY)
    assert drawn["stratum"].nunique() == 2
    assert (~drawn["is_treated"])[:100].sum() in (24, 25, 26)


@pytest.mark.parametrize(
    ("share", "message"),
    [(0.0, "nobody would be left alone"), (1.0, "nobody would be treated"), (20.0, "nobody would be treated")],
)
def test_a_control_of_nobody_or_everybody_is_refused(share: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        assign(audience(500), share, KEY)


def test_an_audience_of_twelve_is_refused_with_what_would_do() -> None:
    with pytest.raises(NotEnoughData) as refused:
        assign(audience(12), 0.2, KEY)
    assert str(refused.value) == (
        "the audience has 12 customers, of whom 2 would be left alone: an experiment needs 50, that is 250 customers at"
        " this control share, or 100 at a control of 50%"
    )
    assert len(assign(audience(250), 0.2, KEY)) == 250


def test_a_customer_twice_is_refused() -> None:
    rows = audience(300)
    with pytest.raises(ValueError, match="twice"):
        assign(pd.concat([rows, rows.head(1)]), 0.2, KEY)
