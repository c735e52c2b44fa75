from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import hyp2f1

from genome_pipeline.models.btyd import (
    BgNbd,
    GammaGamma,
    MbgNbd,
    NotEnoughData,
    fit_bg_nbd,
    fit_gamma_gamma,
    fit_mbg_nbd,
)

CDNOW = Path(__file__).parents[2] / "examples" / "data" / "cdnow.csv.gz"
PUBLISHED = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, log_likelihood=-9582.4, customer_count=2357)


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    """x, t_x and T in weeks, and mean repeat amount, of the 1-in-10 sample through 1997-09-30."""
    log = pd.read_csv(CDNOW, dtype={"customer_id": str}, parse_dates=["order_date"])
    log = log[(log["in_sample"] == 1) & (log["order_date"] <= "1997-09-30")]
    days = log.groupby(["customer_id", "order_date"], as_index=False)["amount"].sum()
    first = days.groupby("customer_id")["order_date"].transform("min")
    span = days.groupby("customer_id")["order_date"].agg(["min", "max", "count"])
    return pd.DataFrame(
        {
            "x": span["count"] - 1,
            "t_x": (span["max"] - span["min"]).dt.days / 7,
            "t": (pd.Timestamp("1997-09-30") - span["min"]).dt.days / 7,
            "z": days[days["order_date"] > first].groupby("customer_id")["amount"].mean(),
        }
    )


def simulate(model: BgNbd | MbgNbd, t: np.ndarray, horizon: float, seed: int) -> tuple[np.ndarray, ...]:
    """x and t_x at T, and purchases in (T, T + horizon], of customers that behave as the model assumes."""
    generator = np.random.default_rng(seed)
    rate = generator.gamma(model.r, 1 / model.alpha, t.size)
    dropout = generator.beta(model.a, model.b, t.size)
    x, t_x, future, now = np.zeros(t.size), np.zeros(t.size), np.zeros(t.size), np.zeros(t.size)
    is_alive = np.full(t.size, True)
    if isinstance(model, MbgNbd):
        is_alive = generator.uniform(size=t.size) >= dropout
    while is_alive.any():
        now = np.where(is_alive, now + generator.exponential(1 / rate), now)
        is_alive &= now <= t + horizon
        x += is_alive & (now <= t)
        t_x = np.where(is_alive & (now <= t), now, t_x)
        future += is_alive & (now > t)
        is_alive &= generator.uniform(size=t.size) >= dropout
    return x, t_x, future


def test_cdnow_gives_the_published_parameters(cdnow: pd.DataFrame) -> None:
    """FHL 2005, table 2."""
    assert len(cdnow) == 2357
    model = fit_bg_nbd(cdnow["x"], cdnow["t_x"], cdnow["t"])
    assert model.r == pytest.approx(0.243, rel=0.01)
    assert model.alpha == pytest.approx(4.414, rel=0.01)
    assert model.a == pytest.approx(0.793, rel=0.01)
    assert model.b == pytest.approx(2.426, rel=0.01)
    assert model.log_likelihood == pytest.approx(-9582.4, abs=0.05)


def test_cdnow_gives_the_published_mbg_nbd_parameters(cdnow: pd.DataFrame) -> None:
    """Batislam, Denizel and Filiztekin 2007, on the same sample."""
    model = fit_mbg_nbd(cdnow["x"], cdnow["t_x"], cdnow["t"])
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.525, 6.183, 0.891, 1.614), rel=0.001)
    assert model.log_likelihood == pytest.approx(-9582.1, abs=0.05)


def test_the_unit_of_time_and_the_order_of_rows_do_not_matter(cdnow: pd.DataFrame) -> None:
    weeks = fit_bg_nbd(cdnow["x"], cdnow["t_x"], cdnow["t"])
    assert fit_bg_nbd(cdnow["x"][::-1], cdnow["t_x"][::-1], cdnow["t"][::-1]) == weeks
    days = fit_bg_nbd(cdnow["x"], cdnow["t_x"] * 7, cdnow["t"] * 7)
    assert days.alpha == pytest.approx(weeks.alpha * 7, rel=1e-4)
    assert (days.r, days.a, days.b) == pytest.approx((weeks.r, weeks.a, weeks.b), rel=1e-4)


