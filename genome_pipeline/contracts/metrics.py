"""The metrics of accuracy: the name of each, its meaning, and which direction is better.

``model_performance`` holds them by name; :mod:`genome_pipeline.models.performance` documents how each is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """One metric; ``name`` is its name within a sentence."""

    name: str
    description: str
    lower_is_better: bool | None = None
    kind: Literal["same", "share", "score"] = "score"
    """Unit of the metric: that of its target, a share, or none."""

    @property
    def title(self) -> str:
        """Its name at the start of a line."""
        return self.name[0].upper() + self.name[1:]


CUSTOMER_ERRORS = {"log_loss": "log loss", "squared_error": "squared error", "poisson_deviance": "Poisson deviance"}
"""Errors of single customers, by which the model is compared with the naive baseline; with their names in words."""


def _excess(error: str) -> Iterator[tuple[str, Metric]]:
    words = CUSTOMER_ERRORS[error]
    yield f"{error}_excess", Metric(f"{words} above the naive one", "Mean difference; below 0 the model is better.")
    yield f"{error}_excess_standard_error", Metric("its standard error", f"Of the mean difference in {words}.")


METRICS = {
    "mae": Metric("mean absolute error", "Mean distance between prediction and outcome.", True, "same"),
    "rmse": Metric("root mean squared error", "As the mean absolute error, but large errors weigh more.", True, "same"),
    "poisson_deviance": Metric("Poisson deviance", "Error that large customers do not rule.", True),
    "bias": Metric("bias", "Mean of prediction less outcome; 0 is best.", None, "same"),
    "total_ratio": Metric("predicted over realised", "Sum of predictions over sum of outcomes; 1 is best."),
    "gini": Metric("normalised Gini", "How well predictions rank customers: 1 is perfect, 0 is chance.", False),
    "spearman": Metric("rank correlation", "Spearman correlation of prediction and outcome.", False),
    "coverage": Metric("interval coverage", "Share of outcomes within the prediction interval.", None, "share"),
    "inner_coverage": Metric(
        "coverage without the upper bound",
        "Share of outcomes within the interval and below its upper bound.",
        None,
        "share",
    ),
    "least_coverage": Metric(
        "least coverage", "What the narrowest intervals that hold the likeliest outcome would cover.", None, "share"
    ),
    "mean_interval_width": Metric("interval width", "Mean width of the prediction interval.", None, "same"),
    "interval_score": Metric("interval score", "Width of the interval plus a penalty for each miss.", True, "same"),
    "brier": Metric("Brier score", "Mean squared error of the probability.", True),
    "log_loss": Metric("log loss", "Mean negative log likelihood of what happened.", True),
    "auc": Metric("AUC", "Probability that a customer who leaves is ranked above one who stays.", False),
    "ece": Metric("calibration error", "Mean distance between probability and frequency, in ten equal groups.", True),
    "base_rate": Metric("churned", "Share of customers without a purchase within the horizon.", None, "share"),
    "predicted_rate": Metric("predicted to churn", "Mean churn probability.", None, "share"),
    "expected_brier": Metric("expected Brier score", "The Brier score of such probabilities if they are calibrated."),
    "mean_lower_bound": Metric("lower bound", "Mean lower bound of the churn probability.", None, "share"),
    "mean_upper_bound": Metric("upper bound", "Mean upper bound of the churn probability.", None, "share"),
    **{name: metric for error in CUSTOMER_ERRORS for name, metric in _excess(error)},
    "confidence_error_ratio": Metric(
        "error weighted by confidence", "Over the mean error: below 1 the error falls as confidence rises."
    ),
    "confidence_p_value": Metric(
        "chance, confidence permuted", "Probability that the error falls as far with confidence of others."
    ),
    "outcome_p_value": Metric(
        "chance, outcomes permuted", "Probability that the error falls as far with outcomes of others."
    ),
}
"""Every metric by its name in ``model_performance``, in the order in which they are shown."""
