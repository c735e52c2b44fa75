"""Probability that a customer buys nothing within the horizon, with its interval.

Candidates and how they are compared: :mod:`genome_pipeline.models.selection`. Each gives log-odds on the last matured
snapshot, as it would have been fitted at that date. The criterion is log loss, a proper score, after the level of that
snapshot, which is that of its season, is given to each. The level of now is that of BTYD, corrected by what it missed
before: at the same season a year before or, in the first year, lately. The interval holds the two probabilities of
Venn-Abers, learned on the last matured snapshot, and the probability itself.

Venn-Abers: Vovk, V. and Petej, I. (2014), "Venn-Abers Predictors", UAI, and Vovk, V., Petej, I. and Fedorova, V.
(2015), "Large-scale probabilistic predictors with and without guarantees of validity", NeurIPS (the inductive kind).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import GENES, TABLES
from genome_pipeline.models.boosting import Boosted, fit_probability
from genome_pipeline.models.btyd import NotEnoughData, ParetoNbd, fit_pareto_nbd
from genome_pipeline.models.drivers import HISTORY, TERMS, Explanation, explain, no_terms, reference_rows
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.levels import level_evidence, share_of, shift_to_share
from genome_pipeline.models.regression import LogRegression, fit_log_regression
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
    usable_snapshots,
)

Floats = NDArray[np.float64]

CANDIDATES = ("naive", "btyd", "boosting", "btyd+boosting", "btyd+boosting+regression")
"""Simplest first, and the last is preferred. Parts give log-odds of churn, so that joined ones are averaged as
forecasters' odds are (Satopaa et al. (2014), "Combining multiple probability predictions using a simple logit model",
Int. J. Forecasting 30(2))."""

_NO_REFERENCE: Floats = np.empty(0)

NOT_CALIBRATED = "no snapshot has matured yet: the probability is not calibrated and has no interval"

_SCORE_GROUPS = 100
_SMALLEST_PROBABILITY = 1e-6
"""Probabilities count as at least this, and at most 1 less this, in log loss."""


@dataclass(frozen=True)
class VennAbers:
    """Inductive Venn-Abers calibrator of scores that rise with the probability of an event.

    Scores fall into groups (of equal frequency in the calibration data), as a score is only used by its rank.

    Attributes:
        edges: inner edges of the groups, increasing, shape (groups - 1,).
        lower: probability of the event if the new customer counts as a non-event, shape (groups,), in [0, 1].
        upper: the same if it counts as an event; at least ``lower``.
    """

    edges: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def fit(cls, scores: ArrayLike, is_event: ArrayLike) -> VennAbers:
        """Fit on the scores and outcomes of customers the scoring model did not learn from, each of shape (n,).

        For each group, isotonic regression is run with one more row in it, once as a non-event and once as an event.
        Its value there is max over i <= g of min over j >= g of the mean outcome of groups i..j (Robertson, T.,
        Wright, F. T. and Dykstra, R. L. (1988), "Order Restricted Statistical Inference", eq. 1.4.1).
        """
        values = np.asarray(scores, dtype=np.float64)
        outcomes = np.asarray(is_event, dtype=np.float64)
        edges = np.unique(np.quantile(values, np.arange(1, _SCORE_GROUPS) / _SCORE_GROUPS))
        group = np.searchsorted(edges, values, side="right")
        count = np.concatenate([[0.0], np.cumsum(np.bincount(group, minlength=edges.size + 1))])
        events = np.concatenate([[0.0], np.cumsum(np.bincount(group, outcomes, minlength=edges.size + 1))])
        bounds: list[list[float]] = [[], []]
        for g in range(edges.size + 1):
            rows = count[g + 1 :] - count[: g + 1, np.newaxis] + 1
            happened = events[g + 1 :] - events[: g + 1, np.newaxis]
            for outcome in (0, 1):
                bounds[outcome].append(float(((happened + outcome) / rows).min(axis=1).max()))
        return cls(tuple(edges.tolist()), tuple(bounds[0]), tuple(bounds[1]))

    def apply(self, scores: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Probability, lower and upper bound of each score; lower <= probability <= upper.

        The probability is p1 / (1 - p0 + p1), which minimises the largest regret in log loss (Vovk and Petej 2014,
        section 4).
        """
        group = np.searchsorted(self.edges, np.asarray(scores, dtype=np.float64), side="right")
        lower, upper = np.asarray(self.lower)[group], np.asarray(self.upper)[group]
        return np.clip(upper / (1 - lower + upper), lower, upper), lower, upper

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return {"edges": list(self.edges), "lower": list(self.lower), "upper": list(self.upper)}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> VennAbers:
        """Inverse of :meth:`to_dict`."""
        return cls(tuple(state["edges"]), tuple(state["lower"]), tuple(state["upper"]))


