"""How good matured predictions were: the model beside the naive baseline, overall and by slice.

Metrics, all on the customers for whom the model offered a prediction:

- orders and spend: ``mae``, ``rmse``, ``bias`` (mean predicted less mean actual), ``total_ratio`` (sum predicted over
  sum actual), ``spearman`` (rank correlation), ``gini`` (normalised Gini: 1 ranks customers perfectly, 0 at random).
  For the model's intervals ``coverage``, ``mean_interval_width``, and ``interval_score``, which rewards narrow
  intervals and punishes misses (lower is better; Gneiting, T. and Raftery, A. E. (2007), "Strictly Proper Scoring
  Rules, Prediction, and Estimation", JASA 102(477), eq. 43).
- churn: ``brier``, ``log_loss``, ``auc``, ``ece`` (expected calibration error over 10 bins of equal frequency),
  ``base_rate`` (share that churned).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.risk import log_loss

Floats = NDArray[np.float64]

_CALIBRATION_BINS = 10
_DECIMALS = 6  # to which predictions are compared with one another
_TENURE_EDGES = [90, 180, 365]
_TENURE_BANDS = np.array(["0-89 days", "90-179 days", "180-364 days", "365+ days"], dtype=object)
_AMOUNT_TARGETS = (
    ("orders", "actual_orders", "expected_orders", "naive_expected_orders"),
    ("spend", "actual_spend", "expected_spend", "naive_expected_spend"),
)


_BOUNDS = ("lower", "upper")
_MEASURED = (
    *(name for _, *names in _AMOUNT_TARGETS for name in names),
    *(f"{model}_{bound}" for _, _, model, _ in _AMOUNT_TARGETS for bound in _BOUNDS),
    *("has_churned", "churn_probability", "naive_churn_probability"),
)


def measure(outcomes: pd.DataFrame, interval_level: float) -> pd.DataFrame:
    """Rows of contract table ``model_performance`` for one snapshot that matured.

    Slices: ``all``; ``value_decile`` (of expected spend, or of orders where spend is not predicted; 1 is lowest),
    ``segment``, ``tenure`` and ``confidence_decile``. A metric that is not defined, such as a rank correlation where
    all are alike, is null; a slice without a customer is not listed.

    Args:
        outcomes: rows of contract table ``prediction_outcomes`` with one ``matured_as_of`` and one ``as_of``.
        interval_level: coverage the prediction intervals were made for, in (0, 1).

    Raises:
        ValueError: the rows are of more than one snapshot.
    """
    columns = list(TABLES["model_performance"].columns)
    if outcomes.empty:
        return pd.DataFrame(columns=columns)
    if len(outcomes[["matured_as_of", "as_of"]].drop_duplicates()) > 1:
        raise ValueError("expected the outcomes of one snapshot")
    outcomes = by_customer(outcomes)
    known = {name: numbers(outcomes[name]) for name in _MEASURED}
    records = [
        (target, predictor, slice_name, slice_value, metric, value, customer_count)
        for slice_name, slice_value, rows in _slices(outcomes)
        for target, predictor, customer_count, metrics in _targets(
            {name: values[rows] for name, values in known.items()}, interval_level
        )
        for metric, value in metrics.items()
    ]
    performance = pd.DataFrame(records, columns=columns[2:])
    performance.insert(0, "as_of", outcomes["as_of"].iloc[0])
    performance.insert(0, "matured_as_of", outcomes["matured_as_of"].iloc[0])
    return performance.astype({"metric_value": "float64", "customer_count": "int64"})


def _slices(outcomes: pd.DataFrame) -> Iterator[tuple[str, str, NDArray[np.intp]]]:
    """Name, value and row numbers of each slice that holds customers."""
    yield "all", "all", np.arange(len(outcomes))
    spend = numbers(outcomes["expected_spend"])
    value = spend if np.isfinite(spend).any() else numbers(outcomes["expected_orders"])
    groups = {
        "value_decile": _decile_names(value),
        "segment": outcomes["segment_name"].to_numpy(object),
        "tenure": _TENURE_BANDS[np.searchsorted(_TENURE_EDGES, numbers(outcomes["t_days"]), side="right")],
        "confidence_decile": _decile_names(numbers(outcomes["confidence"])),
    }
    for slice_name, group in groups.items():
        for slice_value, rows in pd.Series(group).groupby(group).indices.items():
            yield slice_name, str(slice_value), np.asarray(rows)


def decile(values: Floats) -> NDArray[np.int64]:
    """Tenth of the known values that each belongs to, shape (n,): 1 lowest to 10, and 0 where unknown (NaN).

    Equal values share a tenth, the lowest one of theirs.
    """
    deciles = np.zeros(values.size, dtype=np.int64)
    is_known = np.isfinite(values)
    rank = rankdata(values[is_known].round(_DECIMALS), method="min")
    deciles[is_known] = np.ceil(rank * 10 / max(rank.size, 1))
    return deciles


def _decile_names(values: Floats) -> NDArray[np.object_]:
    """Deciles as text, None where unknown."""
    deciles = decile(values)
    return np.where(deciles > 0, deciles.astype(str).astype(object), np.array(None, dtype=object))


def _targets(outcomes: Mapping[str, Floats], interval_level: float) -> Iterator[tuple[str, str, int, dict[str, float]]]:
    """Target, predictor, number of customers and metrics, for each target that the model predicted for anyone."""
    for target, actual_column, model_column, naive_column in _AMOUNT_TARGETS:
        actual, predicted = outcomes[actual_column], outcomes[model_column]
        is_predicted = np.isfinite(actual) & np.isfinite(predicted)
        if not is_predicted.any():
            continue
        actual, predicted = actual[is_predicted], predicted[is_predicted]
        lower, upper = (outcomes[f"{model_column}_{bound}"][is_predicted] for bound in _BOUNDS)
        metrics = amount_metrics(actual, predicted) | interval_metrics(actual, lower, upper, interval_level)
        yield target, "model", actual.size, metrics
        naive = outcomes[naive_column][is_predicted]
        if np.isfinite(naive).all():
            yield target, "naive", actual.size, amount_metrics(actual, naive)

    predicted = outcomes["churn_probability"]
    is_predicted = np.isfinite(predicted)
    if is_predicted.any():
        has_churned = outcomes["has_churned"][is_predicted] == 1
        yield "churn", "model", has_churned.size, probability_metrics(has_churned, predicted[is_predicted])
        naive = outcomes["naive_churn_probability"][is_predicted]
        if np.isfinite(naive).all():
            yield "churn", "naive", has_churned.size, probability_metrics(has_churned, naive)


def amount_metrics(actual: Floats, predicted: Floats) -> dict[str, float]:
    """Metrics of predicted amounts or counts, both of shape (n,) with n at least 1."""
    error = predicted - actual
    total = float(actual.sum())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "bias": float(error.mean()),
        "total_ratio": float(predicted.sum()) / total if total else np.nan,
        "spearman": _spearman(actual, predicted),
        "gini": normalised_gini(actual, predicted),
    }


def interval_metrics(actual: Floats, lower: Floats, upper: Floats, level: float) -> dict[str, float]:
    """Metrics of intervals of nominal coverage ``level``; none where there are no intervals. Arrays of shape (n,)."""
    has_interval = np.isfinite(lower) & np.isfinite(upper)
    if not has_interval.any():
        return {}
    y, low, high = actual[has_interval], lower[has_interval], upper[has_interval]
    width = high - low
    miss = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return {
        "coverage": float(np.mean((low <= y) & (y <= high))),
        "mean_interval_width": float(width.mean()),
        "interval_score": float(np.mean(width + 2 / (1 - level) * miss)),
    }


def probability_metrics(is_event: NDArray[np.bool_], probability: Floats) -> dict[str, float]:
    """Metrics of probabilities in [0, 1], both of shape (n,) with n at least 1."""
    is_one_class = bool(is_event.all() or not is_event.any())
    return {
        "brier": float(np.mean((probability - is_event) ** 2)),
        "log_loss": log_loss(probability, is_event),
        "auc": np.nan if is_one_class else _auc(is_event, probability),
        "ece": expected_calibration_error(probability, is_event),
        "base_rate": float(is_event.mean()),
    }


def _auc(is_event: NDArray[np.bool_], score: Floats) -> float:
    """Area under the ROC curve from ranks (Hanley and McNeil 1982); scikit-learn's takes ten times as long a slice."""
    events = int(is_event.sum())
    rank_sum = float(_ranks(score)[is_event].sum())
    return (rank_sum - events * (events + 1) / 2) / (events * (len(score) - events))


