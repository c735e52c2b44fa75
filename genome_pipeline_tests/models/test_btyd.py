from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import hyp2f1

from genome_pipeline.models.btyd import (
    _FAMILIES,
    PARETO_PRIOR,
    BgNbd,
    GammaGamma,
    MbgNbd,
    NormalPrior,
    ParetoNbd,
    _sampled_rows,
    fit_bg_nbd,
    fit_gamma_gamma,
    fit_mbg_nbd,
    fit_pareto_nbd,
)
from genome_pipeline.models.not_enough_data import NotEnoughData

CDNOW = Path(__file__).parents[2] / "examples" / "data" / "cdnow.csv.gz"
PUBLISHED = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426, log_likelihood=-9582.4, customer_count=2357)
PARETO = ParetoNbd(r=0.5533, alpha=10.578, s=0.6061, beta=11.669, log_likelihood=-9595.0, customer_count=2357)
MODELS = [
    BgNbd(0.8, 20.0, 0.7, 3.0, 0.0, 1),
    MbgNbd(0.8, 20.0, 0.7, 3.0, 0.0, 1),
    ParetoNbd(0.8, 20.0, 0.7, 60.0, 0.0, 1),
]
FITS: dict[type, Any] = {BgNbd: fit_bg_nbd, MbgNbd: fit_mbg_nbd, ParetoNbd: fit_pareto_nbd}
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
every_fit = pytest.mark.parametrize("fit", FITS.values())


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