@dataclass(frozen=True)
class NaiveRisk:
    """The baseline score: 1 without a purchase in the recent window, else 0."""

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Scores, shape (customers,)."""
        return np.where(numbers(features["recent_purchase_day_count"]) > 0, 0.0, 1.0)

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """What adds up to the score: shape (customers, terms + 1)."""
        found = no_terms(len(features))
        found[:, TERMS.index("recent_purchase_day_count")] = self.predict(features, horizon_days)
        return found

    def parameters(self) -> None:
        """There are none."""


@dataclass(frozen=True)
class BtydRisk:
    """Pareto/NBD: the probability of no purchase within the horizon, from the purchase history alone."""

    purchases: ParetoNbd

    @classmethod
    def fit(cls, features: pd.DataFrame) -> BtydRisk:
        """Fit on ``customer_features`` of one snapshot. Raises :class:`NotEnoughData`."""
        return cls(fit_pareto_nbd(*purchase_history(features)))

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Log-odds of no purchase within the horizon, shape (customers,)."""
        active = self.purchases.purchase_probability(*purchase_history(features), horizon_days)
        return np.asarray(-logit(np.clip(active, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)))

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """What adds up to the log-odds: shape (customers, terms + 1)."""
        found = no_terms(len(features))
        found[:, TERMS.index(HISTORY)] = self.predict(features, horizon_days)
        return found

    def parameters(self) -> dict[str, Any]:
        """The fitted parameters, as JSON can hold them."""
        return self.purchases.to_dict()


