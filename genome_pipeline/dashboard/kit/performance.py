"""The backtest in words: each measure of the model beside the naive baseline, with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from genome_pipeline.dashboard.kit import formats


@dataclass(frozen=True)
class Metric:
    """A measure of prediction quality: what it is called, what it says, and which way is better."""

    name: str
    description: str
    lower_is_better: bool | None = None
    kind: Literal["same", "share", "score"] = "score"
    """Unit of the measure: that of its target, a share, or none."""


METRICS = {
    "mae": Metric("Mean absolute error", "Mean distance between prediction and outcome.", True, "same"),
    "rmse": Metric("Root mean squared error", "As the mean absolute error, but large errors weigh more.", True, "same"),
    "poisson_deviance": Metric("Poisson deviance", "Error that large customers do not rule.", True),
    "bias": Metric("Bias", "Mean of prediction less outcome; 0 is best.", None, "same"),
    "total_ratio": Metric("Predicted over realised", "Sum of predictions over sum of outcomes; 1 is best."),
    "gini": Metric("Normalised Gini", "How well predictions rank customers: 1 is perfect, 0 is chance.", False),
    "spearman": Metric("Rank correlation", "Spearman correlation of prediction and outcome.", False),
    "coverage": Metric("Interval coverage", "Share of outcomes within the prediction interval.", None, "share"),
    "inner_coverage": Metric(
        "Coverage without the upper bound",
        "Share of outcomes within the interval and below its upper bound.",
        None,
        "share",
    ),
    "least_coverage": Metric(
        "Least coverage", "What the narrowest intervals that hold the likeliest outcome would cover.", None, "share"
    ),
    "mean_interval_width": Metric("Interval width", "Mean width of the prediction interval.", None, "same"),
    "interval_score": Metric("Interval score", "Width of the interval plus a penalty for each miss.", True, "same"),
    "brier": Metric("Brier score", "Mean squared error of the probability.", True),
    "log_loss": Metric("Log loss", "Mean negative log likelihood of what happened.", True),
    "auc": Metric("AUC", "Probability that a customer who leaves is ranked above one who stays.", False),
    "ece": Metric("Calibration error", "Mean distance between probability and frequency, in ten equal groups.", True),
    "base_rate": Metric("Churned", "Share of customers without a purchase within the horizon.", None, "share"),
    "predicted_rate": Metric("Predicted to churn", "Mean churn probability.", None, "share"),
    "expected_brier": Metric("Expected Brier score", "The Brier score of such probabilities if they are calibrated."),
    "mean_lower_bound": Metric("Lower bound", "Mean lower bound of the churn probability.", None, "share"),
    "mean_upper_bound": Metric("Upper bound", "Mean upper bound of the churn probability.", None, "share"),
    "log_loss_excess": Metric("Log loss above the naive one", "Mean difference; below 0 the model is better."),
    "log_loss_excess_standard_error": Metric("Its standard error", "Of the mean difference of log losses."),
    "squared_error_excess": Metric(
        "Squared error above the naive one", "Mean difference; below 0 the model is better."
    ),
    "squared_error_excess_standard_error": Metric("Its standard error", "Of the mean difference of squared errors."),
    "poisson_deviance_excess": Metric("Deviance above the naive one", "Mean difference; below 0 the model is better."),
    "poisson_deviance_excess_standard_error": Metric("Its standard error", "Of the mean difference of deviances."),
    "confidence_error_ratio": Metric(
        "Error weighted by confidence", "Over the mean error: below 1 the error falls as confidence rises."
    ),
    "confidence_p_value": Metric(
        "Chance, confidence dealt anew", "Probability that the error falls as far with confidence of others."
    ),
    "outcome_p_value": Metric(
        "Chance, outcomes dealt anew", "Probability that the error falls as far with outcomes of others."
    ),
}
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
    return "No snapshot had matured yet, so no prediction could be held against what happened."


def _comparison(row: pd.Series, currency: str | None, interval_level: float) -> Comparison:
    # A measure without an entry speaks for itself and gets no verdict.
    metric = METRICS.get(row["metric"], Metric(row["metric"].replace("_", " ").capitalize(), ""))
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
        metric.name,
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
