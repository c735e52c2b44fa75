from functools import partial

import numpy as np
import pytest
from scipy.special import hyp2f1

from genome_pipeline.models.btyd.histories import NormalPrior
from genome_pipeline.models.btyd.pareto_nbd import PARETO_NBD, PARETO_PRIOR, ParetoNbd, fit_pareto_nbd
from genome_pipeline_tests.support.purchase_models import EveryModel, cdnow, simulate

PARETO = ParetoNbd(r=0.5533, alpha=10.578, s=0.6061, beta=11.669, log_likelihood=-9595.0, customer_count=2357)
SIMULATED = ParetoNbd(0.8, 20.0, 0.7, 60.0, 0.0, 1)


class TestParetoNbd(EveryModel):
    model = SIMULATED
    fit = staticmethod(fit_pareto_nbd)
    family = PARETO_NBD
    dropout_comes = "at any moment"

    def dropout_rate(self, model: ParetoNbd) -> float:
        return model.s / model.beta


def test_cdnow_gives_the_published_pareto_nbd_parameters() -> None:
    """Fader and Hardie 2005, on the same sample."""
    log = cdnow()
    model = fit_pareto_nbd(log["x"], log["t_x"], log["t"])
    assert (model.r, model.alpha, model.s, model.beta) == pytest.approx((0.5533, 10.578, 0.6061, 11.669), rel=0.001)
    assert model.log_likelihood == pytest.approx(-9595.0, abs=0.05)


def test_published_pareto_nbd_customer() -> None:
    """The BTYD package's walkthrough: x = 26, t_x = 30.86, T = 31 is expected to buy 25.46 times in 52 weeks."""
    assert PARETO.expected_purchases(26, 30.86, 31, 52) == pytest.approx(25.46, abs=0.01)
    assert PARETO.p_alive(26, 30.86, 31) == pytest.approx(0.9979, abs=0.0001)


@pytest.mark.parametrize(("alpha", "beta"), [(10.578, 11.669), (11.669, 10.578), (0.1, 50.0), (50.0, 0.1), (9.0, 9.0)])
def test_pareto_nbd_p_alive_equals_the_published_expression(alpha: float, beta: float) -> None:
    """Fader and Hardie 2005: a difference of two Gaussian hypergeometric functions, with two cases."""
    m = ParetoNbd(0.55, alpha, 0.61, beta, 0.0, 1)
    x, t_x, t = (
        np.array([0.0, 1.0, 2.0, 10.0]),
        np.array([0.0, 3.0, 30.43, 38.0]),
        np.array([38.86, 20.0, 38.86, 38.86]),
    )
    k, low, high = m.r + m.s + x, min(alpha, beta), max(alpha, beta)
    power = m.s + 1 if alpha >= beta else m.r + x
    at_t_x, at_t = (hyp2f1(k, power, k + 1, (high - low) / (high + y)) / (high + y) ** k for y in (t_x, t))
    odds_dead = m.s / k * (alpha + t) ** (m.r + x) * (beta + t) ** m.s * (at_t_x - at_t)
    assert m.p_alive(x, t_x, t) == pytest.approx(1 / (1 + odds_dead), rel=1e-8)


def test_the_prior_is_not_felt_where_customers_are_many() -> None:
    t = np.random.default_rng(1).uniform(100, 400, 20_000)
    x, t_x, _ = simulate(SIMULATED, "at any moment", t, 0.0, seed=2)
    free, bound = fit_pareto_nbd(x, t_x, t), fit_pareto_nbd(x, t_x, t, PARETO_PRIOR)
    totals = [model.expected_purchases(x, t_x, t, 90.0).sum() for model in (free, bound)]
    assert totals[1] == pytest.approx(totals[0], rel=1e-3)
    assert bound.log_likelihood == pytest.approx(free.log_likelihood, abs=0.1)
    assert bound.log_likelihood <= free.log_likelihood + 1e-3


def test_the_prior_is_the_whole_story_where_it_allows_nothing_else() -> None:
    """Times are in units of the mean T, 50."""
    x, t_x, t = np.repeat([0.0, 2.0], 15), np.repeat([0.0, 30.0], 15), np.full(30, 50.0)
    found = fit_pareto_nbd(x, t_x, t, NormalPrior(PARETO_PRIOR.means, 1e-4))
    assert (found.r, found.alpha, found.s, found.beta) == pytest.approx((0.5, 15.0, 0.5, 25.0), rel=1e-3)


def test_twelve_customers_have_sane_parameters_with_the_prior() -> None:
    """All bought five times, evenly: without a prior the likelihood rises to where customers do not differ at all."""
    x, t_x, t = np.full(12, 5.0), np.full(12, 48.0), np.full(12, 50.0)
    free, bound = fit_pareto_nbd(x, t_x, t), fit_pareto_nbd(x, t_x, t, PARETO_PRIOR)
    assert max(abs(np.log(value)) for value in (free.r, free.s / free.beta)) > 5
    assert 0.5 < bound.r < 50
    assert 0.0003 < bound.s / bound.beta < 0.05
    (expected, *_) = bound.expected_purchases(x, t_x, t, 10.0)
    assert expected == pytest.approx(1.0, abs=0.2)


def test_a_prior_and_none_are_kept_apart() -> None:
    x, t_x, t = np.repeat([0.0, 2.0], 15), np.repeat([0.0, 30.0], 15), np.full(30, 50.0)
    assert fit_pareto_nbd(x, t_x, t, PARETO_PRIOR) != fit_pareto_nbd(x, t_x, t)
    assert fit_pareto_nbd(x, t_x, t, PARETO_PRIOR) == fit_pareto_nbd(x[::-1], t_x[::-1], t[::-1], PARETO_PRIOR)


def test_pareto_nbd_is_smooth_at_s_1() -> None:
    below, at, above = (
        ParetoNbd(0.55, 10.6, s, 11.7, 0.0, 1).expected_purchases(2, 30, 39, 39) for s in (0.999, 1, 1.001)
    )
    assert at == pytest.approx((below + above) / 2, rel=1e-5)


def test_impossible_histories_are_refused() -> None:
    with pytest.raises(ValueError, match="recency at most T"):
        fit_pareto_nbd([1], [30], [20])
    with pytest.raises(ValueError, match="recency must be 0"):
        PARETO.p_alive([1, 0], [10, 10], [20, 20])


def test_what_is_predicted_of_customers_does_not_depend_on_how_many_there_are() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 9, 10_000)
    t = generator.integers(1, 700, x.size)
    t_x = np.where(x > 0, generator.random(x.size) * t, 0)
    model = ParetoNbd(0.55, 10.6, 0.6, 11.7, 0.0, 0)
    for predict in (
        model.p_alive,
        partial(model.expected_purchases, horizon=90),
        partial(model.purchase_probability, horizon=90),
    ):
        together = predict(x, t_x, t)
        few = [predict(x[rows], t_x[rows], t[rows]) for rows in np.array_split(np.arange(x.size), 7)]
        np.testing.assert_allclose(together, np.concatenate(few), rtol=1e-14)
