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
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import GENES, TABLES
from genome_pipeline.models.boosting import Boosted, fit_mean
from genome_pipeline.models.btyd import GammaGamma, NotEnoughData, ParetoNbd, fit_gamma_gamma, fit_pareto_nbd
from genome_pipeline.models.conformal import ConformalIntervals, fit_intervals
from genome_pipeline.models.drivers import HISTORY, TERMS, Explanation, explain, no_terms, reference_rows
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.levels import factors_to_totals, level_evidence, share_of, shift_to_share
from genome_pipeline.models.selection import (
    CandidateRow,
    Choice,
    Fits,
    Part,
    Trial,
    abstention,
    candidate_table,
    choose,
)
from genome_pipeline.models.snapshots import (
    KEPT_FITS,
    MINIMUM_CUSTOMERS,
    LabelledSnapshot,
    model_matrix,
    pooled_rows,
    purchase_history,
    snapshot_date,
    training_horizon,
    usable_snapshots,
)

Floats = NDArray[np.float64]

CANDIDATES = (
    "naive",
    "btyd",
    "boosting",
    "naive+btyd",
    "naive+boosting",
    "btyd+boosting",
    "naive+btyd+boosting",
)
"""Simplest first."""

PREFERRED = "btyd+boosting"

NO_AMOUNTS = "no amounts in the source: spend is not predicted"
NO_PAST_AMOUNTS = "no amounts in the matured snapshots: spend has no intervals"
NOT_MATURED = "no snapshot has matured yet: intervals need one"
NO_INTERVALS = "too few customers bought again: no intervals"

_NO_LEVELS = np.ones(2)

_SMALLEST_PROBABILITY = 1e-6
_NEXT_TO_NOTHING = 1e-9

_AMOUNT = "monetary_value_amount"
"""The gene that the mean amount of a purchase day is made of."""

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


def relative_deviances(actual: Floats, predicted: Floats) -> Floats:
    """Poisson deviance of each customer over the mean deviance of the mean actual: 0 is perfect, 1 is no gain.

    Of shape (customers,). Negative actuals count as 0, and predictions as at least 1% of the mean actual; not all
    actuals may be equal.
    """
    actual = np.maximum(actual, 0.0)
    mean = np.full_like(actual, actual.mean())
    floored = np.maximum(predicted, _DEVIANCE_FLOOR_SHARE * mean)
    return np.asarray(_deviances(actual, floored) / _deviances(actual, mean).mean())


def _deviances(actual: Floats, predicted: Floats) -> Floats:
    """Half the Poisson deviance of each customer."""
    ratio = np.where(actual > 0, actual, predicted) / predicted
    return np.asarray(actual * np.log(ratio) - actual + predicted)


