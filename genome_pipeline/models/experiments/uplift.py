"""Whom acting works on: a model of the effect, used only if choosing by it is shown to be worth more.

The model is a DR-learner (Kennedy, E. H. (2023), "Towards Optimal Doubly Robust Estimation of Heterogeneous Causal
Effects", Electronic Journal of Statistics 17(2), algorithm 1). With e the share treated and m_1, m_0 the outcome that
is expected with and without treatment, by models that have not seen the customer,

    pseudo-effect = m_1 - m_0 + (treated - e) / (e (1 - e)) (outcome - m_treated)

has the effect on the customer as its mean, whatever the models say, as e is known from the draw; regressed on what was
known at the start, it gives the effect. Outcomes are learned by boosting, the pseudo-effect by a forest of large
leaves: effects are faint, and differ less between customers than outcomes do.

What a choice is worth is the mean outcome if just the chosen were treated, less what treating costs, by inverse
probability weights on customers whom the model has not seen:

    value = mean of outcome (treated chosen / e + (1 - treated)(1 - chosen) / (1 - e)) - cost share chosen

The model has to beat, each with the interval of its difference (95%): treating all, treating nobody, and treating as
many as it chooses by what was predicted of them, without any model of effects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.experiments.effect import Flags
from genome_pipeline.models.experiments.sequential import SINGLE_LOOK
from genome_pipeline.models.not_enough_data import NotEnoughData

LEAST_ARM_TO_LEARN = 1_000
"""Least customers treated, and least left alone, that a model of the effect is fitted on."""

_LEAST_LEAF_SHARE = 0.05
_TREES = 50
_DIGITS = 9


class Sample(NamedTuple):
    """Customers of one experiment or of several alike, in order of their ids, so that the same are drawn into halves.

    Attributes:
        known: what was known of each at the start, shape (customers, covariates); NaN where it is missing.
        outcome: what each did, shape (customers,).
        is_treated: shape (customers,).
        treated_share: chance of being treated, in (0, 1).
        predicted: what was predicted of each, such as the churn probability: whoever has most would be chosen first.
    """

    known: Floats
    outcome: Floats
    is_treated: Flags
    treated_share: float
    predicted: Floats

    def of(self, rows: NDArray[np.intp] | Flags) -> Sample:
        """Those customers alone."""
        return Sample(
            self.known[rows], self.outcome[rows], self.is_treated[rows], self.treated_share, self.predicted[rows]
        )


class UpliftModel(NamedTuple):
    """A fitted model of the effect."""

    forest: RandomForestRegressor

    def effect(self, known: Floats) -> Floats:
        """Expected effect of treating each customer, in units of the outcome, shape (customers,)."""
        return np.asarray(self.forest.predict(known))


def fit_uplift(sample: Sample, seed: int) -> UpliftModel:
    """Fit the model; the order of rows does not matter beyond the seed's draw of halves.

    Raises:
        NotEnoughData: fewer than 1,000 customers (:data:`LEAST_ARM_TO_LEARN`) were treated, or left alone.
    """
    treated, controls = int(sample.is_treated.sum()), int((~sample.is_treated).sum())
    if min(treated, controls) < LEAST_ARM_TO_LEARN:
        raise NotEnoughData(
            f"{treated:,} customers were treated and {controls:,} left alone: whom acting works on can be told from"
            f" {LEAST_ARM_TO_LEARN:,} of each"
        )
    half = _halves(sample.is_treated, seed)
    pseudo = np.empty(sample.outcome.size)
    e = sample.treated_share
    for fold in range(2):
        learned, mine = sample.of(half != fold), half == fold
        with_it, without = (
            _outcome_model(learned.known[arm], learned.outcome[arm], seed).predict(sample.known[mine])
            for arm in (learned.is_treated, ~learned.is_treated)
        )
        is_treated = sample.is_treated[mine]
        left = sample.outcome[mine] - np.where(is_treated, with_it, without)
        pseudo[mine] = with_it - without + (is_treated - e) / (e * (1 - e)) * left
    forest = RandomForestRegressor(
        _TREES, min_samples_leaf=_LEAST_LEAF_SHARE, max_features=0.5, max_samples=0.5, random_state=seed, n_jobs=1
    )
    return UpliftModel(forest.fit(sample.known, pseudo))


def _outcome_model(known: Floats, outcome: Floats, seed: int) -> HistGradientBoostingRegressor:
    model = HistGradientBoostingRegressor(
        max_iter=50, max_leaf_nodes=8, learning_rate=0.1, min_samples_leaf=50, random_state=seed
    )
    return model.fit(known, outcome)


def _halves(is_treated: Flags, seed: int) -> NDArray[np.int64]:
    """Half 0 or 1 of each customer, both arms divided evenly."""
    generator = np.random.default_rng(seed)
    halves = np.empty(is_treated.size, dtype=np.int64)
    for arm in (is_treated, ~is_treated):
        halves[arm] = generator.permutation(int(arm.sum())) % 2
    return halves


class Value(NamedTuple):
    """What a choice of customers is worth per customer of the audience, with its standard error."""

    estimate: float
    deviation: float


class Comparison(NamedTuple):
    """Choosing by the model, beside other choices, on customers whom the model had not seen.

    Attributes:
        chosen_share: share of customers whom the model would treat.
        values: by choice: "model", "all", "none", "predicted".
        lower: lower ends of the model's advantage over each other choice (95%, both sides).
        is_used: whether every one of them is above 0.
        sentence: what to do, and why.
    """

    chosen_share: float
    values: dict[str, Value]
    lower: dict[str, float]
    is_used: bool
    sentence: str


def parts_of_value(sample: Sample, is_chosen: Flags, cost: float) -> Floats:
    """What each customer adds to the value of a choice, shape (customers,); their mean is the value.

    Outcomes are weighted about their mean, to which the mean is then added: weights are 1 on average, so that this
    changes no value on average, and it shortens the intervals.
    """
    e, t = sample.treated_share, sample.is_treated
    weight = np.where(is_chosen, t / e, ~t / (1 - e))
    center = float(sample.outcome.mean())
    return np.asarray(center + weight * (sample.outcome - center) - cost * is_chosen)


def choose_predicted(predicted: Floats, share: float) -> Flags:
    """The share of customers with the highest prediction; of equal ones at the edge, those who come first."""
    count = round(share * predicted.size)
    is_chosen = np.zeros(predicted.size, dtype=bool)
    is_chosen[np.argsort(-np.round(predicted, _DIGITS), kind="stable")[:count]] = True
    return is_chosen


def compare(sample: Sample, effect: Floats, cost: float) -> Comparison:
    """Choosing by ``effect`` > ``cost`` beside the other choices.

    Args:
        sample: customers whom the model that gave ``effect`` has not seen.
        effect: expected effect on each, shape (customers,).
        cost: of treating one customer, in units of the outcome, at least 0.
    """
    is_chosen = np.round(effect - cost, _DIGITS) > 0
    share = float(is_chosen.mean())
    nobody = np.zeros(is_chosen.size, dtype=bool)
    parts = {
        "model": parts_of_value(sample, is_chosen, cost),
        "all": parts_of_value(sample, ~nobody, cost),
        "none": parts_of_value(sample, nobody, cost),
        "predicted": parts_of_value(sample, choose_predicted(sample.predicted, share), cost),
    }
    values = {name: Value(*_mean(each)) for name, each in parts.items()}
    lower = {}
    for name, each in parts.items():
        if name != "model":
            gain, deviation = _mean(parts["model"] - each)
            lower[name] = round(gain - SINGLE_LOOK * deviation, _DIGITS)
    return Comparison(share, values, lower, min(lower.values()) > 0, _sentence(values, lower))


def _mean(parts: Floats) -> tuple[float, float]:
    return float(parts.mean()), float(parts.std(ddof=1)) / float(np.sqrt(parts.size))


_NAMES: Mapping[str, str] = {
    "all": "treating all",
    "none": "treating nobody",
    "predicted": "treating as many by what was predicted of them",
}


def _sentence(values: Mapping[str, Value], lower: Mapping[str, float]) -> str:
    best = max(lower, key=lambda name: values[name].estimate)
    gain = values["model"].estimate - values[best].estimate
    beside = f"{gain:+.3g} per customer beside {_NAMES[best]}"
    if min(lower.values()) > 0:
        return f"choose by the expected effect: it is worth {beside}"
    weakest = min(lower, key=lambda name: lower[name])
    return (
        f"choosing by the expected effect is not shown to be worth more than {_NAMES[weakest]}"
        f" ({beside}): it is not used"
    )


def unseen_effect(sample: Sample, seed: int) -> Floats:
    """The expected effect on each customer, by a model fitted on the half without the customer, shape (customers,).

    Raises:
        NotEnoughData: as :func:`fit_uplift`, of each half.
    """
    half = _halves(sample.is_treated, seed)
    effect = np.empty(sample.outcome.size)
    for one in range(2):
        mine = half == one
        effect[mine] = fit_uplift(sample.of(~mine), seed).effect(sample.known[mine])
    return effect


def judge_uplift(sample: Sample, cost: float, seed: int) -> Comparison:
    """Whether to choose by a model fitted on these customers: each half is judged by the model of the other.

    Raises:
        NotEnoughData: fewer than 2,000 customers treated, or left alone.
    """
    return compare(sample, unseen_effect(sample, seed), cost)