@dataclass(frozen=True)
class _GeneRisk:
    """Log-odds of churn that are sums over genes; trained on half the horizon, so that only their order is used."""

    churn: Boosted | LogRegression

    def predict(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """Uncalibrated log-odds of no purchase within the horizon trained on, shape (customers,)."""
        return self.churn.linear(model_matrix(features))

    def terms(self, features: pd.DataFrame, horizon_days: int) -> Floats:
        """What adds up to the log-odds: shape (customers, terms + 1)."""
        found = no_terms(len(features))
        contributions = self.churn.contributions(model_matrix(features))
        found[:, : len(GENES)], found[:, -1] = contributions[:, :-1], contributions[:, -1]
        return found


@dataclass(frozen=True)
class BoostingRisk(_GeneRisk):
    """Gradient boosting of the churn outcome over half the horizon: it ranks customers, the level is not its own."""

    churn: Boosted

    @classmethod
    def fit(cls, snapshots: Sequence[LabelledSnapshot], seed: int) -> BoostingRisk:
        """Fit on labelled snapshots of one horizon, pooled. Raises :class:`NotEnoughData`."""
        return _fit_boosting(tuple(snapshots), seed)

    def parameters(self) -> dict[str, Any]:
        """The settings of the fit; the trees are in the artifact."""
        return self.churn.settings()


@dataclass(frozen=True)
class RegressionRisk(_GeneRisk):
    """Logistic regression on the outcomes that boosting trains on: of its log-odds, too, the level is not used."""

    churn: LogRegression

    @classmethod
    def fit(cls, snapshots: Sequence[LabelledSnapshot], seed: int) -> RegressionRisk:
        """Fit on labelled snapshots of one horizon, pooled. Raises :class:`NotEnoughData`."""
        return _fit_regression(tuple(snapshots), seed)

    def parameters(self) -> dict[str, Any]:
        """The fitted parameters, as JSON can hold them."""
        return self.churn.to_dict()


@dataclass(frozen=True)
class RiskModel:
    """The candidates tried at a snapshot and the chosen one, ready to predict.

    Attributes:
        parts: make up the chosen candidate; without any the model abstains.
        level: log-odds added to their mean, so that the mean probability is what BTYD expects, corrected by what it
            missed before.
        reference: the terms of the average customer, shape (terms + 1,); empty without parts.
        calibrator: None where no snapshot has matured.
        naive_shares: churned share of the selection snapshot's customers with and without a purchase in the recent
            window; None where no snapshot has matured.
        btyd: source of ``p_alive``; None where Pareto/NBD cannot be fitted.
        abstain_reason: why a probability or its interval is not offered.
        rows: the rows of the model table.
    """

    horizon_days: int
    parts: Mapping[str, Part]
    level: float
    reference: Floats
    calibrator: VennAbers | None
    naive_shares: tuple[float, float] | None
    btyd: ParetoNbd | None
    abstain_reason: str | None
    rows: tuple[CandidateRow, ...]

    def candidates(self, as_of: date) -> pd.DataFrame:
        """Rows of contract table ``risk_model``, without ``artifact_file``."""
        return candidate_table("risk_model", as_of, self.rows)

    def predict(self, features: pd.DataFrame) -> pd.DataFrame:
        """Rows of contract table ``customer_risk`` for rows of ``customer_features``, sorted by customer."""
        features = by_customer(features)
        unknown = np.full(len(features), np.nan)
        probability = lower = upper = unknown
        if self.parts and len(features):
            scores = [part.predict(features, self.horizon_days) for part in self.parts.values()]
            score = _joined(scores) + self.level
            probability = expit(score)
            if self.calibrator is not None:
                _, lower, upper = self.calibrator.apply(score)
                lower, upper = np.minimum(lower, probability), np.maximum(upper, probability)
        naive = unknown
        if self.naive_shares is not None:
            naive = np.asarray(self.naive_shares)[NaiveRisk().predict(features, self.horizon_days).astype(int)]
        return pd.DataFrame(
            {
                "as_of": features["as_of"],
                "customer_id": features["customer_id"],
                "churn_probability": probability,
                "churn_probability_lower": lower,
                "churn_probability_upper": upper,
                "p_alive": unknown if self.btyd is None else self.btyd.p_alive(*purchase_history(features)),
                "risk_band": risk_band(probability),
                "naive_churn_probability": naive,
                "abstain_reason": pd.Series([self.abstain_reason] * len(features), dtype="object"),
            },
            columns=list(TABLES["customer_risk"].columns),
        )

    def explain(self, features: pd.DataFrame) -> dict[str, Explanation]:
        """Why the churn probability of each row of ``customer_features`` is what it is; nothing where it abstains."""
        if not self.parts:
            return {}
        terms = _mean_terms(self.parts, features, self.horizon_days)
        terms[:, -1] += self.level
        level = np.append(np.zeros(len(TERMS)), self.level)
        return {"churn_probability": explain(terms, self.reference + level, expit)}

    def to_bytes(self) -> bytes:
        """The model as bytes; what :meth:`from_bytes` makes of them predicts identically."""
        plain = {
            "horizon_days": self.horizon_days,
            "parts": {name: part.parameters() for name, part in self.parts.items()},
            "level": self.level,
            "reference": self.reference.tolist(),
            "calibrator": None if self.calibrator is None else self.calibrator.to_dict(),
            "naive_shares": None if self.naive_shares is None else list(self.naive_shares),
            "btyd": None if self.btyd is None else self.btyd.to_dict(),
            "abstain_reason": self.abstain_reason,
            "rows": [row.to_dict() for row in self.rows],
        }
        boosting = self.parts.get("boosting")
        if isinstance(boosting, BoostingRisk):
            plain["churn"] = boosting.churn.to_dict()
        return json.dumps(plain).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> RiskModel:
        """Inverse of :meth:`to_bytes`."""
        plain = json.loads(data)
        load: dict[str, Callable[[dict[str, Any]], Part]] = {
            "naive": lambda parameters: NaiveRisk(),
            "btyd": lambda parameters: BtydRisk(ParetoNbd.from_dict(parameters)),
            "boosting": lambda parameters: BoostingRisk(Boosted.from_dict(plain["churn"])),
            "regression": lambda parameters: RegressionRisk(LogRegression.from_dict(parameters)),
        }
        return cls(
            plain["horizon_days"],
            {name: load[name](parameters) for name, parameters in plain["parts"].items()},
            plain["level"],
            np.array(plain["reference"]),
            None if plain["calibrator"] is None else VennAbers.from_dict(plain["calibrator"]),
            None if plain["naive_shares"] is None else tuple(plain["naive_shares"]),
            None if plain["btyd"] is None else ParetoNbd.from_dict(plain["btyd"]),
            plain["abstain_reason"],
            tuple(CandidateRow.from_dict(row) for row in plain["rows"]),
        )


def fit_risk_model(
    current: pd.DataFrame, labelled: Sequence[LabelledSnapshot], horizon_days: int, seed: int
) -> RiskModel:
    """Fit candidates at one snapshot, choose the best, and calibrate it on the last matured snapshot.

    The calibrator learns from the scores the chosen candidate would have given there; the candidate itself is then
    fitted on everything known now. Data that cannot carry a model make it abstain, not raise. One
    thread does it all: optimisers and boosting wait for theirs thousands of times, which costs more than they save.

    Args:
        current: ``customer_features`` of the snapshot.
        labelled: earlier snapshots with their outcomes, over the horizon and over half of it:
            :func:`genome_pipeline.models.snapshots.snapshots_to_learn_from`.
        horizon_days: length of the horizon.
        seed: seed of everything random.

    Raises:
        ValueError: the outcomes of a labelled snapshot are not known by now.
    """
    with threadpool_limits(1):
        return _fitted(current, labelled, horizon_days, seed)


def _fitted(current: pd.DataFrame, labelled: Sequence[LabelledSnapshot], horizon_days: int, seed: int) -> RiskModel:
    current = by_customer(current)
    if len(current) < MINIMUM_CUSTOMERS:
        reason = f"only {len(current)} customers: a risk model needs {MINIMUM_CUSTOMERS}"
        return RiskModel(horizon_days, {}, 0.0, _NO_REFERENCE, None, None, None, reason, abstention(CANDIDATES, reason))
    snapshots = usable_snapshots(labelled, snapshot_date(current))

    def fits(features: pd.DataFrame, training: Sequence[LabelledSnapshot]) -> Fits:
        return {
            "naive": NaiveRisk,
            "btyd": lambda: BtydRisk.fit(features),
            "boosting": lambda: BoostingRisk.fit(training, seed),
            "regression": lambda: RegressionRisk.fit(training, seed),
        }

    choice = choose(CANDIDATES, CANDIDATES[-1], current, snapshots, horizon_days, fits, _try_out)
    part = choice.fitted.get("btyd")
    btyd = part.purchases if isinstance(part, BtydRisk) else None
    if not choice.parts:
        return RiskModel(horizon_days, {}, 0.0, _NO_REFERENCE, None, None, btyd, choice.abstain_reason, choice.rows)
    level = _level(choice, current, snapshots, horizon_days)
    reference = _mean_terms(choice.parts, reference_rows(current, seed), horizon_days).mean(axis=0)
    if choice.selection is None:
        return RiskModel(horizon_days, choice.parts, level, reference, None, None, btyd, NOT_CALIBRATED, choice.rows)
    features, has_churned = choice.selection.features, _has_churned(choice.selection)
    scores = _joined([part.predict(features, horizon_days) for part in choice.trial_parts.values()])
    # One snapshot tells how probabilities are spread, but its level is that of its season.
    calibrator = VennAbers.fit(scores + shift_to_share(scores, share_of(has_churned)), has_churned)
    naive_shares = _naive_shares(features, has_churned)
    return RiskModel(horizon_days, choice.parts, level, reference, calibrator, naive_shares, btyd, None, choice.rows)


def _level(choice: Choice, current: pd.DataFrame, snapshots: Sequence[LabelledSnapshot], horizon_days: int) -> float:
    """Log-odds to add to the mean of the chosen parts.

    The mean probability is that of BTYD, corrected by what it missed before; without BTYD, the last share that churned.
    """
    scores = _joined([part.predict(current, horizon_days) for part in choice.parts.values()])
    btyd = choice.fitted.get("btyd")
    if btyd is None:
        return 0.0 if choice.selection is None else shift_to_share(scores, share_of(_has_churned(choice.selection)))
    missed = []
    evidence, credibility = level_evidence(snapshots, snapshot_date(current), horizon_days)
    for snapshot in evidence:
        with suppress(NotEnoughData):
            then = BtydRisk.fit(snapshot.features).predict(snapshot.features, snapshot.horizon_days)
            missed.append(shift_to_share(then, share_of(_has_churned(snapshot))))
    expected = btyd.predict(current, horizon_days)
    if missed:
        expected = expected + credibility.share * np.mean(missed)
    share = np.clip(expit(expected).mean(), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return shift_to_share(scores, float(share))


def _has_churned(snapshot: LabelledSnapshot) -> NDArray[np.bool_]:
    return snapshot.outcomes["has_churned"].to_numpy(bool)


def _mean_terms(parts: Mapping[str, Part], features: pd.DataFrame, horizon_days: int) -> Floats:
    """Terms of the mean of the parts' log-odds, shape (customers, terms + 1)."""
    return np.asarray(np.mean([part.terms(features, horizon_days) for part in parts.values()], axis=0))


def _joined(scores: Sequence[Floats]) -> Floats:
    """Mean of the parts' log-odds."""
    return np.asarray(np.mean(scores, axis=0))


@lru_cache(maxsize=KEPT_FITS)
def _fit_boosting(snapshots: tuple[LabelledSnapshot, ...], seed: int) -> BoostingRisk:
    return BoostingRisk(fit_probability(*_training_rows(snapshots, seed), seed))


@lru_cache(maxsize=KEPT_FITS)
def _fit_regression(snapshots: tuple[LabelledSnapshot, ...], seed: int) -> RegressionRisk:
    return RegressionRisk(fit_log_regression(*_training_rows(snapshots, seed)))


@lru_cache(maxsize=2)
def _training_rows(snapshots: tuple[LabelledSnapshot, ...], seed: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Genes and churn of snapshots, pooled."""
    features, outcomes = pooled_rows(snapshots, seed)
    return model_matrix(features), outcomes["has_churned"].to_numpy(bool)


def risk_band(churn_probability: Floats) -> pd.Series[Any]:
    """``low`` below 1/3, ``medium`` below 2/3, else ``high``; null where the probability is."""
    names = np.array(["low", "medium", "high"], dtype=object)
    bands = names[np.searchsorted([1 / 3, 2 / 3], churn_probability, side="right")]
    bands[np.isnan(churn_probability)] = None
    return pd.Series(bands, dtype="object")


def log_loss(probability: Floats, is_event: NDArray[np.bool_]) -> float:
    """Mean negative log likelihood of the outcomes, with probabilities kept 1e-6 from 0 and 1."""
    return float(_log_losses(probability, is_event).mean())


def _log_losses(probability: Floats, is_event: NDArray[np.bool_]) -> Floats:
    p = np.clip(probability, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return np.asarray(-np.log(np.where(is_event, p, 1 - p)))


def _try_out(selection: LabelledSnapshot, predictions: Sequence[Floats]) -> Trial:
    """Errors on the selection snapshot, whose level, that of its season, is given to every candidate."""
    has_churned = _has_churned(selection)
    scores = _joined(predictions)
    probability = expit(scores + shift_to_share(scores, share_of(has_churned)))
    losses = _log_losses(probability, has_churned)
    is_one_class = has_churned.all() or not has_churned.any()
    errors: dict[str, float | None] = {
        "brier_score": float(np.mean((probability - has_churned) ** 2)),
        "log_loss": float(losses.mean()),
        "auc": None if is_one_class else float(roc_auc_score(has_churned, probability)),
    }
    return Trial(losses, f"Log loss {losses.mean():.4f}", errors)


def _naive_shares(features: pd.DataFrame, has_churned: NDArray[np.bool_]) -> tuple[float, float]:
    """Churned share of customers with and without a purchase in the recent window; of all, where there are none."""
    is_recent = numbers(features["recent_purchase_day_count"]) > 0
    shares = [has_churned[cell].mean() if cell.any() else has_churned.mean() for cell in (is_recent, ~is_recent)]
    return float(shares[0]), float(shares[1])
