"""The backtest in words: each measure of the model beside the naive baseline, with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from genome_pipeline.contracts.metrics import METRICS, Metric
from genome_pipeline.dashboard.kit import formats

HEADLINE_METRICS = ("mae", "gini", "coverage", "brier", "auc", "ece")
"""One measure of error, of ranking and of honesty for each target."""

TARGETS = {"spend": "Spend", "orders": "Orders", "churn": "Churn"}

_ORDER = {name: position for position, name in enumerate((*TARGETS, *METRICS))}
_NOTICEABLE_GAIN = 0.005


@dataclass(frozen=True)
class Comparison:
    """One measure, ready to show; ``tone`` is ``good``, ``bad`` or ``plain``."""

    target: str
    measure: str
    description: str
    model: str
    naive: str
    verdict: str
    tone: str


def compare(performance: pd.DataFrame, currency: str | None, interval_level: float) -> Sequence[Comparison]:
    """Measures of the model and of the baseline, a row each, in words: value first, churn last."""
    ordered = performance.sort_values(
        ["target", "metric"], key=lambda names: names.map(_ORDER).fillna(len(_ORDER)), kind="stable"
    )
    return [_comparison(row, currency, interval_level) for _, row in ordered.iterrows()]


def no_performance(has_matured: bool) -> str:
    """Why there is nothing to compare."""
    if has_matured:
        return "Outcomes are known, but the file holds no measures of them: model_performance is empty."
    return "No snapshot had matured yet, so no prediction could be compared with what happened."


def _comparison(row: pd.Series, currency: str | None, interval_level: float) -> Comparison:
    # A measure without an entry needs no verdict.
    metric = METRICS.get(row["metric"], Metric(row["metric"].replace("_", " "), ""))
    model, naive = row["model"], row["naive"]
    verdict, tone = "", "plain"
    if row["metric"] == "coverage":
        verdict = f"aim: {formats.percent(interval_level, 0)}"
    elif metric.lower_is_better is not None and not (formats.is_missing(model) or formats.is_missing(naive)) and naive:
        gain = (naive - model if metric.lower_is_better else model - naive) / abs(naive)
        if gain > _NOTICEABLE_GAIN:
            verdict, tone = f"✓ {gain:.0%} better", "good"
        elif gain < -_NOTICEABLE_GAIN:
            verdict, tone = f"✗ {-gain:.0%} worse", "bad"
        else:
            verdict = "= as good"
    return Comparison(
        TARGETS.get(row["target"], row["target"]),
        metric.title,
        metric.description,
        _written(model, metric, row["target"], currency),
        _written(naive, metric, row["target"], currency),
        verdict,
        tone,
    )


def _written(value: float | None, metric: Metric, target: str, currency: str | None) -> str:
    if metric.kind == "share":
        return formats.percent(value)
    if metric.kind == "same" and target == "spend":
        return formats.money(value, currency)
    return formats.decimal(value, 3)
