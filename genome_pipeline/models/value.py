"""Orders and spend expected of each customer within the horizon, with prediction intervals.

Candidates and how they are compared: :mod:`genome_pipeline.models.selection`. The criterion is the share of Poisson
deviance explained, D2 = 1 - deviance(actual, predicted) / deviance(actual, mean actual), averaged over orders and
spend. Deviance is consistent for the mean, which is what is predicted, whatever the distribution (Gneiting, T. (2011),
"Making and Evaluating Point Forecasts", JASA 106(494), 746-762). Absolute error is not: it favours a median, which is
0 for most customers. Unlike squared error, deviance is not ruled by the few largest customers. Mean absolute errors
are recorded beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.boosting import Boosted, fit_mean
from genome_pipeline.models.btyd import GammaGamma, MbgNbd, NotEnoughData, fit_gamma_gamma, fit_mbg_nbd
from genome_pipeline.models.conformal import ConformalIntervals, fit_intervals
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.selection import (
    CandidateRow,
    Fits,
    Part,
    Trial,
    abstention,
    candidate_table,
    choose,
    mean_prediction,
)
from genome_pipeline.models.snapshots import (
    LEVEL_WEIGHT,
    MINIMUM_CUSTOMERS,
    LabelledSnapshot,
    model_matrix,
    pooled_rows,
    purchase_history,
    snapshot_date,
    usable_snapshots,
    year_before,
)

Floats = NDArray[np.float64]

CANDIDATES = ("naive", "btyd", "boosting", "naive+btyd", "btyd+boosting", "naive+btyd+boosting")
"""Simplest first."""

NO_AMOUNTS = "no amounts in the source: spend is not predicted"
NOT_MATURED = "no snapshot has matured yet: intervals need one"

_NO_LEVELS = (1.0, 1.0)

_DEVIANCE_FLOOR_SHARE = 0.01
"""Share of the mean actual that a prediction counts as at least: a prediction of 0 would have infinite deviance."""


def naive_value(features: pd.DataFrame, horizon_days: int) -> tuple[Floats, Floats]:
    """Baseline of expected orders and spend: the recent window scaled to the horizon, each of shape (customers,).

    Spend is at least 0, and NaN where the source has no amounts.
    """
    window = numbers(features["recent_window_days"])
    scale = np.divide(float(horizon_days), window, out=np.zeros_like(window), where=window > 0)
    spend = np.maximum(numbers(features["recent_spend_amount"]), 0.0)
    return numbers(features["recent_purchase_day_count"]) * scale, spend * scale


def deviance_explained(actual: Floats, predicted: Floats) -> float:
    """Share of Poisson deviance explained (D2): 1 is perfect, 0 as good as the mean actual; NaN where all are equal.

    Negative actuals count as 0, and predictions as at least 1% of the mean actual.
    """
    actual = np.maximum(actual, 0.0)
    if actual.size == 0 or np.ptp(actual) == 0:
        return float("nan")
    mean = np.full_like(actual, actual.mean())
    return 1.0 - _deviance(actual, np.maximum(predicted, _DEVIANCE_FLOOR_SHARE * mean)) / _deviance(actual, mean)


def _deviance(actual: Floats, predicted: Floats) -> float:
    """Half the mean Poisson deviance."""
    ratio = np.where(actual > 0, actual, predicted) / predicted
    return float(np.mean(actual * np.log(ratio) - actual + predicted))


@dataclass(frozen=True)
class NaiveValue:
    """The baseline of :func:`naive_value`: nothing is fitted."""

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Expected orders and spend, shape (2, customers)."""
        return np.stack(naive_value(features, horizon_days))

    def parameters(self) -> None:
        """There are none."""


