import numpy as np
import pytest
from scipy.special import hyp2f1

from benchmarks.panel.btyd import (
    BG_NBD,
    MBG_NBD,
    BgNbd,
    GammaGamma,
    MbgNbd,
    fit_bg_nbd,
    fit_gamma_gamma,
    fit_mbg_nbd,
)
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline_tests.support.purchase_models import EveryModel, cdnow

PUBLISHED = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, log_likelihood=-9582.4, customer_count=2357)


class TestBgNbd(EveryModel):
    model = BgNbd(0.8, 20.0, 0.7, 3.0, 0.0, 1)
    fit = staticmethod(fit_bg_nbd)
    family = BG_NBD
    dropout_comes = "after a repeat purchase"

    def dropout_rate(self, model: BgNbd) -> float:
        return model.a / (model.a + model.b)


class TestMbgNbd(EveryModel):
    model = MbgNbd(0.8, 20.0, 0.7, 3.0, 0.0, 1)
    fit = staticmethod(fit_mbg_nbd)
    family = MBG_NBD
    dropout_comes = "after any purchase"

    def dropout_rate(self, model: MbgNbd) -> float:
        return model.a / (model.a + model.b)


def test_cdnow_gives_the_published_parameters() -> None:
    """FHL 2005, table 2."""
    log = cdnow()
    assert len(log) == 2357
    model = fit_bg_nbd(log["x"], log["t_x"], log["t"])
    assert model.r == pytest.approx(0.243, rel=0.01)
    assert model.alpha == pytest.approx(4.414, rel=0.01)
    assert model.a == pytest.approx(0.793, rel=0.01)
    assert model.b == pytest.approx(2.426, rel=0.01)
    assert model.log_likelihood == pytest.approx(-9582.4, abs=0.05)


def test_cdnow_gives_the_published_mbg_nbd_parameters() -> None:
    """Batislam, Denizel and Filiztekin 2007, on the same sample."""
    log = cdnow()
    model = fit_mbg_nbd(log["x"], log["t_x"], log["t"])
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.525, 6.183, 0.891, 1.614), rel=0.001)
    assert model.log_likelihood == pytest.approx(-9582.1, abs=0.05)


def test_cdnow_gives_the_published_gamma_gamma_parameters() -> None:
    """Fader and Hardie 2013, section 4: p = 6.25, q = 3.74, v = 15.44 on 946 customers."""
    log = cdnow()
    model = fit_gamma_gamma(log["x"], log["z"])
    assert model.customer_count == 946
    assert (model.p, model.q, model.v) == pytest.approx((6.25, 3.74, 15.44), rel=0.01)


def test_published_conditional_expectation() -> None:
    """FHL 2005, section 5: customer 0001 (x = 2, t_x = 30.43, T = 38.86) is expected to buy 1.226 times in 39 weeks."""
    (expected,) = PUBLISHED.expected_purchases(2, 30.43, 38.86, 39)
    assert expected == pytest.approx(1.226, abs=0.001)


@pytest.mark.parametrize("a", [0.05, 0.793, 2.5])
def test_expected_purchases_equal_the_published_expression(a: float) -> None:
    """FHL 2005, eq. 10, with its Gaussian hypergeometric function."""
    m = BgNbd(0.243, 4.414, a, 2.426, 0.0, 1)
    x = np.array([0.0, 1.0, 2.0, 40.0])
    t_x, t, h = np.array([0.0, 3.0, 30.43, 38.0]), np.array([38.86, 20.0, 38.86, 38.86]), 39.0
    series = hyp2f1(m.r + x, m.b + x, m.a + m.b + x - 1, h / (m.alpha + t + h))
    alive = (m.a + m.b + x - 1) / (m.a - 1) * (1 - ((m.alpha + t) / (m.alpha + t + h)) ** (m.r + x) * series)
    odds = np.where(x > 0, m.a / (m.b + x - 1) * ((m.alpha + t) / (m.alpha + t_x)) ** (m.r + x), 0.0)
    assert m.expected_purchases(x, t_x, t, h) == pytest.approx(alive / (1 + odds), rel=1e-9)


def test_expected_purchases_are_smooth_where_the_published_expression_divides_by_zero() -> None:
    below, at, above = (
        BgNbd(0.243, 4.414, a, 2.426, 0.0, 1).expected_purchases(2, 30.43, 38.86, 39)[0] for a in (0.999, 1.0, 1.001)
    )
    assert at == pytest.approx((below + above) / 2, rel=1e-5)


def test_p_alive() -> None:
    assert PUBLISHED.p_alive(0, 0, 38.86) == 1
    (recent,), (lapsed,) = PUBLISHED.p_alive(10, 38, 38.86), PUBLISHED.p_alive(10, 10, 38.86)
    assert 0 < lapsed < 0.01 < 0.9 < recent < 1


def test_mean_amount_shrinks_towards_the_population() -> None:
    model = GammaGamma(p=6.25, q=3.74, v=15.44, log_likelihood=0.0, customer_count=946)
    population = 6.25 * 15.44 / 2.74
    none, unknown, once, often = model.mean_amount([0, 3, 1, 50], [np.nan, np.nan, 100.0, 100.0])
    assert none == unknown == pytest.approx(population)
    assert population < once < often < 100


def test_data_that_cannot_carry_gamma_gamma() -> None:
    with pytest.raises(NotEnoughData, match="only 0 customers"):
        fit_gamma_gamma([0, 1, 2], [np.nan, 0.0, np.nan])
    with pytest.raises(NotEnoughData, match="same amount"):
        fit_gamma_gamma([1] * 20, [5.0] * 20)
