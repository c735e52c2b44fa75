"""How good the forecast of customers with one purchase is, beside BTYD and beside the amount of their first order.

``python -m benchmarks.first_orders [--logs cdnow ...]`` takes every row of the panel with at least 100 customers who
had bought once, 20 of whom bought again within the horizon. *BTYD* is the best of BG/NBD, MBG/NBD and Pareto/NBD with
Gamma-Gamma, by each metric: it tells such customers apart by their age alone. *First amount* is a logistic regression
of buying again on the logarithm of the first amount, fitted on the one-time buyers of earlier snapshots; of spend it is
that probability times the first amount. Writes ``benchmarks/results/accuracy/first_orders.json`` and ``.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.accuracy import INTERVAL_LEVEL, SEED
from benchmarks.panel.baselines import Forecast, btyd
from benchmarks.panel.data import Data, rows_of_log
from benchmarks.panel.run import run
from benchmarks.scores import activity_scores, spend_scores
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.forecast.value import fit_value_model
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.snapshots import pooled_rows

Floats = NDArray[np.float64]

_LEAST_CUSTOMERS = 100
_LEAST_BUYERS = 20


def measure(data: Data) -> dict[str, Any] | None:
    """Scores at one row, of the customers who had bought once; None where there are too few."""
    features = by_customer(data.features)
    once = numbers(features["frequency_count"]) == 0
    actual = data.actual[once]
    has_bought = ~actual["has_churned"].to_numpy(bool)
    if once.sum() < _LEAST_CUSTOMERS or has_bought.sum() < _LEAST_BUYERS:
        return None
    forecasts = {"ours": _ours(data, features), "first amount": _first_amount(data, features), **btyd(data)}
    found: dict[str, Any] = {"row": data.row.name, "customers": int(once.sum()), "buyers": int(has_bought.sum())}
    for name, forecast in forecasts.items():
        if forecast is None or forecast.activity is None or not np.isfinite(forecast.activity[once]).all():
            continue
        weights = np.ones((1, len(actual)))
        found[f"log loss of {name}"] = float(
            activity_scores(has_bought, forecast.activity[once], weights)["log_loss"][0]
        )
        if forecast.spend is not None and np.isfinite(forecast.spend[once]).all():
            with np.errstate(invalid="ignore"):  # a forecast that is the same for all has no ranks
                gini = spend_scores(numbers(actual["actual_spend"]), forecast.spend[once], weights)["gini"][0]
            found[f"Gini of {name}"] = float(np.nan_to_num(gini))
    return found


def _ours(data: Data, features: pd.DataFrame) -> Forecast:
    days = data.row.horizon_days
    churn = fit_risk_model(features, data.labelled, days, SEED).predict(features)["churn_probability"]
    model = fit_value_model(features, data.labelled, days, INTERVAL_LEVEL, SEED)
    value = model.predict(features.assign(churn_probability=churn))
    return Forecast(1 - numbers(churn), numbers(value["expected_orders"]), numbers(value["expected_spend"]))


def _first_amount(data: Data, features: pd.DataFrame) -> Forecast | None:
    if not data.matured:
        return None
    known, outcomes = pooled_rows(data.matured, SEED)
    once = numbers(known["frequency_count"]) == 0
    has_bought = ~outcomes["has_churned"].to_numpy(bool)[once]
    amounts, earlier = numbers(features["spend_amount"]), numbers(known["spend_amount"])[once]
    if has_bought.all() or not has_bought.any() or not np.isfinite(earlier).all():
        return None
    model = LogisticRegression().fit(_logarithm(earlier), has_bought)
    buys = model.predict_proba(_logarithm(amounts))[:, 1]
    return Forecast(buys, None, buys * np.maximum(amounts, 0))


def _logarithm(amounts: Floats) -> Floats:
    return np.log1p(np.maximum(amounts, 0))[:, None]


def _measured(log: str) -> Iterator[dict[str, Any]]:
    with threadpool_limits(1):
        for _, data in rows_of_log(log):
            if (found := measure(data)) is not None:
                yield found


def summary(found: list[dict[str, Any]]) -> str:
    """The scores of ours over the best of BTYD's and over the first amount's, a line a row and their means."""
    rows = []
    for one in found:
        row = {"row": one["row"], "customers": one["customers"], "buyers": one["buyers"]}
        for metric, best in (("log loss", min), ("Gini", max)):
            btyds = [one[f"{metric} of {name}"] for name in _BTYD if f"{metric} of {name}" in one]
            row |= {f"{metric} of ours": one.get(f"{metric} of ours"), f"{metric} of BTYD": best(btyds, default=None)}
            row[f"{metric} of first amount"] = one.get(f"{metric} of first amount")
        rows.append(row)
    frame = pd.DataFrame(rows)
    means = frame.assign(log=frame["row"].str.split("-").str[0]).drop(columns=["row", "customers", "buyers"])
    by_log = means.groupby("log").mean().reset_index()
    return "\n\n".join(["# First orders", *(part.to_markdown(index=False, floatfmt=".4f") for part in (by_log, frame))])


_BTYD = ("BG/NBD", "MBG/NBD", "Pareto/NBD")

if __name__ == "__main__":
    run("first_orders", __doc__, _measured, summary)