@dataclass(frozen=True)
class NaiveValue:
    """The baseline of :func:`naive_value`: nothing is fitted."""

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Expected orders and spend, shape (2, customers)."""
        return np.stack(naive_value(features, horizon_days))

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """What adds up to the logarithms: shape (2, customers, terms + 1)."""
        found = np.stack([no_terms(len(features))] * 2)
        for target, gene in enumerate(("recent_purchase_day_count", "recent_spend_amount")):
            found[target, :, TERMS.index(gene)] = _log(self.predict(features, horizon_days)[target])
        return found

    def parameters(self) -> None:
        """There are none."""


@dataclass(frozen=True)
class PurchaseAmount:
    """Mean amount of a customer's next purchase day, by Gamma-Gamma.

    ``gamma`` is None where Gamma-Gamma could not be fitted; then everyone has the mean gross amount ``mean``, None
    without amounts. ``net_share`` is what returns leave of the amounts, from 0 to 1: spend is net, Gamma-Gamma gross.
    """

    gamma: GammaGamma | None
    mean: float | None
    net_share: float

    @classmethod
    def fit(cls, features: pd.DataFrame) -> PurchaseAmount:
        """Fit on ``customer_features`` of one snapshot, sorted by customer."""
        spend = numbers(features["spend_amount"])
        is_known = np.isfinite(spend)
        if not is_known.any():
            return cls(None, None, 1.0)
        net = max(float(np.sum(spend[is_known])), 0.0)
        gross = net + float(np.nansum(numbers(features["return_amount"])[is_known]))
        days = float(np.sum(numbers(features["purchase_day_count"])[is_known]))
        try:
            gamma = fit_gamma_gamma(numbers(features["frequency_count"]), numbers(features["monetary_value_amount"]))
        except NotEnoughData:
            gamma = None
        return cls(gamma, gross / days, net / gross if gross > 0 else 1.0)

    def predict(self, features: pd.DataFrame) -> Floats:
        """Net amount of each customer's purchase day, shape (customers,), at least 0; NaN without amounts."""
        if self.gamma is None:
            return np.full(len(features), np.nan if self.mean is None else self.mean * self.net_share)
        frequency, monetary_value = numbers(features["frequency_count"]), numbers(features["monetary_value_amount"])
        return np.asarray(self.gamma.mean_amount(frequency, monetary_value) * self.net_share)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        gamma = None if self.gamma is None else self.gamma.to_dict()
        return {"gamma": gamma, "mean": self.mean, "net_share": self.net_share}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> PurchaseAmount:
        """Inverse of :meth:`to_dict`."""
        gamma = None if state["gamma"] is None else GammaGamma.from_dict(state["gamma"])
        return cls(gamma, state["mean"], state["net_share"])


@dataclass(frozen=True)
class BtydValue:
    """Pareto/NBD for orders and, where the source has amounts, the mean amount of a purchase day."""

    purchases: ParetoNbd
    amount: PurchaseAmount

    @classmethod
    def fit(cls, features: pd.DataFrame) -> BtydValue:
        """Fit on ``customer_features`` of one snapshot, sorted by customer. Raises :class:`NotEnoughData`."""
        return cls(fit_pareto_nbd(*purchase_history(features)), PurchaseAmount.fit(features))

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Expected orders and spend, shape (2, customers); spend is NaN without amounts."""
        orders = self.purchases.expected_purchases(*purchase_history(features), horizon_days)
        return np.stack([orders, orders * self.amount.predict(features)])

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """What adds up to the logarithms: shape (2, customers, terms + 1)."""
        found = np.stack([no_terms(len(features))] * 2)
        found[:, :, TERMS.index(HISTORY)] = _log(self.predict(features, horizon_days)[0])
        found[1, :, TERMS.index(_AMOUNT)] = _log(self.amount.predict(features))
        return found

    def parameters(self) -> dict[str, Any]:
        """The fitted parameters, as JSON can hold them."""
        return {"purchases": self.purchases.to_dict(), "amount": self.amount.to_dict()}

    @classmethod
    def from_parameters(cls, state: dict[str, Any]) -> BtydValue:
        """Inverse of :meth:`parameters`."""
        return cls(ParetoNbd.from_dict(state["purchases"]), PurchaseAmount.from_dict(state["amount"]))


@dataclass(frozen=True)
class BoostingValue:
    """Gradient boosting of orders and, where the source has amounts, of spend.

    What the trees learn is a factor on the customer's rate so far, so that a model trained on short histories and half
    the horizon holds for longer ones. The rate is the mean of that over the recent window, and of the one over the
    customer's lifetime, shrunk to that of all as if everyone had one more purchase day: ``(purchase days + 1) /
    (T + mean_gap_days)``. For spend it is multiplied by the customer's mean amount.
    """

    orders: Boosted
    spend: Boosted | None
    mean_gap_days: float
    amount: PurchaseAmount

    @classmethod
    def fit(cls, snapshots: Sequence[LabelledSnapshot], has_amounts: bool, seed: int) -> BoostingValue:
        """Fit on labelled snapshots of one horizon, pooled. Raises :class:`NotEnoughData`."""
        return _fit_boosting(tuple(snapshots), has_amounts, seed)

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Expected orders and spend, shape (2, customers); spend is NaN without amounts."""
        matrix = model_matrix(features)
        rate = _order_rate(features, horizon_days, self.mean_gap_days)
        spend = np.full(len(matrix), np.nan)
        if self.spend is not None:
            spend = rate * self.amount.predict(features) * self.spend.mean(matrix)
        return np.stack([rate * self.orders.mean(matrix), spend])

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """What adds up to the logarithms: shape (2, customers, terms + 1); orders are NaN where there is spend.

        The contributions of trees are the dear part of an explanation, and one of the two is told.
        """
        found = np.stack([no_terms(len(features))] * 2)
        target, trees = (0, self.orders) if self.spend is None else (1, self.spend)
        contributions = trees.contributions(model_matrix(features))
        found[target, :, : len(GENES)], found[target, :, -1] = contributions[:, :-1], contributions[:, -1]
        found[1 - target] = np.nan
        found[:, :, TERMS.index(HISTORY)] += _log(_order_rate(features, horizon_days, self.mean_gap_days))
        found[1, :, TERMS.index(_AMOUNT)] += _log(self.amount.predict(features))
        return found

    def parameters(self) -> dict[str, Any]:
        """The settings of the fit and what the rates are made of; the trees are in the artifact."""
        return {
            "settings": self.orders.settings(),
            "mean_gap_days": self.mean_gap_days,
            "amount": self.amount.to_dict(),
        }


