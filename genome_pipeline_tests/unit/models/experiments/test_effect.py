"""The adjusted effect, held to the textbook's matrices and to draws whose truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from genome_pipeline.models.experiments.effect import adjusted_effects, effect_of_reached
from genome_pipeline.models.not_enough_data import NotEnoughData

Floats = NDArray[np.float64]


def shop(count: int = 600, seed: int = 3) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    generator = np.random.default_rng(seed)
    expected = generator.gamma(1, 2, count)
    orders = np.cumsum(generator.poisson(expected[:, None] / 3, (count, 3)), axis=1).astype(float)
    return orders, expected, generator.permutation(np.arange(count) % 4 > 0)


def test_it_is_the_regression_with_interactions_and_hc2_errors() -> None:
    orders, x, is_treated = shop()
    t, y = is_treated.astype(float), orders[:, 2]
    design = np.column_stack([np.ones(t.size), t, x - x.mean(), t * (x - x.mean())])
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ y
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    middle = design.T @ (((y - design @ coefficients) ** 2 / (1 - leverage))[:, None] * design)
    effects = adjusted_effects(orders, x, is_treated)
    assert effects.estimate[2] == pytest.approx(coefficients[1])
    assert effects.control_mean[2] == pytest.approx(coefficients[0])
    assert effects.covariance[2, 2] == pytest.approx((inverse @ middle @ inverse)[1, 1])
    assert (effects.treated_count, effects.control_count) == (450, 150)


def test_without_a_forecast_it_is_the_difference_in_means_with_welchs_error() -> None:
    orders, _, is_treated = shop()
    effects = adjusted_effects(orders, None, is_treated)
    arms = orders[is_treated], orders[~is_treated]
    assert effects.estimate == pytest.approx(arms[0].mean(axis=0) - arms[1].mean(axis=0))
    welch = sum(arm.var(axis=0, ddof=1) / len(arm) for arm in arms)
    assert effects.deviation**2 == pytest.approx(welch)


def test_a_forecast_that_is_the_same_for_all_changes_nothing_and_one_that_fits_shortens() -> None:
    orders, x, is_treated = shop()
    plain = adjusted_effects(orders, None, is_treated)
    assert adjusted_effects(orders, np.full(x.size, 2.0), is_treated).deviation == pytest.approx(plain.deviation)
    assert adjusted_effects(orders, x, is_treated).deviation[-1] < 0.65 * plain.deviation[-1]


def test_a_forecast_that_was_withheld_counts_as_the_mean() -> None:
    orders, x, is_treated = shop()
    gone, known = x.copy(), x.copy()
    gone[:50] = np.nan
    known[:50] = x[50:].mean()
    assert adjusted_effects(orders, gone, is_treated).estimate == pytest.approx(
        adjusted_effects(orders, known, is_treated).estimate
    )


def test_the_lift_is_over_what_controls_did_and_its_error_holds_theirs() -> None:
    generator = np.random.default_rng(8)
    share = np.arange(600) % 4 > 0
    found = []
    for _ in range(1_000):
        orders = generator.poisson(np.where(share, 2.4, 2.0)).astype(float)
        found.append(adjusted_effects(orders[:, None], None, share))
    lifts = np.array([each.lift_share[0] for each in found])
    assert lifts.mean() == pytest.approx(0.2, abs=0.01)
    assert np.mean([each.lift_deviation[0] for each in found]) == pytest.approx(lifts.std(), rel=0.07)
    nothing = adjusted_effects(np.zeros((600, 1)), None, share)
    assert np.isnan([nothing.lift_share[0], nothing.lift_deviation[0]]).all()


def test_looks_share_their_customers() -> None:
    effects = adjusted_effects(*shop())
    assert effects.correlation[0, 2] == pytest.approx(np.sqrt(1 / 3), abs=0.1)
    assert effects.correlation[1, 2] == pytest.approx(np.sqrt(2 / 3), abs=0.1)


def test_the_order_of_customers_does_not_matter() -> None:
    orders, x, is_treated = shop()
    order = np.random.default_rng(0).permutation(x.size)
    mixed = adjusted_effects(orders[order], x[order], is_treated[order])
    effects = adjusted_effects(orders, x, is_treated)
    assert mixed.estimate == pytest.approx(effects.estimate, abs=1e-12)
    assert mixed.covariance == pytest.approx(effects.covariance, abs=1e-12)


def test_nothing_bought_yet_is_an_effect_of_nothing_without_error() -> None:
    _, x, is_treated = shop()
    effects = adjusted_effects(np.zeros((x.size, 2)), x, is_treated)
    assert effects.estimate.tolist() == [0, 0]
    assert effects.deviation.tolist() == [0, 0]
    assert effects.skewness.tolist() == [0, 0]


def test_the_skewness_is_that_of_the_estimate_over_draws() -> None:
    generator = np.random.default_rng(5)
    outcome = generator.lognormal(0, 1.2, 500)[:, None]
    share = np.arange(500) % 5 > 0
    found = [adjusted_effects(outcome, None, generator.permutation(share)) for _ in range(2_000)]
    estimates = np.array([each.estimate[0] for each in found])
    seen = float((((estimates - estimates.mean()) / estimates.std()) ** 3).mean())
    assert seen < -0.1
    assert float(np.mean([each.skewness[0] for each in found])) == pytest.approx(seen, abs=0.1)


def test_too_few_controls_are_no_experiment() -> None:
    orders, x, _ = shop()
    with pytest.raises(NotEnoughData, match="571 customers were treated and 29 left alone: an effect needs 30 of each"):
        adjusted_effects(orders, x, np.arange(x.size) >= 29)


def test_who_was_reached_is_told_apart() -> None:
    generator = np.random.default_rng(0)
    count = 8_000
    x = generator.gamma(1, 2, count)
    is_treated = np.arange(count) % 2 == 0
    is_willing = generator.random(count) < 0.5
    is_reached = is_treated & is_willing
    y = generator.poisson(x) + 0.4 * is_reached + is_willing
    found = effect_of_reached(y, x, is_treated, is_reached)
    assert found.reached_share == pytest.approx(0.5, abs=0.03)
    assert abs(found.estimate - 0.4) < 3 * found.deviation
    assert found.deviation < 0.1
    with pytest.raises(NotEnoughData, match="too few to tell what reaching did"):
        effect_of_reached(y, x, is_treated, generator.random(count) < 0.5)


def test_a_small_arm_without_the_customers_who_weigh_most_is_not_taken_for_an_even_one() -> None:
    generator = np.random.default_rng(1)
    spend = generator.lognormal(0, 2, 5_000)
    is_treated = np.arange(5_000) >= 250
    is_treated[np.argsort(spend)[-300:]] = True  # as it may happen by chance
    found = adjusted_effects(spend[:, None], None, is_treated)
    alone = adjusted_effects(np.where(is_treated, spend.mean(), spend)[:, None], None, is_treated)
    assert abs(found.skewness[0]) > 0.25
    assert abs(found.skewness[0]) > abs(alone.skewness[0])
