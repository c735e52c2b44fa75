"""Customers whose chances are known, the forecast that knows them too, and what they did: for tests to spoil."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import poisson

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.performance import measure

AS_OF, MATURED = date(2024, 5, 1), date(2024, 8, 1)
LEVEL = 0.8

Floats = NDArray[np.float64]


def perfect_forecast(customers: int, seed: int) -> pd.DataFrame:
    """Rows of ``prediction_outcomes``: customers buy nothing with their ``churn_probability``, else at least once.

    Half of them buy as many times as they are expected to, give or take one in Poisson's manner; the others at random
    between a third and three times that. Each confidence knows who is who, and how sure churn is. Intervals are the
    narrowest from 0, or from the 10% quantile where that is above 0, that cover 80%. The naive forecast is the mean of
    all.
    """
    generator = np.random.default_rng(seed)
    p = generator.beta(0.8, 1.2, customers)
    m = 1 + generator.gamma(1.5, 2, customers)
    price = generator.lognormal(3, 0.5, customers)
    is_steady = generator.random(customers) < 0.5
    has_churned = generator.random(customers) < p
    orders = np.where(has_churned, 0, _orders(m, is_steady, generator))
    spend = orders * price * generator.gamma(16, 1 / 16, customers)
    # Of each customer, what 400 others exactly like this one do.
    alike = _orders(np.repeat(m[:, None], 400, axis=1), is_steady[:, None], generator)
    alike[generator.random(alike.shape) < p[:, None]] = 0
    lower, upper = _bounds(alike, p)
    lower_spend, upper_spend = _bounds(alike * price[:, None] * generator.gamma(16, 1 / 16, alike.shape), p)
    mean = (1 - p) * _mean_orders(m, is_steady)
    certainty = 1 - 4 * p * (1 - p)
    return pd.DataFrame(
        {
            "matured_as_of": MATURED,
            "as_of": AS_OF,
            "customer_id": [f"c{number:06}" for number in range(customers)],
            "actual_orders": orders.astype(float),
            "actual_spend": spend,
            "has_churned": has_churned,
            "expected_orders": mean,
            "expected_orders_lower": lower,
            "expected_orders_upper": upper,
            "expected_spend": mean * price,
            "expected_spend_lower": lower_spend,
            "expected_spend_upper": upper_spend,
            "naive_expected_orders": mean.mean(),
            "naive_expected_spend": (mean * price).mean(),
            "churn_probability": p,
            "churn_probability_lower": np.maximum(p - 0.02, 0),
            "churn_probability_upper": np.minimum(p + 0.02, 1),
            "naive_churn_probability": p.mean(),
            "segment_id": 1,
            "segment_name": np.where(m > 3, "Loyal", "Others"),
            "t_days": generator.integers(1, 600, customers),
        }
    ).pipe(with_confidence, 0.5 * certainty + 0.5 * is_steady + 0.01 * generator.random(customers))


def with_confidence(outcomes: pd.DataFrame, confidence: Floats | pd.Series[float]) -> pd.DataFrame:
    """The same forecasts, with one confidence in all that is predicted."""
    return outcomes.assign(**{f"{part}confidence": confidence for part in ("", "churn_", "orders_", "spend_")})


def _bounds(alike: Floats | NDArray[np.int64], p: Floats) -> tuple[Floats, Floats]:
    """Narrowest interval of each customer from 0, or from the 10% quantile where that is above 0."""
    ordered = np.sort(alike, axis=1)
    count, tail = ordered.shape[1], (1 - LEVEL) / 2
    lower = np.where(p < tail, ordered[:, round(count * tail) - 1], 0)
    upper = np.where(p < tail, ordered[:, round(count * (1 - tail)) - 1], ordered[:, round(count * LEVEL) - 1])
    return lower.astype(np.float64), upper.astype(np.float64)


def _mean_orders(m: Floats, is_steady: NDArray[np.bool_]) -> Floats:
    """Mean of :func:`_orders`."""
    # One and a Poisson count of mean m - 1 keep that mean; the others have a third or three times m.
    return np.asarray(np.where(is_steady, m, (np.maximum(np.rint(m / 3), 1) + np.rint(3 * m)) / 2))


def _orders(m: Floats, is_steady: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.int64]:
    """Orders of customers who buy, of mean about m: at least 1."""
    steady = 1 + np.asarray(poisson.rvs(m - 1, random_state=generator))
    erratic = np.where(generator.random(m.shape) < 0.5, np.maximum(np.rint(m / 3), 1), np.rint(3 * m))
    return np.asarray(np.where(is_steady, steady, erratic).astype(np.int64))


def deal_anew(outcomes: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same forecasts beside other customers' outcomes."""
    order = np.random.default_rng(seed).permutation(len(outcomes))
    actual = ["actual_orders", "actual_spend", "has_churned"]
    return outcomes.assign(**{name: outcomes[name].to_numpy()[order] for name in actual})


def measured(*outcomes: pd.DataFrame) -> duckdb.DuckDBPyConnection:
    """A database with the table ``model_performance`` of these snapshots."""
    performance = pd.concat([measure(frame, LEVEL) for frame in outcomes])
    connection = duckdb.connect()
    connection.execute(TABLES["model_performance"].ddl())
    connection.register("performance", performance)
    connection.execute("INSERT INTO model_performance BY NAME SELECT * FROM performance")
    return connection