@lru_cache(maxsize=KEPT_FITS)
def _fit_boosting(snapshots: tuple[LabelledSnapshot, ...], has_amounts: bool, seed: int) -> BoostingValue:
    features, outcomes = pooled_rows(snapshots, seed)
    matrix = model_matrix(features)
    days = numbers(features["purchase_day_count"]).sum()
    mean_gap_days = float(numbers(features["t_days"]).sum() / days)
    rate = _order_rate(features, snapshots[-1].horizon_days, mean_gap_days)
    orders = fit_mean(matrix, numbers(outcomes["actual_orders"]), rate, seed)
    amount = PurchaseAmount.fit(snapshots[-1].features)
    spend = None
    if has_amounts:
        amounts = amount.predict(features)
        if not np.all(amounts > 0):
            raise NotEnoughData("nothing was spent before the snapshots to train on")
        actual = numbers(outcomes["actual_spend"])
        is_known = np.isfinite(actual)
        spend = fit_mean(matrix[is_known], actual[is_known], (rate * amounts)[is_known], seed)
    return BoostingValue(orders, spend, mean_gap_days, amount)


def _log(values: Floats) -> Floats:
    """Logarithm, of 0 as of next to nothing; NaN stays."""
    return np.asarray(np.log(np.maximum(values, _NEXT_TO_NOTHING)))


def _order_rate(features: pd.DataFrame, horizon_days: int, mean_gap_days: float) -> Floats:
    """Orders within the horizon at the customer's rate so far; see :class:`BoostingValue`."""
    lifetime = (numbers(features["purchase_day_count"]) + 1) / (numbers(features["t_days"]) + mean_gap_days)
    return (lifetime * horizon_days + naive_value(features, horizon_days)[0]) / 2


