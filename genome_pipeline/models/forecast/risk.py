"""Probability that a customer buys nothing within the horizon, with its interval: 1 - p of the forecast.

Experts give log-odds of a purchase. Their weighted sum ranks the customers, and a constant added to it brings the mean
probability to the expected level (:mod:`.level`). Weights and errors are learned by making the forecast again at
earlier dates whose horizon has passed (*origins*), each with experts trained on what was known at that date.

The bounds of the interval are those of Venn-Abers calibration on the origins (:mod:`.venn_abers`), widened by how far
the level may be off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.drivers import reference_rows
from genome_pipeline.models.forecast.candidates import (
    FORECAST,
    CandidateRow,
    Judged,
    abstention,
    candidate_rows,
    candidate_table,
)
from genome_pipeline.models.forecast.constants import CONSTANTS, Constants
from genome_pipeline.models.forecast.experts import BtydActivity, Expert, Training, fit_activity, load_expert
from genome_pipeline.models.forecast.level import (
    Levels,
    Season,
    expected_level,
    is_refuted,
    level_of,
    shift_to_level,
    smoothed_share,
)
from genome_pipeline.models.forecast.venn_abers import VennAbers
from genome_pipeline.models.forecast.weights import (
    SEASON_WEIGHT,
    STANDARD,
    Evidence,
    learned_weight,
    learned_weights,
    start_weights,
    weighted,
)
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.losses import log_losses
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.models.snapshots import (
    KEPT_FITS,
    MINIMUM_CUSTOMERS,
    LabelledSnapshot,
    origins,
    purchase_history,
    season_before,
    snapshot_date,
    usable_snapshots,
    why_unobserved,
)

CANDIDATES = ("naive", *STANDARD, FORECAST)

NOT_CALIBRATED = (
    "no snapshot that carries a forecast has matured yet: the probability is not calibrated and has no interval"
)

_TRAINED = ("boosting", "regression")
"""Experts whose level is used: they learned from outcomes over the whole horizon."""

_LEAST_OUTCOMES = 5
"""Weights are learned from a date only with at least this many customers who bought, and who did not."""

_EVIDENCE_ROWS = 20_000
"""At most this many customers of an origin are used to learn weights."""

_BOUNDS_LEVEL = 0.8
"""Probability that the level of all customers lies within the interval."""

_SMALLEST_PROBABILITY = 1e-6
"""Bounds from calibration are clipped to between this and 1 minus this, before the level widens them."""


@dataclass(frozen=True)
class Remade:
    """The forecast made again at an origin from what was known there, and what then happened.

    Attributes:
        snapshot: the origin.
        log_odds: log-odds of a purchase by each expert, shape (customers,) each.
        levels: the levels forecast by the experts.
        buys: the joined forecast with the standard weights and the level expected there: log-odds, shape (customers,).
        naive: the baseline's probability of a purchase, shape (customers,); None where no snapshot had matured.
    """

    snapshot: LabelledSnapshot
    log_odds: Mapping[str, Floats]
    levels: Levels
    buys: Floats
    naive: Floats | None

    @property
    def bought(self) -> NDArray[np.bool_]:
        """Who bought within the horizon, shape (customers,)."""
        return bought(self.snapshot)


@dataclass(frozen=True)
class RiskModel:
    """The fitted forecast of who buys.

    Attributes:
        experts: by name; none where the model abstains.
        weights: weights of the experts, shape (experts,).
        constant: log-odds added to the weighted sum of the experts, so that the mean is at the expected level.
        level_deviation: standard deviation of the error of the level, in log-odds.
        reference: the terms of the average customer, shape (terms + 1,); empty without experts.
        calibrator: None where no snapshot has matured.
        naive_shares: churned share of the latest origin's customers with and without a purchase in the recent
            window; None where no snapshot has matured.
        abstain_reason: why a probability or its interval is not offered.
        rows: the rows of the model table.
    """

    horizon_days: int
    experts: Mapping[str, Expert]
    weights: Floats
    constant: float
    level_deviation: float
    reference: Floats
    calibrator: VennAbers | None
    naive_shares: tuple[float, float] | None
    abstain_reason: str | None
    rows: tuple[CandidateRow, ...]

    def candidates(self, as_of: date) -> pd.DataFrame:
        """Rows of contract table ``risk_model``, without ``artifact_file``."""
        return candidate_table("risk_model", as_of, self.rows)

    def log_odds(self, features: pd.DataFrame) -> Floats:
        """Log-odds of a purchase within the horizon, for rows of ``customer_features``, shape (customers,)."""
        by_expert = {name: expert.linear(features, self.horizon_days) for name, expert in self.experts.items()}
        return weighted(by_expert, [*self.experts], self.weights) + self.constant

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Rows of contract table ``customer_risk`` for rows of ``customer_features``, sorted by customer."""
        features = by_customer(features)
        unknown = np.full(len(features), np.nan)
        probability = lower = upper = alive = naive = unknown
        if self.experts and len(features):
            buys = self.log_odds(features)
            probability = expit(-buys)
            if self.calibrator is not None:
                lower, upper = self._bounds(buys, probability)
            btyd = self.experts["btyd"]
            if isinstance(btyd, BtydActivity):
                alive = btyd.purchases.p_alive(*purchase_history(features))
        if self.naive_shares is not None:
            naive = _naive_churn(features, self.naive_shares)
        return pd.DataFrame(
            {
                "as_of": features["as_of"],
                "customer_id": features["customer_id"],
                "churn_probability": probability,
                "churn_probability_lower": lower,
                "churn_probability_upper": upper,
                "p_alive": alive,
                "risk_band": risk_band(probability),
                "naive_churn_probability": naive,
                "abstain_reason": pd.Series([self.abstain_reason] * len(features), dtype="object"),
            },
            columns=list(TABLES["customer_risk"].columns),
        )

    def _bounds(self, buys: Floats, probability: Floats) -> tuple[Floats, Floats]:
        """Bounds of the churn probability: those of calibration, widened by how far the level may be off."""
        assert self.calibrator is not None
        off = self.level_deviation * float(norm.ppf((1 + _BOUNDS_LEVEL) / 2))
        edge = np.clip(self.calibrator.apply(-buys), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
        lower, upper = expit(logit(edge[0]) - off), expit(logit(edge[1]) + off)
        return np.minimum(lower, probability), np.maximum(upper, probability)

    def terms(self, features: pd.DataFrame) -> Floats:
        """Terms that add up to :meth:`log_odds`, shape (customers, terms + 1)."""
        by_expert = {name: expert.terms(features, self.horizon_days) for name, expert in self.experts.items()}
        found = weighted(by_expert, [*self.experts], self.weights)
        found[:, -1] += self.constant
        return found

    def to_dict(self) -> dict[str, Any]:
        """The model as a dictionary that JSON can hold; :meth:`from_dict` restores one with identical predictions."""
        return {
            "horizon_days": self.horizon_days,
            "experts": {name: expert.parameters() for name, expert in self.experts.items()},
            "weights": self.weights.tolist(),
            "constant": self.constant,
            "level_deviation": self.level_deviation,
            "reference": self.reference.tolist(),
            "calibrator": None if self.calibrator is None else self.calibrator.to_dict(),
            "naive_shares": None if self.naive_shares is None else list(self.naive_shares),
            "abstain_reason": self.abstain_reason,
            "rows": [row.to_dict() for row in self.rows],
        }

    def to_bytes(self) -> bytes:
        """:meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict()).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> RiskModel:
        """Inverse of :meth:`to_bytes`."""
        return cls.from_dict(json.loads(data))

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> RiskModel:
        """Inverse of :meth:`to_dict`."""
        return cls(
            plain["horizon_days"],
            {name: load_expert(name, "activity", state) for name, state in plain["experts"].items()},
            np.array(plain["weights"]),
            plain["constant"],
            plain["level_deviation"],
            np.array(plain["reference"]),
            None if plain["calibrator"] is None else VennAbers.from_dict(plain["calibrator"]),
            None if plain["naive_shares"] is None else tuple(plain["naive_shares"]),
            plain["abstain_reason"],
            tuple(CandidateRow.from_dict(row) for row in plain["rows"]),
        )


def fit_risk_model(
    current: pd.DataFrame,
    labelled: Sequence[LabelledSnapshot],
    horizon_days: int,
    seed: int,
    constants: Constants = CONSTANTS,
    unobserved_days: int = 0,
) -> RiskModel:
    """Fit the forecast of who buys at one snapshot.

    Where the data cannot carry a model, the model abstains instead of raising. Fitting uses one thread: optimisers and
    boosting would synchronise theirs thousands of times, which costs more than it saves.

    Args:
        current: ``customer_features`` of the snapshot.
        labelled: earlier snapshots with their outcomes, over the horizon and over half of it:
            :func:`genome_pipeline.models.snapshots.snapshots_to_learn_from` lists them.
        horizon_days: length of the horizon.
        seed: seed of everything random.
        constants: how strongly the log's own evidence changes the forecast.
        unobserved_days: days before the snapshot for which the log has no data yet.

    Raises:
        ValueError: the outcomes of a labelled snapshot are not known yet.
    """
    if (unobserved := why_unobserved(unobserved_days, horizon_days)) is not None:
        return _abstaining(horizon_days, unobserved)
    with threadpool_limits(1):
        return _fitted(by_customer(current), labelled, horizon_days, seed, constants)


def _fitted(
    current: pd.DataFrame,
    labelled: Sequence[LabelledSnapshot],
    horizon_days: int,
    seed: int,
    constants: Constants,
) -> RiskModel:
    if len(current) < MINIMUM_CUSTOMERS:
        return _abstaining(horizon_days, f"only {len(current)} customers: a risk model needs {MINIMUM_CUSTOMERS}")
    as_of = snapshot_date(current)
    snapshots = usable_snapshots(labelled, as_of)
    training = Training.at(snapshots, as_of, horizon_days)
    try:
        experts, missing = fit_activity(current, training, seed)
    except NotEnoughData as reason:
        return _abstaining(horizon_days, str(reason))
    made = remade(snapshots, as_of, horizon_days, seed, constants)
    if (unsupported := why_unsupported(made, as_of, horizon_days)) is not None:
        return _abstaining(horizon_days, unsupported)
    names = [*experts]
    returned = returned_customers(current)
    start = start_weights(STANDARD, names, returned)
    weights = learned_weights(start, _evidence(made, names, as_of), constants.penalty)
    by_expert = {name: expert.linear(current, horizon_days) for name, expert in experts.items()}
    score = weighted(by_expert, names, weights)
    season = season_level(made, as_of, horizon_days)
    level, variance = expected_level(levels_of(by_expert), season, learned_weight(returned), constants)
    constant = shift_to_level(score, level)
    average = reference_rows(current, seed)
    terms = weighted({name: expert.terms(average, horizon_days) for name, expert in experts.items()}, names, weights)
    reference = terms.mean(axis=0)
    reference[-1] += constant
    calibrator, naive_shares = None, None
    if made:
        # Each origin is shifted to the share of its own season who bought, so that calibration only learns from ranks.
        levelled = [one.buys + shift_to_level(one.buys, logit(smoothed_share(one.bought))) for one in made]
        calibrator = VennAbers.fit(-np.concatenate(levelled), ~np.concatenate([one.bought for one in made]))
        naive_shares = _naive_shares(made[-1].snapshot)
    rows = candidate_rows(
        {candidate: _judged(candidate, made) for candidate in CANDIDATES},
        dict(zip(names, weights.tolist(), strict=True)),
        missing,
        training,
        made[-1].snapshot.as_of if made else None,
        len(current),
    )
    return RiskModel(
        horizon_days,
        experts,
        weights,
        constant,
        float(np.sqrt(variance)),
        reference,
        calibrator,
        naive_shares,
        None if made else NOT_CALIBRATED,
        rows,
    )


def _abstaining(horizon_days: int, reason: str) -> RiskModel:
    nothing: Floats = np.empty(0)
    return RiskModel(horizon_days, {}, nothing, 0.0, 0.0, nothing, None, None, reason, abstention(CANDIDATES, reason))


def remade(
    snapshots: Sequence[LabelledSnapshot],
    as_of: date,
    horizon_days: int,
    seed: int,
    constants: Constants,
) -> tuple[Remade, ...]:
    """The forecast made again at the origins for ``as_of``, oldest first; those that carry no model are left out."""
    found: list[Remade] = []
    for origin in origins(snapshots, as_of, horizon_days):
        with suppress(NotEnoughData):
            training = Training.at(snapshots, origin.as_of, horizon_days)
            log_odds = _expert_log_odds(origin, training, horizon_days, seed)
            names, levels, returned = [*log_odds], levels_of(log_odds), returned_customers(origin.features)
            score = weighted(log_odds, names, start_weights(STANDARD, names, returned))
            season = season_level(found, origin.as_of, horizon_days)
            level, _ = expected_level(levels, season, learned_weight(returned), constants)
            naive = None
            if training.whole:
                naive = 1 - _naive_churn(origin.features, _naive_shares(training.whole[-1]))
            found.append(Remade(origin, log_odds, levels, score + shift_to_level(score, level), naive))
    return tuple(found)


@lru_cache(maxsize=KEPT_FITS)
def _expert_log_odds(
    origin: LabelledSnapshot, training: Training, horizon_days: int, seed: int
) -> Mapping[str, Floats]:
    """Log-odds of a purchase by each expert for the customers of an origin, shape (customers,) each."""
    experts, _ = fit_activity(origin.features, training, seed)
    return {name: expert.linear(origin.features, horizon_days) for name, expert in experts.items()}


def levels_of(log_odds: Mapping[str, Floats]) -> Levels:
    """Levels of the experts' log-odds."""
    trained = [level_of(log_odds[name]) for name in _TRAINED if name in log_odds]
    return Levels(level_of(log_odds["btyd"]), float(np.mean(trained)) if trained else None)


def bought(snapshot: LabelledSnapshot) -> NDArray[np.bool_]:
    """Who bought within the horizon, shape (customers,)."""
    return ~snapshot.outcomes["has_churned"].to_numpy(bool)


def returned_customers(features: pd.DataFrame) -> float:
    """Number of customers who bought again."""
    return float(np.count_nonzero(numbers(features["frequency_count"]) > 0))


def season_of(made: Sequence[Remade], as_of: date, horizon_days: int) -> Remade | None:
    """The origin of the same season a year before, if it has matured and the log was at least a horizon old then."""
    day = season_before([one.snapshot.as_of for one in made], as_of)
    if day is None or day + timedelta(days=horizon_days) > as_of:
        return None
    (found,) = (one for one in made if one.snapshot.as_of == day)
    return found if _was_grown(found, horizon_days) else None


def _was_grown(one: Remade, horizon_days: int) -> bool:
    """Whether the log was at least a horizon old at the origin."""
    return bool(numbers(one.snapshot.features["t_days"]).max() >= horizon_days)


def why_unsupported(made: Sequence[Remade], as_of: date, horizon_days: int) -> str | None:
    """Why no level can be expected: it names an origin where the level was far off. None where a level can be expected.

    Only the origin of the same season counts, if there is one: it is the best guide. Otherwise all origins count at
    which the log was old enough.
    """
    season = season_of(made, as_of, horizon_days)
    for origin in [season] if season else [one for one in reversed(made) if _was_grown(one, horizon_days)]:
        if is_refuted(origin.levels.btyd, smoothed_share(origin.bought), len(origin.bought)):
            return (
                f"the share who will buy within {horizon_days} days is not known: of the customers at"
                f" {origin.snapshot.as_of}{', a year before' if season else ''},"
                f" {expit(origin.levels.btyd):.0%} were forecast to buy, and {origin.bought.mean():.0%} did"
            )
    return None


def season_level(made: Sequence[Remade], as_of: date, horizon_days: int) -> Season | None:
    """The levels forecast for the same season a year before, and what then happened; None without such an origin."""
    found = season_of(made, as_of, horizon_days)
    return None if found is None else Season(found.levels, smoothed_share(found.bought), len(found.bought))


def _evidence(made: Sequence[Remade], names: Sequence[str], as_of: date) -> list[Evidence]:
    """Evidence to learn weights from: each expert at the level that occurred; a missing expert as the experts' mean."""
    found = []
    season = season_before([one.snapshot.as_of for one in made], as_of)
    for one in made:
        outcome = one.bought
        known = {name: values for name, values in one.log_odds.items() if name in names}
        if min(outcome.sum(), (~outcome).sum()) < _LEAST_OUTCOMES or len(known) < 2:
            continue
        offset = float(logit(smoothed_share(outcome)))
        levelled = {name: values + shift_to_level(values, offset) - offset for name, values in known.items()}
        mean: Floats = np.asarray(np.mean([*levelled.values()], axis=0))
        columns = np.column_stack([levelled.get(name, mean) for name in names])
        step = -(-len(outcome) // _EVIDENCE_ROWS)
        weight = SEASON_WEIGHT if one.snapshot.as_of == season else 1.0
        found.append(Evidence(columns[::step], outcome[::step], offset, weight))
    return found


def _naive_shares(origin: LabelledSnapshot) -> tuple[float, float]:
    """Churned share of customers with, and without, a recent purchase; of all customers where a group is empty."""
    is_recent, has_churned = numbers(origin.features["recent_purchase_day_count"]) > 0, ~bought(origin)
    shares = [has_churned[cell].mean() if cell.any() else has_churned.mean() for cell in (is_recent, ~is_recent)]
    return float(shares[0]), float(shares[1])


def _naive_churn(features: pd.DataFrame, shares: tuple[float, float]) -> Floats:
    """The baseline's churn probability: the churned share of customers with, or without, a recent purchase."""
    return np.where(numbers(features["recent_purchase_day_count"]) > 0, *shares)


def _judged(candidate: str, made: Sequence[Remade]) -> Judged:
    """Errors of a candidate at the origins, with each expert at the level expected there."""
    predictions = [found for one in made if (found := _candidate_probabilities(candidate, one)) is not None]
    errors = _mean_errors(predictions)
    return Judged(
        errors, f"Log loss {errors['log_loss']:.4f} at {len(predictions)} earlier dates." if predictions else ""
    )


def _candidate_probabilities(candidate: str, one: Remade) -> tuple[Floats, NDArray[np.bool_]] | None:
    """A candidate's probabilities of a purchase at an origin, and who bought; None if it was missing there."""
    if candidate == FORECAST:
        return expit(one.buys), one.bought
    if candidate == "naive":
        return None if one.naive is None else (one.naive, one.bought)
    if candidate not in one.log_odds:
        return None
    values = one.log_odds[candidate]
    return expit(values + shift_to_level(values, level_of(one.buys))), one.bought


def _mean_errors(judged: Sequence[tuple[Floats, NDArray[np.bool_]]]) -> dict[str, float | None]:
    """Means over origins of Brier score, log loss and AUC; None without origins; no AUC of like outcomes."""
    if not judged:
        return {}
    areas = [
        float(roc_auc_score(outcome, probability))
        for probability, outcome in judged
        if outcome.any() and not outcome.all()
    ]
    return {
        "brier_score": float(np.mean([np.mean((probability - outcome) ** 2) for probability, outcome in judged])),
        "log_loss": float(np.mean([log_losses(outcome, probability).mean() for probability, outcome in judged])),
        "auc": float(np.mean(areas)) if areas else None,
    }


def risk_band(churn_probability: Floats) -> pd.Series[Any]:
    """``low`` below 1/3, ``medium`` below 2/3, else ``high``; null where the probability is."""
    names = np.array(["low", "medium", "high"], dtype=object)
    bands = names[np.searchsorted([1 / 3, 2 / 3], churn_probability, side="right")]
    bands[np.isnan(churn_probability)] = None
    return pd.Series(bands, dtype="object")
