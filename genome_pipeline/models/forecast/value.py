"""Orders and spend expected of each customer within the horizon, with prediction intervals: m and a of the forecast.

Expected orders are p m and expected spend is p m a. Here p is the probability that the customer buys (:mod:`.risk`), m
the mean number of purchase days if they do, and a the mean spend per purchase day (:mod:`.amounts`).

The logarithm of m - 1 is the weighted sum of the experts' logarithms plus a constant, which brings the total to that of
the experts on the whole horizon. Intervals are conformal. They are learned at the origins, where the forecast is made
again with the level expected there (:mod:`.conformal`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.drivers import PURCHASE_RATE, TERMS, reference_rows
from genome_pipeline.models.forecast.amounts import Amounts
from genome_pipeline.models.forecast.candidates import (
    FORECAST,
    CandidateRow,
    Judged,
    abstention,
    candidate_rows,
    candidate_table,
)
from genome_pipeline.models.forecast.conformal import ConformalIntervals, fit_intervals
from genome_pipeline.models.forecast.constants import CONSTANTS, Constants
from genome_pipeline.models.forecast.errors import (
    ErrorFactor,
    Forecasts,
    factors_from_dict,
    factors_to_dict,
    fit_factors,
)
from genome_pipeline.models.forecast.experts import Expert, Training, fit_orders, fit_purchases, load_expert
from genome_pipeline.models.forecast.level import BETWEEN_SEASONS, level_variance
from genome_pipeline.models.forecast.risk import (
    Remade,
    remade,
    returned_customers,
    season_level,
    season_of,
    why_unsupported,
)
from genome_pipeline.models.forecast.totals import Origin, Spread, fit_spreads, spreads_from_dict
from genome_pipeline.models.forecast.weights import start_weights, weighted
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.models.snapshots import (
    KEPT_FITS,
    MINIMUM_CUSTOMERS,
    LabelledSnapshot,
    purchase_history,
    snapshot_date,
    usable_snapshots,
    why_unobserved,
)

STANDARD = {"btyd": 1 / 3, "boosting": 1 / 3, "boosting_half": 1 / 3}
"""Weights of the experts in a log of many customers."""

CANDIDATES = ("naive", *STANDARD, FORECAST)

NO_AMOUNTS = "no amounts in the source: spend is not predicted"
NO_PAST_AMOUNTS = "no amounts in the matured snapshots: spend has no intervals"
NOT_MATURED = "no snapshot that carries a forecast has matured yet: intervals need one"

_LEVEL_OF_HALF = "boosting_half"
"""The expert whose level is that of half a horizon; only its ranking is used."""


def naive_value(features: pd.DataFrame, horizon_days: int) -> tuple[Floats, Floats]:
    """Baseline of expected orders and spend: the recent window scaled to the horizon, each of shape (customers,).

    Spend is at least 0, and NaN where the source has no amounts.
    """
    window = numbers(features["recent_window_days"])
    scale = np.divide(float(horizon_days), window, out=np.zeros_like(window), where=window > 0)
    spend = np.maximum(numbers(features["recent_spend_amount"]), 0.0)
    return numbers(features["recent_purchase_day_count"]) * scale, spend * scale


@dataclass(frozen=True)
class Orders:
    """Mean purchase days within the horizon, given that the customer buys.

    ``constant`` is added to the experts' weighted sum.
    """

    experts: Mapping[str, Expert]
    weights: Floats
    constant: float

    @classmethod
    def join(cls, experts: Mapping[str, Expert], features: pd.DataFrame, horizon_days: int) -> Orders:
        """Give fitted experts their weights, and the level of those trained on the whole horizon."""
        names = [*experts]
        weights = start_weights(STANDARD, names, returned_customers(features))
        by_expert = {name: expert.linear(features, horizon_days) for name, expert in experts.items()}
        history = purchase_history(features)
        buys = fit_purchases(features).purchase_probability(*history, horizon_days)
        totals = {name: float(np.log(np.sum(buys * np.exp(values)))) for name, values in by_expert.items()}
        whole = [name for name in names if name != _LEVEL_OF_HALF]
        level = float(np.average([totals[name] for name in whole], weights=weights[[names.index(n) for n in whole]]))
        total = float(np.log(np.sum(buys * np.exp(weighted(by_expert, names, weights)))))
        return cls(experts, weights, level - total)

    def linear(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Logarithm of the purchase days beyond the first, shape (customers,), bounded by the days of the horizon."""
        by_expert = {name: expert.linear(features, horizon_days) for name, expert in self.experts.items()}
        return np.minimum(weighted(by_expert, [*self.experts], self.weights) + self.constant, _log_most(horizon_days))

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Purchase days, shape (customers,), from 1 to the days of the horizon."""
        return np.asarray(np.minimum(1 + np.exp(self.linear(features, horizon_days)), float(horizon_days)))

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Terms that add up to :meth:`linear`, shape (customers, terms + 1)."""
        by_expert = {name: expert.terms(features, horizon_days) for name, expert in self.experts.items()}
        found = weighted(by_expert, [*self.experts], self.weights)
        found[:, -1] += self.constant
        # The effect of the bound, where it applies, is added to the term of the customer's own rate.
        found[:, TERMS.index(PURCHASE_RATE)] += np.minimum(_log_most(horizon_days) - found.sum(axis=1), 0.0)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return {
            "experts": {name: expert.parameters() for name, expert in self.experts.items()},
            "weights": self.weights.tolist(),
            "constant": self.constant,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Orders:
        """Inverse of :meth:`to_dict`."""
        experts = {name: load_expert(name, "orders", expert) for name, expert in state["experts"].items()}
        return cls(experts, np.array(state["weights"]), state["constant"])


def _log_most(horizon_days: int) -> float:
    """Logarithm of the largest number of purchase days beyond the first; for a horizon of one day, of almost none."""
    return float(np.log(max(horizon_days - 1, 1e-10)))


class Intervals(NamedTuple):
    """Prediction intervals of orders and of spend; None for one that is not predicted."""

    orders: ConformalIntervals | None
    spend: ConformalIntervals | None


@dataclass(frozen=True)
class ValueModel:
    """The fitted forecast of how often customers buy and how much they spend.

    ``orders`` is None where the model abstains, ``amounts`` where spend is not predicted. ``references`` are the terms
    of the average customer for orders and for amounts, shape (2, terms + 1). ``error_factors`` are those of
    :mod:`.errors`, by error, and ``spreads`` those of :mod:`.totals`, by target.
    ``abstain_reason`` says why a prediction or its interval is missing.
    """

    horizon_days: int
    orders: Orders | None
    amounts: Amounts | None
    intervals: Intervals
    references: Floats
    error_factors: Mapping[str, ErrorFactor]
    spreads: Mapping[str, Spread]
    abstain_reason: str | None
    rows: tuple[CandidateRow, ...]

    def candidates(self, as_of: date) -> pd.DataFrame:
        """Rows of contract table ``value_model``, without ``artifact_file``."""
        return candidate_table("value_model", as_of, self.rows)

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Rows of contract table ``customer_value``, sorted by customer.

        ``features`` are rows of ``customer_features`` with the ``churn_probability`` of ``customer_risk`` beside them.
        """
        features = by_customer(features)
        buys = 1 - numbers(features["churn_probability"])
        if_retained = amount = np.full(len(features), np.nan)
        if self.orders is not None and len(features):
            if_retained = self.orders.predict(features, self.horizon_days)
            if self.amounts is not None:
                amount = self.amounts.predict(features)
        orders, spend = buys * if_retained, buys * if_retained * amount
        bounds: list[Floats] = []
        for intervals, predicted in zip(self.intervals, (orders, spend), strict=True):
            unknown = np.full_like(predicted, np.nan)
            bounds += (unknown, unknown) if intervals is None else intervals.apply(predicted, buys)
        # A customer whose lower bound of orders is 0 gets a lower bound of spend of 0, and an upper bound of orders of
        # at least 1 where more than the expected spend is possible.
        bounds[2] = np.where(bounds[0] == 0, np.minimum(bounds[2], 0.0), bounds[2])
        bounds[1] = np.where(bounds[3] > spend, np.maximum(bounds[1], 1.0), bounds[1])
        naive_orders, naive_spend = naive_value(features, self.horizon_days)
        return pd.DataFrame(
            {
                "as_of": features["as_of"],
                "customer_id": features["customer_id"],
                "expected_orders": orders,
                "expected_orders_lower": bounds[0],
                "expected_orders_upper": bounds[1],
                "expected_spend": spend,
                "expected_spend_lower": bounds[2],
                "expected_spend_upper": bounds[3],
                "orders_if_retained": if_retained,
                "spend_per_order_amount": amount,
                "naive_expected_orders": naive_orders,
                "naive_expected_spend": naive_spend,
                "abstain_reason": pd.Series([self.abstain_reason] * len(features), dtype="object"),
            },
            columns=list(TABLES["customer_value"].columns),
        )

    def to_dict(self) -> dict[str, Any]:
        """The model as a dictionary that JSON can hold; :meth:`from_dict` restores one with identical predictions."""
        return {
            "horizon_days": self.horizon_days,
            "orders": None if self.orders is None else self.orders.to_dict(),
            "amounts": None if self.amounts is None else self.amounts.to_dict(),
            "intervals": [None if found is None else found.to_dict() for found in self.intervals],
            "references": self.references.tolist(),
            "error_factors": factors_to_dict(self.error_factors),
            "spreads": {target: spread._asdict() for target, spread in self.spreads.items()},
            "abstain_reason": self.abstain_reason,
            "rows": [row.to_dict() for row in self.rows],
        }

    def to_bytes(self) -> bytes:
        """:meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict()).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> ValueModel:
        """Inverse of :meth:`to_bytes`."""
        return cls.from_dict(json.loads(data))

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> ValueModel:
        """Inverse of :meth:`to_dict`."""
        return cls(
            plain["horizon_days"],
            None if plain["orders"] is None else Orders.from_dict(plain["orders"]),
            None if plain["amounts"] is None else Amounts.from_dict(plain["amounts"]),
            Intervals(
                *(None if found is None else ConformalIntervals.from_dict(found) for found in plain["intervals"])
            ),
            np.array(plain["references"]),
            factors_from_dict(plain["error_factors"]),
            spreads_from_dict(plain["spreads"]),
            plain["abstain_reason"],
            tuple(CandidateRow.from_dict(row) for row in plain["rows"]),
        )


