"""What holds of every model of purchases: the test class of a model inherits it."""

from abc import ABC, abstractmethod
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.btyd.histories import Family
from genome_pipeline.models.not_enough_data import NotEnoughData

CDNOW = Path(__file__).parents[2] / "examples" / "data" / "cdnow.csv.gz"

DropoutComes = Literal["at any moment", "after any purchase", "after a repeat purchase"]


@cache
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
    model: Any, dropout_comes: DropoutComes, t: np.ndarray, horizon: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x and t_x at T, and purchases in (T, T + horizon], of customers that behave as the model assumes."""
    generator = np.random.default_rng(seed)
    rate = generator.gamma(model.r, 1 / model.alpha, t.size)
    end, is_alive = t + horizon, np.full(t.size, True)
    if dropout_comes == "at any moment":
        dropout = np.zeros(t.size)
        end = np.minimum(end, generator.exponential(1 / generator.gamma(model.s, 1 / model.beta, t.size)))
    else:
        dropout = generator.beta(model.a, model.b, t.size)
    if dropout_comes == "after any purchase":
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


class EveryModel(ABC):
    """Tests of a fitted model, of the function that fits it, and of its family."""

    model: ClassVar[Any]
    fit: ClassVar[Any]
    family: ClassVar[Family]
    dropout_comes: ClassVar[DropoutComes]

    @abstractmethod
    def dropout_rate(self, model: Any) -> float:
        """Mean of the rate, or probability, of dropping out."""

    def test_the_unit_of_time_and_the_order_of_rows_do_not_matter(self) -> None:
        log = cdnow()
        weeks = self.fit(log["x"], log["t_x"], log["t"])
        assert self.fit(log["x"][::-1], log["t_x"][::-1], log["t"][::-1]) == weeks
        days = self.fit(log["x"], log["t_x"] * 7, log["t"] * 7)
        in_days = {name: value * 7 if name in ("alpha", "beta") else value for name, value in weeks.to_dict().items()}
        del in_days["log_likelihood"]
        assert {name: days.to_dict()[name] for name in in_days} == pytest.approx(in_days, rel=1e-3)

    @pytest.mark.parametrize("parameters", [(0.5, 0.3, 0.6, 2.0), (2.0, 1.5, 1.0, 0.4)])
    def test_gradients(self, parameters: tuple[float, ...]) -> None:
        x, t_x = np.array([0.0, 0.0, 1.0, 3.0, 3.0, 900.0]), np.array([0.0, 0.0, 0.0, 0.7, 1.0, 1.1])
        t, count = np.array([0.0, 1.0, 1.2, 1.0, 1.0, 1.2]), np.array([5.0, 40.0, 2.0, 7.0, 1.0, 1.0])
        objective = self.family.objective(x, t_x, t, count)
        point = np.log(parameters)
        differences = [(objective(point + step)[0] - objective(point - step)[0]) / 2e-5 for step in np.eye(4) * 1e-5]
        assert objective(point)[1] == pytest.approx(differences, rel=1e-6, abs=1e-8)

    def test_parameters_are_recovered_from_a_simulated_log(self) -> None:
        t = np.random.default_rng(1).uniform(100, 400, 20_000)
        x, t_x, _ = simulate(self.model, self.dropout_comes, t, 0.0, seed=2)
        fitted = self.fit(x, t_x, t)
        assert (fitted.r, fitted.alpha) == pytest.approx((self.model.r, self.model.alpha), rel=0.06)
        # The shape and scale of dropout hardly matter but together.
        assert self.dropout_rate(fitted) == pytest.approx(self.dropout_rate(self.model), rel=0.06)

    def test_predictions_agree_with_simulated_futures(self) -> None:
        t = np.random.default_rng(3).uniform(20, 400, 50_000)
        x, t_x, future = simulate(self.model, self.dropout_comes, t, 90.0, seed=4)
        expected = self.model.expected_purchases(x, t_x, t, 90.0)
        bought = self.model.purchase_probability(x, t_x, t, 90.0)
        for group in (x == 0, x == 1, (x >= 2) & (t - t_x < 30), (x >= 2) & (t - t_x > 60)):
            error = future[group].std() / np.sqrt(group.sum())
            assert abs(expected[group].mean() - future[group].mean()) < 4 * error
            share = bought[group].mean()
            assert abs(share - (future[group] > 0).mean()) < 4 * np.sqrt(share * (1 - share) / group.sum())

    def test_who_bought_more_recently_is_expected_to_buy_more(self) -> None:
        recency = np.linspace(0, 300, 31)
        assert np.all(np.diff(self.model.p_alive(4, recency, 300)) > 0)
        assert np.all(np.diff(self.model.purchase_probability(4, recency, 300, 90)) > 0)
        assert np.all(np.diff(self.model.expected_purchases(4, recency, 300, 90)) > 0)

    @pytest.mark.parametrize("shape", [1e-4, 1.0, 8e3])
    @pytest.mark.parametrize("horizon", [0.0, 90.0, 1e6])
    def test_every_history_has_finite_predictions(self, shape: float, horizon: float) -> None:
        model = type(self.model)
        x = np.array([0, 0, 1, 1, 1, 40, 1e5, 1e5])
        t_x = np.array([0, 0, 0, 0, 365, 1, 1, 3650])
        t = np.array([0, 3650, 0, 365, 365, 3650, 3650, 3650])
        for m in (model(0.5, 30.0, shape, 1.0, 0.0, 1), model(shape, 0.01, 1.0, shape, 0.0, 1)):
            alive, expected = m.p_alive(x, t_x, t), m.expected_purchases(x, t_x, t, horizon)
            probability = m.purchase_probability(x, t_x, t, horizon)
            assert np.all((alive >= 0) & (alive <= 1) & (probability >= 0) & (probability <= alive))
            assert np.all(np.isfinite(expected) & (expected >= probability * (1 - 1e-9)))
            assert horizon > 0 or not expected.any()

    @pytest.mark.parametrize(
        ("x", "t_x", "t", "reason"),
        [
            ([0] * 50, [0] * 50, range(50), "only 0 of 50 customers bought again"),
            ([3], [10], [20], "only 1 of 1 customers"),
            ([1] * 50, [0] * 50, [0] * 50, "no time has passed"),
        ],
    )
    def test_data_that_cannot_carry_a_model(self, x: list[int], t_x: list[int], t: list[int], reason: str) -> None:
        with pytest.raises(NotEnoughData, match=reason):
            self.fit(list(x), list(t_x), list(t))

    def test_a_log_without_dropout_or_heterogeneity_gives_finite_predictions(self) -> None:
        x = np.repeat([4.0, 5.0, 6.0], 30)
        model = self.fit(x, np.full(90, 49.0), np.full(90, 50.0))
        expected = model.expected_purchases(x, np.full(90, 49.0), np.full(90, 50.0), 10.0)
        assert expected == pytest.approx(1.0, abs=0.1)

    def test_parameters_survive_a_dictionary(self) -> None:
        assert type(self.model).from_dict(self.model.to_dict()) == self.model
