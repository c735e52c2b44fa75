"""How good the day of the next order is, beside "last order plus mean gap", on the logs of the panel.

``python -m benchmarks.next_order [--logs cdnow ...]`` takes every row of the panel and the orders that follow, to the
end of the log. Coverage is counted among customers whose bound lies before the end of the log, which is known without
looking at what they did. The median error and the concordance are of customers with a mean gap whose date lies before
that end; who has not ordered by then has missed the date by at least the days between. Writes
``benchmarks/results/accuracy/next_order.json`` and ``.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.accuracy import INTERVAL_LEVEL, SEED
from benchmarks.panel.data import Data, next_orders, rows_of_log
from benchmarks.panel.run import run
from genome_pipeline.contracts.tables.outlook import churn_within
from genome_pipeline.models.forecast.next_order import predict_next_order
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.genes import by_customer, numbers

Floats = NDArray[np.float64]

_LEAST_CUSTOMERS = 100
_PAIRS = 200_000


def measure(data: Data, waited: Floats, length_days: int) -> dict[str, Any]:
    """Scores at one row; ``waited`` are the days to the next order, infinite for none within ``length_days``."""
    features, days = by_customer(data.features), data.row.horizon_days
    model = fit_risk_model(features, data.labelled, days, SEED)
    churn = model.predict(features)["churn_probability"]
    told = predict_next_order(model, features.assign(**{churn_within(days): churn}), INTERVAL_LEVEL)
    lower, middle, upper = (
        numbers((pd.to_datetime(told[f"next_order_date{end}"]) - pd.Timestamp(data.row.as_of)).dt.days.fillna(np.inf))
        for end in ("_lower", "", "_upper")
    )
    naive = np.maximum(numbers(features["order_gap_mean_days"]) - numbers(features["days_since_last_order"]), 0)
    is_judged = np.isfinite(naive) & (middle < length_days)
    found: dict[str, Any] = {"row": data.row.name, "days": length_days, "customers": len(features)}
    found |= _coverage(lower, middle, upper, waited, length_days)
    if is_judged.sum() >= _LEAST_CUSTOMERS:
        actual = waited[is_judged]
        for name, days_told in (("ours", middle[is_judged]), ("last order plus mean gap", naive[is_judged])):
            found[f"median error of {name}, days"] = float(np.median(_errors(days_told, actual, length_days)))
            found[f"concordance of {name}"] = _concordance(days_told, actual, length_days)
    return found


def _coverage(lower: Floats, middle: Floats, upper: Floats, waited: Floats, length_days: int) -> dict[str, float]:
    found = {}
    for name, bound, is_before in (
        ("before the interval", lower, waited < lower),
        ("by the date", middle, waited <= middle),
        ("by the end of the interval", upper, waited <= upper),
        ("within the interval", upper, (lower <= waited) & (waited <= upper)),
    ):
        is_seen = bound < length_days
        if is_seen.sum() >= _LEAST_CUSTOMERS:
            found[name] = float(is_before[is_seen].mean())
    return found


def _errors(told: Floats, actual: Floats, length_days: int) -> Floats:
    known = np.abs(told - np.where(np.isfinite(actual), actual, 0))
    return np.where(np.isfinite(actual), known, np.where(told < length_days, length_days - told, np.inf))


def _concordance(told: Floats, actual: Floats, length_days: int) -> float:
    """Share of pairs of customers whose order is right; a tie of what was told counts half."""
    first, second = np.random.default_rng(SEED).integers(0, len(told), (2, _PAIRS))
    ends = np.minimum(actual, length_days)
    sooner = np.sign(ends[first] - ends[second])
    agreement = (sooner * np.sign(told[first] - told[second]))[sooner != 0]
    return float(((agreement > 0) + 0.5 * (agreement == 0)).mean())


def _measured(log: str) -> Iterator[dict[str, Any]]:
    for database, data in rows_of_log(log):
        yield measure(data, *next_orders(database, data))


def summary(found: list[dict[str, Any]]) -> str:
    """The means over rows, and a line a row."""
    frame = pd.DataFrame(found)
    means = frame.drop(columns=["row", "days", "customers"]).mean().to_frame().T
    return "\n\n".join(
        ["# The next order", *(part.to_markdown(index=False, floatfmt=".3f") for part in (means, frame))]
    )


if __name__ == "__main__":
    run("next_order", __doc__, _measured, summary)