def fit_value_model(
    current: pd.DataFrame,
    labelled: Sequence[LabelledSnapshot],
    horizon_days: int,
    interval_level: float,
    seed: int,
    constants: Constants = CONSTANTS,
    unobserved_days: int = 0,
) -> ValueModel:
    """Fit the forecast of orders and amounts at one snapshot, and intervals from its errors at earlier snapshots.

    Where the data cannot carry a model, the model abstains instead of raising. Fitting uses one thread: optimisers and
    boosting would synchronise theirs thousands of times, which costs more than it saves.

    Args:
        current: ``customer_features`` of the snapshot.
        labelled: earlier snapshots with their outcomes, over the horizon and over half of it:
            :func:`genome_pipeline.models.snapshots.snapshots_to_learn_from` lists them.
        horizon_days: length of the horizon.
        interval_level: coverage of the prediction intervals, in (0, 1).
        seed: seed of everything random.
        constants: how strongly the log's own evidence changes the forecast.
        unobserved_days: days before the snapshot for which the log has no data yet.

    Raises:
        ValueError: the outcomes of a labelled snapshot are not known yet.
    """
    if (unobserved := why_unobserved(unobserved_days, horizon_days)) is not None:
        return _abstaining(horizon_days, unobserved)
    with threadpool_limits(1):
        return _fitted(by_customer(current), labelled, horizon_days, interval_level, seed, constants)