@dataclass(frozen=True)
class BtydValue:
    """MBG/NBD for orders and, where the source has amounts, the mean amount of a purchase day.

    ``amount`` is None where Gamma-Gamma could not be fitted; then everyone has the mean gross amount ``mean_amount``
    (None without amounts). Monetary values are before returns: ``net_share`` is the share of gross amounts kept.
    """

    purchases: MbgNbd
    amount: GammaGamma | None
    mean_amount: float | None
    net_share: float

    @classmethod
    def fit(cls, features: pd.DataFrame) -> BtydValue:
        """Fit on ``customer_features`` of one snapshot, sorted by customer. Raises :class:`NotEnoughData`."""
        purchases = fit_mbg_nbd(*purchase_history(features))
        spend = numbers(features["spend_amount"])
        is_known = np.isfinite(spend)
        if not is_known.any():
            return cls(purchases, None, None, 1.0)
        net = max(float(np.sum(spend[is_known])), 0.0)
        gross = net + float(np.nansum(numbers(features["return_amount"])[is_known]))
        days = float(np.sum(numbers(features["purchase_day_count"])[is_known]))
        try:
            amount = fit_gamma_gamma(numbers(features["frequency_count"]), numbers(features["monetary_value_amount"]))
        except NotEnoughData:
            amount = None
        return cls(purchases, amount, gross / days, net / gross if gross > 0 else 1.0)

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Expected orders and spend, shape (2, customers); spend is NaN without amounts."""
        x, t_x, t = purchase_history(features)
        orders = self.purchases.expected_purchases(x, t_x, t, horizon_days)
        if self.amount is not None:
            mean_amount = self.amount.mean_amount(x, numbers(features["monetary_value_amount"]))
        else:
            mean_amount = np.full_like(orders, np.nan if self.mean_amount is None else self.mean_amount)
        return np.stack([orders, orders * mean_amount * self.net_share])

    def parameters(self) -> dict[str, Any]:
        """The fitted parameters, as JSON can hold them."""
        return {
            "purchases": self.purchases.to_dict(),
            "amount": None if self.amount is None else self.amount.to_dict(),
            "mean_amount": self.mean_amount,
            "net_share": self.net_share,
        }

    @classmethod
    def from_parameters(cls, state: dict[str, Any]) -> BtydValue:
        """Inverse of :meth:`parameters`."""
        amount = None if state["amount"] is None else GammaGamma.from_dict(state["amount"])
        return cls(MbgNbd.from_dict(state["purchases"]), amount, state["mean_amount"], state["net_share"])


@dataclass(frozen=True)
class BoostingValue:
    """Gradient boosting of orders and, where the source has amounts, of spend.

    What the trees learn is a factor on the customer's lifetime rate, so that a model trained on the short histories of
    early snapshots still holds for the longer ones of later snapshots. The rate is shrunk to that of all customers as
    if each had one more purchase day: ``horizon * (purchase days + 1) / (T + mean_gap_days)``, and for spend
    ``horizon * (spend + mean_amount) / (T + mean_gap_days)``.
    """

    orders: Boosted
    spend: Boosted | None
    mean_gap_days: float
    mean_amount: float

    @classmethod
    def fit(
        cls, snapshots: Sequence[LabelledSnapshot], horizon_days: int, has_amounts: bool, seed: int
    ) -> BoostingValue:
        """Fit on matured snapshots, pooled. Raises :class:`NotEnoughData`."""
        return _fit_boosting(tuple(snapshots), horizon_days, has_amounts, seed)

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Expected orders and spend over the horizon trained on, shape (2, customers); spend is NaN without amounts."""
        matrix = model_matrix(features)
        orders_rate, spend_rate = _lifetime_value(features, horizon_days, self.mean_gap_days, self.mean_amount)
        spend = np.full(len(matrix), np.nan) if self.spend is None else spend_rate * self.spend.mean(matrix)
        return np.stack([orders_rate * self.orders.mean(matrix), spend])

    def parameters(self) -> dict[str, Any]:
        """The settings of the fit and what the rates are shrunk to; the trees are in the artifact."""
        return {
            "settings": self.orders.settings(),
            "mean_gap_days": self.mean_gap_days,
            "mean_amount": self.mean_amount,
        }