@dataclass(frozen=True)
class Intervals:
    """Prediction intervals of orders and spend, each None where it is not predicted.

    They need the probability that a customer buys: that of ``purchases``, with ``shift`` added to its log-odds.
    """

    purchases: ParetoNbd
    shift: float
    orders: ConformalIntervals | None
    spend: ConformalIntervals | None

    def apply(self, features: pd.DataFrame, horizon_days: int, orders: Floats, spend: Floats) -> list[Floats]:
        """Lower and upper bound of expected orders, then of expected spend; NaN where there is no interval."""
        activity = expit(_activity(self.purchases, features, horizon_days) + self.shift)
        bounds: list[Floats] = []
        for intervals, predicted in ((self.orders, orders), (self.spend, spend)):
            unknown = np.full_like(predicted, np.nan)
            bounds += (unknown, unknown) if intervals is None else intervals.apply(predicted, activity)
        return bounds

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return {
            "purchases": self.purchases.to_dict(),
            "shift": self.shift,
            "orders": None if self.orders is None else self.orders.to_dict(),
            "spend": None if self.spend is None else self.spend.to_dict(),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Intervals:
        """Inverse of :meth:`to_dict`."""
        orders, spend = (
            None if state[name] is None else ConformalIntervals.from_dict(state[name]) for name in ("orders", "spend")
        )
        return cls(ParetoNbd.from_dict(state["purchases"]), state["shift"], orders, spend)


def _activity(purchases: ParetoNbd, features: pd.DataFrame, horizon_days: int) -> Floats:
    """Log-odds of a purchase within the horizon, shape (customers,)."""
    probability = purchases.purchase_probability(*purchase_history(features), horizon_days)
    return np.asarray(logit(np.clip(probability, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)))


@dataclass(frozen=True)
class ValueModel:
    """The candidates tried at a snapshot and the chosen one, ready to predict.

    ``parts`` make up the chosen candidate; without any the model abstains. ``levels`` are factors on the orders and
    the spend that each part expects: they bring its totals to those of BTYD, corrected by what BTYD missed before.
    ``references`` are the terms of the average customer, of each part, shape (2, terms + 1). ``abstain_reason`` says
    why a prediction or its interval is not offered.
    """

    horizon_days: int
    parts: Mapping[str, Part]
    levels: Mapping[str, Floats]
    references: Mapping[str, Floats]
    intervals: Intervals | None
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
            predicted = {name: part.predict(features, self.horizon_days) for name, part in self.parts.items()}
            orders, spend = _joined([_levelled(values, self.levels[name]) for name, values in predicted.items()])
        bounds = [np.full(len(features), np.nan)] * 4
        if self.intervals is not None and len(features):
            bounds = self.intervals.apply(features, self.horizon_days, orders, spend)
        orders_lower, orders_upper, spend_lower, spend_upper = bounds
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

    def explain(self, features: pd.DataFrame) -> dict[str, Explanation]:
        """Why expected spend of each row of ``customer_features`` is what it is; orders where spend is not predicted.

        Nothing where the model abstains.
        """
        terms = {name: part.terms(features, self.horizon_days) for name, part in self.parts.items()}
        for target, name in ((1, "expected_spend"), (0, "expected_orders")):
            each = [
                (self.levels[part][target], explain(values[target], self.references[part][target], np.exp))
                for part, values in terms.items()
            ]
            if each and np.isfinite([explained.base for _, explained in each]).all():
                base = np.mean([level * explained.base for level, explained in each])
                contributions = np.mean([level * explained.contributions for level, explained in each], axis=0)
                return {name: Explanation(float(base), contributions)}
        return {}

    def to_bytes(self) -> bytes:
        """The model as bytes; what :meth:`from_bytes` makes of them predicts identically."""
        plain = {
            "horizon_days": self.horizon_days,
            "parts": {name: part.parameters() for name, part in self.parts.items()},
            "levels": {name: factors.tolist() for name, factors in self.levels.items()},
            "references": {name: terms.tolist() for name, terms in self.references.items()},
            "intervals": None if self.intervals is None else self.intervals.to_dict(),
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
                PurchaseAmount.from_dict(parameters["amount"]),
            ),
        }
        return cls(
            plain["horizon_days"],
            {name: load[name](parameters) for name, parameters in plain["parts"].items()},
            {name: np.array(factors) for name, factors in plain["levels"].items()},
            {name: np.array(terms) for name, terms in plain["references"].items()},
            None if plain["intervals"] is None else Intervals.from_dict(plain["intervals"]),
            plain["abstain_reason"],
            tuple(CandidateRow.from_dict(row) for row in plain["rows"]),
        )