def _fitted(
    current: pd.DataFrame,
    labelled: Sequence[LabelledSnapshot],
    horizon_days: int,
    interval_level: float,
    seed: int,
    constants: Constants,
) -> ValueModel:
    if len(current) < MINIMUM_CUSTOMERS:
        return _abstaining(horizon_days, f"only {len(current)} customers: a value model needs {MINIMUM_CUSTOMERS}")
    as_of = snapshot_date(current)
    snapshots = usable_snapshots(labelled, as_of)
    training = Training.at(snapshots, as_of, horizon_days)
    try:
        experts, missing = fit_orders(current, training, seed)
    except NotEnoughData as reason:
        return _abstaining(horizon_days, str(reason))
    made, season = _made_again(snapshots, as_of, horizon_days, seed, constants)
    if (unsupported := why_unsupported([one for one, _, _ in made], as_of, horizon_days)) is not None:
        return _abstaining(horizon_days, unsupported)
    orders = Orders.join(experts, current, horizon_days)
    reasons = []
    amounts = None
    try:
        amounts = Amounts.fit(current, training.whole, seed)
    except NotEnoughData as reason:
        reasons.append(NO_AMOUNTS if str(reason) == "no amounts in the source" else f"{reason}: spend is not predicted")
    orders = replace(orders, constant=orders.constant + season)
    intervals = Intervals(None, None)
    if not made:
        reasons.append(NOT_MATURED)
    else:
        intervals, unlearned = _intervals(made, interval_level, amounts is not None)
        reasons += unlearned
    average = reference_rows(current, seed)
    references = [orders.terms(average, horizon_days).mean(axis=0)]
    references.append(np.zeros_like(references[0]) if amounts is None else amounts.terms(average).mean(axis=0))
    known = [_origin(*one) for one in made]
    of_level = level_variance(season_level([one for one, _, _ in made], as_of, horizon_days), constants)
    return ValueModel(
        horizon_days,
        orders,
        amounts,
        intervals,
        np.stack(references),
        fit_factors(
            [one.features for one in known], [one.forecasts for one in known], [one.outcomes for one in known], seed
        ),
        fit_spreads(known, horizon_days, of_level),
        "; ".join(reasons) or None,
        candidate_rows(
            {candidate: _judged(candidate, made, horizon_days) for candidate in CANDIDATES},
            dict(zip(orders.experts, orders.weights.tolist(), strict=True)),
            missing,
            training,
            made[-1][0].snapshot.as_of if made else None,
            len(current),
        ),
    )