@lru_cache(maxsize=2)
def _fit_boosting(
    snapshots: tuple[LabelledSnapshot, ...], horizon_days: int, has_amounts: bool, seed: int
) -> BoostingValue:
    # Kept, as each snapshot of a range compares candidates as they were fitted for the snapshot before.
    features, outcomes = pooled_rows(snapshots, seed)
    matrix = model_matrix(features)
    days = numbers(features["purchase_day_count"]).sum()
    mean_gap_days = float(numbers(features["t_days"]).sum() / days)
    mean_amount = float(_positive_spend(features).sum() / days)
    orders_rate, spend_rate = _lifetime_value(features, horizon_days, mean_gap_days, mean_amount)
    orders = fit_mean(matrix, numbers(outcomes["actual_orders"]), orders_rate, seed)
    spend = None
    if has_amounts:
        if mean_amount == 0:
            raise NotEnoughData("nothing was spent before the matured snapshots")
        actual = numbers(outcomes["actual_spend"])
        is_known = np.isfinite(actual)
        spend = fit_mean(matrix[is_known], actual[is_known], spend_rate[is_known], seed)
    return BoostingValue(orders, spend, mean_gap_days, mean_amount)


def _positive_spend(features: pd.DataFrame) -> Floats:
    """Spend of each customer so far, at least 0 and 0 where unknown."""
    return np.maximum(np.nan_to_num(numbers(features["spend_amount"])), 0.0)


def _lifetime_value(
    features: pd.DataFrame, horizon_days: int, mean_gap_days: float, mean_amount: float
) -> tuple[Floats, Floats]:
    """Orders and spend within the horizon at the customer's shrunk lifetime rate; see :class:`BoostingValue`."""
    scale = horizon_days / (numbers(features["t_days"]) + mean_gap_days)
    orders = (numbers(features["purchase_day_count"]) + 1) * scale
    return orders, (_positive_spend(features) + mean_amount) * scale