def test_cdnow_gives_the_published_gamma_gamma_parameters(cdnow: pd.DataFrame) -> None:
    """Fader and Hardie 2013, section 4: p = 6.25, q = 3.74, v = 15.44 on 946 customers."""
    model = fit_gamma_gamma(cdnow["x"], cdnow["z"])
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


@pytest.mark.parametrize("model", [BgNbd, MbgNbd])
def test_parameters_are_recovered_from_a_simulated_log(model: type[BgNbd] | type[MbgNbd]) -> None:
    truth = model(0.8, 20.0, 0.7, 3.0, 0.0, 1)
    t = np.random.default_rng(1).uniform(100, 400, 20_000)
    x, t_x, _ = simulate(truth, t, 0.0, seed=2)
    fitted = {BgNbd: fit_bg_nbd, MbgNbd: fit_mbg_nbd}[model](x, t_x, t)
    assert (fitted.r, fitted.alpha) == pytest.approx((truth.r, truth.alpha), rel=0.06)
    assert fitted.a / (fitted.a + fitted.b) == pytest.approx(truth.a / (truth.a + truth.b), rel=0.06)


@pytest.mark.parametrize("model", [BgNbd(0.8, 20.0, 0.7, 3.0, 0.0, 1), MbgNbd(0.8, 20.0, 0.7, 3.0, 0.0, 1)])
def test_predictions_agree_with_simulated_futures(model: BgNbd | MbgNbd) -> None:
    t = np.random.default_rng(3).uniform(20, 400, 200_000)
    x, t_x, future = simulate(model, t, 90.0, seed=4)
    expected = model.expected_purchases(x, t_x, t, 90.0)
    bought = model.purchase_probability(x, t_x, t, 90.0)
    for group in (x == 0, x == 1, (x >= 2) & (t - t_x < 30), (x >= 2) & (t - t_x > 60)):
        error = future[group].std() / np.sqrt(group.sum())
        assert abs(expected[group].mean() - future[group].mean()) < 4 * error
        share = bought[group].mean()
        assert abs(share - (future[group] > 0).mean()) < 4 * np.sqrt(share * (1 - share) / group.sum())


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


@pytest.mark.parametrize(
    ("x", "t_x", "t", "reason"),
    [
        ([0] * 50, [0] * 50, range(50), "only 0 of 50 customers bought again"),
        ([3], [10], [20], "only 1 of 1 customers"),
        ([1] * 50, [0] * 50, [0] * 50, "no time has passed"),
    ],
)
def test_data_that_cannot_carry_bg_nbd(x: list[int], t_x: list[int], t: list[int], reason: str) -> None:
    with pytest.raises(NotEnoughData, match=reason):
        fit_bg_nbd(list(x), list(t_x), list(t))


def test_data_that_cannot_carry_gamma_gamma() -> None:
    with pytest.raises(NotEnoughData, match="only 0 customers"):
        fit_gamma_gamma([0, 1, 2], [np.nan, 0.0, np.nan])
    with pytest.raises(NotEnoughData, match="same amount"):
        fit_gamma_gamma([1] * 20, [5.0] * 20)


def test_impossible_histories_are_refused() -> None:
    with pytest.raises(ValueError, match="recency at most T"):
        fit_bg_nbd([1], [30], [20])


def test_a_log_without_dropout_or_heterogeneity_gives_finite_predictions() -> None:
    x = np.repeat([4.0, 5.0, 6.0], 30)
    model = fit_bg_nbd(x, np.full(90, 49.0), np.full(90, 50.0))
    expected = model.expected_purchases(x, np.full(90, 49.0), np.full(90, 50.0), 10.0)
    assert expected == pytest.approx(1.0, abs=0.1)


def test_parameters_survive_a_dictionary() -> None:
    assert BgNbd.from_dict(PUBLISHED.to_dict()) == PUBLISHED