def fit_value_model(
    current: pd.DataFrame,
    labelled: Sequence[LabelledSnapshot],
    horizon_days: int,
    interval_level: float,
    seed: int,
) -> ValueModel:
    """Fit candidates at one snapshot, choose the best, and give its predictions intervals.

    Intervals come from the out-of-time errors of the chosen candidate on the last matured snapshot; before one has
    matured, from those of BTYD over half the horizon. Data that cannot carry a model make it abstain, not raise. One
    thread does it all: optimisers and boosting wait for theirs thousands of times, which costs more than they save.

    Args:
        current: ``customer_features`` of the snapshot.
        labelled: earlier snapshots with their outcomes, over the horizon and over half of it:
            :func:`genome_pipeline.models.snapshots.snapshots_to_learn_from`.
        horizon_days: length of the horizon.
        interval_level: coverage of the prediction intervals, in (0, 1).
        seed: seed of everything random.

    Raises:
        ValueError: the outcomes of a labelled snapshot are not known by now.
    """
    with threadpool_limits(1):
        return _fitted(current, labelled, horizon_days, interval_level, seed)


def _fitted(
    current: pd.DataFrame,
    labelled: Sequence[LabelledSnapshot],
    horizon_days: int,
    interval_level: float,
    seed: int,
) -> ValueModel:
    current = by_customer(current)
    if len(current) < MINIMUM_CUSTOMERS:
        reason = f"only {len(current)} customers: a value model needs {MINIMUM_CUSTOMERS}"
        return ValueModel(horizon_days, {}, {}, {}, None, reason, abstention(CANDIDATES, reason))
    snapshots = usable_snapshots(labelled, snapshot_date(current))
    has_amounts = bool(np.isfinite(numbers(current["spend_amount"])).any())

    def fits(features: pd.DataFrame, training: Sequence[LabelledSnapshot]) -> Fits:
        return {
            "naive": NaiveValue,
            "btyd": lambda: BtydValue.fit(features),
            "boosting": lambda: BoostingValue.fit(training, has_amounts, seed),
        }

    choice = choose(CANDIDATES, PREFERRED, current, snapshots, horizon_days, fits, _try_out)
    if not choice.parts:
        return ValueModel(horizon_days, {}, {}, {}, None, choice.abstain_reason, choice.rows)

    reasons = [] if has_amounts else [NO_AMOUNTS]
    evidence, credibility = level_evidence(snapshots, snapshot_date(current), horizon_days)
    intervals = None
    levels = dict.fromkeys(choice.parts, _NO_LEVELS)
    btyd = choice.fitted.get("btyd")
    if isinstance(btyd, BtydValue):
        missed = _missed(evidence) * np.array([credibility.totals, credibility.totals, credibility.share])
        totals = _levelled(btyd.predict(current, horizon_days), np.exp(missed[:2]))
        for name, part in choice.parts.items():
            levels[name] = factors_to_totals(part.predict(current, horizon_days), totals)
        try:
            orders, spend = _calibrated(choice, snapshots, horizon_days, interval_level)
            intervals = Intervals(btyd.purchases, float(missed[2]), orders, spend)
            if has_amounts and spend is None:
                reasons.append(NO_PAST_AMOUNTS)
        except NotEnoughData as reason:
            reasons.append(str(reason))
    else:
        reasons.append(NO_INTERVALS)
    abstain_reason = "; ".join(reasons) or None
    average = reference_rows(current, seed)
    references = {name: part.terms(average, horizon_days).mean(axis=1) for name, part in choice.parts.items()}
    return ValueModel(horizon_days, choice.parts, levels, references, intervals, abstain_reason, choice.rows)