@dataclass(frozen=True)
class ValueModel:
    """The candidates tried at a snapshot and the chosen one, ready to predict.

    ``parts`` make up the chosen candidate; without any the model abstains. ``levels`` are factors on expected orders
    and spend, for the season. ``abstain_reason`` says why a prediction or its interval is not offered.
    """

    horizon_days: int
    parts: Mapping[str, Part]
    levels: tuple[float, float]
    orders_intervals: ConformalIntervals | None
    spend_intervals: ConformalIntervals | None
    abstain_reason: str | None
    rows: tuple[CandidateRow, ...]

    def candidates(self, as_of: date) -> pd.DataFrame:
        """Rows of contract table ``value_model``, without ``artifact_file``."""
        return candidate_table("value_model", as_of, self.rows)

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Rows of contract table ``customer_value`` for rows of ``customer_features``, sorted by customer."""
        features = by_customer(features)
        naive_orders, naive_spend = naive_value(features, self.horizon_days)
        orders = spend = np.full(len(features), np.nan)
        if self.parts and len(features):
            orders, spend = _levelled(mean_prediction(self.parts.values(), features, self.horizon_days), self.levels)
        orders_lower, orders_upper = _bounds(self.orders_intervals, orders)
        spend_lower, spend_upper = _bounds(self.spend_intervals, spend)
        return pd.DataFrame(
            {
                "as_of": features["as_of"],
                "customer_id": features["customer_id"],
                "expected_orders": orders,
                "expected_orders_lower": orders_lower,
                "expected_orders_upper": orders_upper,
                "expected_spend": spend,
                "expected_spend_lower": spend_lower,
                "expected_spend_upper": spend_upper,
                "naive_expected_orders": naive_orders,
                "naive_expected_spend": naive_spend,
                "abstain_reason": pd.Series([self.abstain_reason] * len(features), dtype="object"),
            },
            columns=list(TABLES["customer_value"].columns),
        )

    def to_bytes(self) -> bytes:
        """The model as bytes; what :meth:`from_bytes` makes of them predicts identically."""
        plain = {
            "horizon_days": self.horizon_days,
            "parts": {name: part.parameters() for name, part in self.parts.items()},
            "levels": list(self.levels),
            "orders_intervals": None if self.orders_intervals is None else self.orders_intervals.to_dict(),
            "spend_intervals": None if self.spend_intervals is None else self.spend_intervals.to_dict(),
            "abstain_reason": self.abstain_reason,
            "rows": [row.to_dict() for row in self.rows],
        }
        boosting = self.parts.get("boosting")
        if isinstance(boosting, BoostingValue):
            plain["orders"] = boosting.orders.to_dict()
            plain["spend"] = None if boosting.spend is None else boosting.spend.to_dict()
        return json.dumps(plain).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> ValueModel:
        """Inverse of :meth:`to_bytes`."""
        plain = json.loads(data)
        load: dict[str, Callable[[dict[str, Any]], Part]] = {
            "naive": lambda parameters: NaiveValue(),
            "btyd": BtydValue.from_parameters,
            "boosting": lambda parameters: BoostingValue(
                Boosted.from_dict(plain["orders"]),
                None if plain["spend"] is None else Boosted.from_dict(plain["spend"]),
                parameters["mean_gap_days"],
                parameters["mean_amount"],
            ),
        }
        orders_intervals, spend_intervals = (
            None if plain[name] is None else ConformalIntervals.from_dict(plain[name])
            for name in ("orders_intervals", "spend_intervals")
        )
        return cls(
            plain["horizon_days"],
            {name: load[name](parameters) for name, parameters in plain["parts"].items()},
            tuple(plain["levels"]),
            orders_intervals,
            spend_intervals,
            plain["abstain_reason"],
            tuple(CandidateRow.from_dict(row) for row in plain["rows"]),
        )


def fit_value_model(
    current: pd.DataFrame,
    matured: Sequence[LabelledSnapshot],
    horizon_days: int,
    interval_level: float,
    seed: int,
) -> ValueModel:
    """Fit candidates at one snapshot, choose the best, and give its predictions intervals.

    Intervals come from the out-of-time errors of the chosen candidate on the selection snapshot. Data that cannot
    carry a model make it abstain, not raise.

    Args:
        current: ``customer_features`` of the snapshot.
        matured: earlier snapshots whose horizon has passed.
        horizon_days: length of the horizon.
        interval_level: coverage of the prediction intervals, in (0, 1).
        seed: seed of everything random.

    Raises:
        ValueError: a snapshot in ``matured`` has not matured by now.
    """
    current = by_customer(current)
    if len(current) < MINIMUM_CUSTOMERS:
        reason = f"only {len(current)} customers: a value model needs {MINIMUM_CUSTOMERS}"
        return ValueModel(horizon_days, {}, _NO_LEVELS, None, None, reason, abstention(CANDIDATES, reason))
    snapshots = usable_snapshots(matured, snapshot_date(current), horizon_days)
    has_amounts = bool(np.isfinite(numbers(current["spend_amount"])).any())

    def fits(features: pd.DataFrame, training: Sequence[LabelledSnapshot]) -> Fits:
        return {
            "naive": NaiveValue,
            "btyd": lambda: BtydValue.fit(features),
            "boosting": lambda: BoostingValue.fit(training, horizon_days, has_amounts, seed),
        }

    choice = choose(CANDIDATES, current, snapshots, horizon_days, fits, _try_out)
    if not choice.parts:
        return ValueModel(horizon_days, {}, _NO_LEVELS, None, None, choice.abstain_reason, choice.rows)

    reasons = [] if has_amounts else [NO_AMOUNTS]
    orders_intervals = spend_intervals = None
    if choice.selection is None:
        reasons.append(NOT_MATURED)
    else:
        outcomes = choice.selection.outcomes
        predicted = mean_prediction(choice.trial_parts.values(), choice.selection.features, horizon_days)
        # One snapshot tells how outcomes are spread, but its level is that of its season.
        orders, spend = _levelled(predicted, _level_errors(predicted, choice.selection))
        try:
            orders_intervals = _intervals(orders, numbers(outcomes["actual_orders"]), interval_level)
            spend_intervals = _intervals(spend, numbers(outcomes["actual_spend"]), interval_level)
        except NotEnoughData as reason:
            reasons.append(str(reason))
    levels = _season_levels(snapshots, snapshot_date(current), horizon_days)
    abstain_reason = "; ".join(reasons) or None
    return ValueModel(
        horizon_days, choice.parts, levels, orders_intervals, spend_intervals, abstain_reason, choice.rows
    )


def _season_levels(snapshots: Sequence[LabelledSnapshot], as_of: date, horizon_days: int) -> tuple[float, float]:
    """Factors on orders and spend: of what BTYD, which knows no season, was off by a year before, a part."""
    snapshot = year_before(snapshots, as_of, horizon_days)
    try:
        if snapshot is None:
            return _NO_LEVELS
        predicted = BtydValue.fit(snapshot.features).predict(snapshot.features, horizon_days)
    except NotEnoughData:
        return _NO_LEVELS
    orders, spend = _level_errors(predicted, snapshot)
    return orders**LEVEL_WEIGHT, spend**LEVEL_WEIGHT


def _level_errors(predicted: Floats, snapshot: LabelledSnapshot) -> tuple[float, float]:
    """Actual over predicted totals of orders and spend, from 1/4 to 4; 1 where one of them is 0 or unknown."""
    errors = []
    for values, column in zip(predicted, ("actual_orders", "actual_spend"), strict=True):
        actual = numbers(snapshot.outcomes[column])
        is_known = np.isfinite(actual) & np.isfinite(values)
        totals = float(actual[is_known].sum()), float(values[is_known].sum())
        errors.append(float(np.clip(totals[0] / totals[1], 0.25, 4.0)) if min(totals) > 0 else 1.0)
    return errors[0], errors[1]


def _levelled(predicted: Floats, levels: tuple[float, float]) -> Floats:
    """Expected orders and spend, shape (2, customers), each times its factor."""
    return np.asarray(predicted * np.asarray(levels)[:, np.newaxis])


def _try_out(selection: LabelledSnapshot, predicted: Floats) -> Trial:
    """Deviance explained and absolute errors of predictions, shape (2, customers), on the selection snapshot."""
    scores: dict[str, float] = {}
    errors: dict[str, float | None] = {}
    columns = (("orders", "actual_orders", "orders_mae"), ("spend", "actual_spend", "spend_mae_amount"))
    for values, (target, column, error) in zip(predicted, columns, strict=True):
        actual = numbers(selection.outcomes[column])
        is_known = np.isfinite(actual) & np.isfinite(values)
        if is_known.any():
            scores[target] = deviance_explained(actual[is_known], values[is_known])
            errors[error] = float(np.mean(np.abs(actual - values)[is_known]))
    score = float(np.mean(list(scores.values())))
    return Trial(score, f"Explains {score:.1%} of the Poisson deviance of {' and '.join(scores)}", errors)


def _intervals(predicted: Floats, actual: Floats, level: float) -> ConformalIntervals | None:
    """Intervals from the customers whose prediction and outcome are known; None where there are none."""
    is_known = np.isfinite(actual) & np.isfinite(predicted)
    return fit_intervals(predicted[is_known], actual[is_known], level) if is_known.any() else None


def _bounds(intervals: ConformalIntervals | None, predicted: Floats) -> tuple[Floats, Floats]:
    """Bounds of each prediction, NaN without intervals."""
    if intervals is None:
        return np.full_like(predicted, np.nan), np.full_like(predicted, np.nan)
    return intervals.apply(predicted)