def simulate(
    model: BgNbd | MbgNbd | ParetoNbd, t: np.ndarray, horizon: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x and t_x at T, and purchases in (T, T + horizon], of customers that behave as the model assumes."""
    generator = np.random.default_rng(seed)
    rate = generator.gamma(model.r, 1 / model.alpha, t.size)
    end, is_alive = t + horizon, np.full(t.size, True)
    if isinstance(model, ParetoNbd):
        dropout = np.zeros(t.size)
        end = np.minimum(end, generator.exponential(1 / generator.gamma(model.s, 1 / model.beta, t.size)))
    else:
        dropout = generator.beta(model.a, model.b, t.size)
    if isinstance(model, MbgNbd):
        is_alive = generator.uniform(size=t.size) >= dropout
    x, t_x, future, now = np.zeros(t.size), np.zeros(t.size), np.zeros(t.size), np.zeros(t.size)
    while is_alive.any():
        now = np.where(is_alive, now + generator.exponential(1 / rate), now)
        is_alive &= now <= end
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


def test_cdnow_gives_the_published_pareto_nbd_parameters(cdnow: pd.DataFrame) -> None:
    """Fader and Hardie 2005, on the same sample."""
    model = fit_pareto_nbd(cdnow["x"], cdnow["t_x"], cdnow["t"])
    assert (model.r, model.alpha, model.s, model.beta) == pytest.approx((0.5533, 10.578, 0.6061, 11.669), rel=0.001)
    assert model.log_likelihood == pytest.approx(-9595.0, abs=0.05)


@every_fit
def test_the_unit_of_time_and_the_order_of_rows_do_not_matter(fit: Any, cdnow: pd.DataFrame) -> None:
    weeks = fit(cdnow["x"], cdnow["t_x"], cdnow["t"])
    assert fit(cdnow["x"][::-1], cdnow["t_x"][::-1], cdnow["t"][::-1]) == weeks
    days = fit(cdnow["x"], cdnow["t_x"] * 7, cdnow["t"] * 7)
    in_days = {name: value * 7 if name in ("alpha", "beta") else value for name, value in weeks.to_dict().items()}
    del in_days["log_likelihood"]
    assert {name: days.to_dict()[name] for name in in_days} == pytest.approx(in_days, rel=1e-3)


def test_cdnow_gives_the_published_gamma_gamma_parameters(cdnow: pd.DataFrame) -> None:
    """Fader and Hardie 2013, section 4: p = 6.25, q = 3.74, v = 15.44 on 946 customers."""
    model = fit_gamma_gamma(cdnow["x"], cdnow["z"])
    assert model.customer_count == 946
    assert (model.p, model.q, model.v) == pytest.approx((6.25, 3.74, 15.44), rel=0.01)


def test_published_conditional_expectation() -> None:
    """FHL 2005, section 5: customer 0001 (x = 2, t_x = 30.43, T = 38.86) is expected to buy 1.226 times in 39 weeks."""
    (expected,) = PUBLISHED.expected_purchases(2, 30.43, 38.86, 39)
    assert expected == pytest.approx(1.226, abs=0.001)


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


@pytest.mark.parametrize("name", _FAMILIES)
@pytest.mark.parametrize("parameters", [(0.5, 0.3, 0.6, 2.0), (2.0, 1.5, 1.0, 0.4)])
def test_gradients(name: str, parameters: tuple[float, ...]) -> None:
    x, t_x = np.array([0.0, 0.0, 1.0, 3.0, 3.0, 900.0]), np.array([0.0, 0.0, 0.0, 0.7, 1.0, 1.1])
    t, count = np.array([0.0, 1.0, 1.2, 1.0, 1.0, 1.2]), np.array([5.0, 40.0, 2.0, 7.0, 1.0, 1.0])
    objective = _FAMILIES[name].objective(x, t_x, t, count)
    point = np.log(parameters)
    differences = [(objective(point + step)[0] - objective(point - step)[0]) / 2e-5 for step in np.eye(4) * 1e-5]
    assert objective(point)[1] == pytest.approx(differences, rel=1e-6, abs=1e-8)


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


@every_model
def test_parameters_are_recovered_from_a_simulated_log(model: Any) -> None:
    t = np.random.default_rng(1).uniform(100, 400, 20_000)
    x, t_x, _ = simulate(model, t, 0.0, seed=2)
    fitted = FITS[type(model)](x, t_x, t)
    assert (fitted.r, fitted.alpha) == pytest.approx((model.r, model.alpha), rel=0.06)
    # The shape and scale of dropout hardly matter but together.
    if isinstance(model, ParetoNbd):
        assert fitted.s / fitted.beta == pytest.approx(model.s / model.beta, rel=0.06)
    else:
        assert fitted.a / (fitted.a + fitted.b) == pytest.approx(model.a / (model.a + model.b), rel=0.06)


@every_model
def test_predictions_agree_with_simulated_futures(model: Any) -> None:
    t = np.random.default_rng(3).uniform(20, 400, 50_000)
    x, t_x, future = simulate(model, t, 90.0, seed=4)
    expected = model.expected_purchases(x, t_x, t, 90.0)
    bought = model.purchase_probability(x, t_x, t, 90.0)
    for group in (x == 0, x == 1, (x >= 2) & (t - t_x < 30), (x >= 2) & (t - t_x > 60)):
        error = future[group].std() / np.sqrt(group.sum())
        assert abs(expected[group].mean() - future[group].mean()) < 4 * error
        share = bought[group].mean()
        assert abs(share - (future[group] > 0).mean()) < 4 * np.sqrt(share * (1 - share) / group.sum())


def test_the_prior_is_not_felt_where_customers_are_many() -> None:
    t = np.random.default_rng(1).uniform(100, 400, 20_000)
    x, t_x, _ = simulate(ParetoNbd(0.8, 20.0, 0.7, 60.0, 0.0, 1), t, 0.0, seed=2)
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


def test_p_alive() -> None:
    assert PUBLISHED.p_alive(0, 0, 38.86) == 1
    (recent,), (lapsed,) = PUBLISHED.p_alive(10, 38, 38.86), PUBLISHED.p_alive(10, 10, 38.86)
    assert 0 < lapsed < 0.01 < 0.9 < recent < 1


@every_model
def test_who_bought_more_recently_is_expected_to_buy_more(model: Any) -> None:
    recency = np.linspace(0, 300, 31)
    assert np.all(np.diff(model.p_alive(4, recency, 300)) > 0)
    assert np.all(np.diff(model.purchase_probability(4, recency, 300, 90)) > 0)
    assert np.all(np.diff(model.expected_purchases(4, recency, 300, 90)) > 0)


@pytest.mark.parametrize("model", [BgNbd, MbgNbd, ParetoNbd])
@pytest.mark.parametrize("shape", [1e-4, 1.0, 8e3])
@pytest.mark.parametrize("horizon", [0.0, 90.0, 1e6])
def test_every_history_has_finite_predictions(model: Any, shape: float, horizon: float) -> None:
    x = np.array([0, 0, 1, 1, 1, 40, 1e5, 1e5])
    t_x = np.array([0, 0, 0, 0, 365, 1, 1, 3650])
    t = np.array([0, 3650, 0, 365, 365, 3650, 3650, 3650])
    for m in (model(0.5, 30.0, shape, 1.0, 0.0, 1), model(shape, 0.01, 1.0, shape, 0.0, 1)):
        alive, expected = m.p_alive(x, t_x, t), m.expected_purchases(x, t_x, t, horizon)
        probability = m.purchase_probability(x, t_x, t, horizon)
        assert np.all((alive >= 0) & (alive <= 1) & (probability >= 0) & (probability <= alive))
        assert np.all(np.isfinite(expected) & (expected >= probability * (1 - 1e-9)))
        assert horizon > 0 or not expected.any()


def test_pareto_nbd_is_smooth_at_s_1() -> None:
    below, at, above = (
        ParetoNbd(0.55, 10.6, s, 11.7, 0.0, 1).expected_purchases(2, 30, 39, 39) for s in (0.999, 1, 1.001)
    )
    assert at == pytest.approx((below + above) / 2, rel=1e-5)


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
@every_fit
def test_data_that_cannot_carry_a_model(fit: Any, x: list[int], t_x: list[int], t: list[int], reason: str) -> None:
    with pytest.raises(NotEnoughData, match=reason):
        fit(list(x), list(t_x), list(t))


def test_data_that_cannot_carry_gamma_gamma() -> None:
    with pytest.raises(NotEnoughData, match="only 0 customers"):
        fit_gamma_gamma([0, 1, 2], [np.nan, 0.0, np.nan])
    with pytest.raises(NotEnoughData, match="same amount"):
        fit_gamma_gamma([1] * 20, [5.0] * 20)


def test_impossible_histories_are_refused() -> None:
    with pytest.raises(ValueError, match="recency at most T"):
        fit_bg_nbd([1], [30], [20])
    with pytest.raises(ValueError, match="recency must be 0"):
        PARETO.p_alive([1, 0], [10, 10], [20, 20])


@every_fit
def test_a_log_without_dropout_or_heterogeneity_gives_finite_predictions(fit: Any) -> None:
    x = np.repeat([4.0, 5.0, 6.0], 30)
    model = fit(x, np.full(90, 49.0), np.full(90, 50.0))
    expected = model.expected_purchases(x, np.full(90, 49.0), np.full(90, 50.0), 10.0)
    assert expected == pytest.approx(1.0, abs=0.1)


def test_a_sample_of_many_histories_keeps_the_few_who_bought_again() -> None:
    x = np.repeat([0.0, 1.0], [100_000, 10])
    rows, weight = _sampled_rows(x)
    assert rows.size == 510
    assert weight[x[rows] > 0].sum() == 10
    assert weight.sum() == x.size


@every_model
def test_parameters_survive_a_dictionary(model: Any) -> None:
    assert type(model).from_dict(model.to_dict()) == model


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