def _calibrated(
    choice: Choice, snapshots: Sequence[LabelledSnapshot], horizon_days: int, level: float
) -> tuple[ConformalIntervals | None, ConformalIntervals | None]:
    """Intervals of orders and spend, each None where it is not predicted. Raises :class:`NotEnoughData`."""
    snapshot, parts = choice.selection, [*choice.trial_parts.values()]
    if snapshot is None:
        recent = [found for found in snapshots if found.horizon_days == training_horizon(horizon_days)]
        if not recent:
            raise NotEnoughData(NOT_MATURED)
        snapshot = recent[-1]
        parts = [BtydValue.fit(snapshot.features)]
    # One snapshot tells how outcomes are spread, but its level is that of its season.
    actual = _actual(snapshot)
    predictions = [part.predict(snapshot.features, snapshot.horizon_days) for part in parts]
    predicted = _joined([_levelled(values, factors_to_totals(values, actual)) for values in predictions])
    log_odds = _activity(BtydValue.fit(snapshot.features).purchases, snapshot.features, snapshot.horizon_days)
    activity = expit(log_odds + shift_to_share(log_odds, share_of(actual[0] > 0)))
    is_known = np.isfinite(predicted) & np.isfinite(actual)
    orders, spend = (
        fit_intervals(values[rows], activity[rows], known[rows], level, is_count) if rows.any() else None
        for values, known, rows, is_count in zip(predicted, actual, is_known, (True, False), strict=True)
    )
    if choice.selection is None and orders is not None:
        # Over half the horizon counts are lower, and their steps larger: what they spare does not hold for the whole.
        orders = replace(orders, levels=tuple(max(found, level) for found in orders.levels))
    return orders, spend


def _missed(evidence: Sequence[LabelledSnapshot]) -> Floats:
    """Mean of what BTYD missed in the log of total orders and of total spend, and in log-odds of a purchase."""
    missed = [np.zeros(3)]
    for snapshot in evidence:
        with suppress(NotEnoughData):
            btyd = BtydValue.fit(snapshot.features)
            actual = _actual(snapshot)
            factors = factors_to_totals(btyd.predict(snapshot.features, snapshot.horizon_days), actual)
            log_odds = _activity(btyd.purchases, snapshot.features, snapshot.horizon_days)
            missed.append(np.append(np.log(factors), shift_to_share(log_odds, share_of(actual[0] > 0))))
    return np.asarray(np.sum(missed, axis=0) / max(len(missed) - 1, 1))


def _actual(snapshot: LabelledSnapshot) -> Floats:
    """Orders and spend of each customer, shape (2, customers)."""
    return np.stack([numbers(snapshot.outcomes[column]) for column in ("actual_orders", "actual_spend")])


def _levelled(predicted: Floats, factors: Floats) -> Floats:
    """Expected orders and spend, shape (2, customers), each times its factor."""
    return np.asarray(predicted * factors[:, np.newaxis])


def _joined(predictions: Sequence[Floats]) -> Floats:
    """Mean of what parts of the same level predict."""
    return np.asarray(np.mean(predictions, axis=0))


def _try_out(selection: LabelledSnapshot, predictions: Sequence[Floats]) -> Trial:
    """Deviance and absolute errors on the selection snapshot, whose level, that of its season, each part gets."""
    actual = _actual(selection)
    predicted = _joined([_levelled(values, factors_to_totals(values, actual)) for values in predictions])
    losses: dict[str, Floats] = {}
    errors: dict[str, float | None] = {}
    columns = (("orders", "orders_mae"), ("spend", "spend_mae_amount"))
    for known, values, (target, error) in zip(actual, predicted, columns, strict=True):
        is_known = np.isfinite(known) & np.isfinite(values)
        if is_known.all():
            errors[error] = float(np.mean(np.abs(known - values)))
            if np.ptp(np.maximum(known, 0.0)) > 0:
                losses[target] = relative_deviances(known, values)
    if not losses:
        return Trial(np.zeros(len(selection.features)), "No better than another, as all customers ended alike,", errors)
    loss = np.mean([*losses.values()], axis=0)
    share = 1 - float(loss.mean())
    return Trial(loss, f"Explains {share:.1%} of the Poisson deviance of {' and '.join(losses)}", errors)
