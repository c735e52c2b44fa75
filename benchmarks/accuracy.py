"""How good the forecast is on a panel of logs, beside the baselines of the field, under one protocol.

``python -m benchmarks.accuracy [--logs cdnow ...] [--jobs 2]`` prints a line a row, and the summary that the
methodology quotes; it keeps all of it in ``benchmarks/results/accuracy/``, as JSON and Markdown.

The protocol: at ``as_of`` only lines before it exist. A model learns only from outcomes that were known by then: ours
from the snapshots the pipeline would take from a grid of 30 days back, from the latest whose horizon had passed and
from the latest whose half horizon had; the baselines that learn from the latest five whose horizon had passed, or half
of it where the log is shorter. Scored are all customers who bought before ``as_of``. Orders are purchase days. The
truth is gross, as published results have it: only purchases count, returns are not netted. Our models, which predict
net spend, learn from the same log without returns.

Ours stands beside the best baseline of each row and metric, chosen in hindsight.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from benchmarks.panel.baselines import Forecast, baselines
from benchmarks.panel.data import Data, each_row
from benchmarks.panel.logs import ROWS
from benchmarks.panel.run import RESULTS
from benchmarks.scores import activity_scores, mean_by_decile, order_scores, poisson_deviance, resamples, spend_scores
from genome_pipeline.models.confidence import score_confidence
from genome_pipeline.models.forecast.errors import LARGEST, Forecasts, realised_errors
from genome_pipeline.models.forecast.risk import fit_risk_model
from genome_pipeline.models.forecast.value import fit_value_model
from genome_pipeline.models.genes import by_customer, numbers

Floats = NDArray[np.float64]

SEED = 0
INTERVAL_LEVEL = 0.8
RESAMPLES = 100
_LEAST_DECILE = 0.75
"""Coverage of the other deciles where the least possible coverage of all is asked for."""

_DECILE_CUSTOMERS = 300
"""Customers of a decile from which its coverage is judged."""

SMALL = 1_000
"""Customers below which a row counts as small."""

_HALF_YEAR_DAYS = 183

_JUDGED: dict[str, Callable[..., str]] = {
    "activity log_loss": min,
    "activity auc": max,
    "orders rmse": min,
    "spend gini": max,
    "spend deviance": min,
}
"""Metrics that ours is judged by, and which of two values is the better."""


def measure(data: Data) -> dict[str, Any]:
    """Scores of all predictors on one row, as JSON can hold them."""
    begun = time.perf_counter()
    with threadpool_limits(1):  # on a busy machine boosting waits longer for threads than they save
        ours, reliability = _ours(data)
        forecasts = {"ours": ours, **baselines(data)}
    weights = resamples(len(data.actual), RESAMPLES, SEED)
    return {
        "row": data.row.name,
        "log": data.row.log,
        "as_of": str(data.row.as_of),
        "horizon_days": data.row.horizon_days,
        "log_days": data.log_days,
        "customers": len(data.actual),
        "active_share": float(1 - data.actual["has_churned"].mean()),
        **reliability,
        "scores": {name: _scores(forecast, data.actual, weights) for name, forecast in forecasts.items()},
        "seconds": round(time.perf_counter() - begun, 1),
    }


def _ours(data: Data) -> tuple[Forecast, dict[str, Any]]:
    """What the pipeline would predict, whether it agrees with itself, and how far it can be relied on."""
    horizon_days, features = data.row.horizon_days, by_customer(data.features)
    risk = fit_risk_model(features, data.labelled, horizon_days, SEED).predict(features)
    churn = numbers(risk["churn_probability"])
    model = fit_value_model(features, data.labelled, horizon_days, INTERVAL_LEVEL, SEED)
    value = model.predict(features.assign(churn_probability=churn))
    orders, spend = numbers(value["expected_orders"]), numbers(value["expected_spend"])
    retained, amount = numbers(value["orders_if_retained"]), numbers(value["spend_per_order_amount"])
    coverage: dict[str, Any] = {}
    for target, predicted in (("orders", orders), ("spend", spend)):
        actual = numbers(data.actual[f"actual_{target}"])
        lower, upper = (numbers(value[f"expected_{target}_{bound}"]) for bound in ("lower", "upper"))
        if np.isfinite(lower).all():
            is_covered = (lower <= actual) & (actual <= upper)
            coverage[target] = {
                "all": float(is_covered.mean()),
                "least_possible": _least_coverage(predicted, actual, churn >= 0.5),
                "deciles": mean_by_decile(predicted, is_covered),
            }
    beside = {name: value[name] for name in ("orders_if_retained", "spend_per_order_amount")}
    reasons = {"value_abstain_reason": None, "risk_abstain_reason": None}
    confidence = score_confidence(model, features.assign(churn_probability=churn, **beside, **reasons))
    errors = realised_errors(Forecasts(1 - churn, retained, amount), data.actual)
    ranks = {
        f"{error} by {'its own' if name != 'confidence' else 'all'}": _rank(numbers(confidence[name]), errors[error])
        for error in errors
        for name in (f"{error}_confidence", "confidence")
    }
    recent, before = (numbers(features[f"{window}_spend_amount"]) for window in ("recent", "previous"))
    returned = numbers(features["frequency_count"]) > 0
    at_stake = churn * retained * amount
    usual = numbers(features["spend_amount"])
    return Forecast(1 - churn, orders, spend), {
        "coherence": {
            "orders_below_p": int(np.sum(orders < 1 - churn)),
            "largest_gap": float(np.max(np.abs(spend - (1 - churn) * retained * amount))),
            "at_stake_above_recent": float(np.mean((at_stake > np.maximum(recent, before))[returned])),
            "at_stake_above_all": float(np.mean((at_stake > usual)[returned])),
        },
        "coverage": coverage,
        "confidence_spearman": ranks,
    }


def _rank(confidence: Floats, error: Floats) -> float:
    """Rank correlation of the tenths of confidence with their mean errors."""
    by_decile = mean_by_decile(confidence, error)
    return float(spearmanr([*map(int, by_decile)], [*by_decile.values()]).statistic)


def _least_coverage(predicted: Floats, actual: Floats, is_nothing_likeliest: NDArray[np.bool_]) -> float:
    """Least average coverage of any intervals that hold the likeliest outcome, with no decile below a wanted one.

    Where a customer most likely buys nothing, an interval holds 0, and so covers all such customers who do.
    """
    by_decile = mean_by_decile(predicted, is_nothing_likeliest & (actual == 0))
    return float(np.mean([max(share, _LEAST_DECILE) for share in by_decile.values()]))


def _scores(forecast: Forecast, actual: pd.DataFrame, weights: Floats) -> dict[str, list[float]]:
    """Value and standard error of each metric; none of a target that is not predicted for everyone."""
    found: dict[str, Floats] = {}
    if forecast.activity is not None and np.isfinite(forecast.activity).all():
        is_active = ~actual["has_churned"].to_numpy(bool)
        found |= _named("activity", activity_scores(is_active, forecast.activity, weights))
    if forecast.orders is not None and np.isfinite(forecast.orders).all():
        found |= _named("orders", order_scores(numbers(actual["actual_orders"]), forecast.orders, weights))
    if forecast.spend is not None and np.isfinite(forecast.spend).all():
        known = numbers(actual["actual_spend"])
        with np.errstate(invalid="ignore"):  # a forecast that is the same for all has no ranks
            found |= _named("spend", spend_scores(known, forecast.spend, weights))
        found["spend deviance"] = poisson_deviance(known, forecast.spend, weights)
    return {
        metric: [float(values[0]), float(np.nanstd(values[1:], ddof=1))]
        for metric, values in found.items()
        if np.isfinite(values[0])
    }


def _named(target: str, scores: dict[str, Floats]) -> dict[str, Floats]:
    return {f"{target} {metric}": values for metric, values in scores.items()}


def compared(found: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """A line a row: ours beside the best baseline, as ratio or difference, and the level of ours."""
    lines = {}
    for one in found:
        ours = one["scores"]["ours"]
        line: dict[str, Any] = {"log": one["log"], "customers": one["customers"], "log_days": one["log_days"]}
        for metric, is_better in _JUDGED.items():
            others = {name: scores[metric][0] for name, scores in one["scores"].items() if metric in scores}
            others.pop("ours", None)
            if metric not in ours or not others:
                continue
            best = is_better(others, key=lambda name, others=others: others[name])
            mine = ours[metric][0]
            line[f"best {metric}"] = best
            line[metric] = mine - others[best] if is_better is max else mine / others[best]
        if "activity log_loss" in ours:
            line["log_loss"] = ours["activity log_loss"][0]
            if "MBG/NBD" in one["scores"]:
                line["over MBG/NBD"] = line["log_loss"] / one["scores"]["MBG/NBD"]["activity log_loss"][0]
        for target in ("orders", "spend"):
            for who, name in (("ours", target), ("Pareto/NBD", f"{target} Pareto/NBD")):
                metric = f"{target} total_ratio"
                if metric in one["scores"].get(who, {}):
                    line[f"level of {name}"] = float(np.log(max(one["scores"][who][metric][0], 1e-9)))
        lines[one["row"]] = line
    return pd.DataFrame(lines).T


def summary(found: Sequence[dict[str, Any]]) -> str:
    """The panel in numbers, as Markdown."""
    table = compared(found)
    numbers_of = {name: table[name].dropna().astype(float) for name in table.columns if name in _JUDGED}
    loss, auc, rmse = (numbers_of[name] for name in ("activity log_loss", "activity auc", "orders rmse"))
    gini, deviance = numbers_of["spend gini"], numbers_of["spend deviance"]
    large = table["customers"].astype(int) >= SMALL
    young = table["log_days"].astype(int) <= _HALF_YEAR_DAYS
    lines = [
        f"# The forecast on {len(table)} rows of {table['log'].nunique()} logs\n",
        "Beside the best baseline of each row, chosen in hindsight.\n",
        "| measure | mean | rows as good | worst |",
        "| --- | ---: | ---: | --- |",
        _line("log loss, ratio", loss, loss <= 1, False),
        _line("the same, 1,000 customers or more", loss[large], loss[large] <= 1, False),
        _line("AUC, difference (as good: -0.003)", auc, auc >= -0.003, True),
        _line("RMSE of orders, ratio", rmse, rmse <= 1, False),
        _line("Gini of spend, difference (as good: -0.005)", gini, gini >= -0.005, True),
        _line("Poisson deviance of spend, ratio", deviance, deviance <= 1, False),
    ]
    over = table["over MBG/NBD"].dropna().astype(float)
    first = over[~large.loc[over.index] | young.loc[over.index]]
    if len(first):
        lines.append(_line("log loss over MBG/NBD: small logs and first half-years", first, first <= 1.01, False))
    lines += ["", "| level: RMS of log(forecast / actual total) | ours | Pareto/NBD |", "| --- | ---: | ---: |"]
    for name, rows in (("all rows", slice(None)), ("first years", table["log_days"].astype(int) <= 365)):
        for target in ("orders", "spend"):
            cells = [
                f"{np.sqrt(np.mean(table.loc[rows, f'level of {who}'].dropna().astype(float) ** 2)):.3f}"
                for who in (target, f"{target} Pareto/NBD")
            ]
            lines.append(f"| {target}, {name} | {cells[0]} | {cells[1]} |")
    lines += ["", "| 80% intervals | rows | mean coverage | from 77 to 86%, or the least possible | least decile |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for target in ("orders", "spend"):
        lines.append(_coverage_line(target, found))
    lines += ["", "| rank correlation of tenth and error at most -0.9 | by its own confidence | by that in all |"]
    lines.append("| --- | ---: | ---: |")
    for name in LARGEST:
        shares = []
        for by in ("its own", "all"):
            ranks = np.array([one["confidence_spearman"][f"{name} by {by}"] for one in found])
            shares.append(f"{np.mean(ranks[np.isfinite(ranks)] <= -0.9):.0%}")
        lines.append(f"| {name} | {shares[0]} | {shares[1]} |")
    coherence = [one["coherence"] for one in found]
    lines += [
        "",
        f"Coherence, worst row: expected orders below P(buys) of {max(one['orders_below_p'] for one in coherence)}"
        f" customers, expected spend off p m a by {max(one['largest_gap'] for one in coherence):.1e},"
        " at stake above the better of the last two windows of"
        f" {max(one['at_stake_above_recent'] for one in coherence):.1%},"
        f" above all that was ever spent of {max(one['at_stake_above_all'] for one in coherence):.2%}"
        " of the customers with two or more purchase days.",
        "",
        "| row | customers | log loss | ratio | AUC | RMSE | Gini | deviance | level: orders, spend | best log loss |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for row, line in table.iterrows():
        cells = [
            f"{line.get(metric, np.nan):+.4f}" if is_better is max else f"{line.get(metric, np.nan):.3f}"
            for metric, is_better in _JUDGED.items()
        ]
        levels = ", ".join(f"{line.get(f'level of {target}', np.nan):+.2f}" for target in ("orders", "spend"))
        lines.append(
            f"| {row} | {line['customers']:,} | {line.get('log_loss', np.nan):.4f} | {cells[0]} | {cells[1]}"
            f" | {cells[2]} | {cells[3]} | {cells[4]} | {levels} | {line.get('best activity log_loss', '')} |"
        )
    return "\n".join([*lines, ""])


def _line(name: str, values: pd.Series[Any], is_good: pd.Series[bool], is_largest_best: bool) -> str:
    worst = values.nsmallest(3) if is_largest_best else values.nlargest(3)
    told = ", ".join(f"{row} {value:.3f}" for row, value in worst.items())
    return f"| {name} | {values.mean():.4f} | {is_good.mean():.0%} of {len(values)} | {told} |"


def _coverage_line(target: str, found: Sequence[dict[str, Any]]) -> str:
    known = {one["row"]: (one["coverage"][target], one["customers"]) for one in found if target in one["coverage"]}
    mean = float(np.mean([coverage["all"] for coverage, _ in known.values()]))
    held = [0.77 <= coverage["all"] <= max(0.86, coverage["least_possible"] + 0.03) for coverage, _ in known.values()]
    deciles = {
        f"{row} decile {decile}": share
        for row, (coverage, customers) in known.items()
        if customers >= 10 * _DECILE_CUSTOMERS
        for decile, share in coverage["deciles"].items()
    }
    low = min(deciles, key=lambda name: deciles[name], default="")
    told = f"{np.mean([share >= 0.74 for share in deciles.values()]):.0%} of {len(deciles)} at 74% or more"
    return (
        f"| {target} | {len(known)} | {mean:.1%} | {np.mean(held):.0%} | {told};"
        f" least {deciles.get(low, np.nan):.1%} ({low}) |"
    )


def _measured(log: str) -> list[dict[str, Any]]:
    """All rows of one log, each told as it is done."""
    found = []
    for data in each_row([row for row in ROWS if row.log == log]):
        found.append(measure(data))
        one = compared(found[-1:]).iloc[0]
        told = ", ".join(f"{metric} {one[metric]:.3f}" for metric in _JUDGED if metric in one)
        print(f"{found[-1]['row']}: {told} ({found[-1]['seconds']} s)", flush=True)
    return found


def main() -> None:
    """Measure, print and store."""
    logs = list(dict.fromkeys(row.log for row in ROWS))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", nargs="+", choices=logs, default=logs)
    parser.add_argument("--jobs", type=int, default=2, help="logs measured at the same time")
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.jobs) as pool:
        found = [one for rows in pool.map(_measured, asked.logs) for one in rows]
    if not found:
        return
    text = summary(found)
    print(text)
    if asked.logs == logs:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "rows.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
