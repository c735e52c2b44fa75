"""How good the outlook is over each horizon, on the logs of the panel, and how often separate forecasts contradict.

``python -m benchmarks.outlook [--logs cdnow ...]`` takes every log and date of the panel. The main horizon is 28 days;
further ones are those of 90, 181 and 365 days whose outcomes the log still has. Each forecast of the outlook stands
beside the same forecast as if its horizon were the main one, with features made for it (*own*), and beside Pareto/NBD
alone. Writes ``benchmarks/results/accuracy/outlook.json`` and ``.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.accuracy import INTERVAL_LEVEL, SEED
from benchmarks.panel.data import Data, labelled_data, last_day, over_horizons
from benchmarks.panel.logs import ROWS, Row
from benchmarks.panel.run import run
from genome_pipeline.models.forecast.experts import fit_purchases
from genome_pipeline.models.forecast.outlook import (
    MAIN,
    MAIN_RISK,
    MAIN_VALUE,
    OutlookModel,
    fit_outlook_model,
)
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.forecast.value import fit_value_model
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.losses import log_losses
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.models.snapshots import purchase_history

Floats = NDArray[np.float64]

MAIN_DAYS = 28
FURTHER_DAYS = (90, 181, 365)


def measure(row: Row, horizons_days: list[int]) -> Iterator[dict[str, Any]]:
    """Scores of the outlook over each further horizon, at one date of one log."""
    main, *further = over_horizons(row, [MAIN_DAYS, *horizons_days])
    features = by_customer(main.features)
    beside = _with_main_forecast(main, features)
    model = fit_outlook_model(
        features, {data.row.horizon_days: data.labelled for data in further}, MAIN_DAYS, INTERVAL_LEVEL, SEED
    )
    told = model.predict(beside)
    rises = _violations(told, model, beside)
    for data in further:
        days = data.row.horizon_days
        found = told[told["horizon_days"] == days].reset_index(drop=True)
        own = _own(Row(row.log, row.as_of, days))
        yield {
            "log": row.log,
            "as_of": str(row.as_of),
            "horizon_days": days,
            "customers": len(found),
            "is_extrapolated": bool(found["is_extrapolated"].any()),
            "abstains": bool(found["churn_probability"].isna().any()),
            "contradicted": rises[days],
            "outlook": _scores(found, data.actual),
            "own": _scores(own, data.actual),
            "Pareto/NBD": _pareto_nbd(features, days, data.actual),
        }


def _with_main_forecast(main: Data, features: pd.DataFrame) -> pd.DataFrame:
    frame = features.copy()
    risk = fit_risk_model(features, main.labelled, MAIN_DAYS, SEED).predict(features)
    model = fit_value_model(features, main.labelled, MAIN_DAYS, INTERVAL_LEVEL, SEED)
    value = model.predict(features.assign(churn_probability=risk["churn_probability"]))
    for name, columns, found in (("risk", MAIN_RISK, risk), ("value", MAIN_VALUE, value)):
        for column in columns:
            new = f"{MAIN}{name}_{column}" if column == "abstain_reason" else f"{MAIN}{column}"
            frame[new] = found[column].to_numpy()
    return frame


def _violations(told: pd.DataFrame, model: OutlookModel, beside: pd.DataFrame) -> dict[int, float]:
    """Share of customers for whom the separate forecast of each horizon had to give way; none may be left after it."""
    alone = {risk.horizon_days: 1 - risk.predict(beside)["churn_probability"] for risk in model.risks}
    wide = told.pivot(index="customer_id", columns="horizon_days", values="churn_probability")
    if (np.diff(wide.to_numpy(), axis=1) > 0).any():
        raise ValueError("a longer horizon says less than a shorter one")
    return {days: float(np.mean(np.abs(1 - wide[days].to_numpy() - buys) > 1e-12)) for days, buys in alone.items()}


def _own(row: Row) -> pd.DataFrame:
    """The forecast as if the horizon were the main one."""
    data = labelled_data(row)
    features = by_customer(data.features)
    risk = fit_risk_model(features, data.labelled, row.horizon_days, SEED).predict(features)
    model = fit_value_model(features, data.labelled, row.horizon_days, INTERVAL_LEVEL, SEED)
    value = model.predict(features.assign(churn_probability=risk["churn_probability"]))
    return value.assign(churn_probability=risk["churn_probability"])


def _pareto_nbd(features: pd.DataFrame, days: int, actual: pd.DataFrame) -> dict[str, float]:
    try:
        purchases = fit_purchases(features)
    except NotEnoughData:
        return {}
    history = purchase_history(features)
    buys, orders = purchases.purchase_probability(*history, days), purchases.expected_purchases(*history, days)
    return _of(actual, buys, orders)


def _scores(told: pd.DataFrame, actual: pd.DataFrame) -> dict[str, float]:
    found = _of(actual, 1 - numbers(told["churn_probability"]), numbers(told["expected_orders"]))
    for target in ("orders", "spend"):
        known = numbers(actual[f"actual_{target}"])
        lower, upper = (numbers(told[f"expected_{target}_{end}"]) for end in ("lower", "upper"))
        if np.isfinite(upper).all():
            found[f"{target} covered"] = float(np.mean((lower <= known) & (known <= upper)))
    return found


def _of(actual: pd.DataFrame, buys: Floats, orders: Floats) -> dict[str, float]:
    bought, known = ~actual["has_churned"].to_numpy(bool), numbers(actual["actual_orders"])
    if not np.isfinite(buys).all():
        return {}
    return {
        "log_loss": float(log_losses(bought, buys).mean()),
        "orders rmse": float(np.sqrt(np.mean((orders - known) ** 2))),
        "orders level": float(np.log(max(orders.sum(), 1e-9) / max(known.sum(), 1e-9))),
    }


def summary(found: list[dict[str, Any]]) -> str:
    """A table of each row, and the means for each horizon."""
    lines = []
    for one in found:
        ours, own, btyd = one["outlook"], one["own"], one["Pareto/NBD"]
        line = {name: one[name] for name in ("log", "as_of", "horizon_days", "customers", "is_extrapolated")}
        line["contradicted"] = one["contradicted"]
        for name, other in (("own", own), ("Pareto/NBD", btyd)):
            for metric in ("log_loss", "orders rmse"):
                if metric in ours and metric in other:
                    line[f"{metric} / {name}"] = ours[metric] / other[metric]
        line["level"] = ours.get("orders level")
        line |= {name: ours.get(name) for name in ("orders covered", "spend covered")}
        lines.append(line)
    frame = pd.DataFrame(lines)
    measured = frame.drop(columns=["log", "as_of", "customers"])
    means = measured.groupby(["horizon_days", "is_extrapolated"]).agg("mean")
    means.insert(0, "rows", measured.groupby(["horizon_days", "is_extrapolated"]).size())
    parts = (
        means.reset_index().to_markdown(index=False, floatfmt=".3f"),
        frame.to_markdown(index=False, floatfmt=".3f"),
    )
    return "# The outlook over each horizon\n\n" + "\n\n".join(parts) + "\n"


def _measured(log: str) -> Iterator[dict[str, Any]]:
    last = last_day(log)
    for as_of in sorted({row.as_of for row in ROWS if row.log == log}):
        known = [days for days in FURTHER_DAYS if as_of + timedelta(days=days - 1) <= last]
        if known:
            with threadpool_limits(1):
                yield from measure(Row(log, as_of, MAIN_DAYS), known)


if __name__ == "__main__":
    run("outlook", __doc__, _measured, summary)