def _abstaining(horizon_days: int, reason: str) -> ValueModel:
    nothing: Floats = np.empty((2, 0))
    return ValueModel(
        horizon_days, None, None, Intervals(None, None), nothing, {}, {}, reason, abstention(CANDIDATES, reason)
    )


_Made = tuple[Remade, Mapping[str, Floats], Floats]
"""An origin, the purchase days forecast there by each expert and by all joined, and the amount of a purchase day."""


def _origin(one: Remade, by_expert: Mapping[str, Floats], amount: Floats) -> Origin:
    """What was forecast at an origin, beside what then happened."""
    forecasts = Forecasts(expit(one.buys), by_expert[FORECAST], amount)
    return Origin(one.snapshot.as_of, one.snapshot.features, forecasts, one.snapshot.outcomes)


@lru_cache(maxsize=KEPT_FITS)
def _expert_orders(
    origin: LabelledSnapshot, training: Training, horizon_days: int, seed: int
) -> tuple[Mapping[str, Floats], Floats]:
    """Purchase days given that the customer buys, by expert and joined; spend per purchase day; (customers,) each."""
    features = origin.features
    experts, _ = fit_orders(features, training, seed)
    orders = Orders.join(experts, features, horizon_days)
    forecast = orders.predict(features, horizon_days)
    further = {name: np.exp(expert.linear(features, horizon_days)) for name, expert in orders.experts.items()}
    if _LEVEL_OF_HALF in further:
        further[_LEVEL_OF_HALF] *= np.sum(forecast - 1) / np.sum(further[_LEVEL_OF_HALF])
    by_expert = {name: 1 + values for name, values in further.items()}
    amount = np.full(len(features), np.nan)
    with suppress(NotEnoughData):
        amount = Amounts.fit(features, training.whole, seed).predict(features)
    return {**by_expert, FORECAST: forecast}, amount


def _season(made: Sequence[_Made], as_of: date, horizon_days: int, constants: Constants) -> float:
    """Correction to expect from the same season a year before, in the logarithm of the purchase days beyond the first.

    It is the miss among the customers who bought then, times its credibility, as for the level of who buys:
    :mod:`.level`.
    """
    season = season_of([one for one, _, _ in made], as_of, horizon_days)
    if season is None:
        return 0.0
    (forecast,) = (by_expert[FORECAST] for one, by_expert, _ in made if one is season)
    bought = season.bought
    further = float(np.sum(numbers(season.snapshot.outcomes["actual_orders"])[bought] - 1))
    missed = np.log((further + 0.5) / (float(np.sum(forecast[bought] - 1)) + 0.5))
    noise = constants.within_season + 1 / max(int(bought.sum()), 1)
    return float(missed * BETWEEN_SEASONS / (BETWEEN_SEASONS + noise))