def normalised_gini(actual: Floats, predicted: Floats) -> float:
    """Gini of the actual amounts ranked by prediction, over their Gini ranked by themselves; in [-1, 1].

    Customers with equal predictions share their amounts, so that their order does not matter. NaN where the total is
    not positive or all actual amounts are equal.
    """
    if actual.sum() <= 0 or np.ptp(actual) == 0:
        return float("nan")
    # A Gini is 2 cov(amount, mid-rank) / (n mean); what does not depend on the order cancels out.
    by_prediction, by_itself = (float(np.dot(actual - actual.mean(), rankdata(score))) for score in (predicted, actual))
    return by_prediction / by_itself


def expected_calibration_error(probability: Floats, is_event: NDArray[np.bool_] | Floats) -> float:
    """Mean distance of mean probability and event share over 10 bins of equal frequency, fewer if values tie.

    Equal probabilities stay in one bin. Naeini, M. P., Cooper, G. F. and Hauskrecht, M. (2015), "Obtaining Well
    Calibrated Probabilities Using Bayesian Binning", AAAI.
    """
    probability = probability.round(_DECIMALS)
    edges = np.unique(np.quantile(probability, np.arange(1, _CALIBRATION_BINS) / _CALIBRATION_BINS))
    group = np.searchsorted(edges, probability, side="right")
    gaps = np.bincount(group, probability - is_event)
    return float(np.abs(gaps).sum() / probability.size)


def _ranks(values: Floats) -> Floats:
    """Ranks from 1, ties shared; values that differ in the last bits of a sum alone are ties."""
    ranks: Floats = rankdata(values.round(_DECIMALS))
    return ranks


def _spearman(left: Floats, right: Floats) -> float:
    """Rank correlation; NaN where either is constant."""
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(left), _ranks(right))[0, 1])