def _made_again(
    snapshots: Sequence[LabelledSnapshot], as_of: date, horizon_days: int, seed: int, constants: Constants
) -> tuple[list[_Made], float]:
    """Forecasts at the origins, oldest first, with the season's correction; and the correction at ``as_of``."""
    plain: list[_Made] = []
    made: list[_Made] = []
    for one in remade(snapshots, as_of, horizon_days, seed, constants):
        day = one.snapshot.as_of
        by_expert, amount = _expert_orders(one.snapshot, Training.at(snapshots, day, horizon_days), horizon_days, seed)
        factor = np.exp(_season(plain, day, horizon_days, constants))
        made.append(
            (one, {name: _at_most(1 + (m - 1) * factor, horizon_days) for name, m in by_expert.items()}, amount)
        )
        plain.append((one, by_expert, amount))
    return made, _season(plain, as_of, horizon_days, constants)


def _at_most(purchase_days: Floats, horizon_days: int) -> Floats:
    return np.asarray(np.minimum(purchase_days, float(horizon_days)))


def _intervals(made: Sequence[_Made], level: float, has_amounts: bool) -> tuple[Intervals, list[str]]:
    """Intervals from the errors of the forecast at the origins, and the reasons why any are missing."""
    buys = np.concatenate([expit(one.buys) for one, _, _ in made])
    orders = np.concatenate([expit(one.buys) * by_expert[FORECAST] for one, by_expert, _ in made])
    spend = np.concatenate([expit(one.buys) * by_expert[FORECAST] * amount for one, by_expert, amount in made])
    actual = [
        np.concatenate([numbers(one.snapshot.outcomes[name]) for one, _, _ in made])
        for name in ("actual_orders", "actual_spend")
    ]
    found: list[ConformalIntervals | None] = []
    reasons: list[str] = []
    for predicted, known, is_count in ((orders, actual[0], True), (spend, actual[1], False)):
        rows = np.isfinite(predicted) & np.isfinite(known)
        if not is_count and not has_amounts:
            found.append(None)
        elif not rows.any():
            found.append(None)
            reasons.append(NO_PAST_AMOUNTS)
        else:
            try:
                found.append(fit_intervals(predicted[rows], buys[rows], known[rows], level, is_count))
            except NotEnoughData as reason:
                found.append(None)
                reasons.append(str(reason))
    return Intervals(*found), list(dict.fromkeys(reasons))


def _judged(candidate: str, made: Sequence[_Made], horizon_days: int) -> Judged:
    """Mean absolute errors of a candidate at the origins, with the probability of buying expected there."""
    errors = _errors(candidate, made, horizon_days)
    error = errors["orders_mae"]
    if error is None:
        return Judged(errors, "")
    count = sum(candidate == "naive" or candidate in by_expert for _, by_expert, _ in made)
    return Judged(errors, f"Mean absolute error of orders {error:.3f} at {count} earlier dates.")


def _errors(candidate: str, made: Sequence[_Made], horizon_days: int) -> dict[str, float | None]:
    """Mean absolute errors of orders and spend over origins; None where the candidate predicted nothing."""
    errors: dict[str, list[float]] = {"orders_mae": [], "spend_mae_amount": []}
    for one, by_expert, amount in made:
        if candidate == "naive":
            predicted = naive_value(one.snapshot.features, horizon_days)
        elif candidate in by_expert:
            orders = expit(one.buys) * by_expert[candidate]
            predicted = orders, orders * amount
        else:
            continue
        for name, column, values in zip(errors, ("actual_orders", "actual_spend"), predicted, strict=True):
            missed = np.abs(values - numbers(one.snapshot.outcomes[column]))
            if np.isfinite(missed).all():
                errors[name].append(float(missed.mean()))
    return {name: float(np.mean(values)) if values else None for name, values in errors.items()}
