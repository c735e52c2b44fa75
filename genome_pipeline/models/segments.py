"""Behavioural segments: fitting, membership, names derived from profiles, and identity from snapshot to snapshot.

Candidates are k-means and Gaussian mixtures (diagonal covariance) over scaled genes, compared by silhouette
(Rousseeuw, 1987) and by reproducibility: the adjusted Rand index (Hubert and Arabie, 1985) of two models fitted on
halves of the customers. A k-means candidate with as many segments as the previous model starts from that model's
segments, so that groups drift with their customers instead of being drawn anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, pairwise_distances, silhouette_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.genes import FloatArray, GeneScaler, by_customer, numbers

IntArray = NDArray[np.int64]

K_MEANS = "k-means"
MIXTURE = "Gaussian mixture"
SINGLE = "single segment"

NEW_CUSTOMERS = "New customers"
"""Where customers without a segment at the previous snapshot come from; their ``from_segment_id`` is 0."""

SEGMENT_COUNTS = range(3, 9)
ACTIONABLE_COUNT = 5
"""Fewer segments are chosen only where customers do not fall into this many: they are too coarse to act on."""

MINIMUM_CUSTOMERS = 50
MINIMUM_SHARE = 0.02
"""Share of the customers that every segment must hold."""

SILHOUETTE_TOLERANCE = 0.05
"""Candidates this close to the best silhouette count as equally good."""

MINIMUM_AGREEMENT = 0.5
"""Adjusted Rand index of the halves from which a candidate counts as reproducible."""

MINIMUM_OVERLAP = 0.25
"""Jaccard overlap from which a segment continues a previous one; below it the segment is new."""

_FIT_ROWS = 20_000
_SILHOUETTE_ROWS = 1_000
_MIXTURE_COUNT = 2  # segment counts for which a mixture is tried beside k-means


@dataclass(frozen=True)
class Grouping:
    """A fitted candidate: a mixture of axis-parallel normal distributions over scaled genes.

    k-means is the mixture with equal weights and one variance, half the mean squared distance of a customer to its
    own centre, so that the posterior is the softmax of negative squared distances over that mean.
    ``means`` and ``variances`` have shape (segments, genes), ``weights`` (segments,).
    """

    means: FloatArray
    variances: FloatArray
    weights: FloatArray

    def posterior(self, genes: FloatArray) -> FloatArray:
        """Membership probabilities, shape (customers, segments), rows summing to 1."""
        log_density = [
            np.log(weight) - 0.5 * (((genes - mean) ** 2 / variance).sum(axis=1) + np.log(variance).sum())
            for mean, variance, weight in zip(self.means, self.variances, self.weights, strict=True)
        ]
        return np.asarray(softmax(np.column_stack(log_density), axis=1), dtype=np.float64)

    def labels(self, genes: FloatArray) -> IntArray:
        """Most probable segment of each customer, by position."""
        position: IntArray = np.argmax(self.posterior(genes), axis=1)
        return position


@dataclass(frozen=True)
class SegmentModel:
    """Segments of one snapshot: how to assign a customer, and each segment's identity and name.

    ``segment_ids``, ``segment_names`` and ``naming_rules`` follow the order of the rows of ``grouping.means``.
    ``largest_segment_id`` is the largest id ever given, so that the id of a segment that ended is never used again.
    ``trials`` are the rows of :meth:`candidates`.
    """

    scaler: GeneScaler
    method: str
    grouping: Grouping
    segment_ids: tuple[int, ...]
    segment_names: tuple[str, ...]
    naming_rules: tuple[str, ...]
    largest_segment_id: int
    trials: tuple[Mapping[str, Any], ...]

    def candidates(self, as_of: date) -> pd.DataFrame:
        """Contract ``segment_model`` without ``artifact_file``: one row per candidate tried."""
        columns = [name for name in TABLES["segment_model"].columns if name != "artifact_file"]
        frame = pd.DataFrame([{"as_of": as_of, **trial} for trial in self.trials], columns=columns)
        return frame.astype({"silhouette_score": "float64"})

    def assign(self, features: pd.DataFrame) -> pd.DataFrame:
        """``customer_id, segment_id, segment_name, membership_probability`` of each customer, by customer."""
        customers = by_customer(features)
        posterior = self.grouping.posterior(self.scaler.transform(customers))
        position = np.argmax(posterior, axis=1)
        return pd.DataFrame(
            {
                "customer_id": customers["customer_id"],
                "segment_id": np.array(self.segment_ids, dtype=np.int32)[position],
                "segment_name": np.array(self.segment_names, dtype=object)[position],
                "membership_probability": posterior.max(axis=1),
            }
        )

    def to_bytes(self) -> bytes:
        """The model as UTF-8 JSON; equal models give equal bytes."""
        state = {
            "scaler": self.scaler.to_dict(),
            "method": self.method,
            "means": self.grouping.means.tolist(),
            "variances": self.grouping.variances.tolist(),
            "weights": self.grouping.weights.tolist(),
            "segment_ids": self.segment_ids,
            "segment_names": self.segment_names,
            "naming_rules": self.naming_rules,
            "largest_segment_id": self.largest_segment_id,
            "trials": self.trials,
        }
        return json.dumps(state, sort_keys=True, indent=1).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> SegmentModel:
        """Inverse of :meth:`to_bytes`.

        Raises:
            ValueError: the content is not JSON.
            KeyError: the JSON is not that of a segment model.
        """
        state = json.loads(content)
        return cls(
            scaler=GeneScaler.from_dict(state["scaler"]),
            method=state["method"],
            grouping=Grouping(*(np.array(state[name], dtype=float) for name in ("means", "variances", "weights"))),
            segment_ids=tuple(state["segment_ids"]),
            segment_names=tuple(state["segment_names"]),
            naming_rules=tuple(state["naming_rules"]),
            largest_segment_id=state["largest_segment_id"],
            trials=tuple(state["trials"]),
        )


@dataclass(frozen=True)
class SegmentedCustomers:
    """Contract tables ``customer_segments``, ``segment_profiles`` and ``segment_migrations`` of one snapshot."""

    customers: pd.DataFrame
    profiles: pd.DataFrame
    migrations: pd.DataFrame


# Fitting


@dataclass(frozen=True)
class _Candidate:
    method: str
    segment_count: int
    grouping: Grouping
    silhouette: float
    smallest_share: float
    agreement: float | None = None

    @property
    def name(self) -> str:
        return SINGLE if self.method == SINGLE else f"{self.method}, {self.segment_count} segments"


def fit_segments(features: pd.DataFrame, previous: SegmentModel | None, seed: int) -> SegmentModel:
    """Fit, choose and name the segments of one snapshot.

    A candidate must hold at least 2% of the customers in every segment; silhouette alone nearly always favours the
    fewest segments, so that fewer than 5 are considered only where no finer candidate does. Of those within 0.05 of
    the best silhouette, the previous model's method and number of segments are kept; otherwise the one with the most
    segments is chosen among those that two halves of the customers reproduce (adjusted Rand index of at least 0.5, or
    the highest if none reaches it), k-means before a mixture. Below 50 customers, or where all are alike, there is one
    segment, "Everyone".

    A segment continues the previous one that would claim the same customers, by optimal assignment on the Jaccard
    overlap of the two models' assignments of today's customers, if that is at least 0.25; other segments get ids
    never used before.

    Args:
        features: contract ``customer_features`` of one snapshot. At most 20,000 customers, drawn by ``seed``, are
            used.
        previous: the model of the previous snapshot, if there is one.
        seed: seed of everything random.
    """
    customers = by_customer(features)
    rng = np.random.default_rng(seed)
    if len(customers) > _FIT_ROWS:
        customers = customers.iloc[np.sort(rng.choice(len(customers), _FIT_ROWS, replace=False))]
    scaler = GeneScaler.fit(customers)
    genes = scaler.transform(customers)
    # The order of sums within k-means depends on the number of threads; with one it is always the same.
    with threadpool_limits(limits=1):
        chosen, trials = _choose(genes, customers, previous, seed, rng)
    labels = chosen.grouping.labels(genes)
    ids, previous_names, largest_id = _identify(labels, chosen.segment_count, customers, previous)
    if chosen.segment_count == 1:
        named = [EVERYONE]
    else:
        named = _name_segments(_segment_facts(customers, labels, chosen.segment_count), previous_names)
    return SegmentModel(
        scaler=scaler,
        method=chosen.method,
        grouping=chosen.grouping,
        segment_ids=ids,
        segment_names=tuple(name for name, _ in named),
        naming_rules=tuple(rule for _, rule in named),
        largest_segment_id=largest_id,
        trials=trials,
    )


def _single(genes: FloatArray) -> _Candidate:
    shape = (1, genes.shape[1])
    return _Candidate(SINGLE, 1, Grouping(np.zeros(shape), np.ones(shape), np.ones(1)), np.nan, 1.0)


def _fit_k_means(genes: FloatArray, count: int, seed: int, start: FloatArray | None = None) -> Grouping:
    model = KMeans(count, init="k-means++" if start is None else start, n_init=4 if start is None else 1)
    model.set_params(random_state=seed).fit(genes)
    mean_squared_distance = max(model.inertia_ / len(genes), 1e-6)
    shape = model.cluster_centers_.shape
    return Grouping(model.cluster_centers_, np.full(shape, mean_squared_distance / 2), np.full(count, 1 / count))


def _fit_mixture(genes: FloatArray, count: int, seed: int) -> Grouping:
    model = GaussianMixture(count, covariance_type="diag", reg_covar=1e-2, random_state=seed).fit(genes)
    return Grouping(model.means_, model.covariances_, model.weights_)


def _fit(method: str, genes: FloatArray, count: int, seed: int) -> Grouping:
    return _fit_k_means(genes, count, seed) if method == K_MEANS else _fit_mixture(genes, count, seed)


def _choose(
    genes: FloatArray,
    customers: pd.DataFrame,
    previous: SegmentModel | None,
    seed: int,
    rng: np.random.Generator,
) -> tuple[_Candidate, tuple[Mapping[str, Any], ...]]:
    """The chosen candidate, and the row of every candidate for the ``segment_model`` table."""
    alone = _single(genes)
    distinct = len(np.unique(genes.round(6), axis=0))
    if len(customers) < MINIMUM_CUSTOMERS:
        return alone, _trials([alone], {alone.name: f"fewer than {MINIMUM_CUSTOMERS} customers"}, alone, len(genes))
    if distinct < SEGMENT_COUNTS.start:
        return alone, _trials([alone], {alone.name: "the customers' genes are all alike"}, alone, len(genes))

    candidates = _candidates(genes, customers, [k for k in SEGMENT_COUNTS if k <= distinct], previous, seed, rng)
    reasons = {
        trial.name: f"a segment holds only {trial.smallest_share:.1%} of the customers, below {MINIMUM_SHARE:.0%}"
        for trial in candidates
        if trial.smallest_share < MINIMUM_SHARE
    }
    eligible = [trial for trial in candidates if trial.name not in reasons]
    if not eligible:
        reasons[alone.name] = f"no candidate holds {MINIMUM_SHARE:.0%} of the customers in every segment"
        return alone, _trials([*candidates, alone], reasons, alone, len(genes))

    actionable = [trial for trial in eligible if trial.segment_count >= ACTIONABLE_COUNT]
    if actionable:
        reasons |= {t.name: "too few segments to act on" for t in eligible if t.segment_count < ACTIONABLE_COUNT}
        eligible = actionable
    best = max(trial.silhouette for trial in eligible)
    for trial in eligible:
        if trial.silhouette < best - SILHOUETTE_TOLERANCE:
            reasons[trial.name] = (
                f"silhouette {trial.silhouette:.3f} is more than {SILHOUETTE_TOLERANCE} below the best, {best:.3f}"
            )
    equals = [trial for trial in eligible if trial.name not in reasons]
    kept = [t for t in equals if previous and (t.method, t.segment_count) == (previous.method, _count(previous))]
    if kept:
        chosen = kept[0]
        reasons[chosen.name] = (
            f"kept from the previous snapshot: silhouette {chosen.silhouette:.3f}, within {SILHOUETTE_TOLERANCE} of the"
            f" best, {best:.3f}"
        )
    else:
        equals = [_with_agreement(trial, genes, seed, rng) for trial in equals]
        candidates = [next((e for e in equals if e.name == trial.name), trial) for trial in candidates]
        chosen = _most_detailed(equals)
        reasons[chosen.name] = (
            f"the most segments that are reproducible (halves of the customers agree by {chosen.agreement:.2f}) with a"
            f" silhouette ({chosen.silhouette:.3f}) within {SILHOUETTE_TOLERANCE} of the best, {best:.3f}"
        )
    for trial in equals:
        agreement = "" if trial.agreement is None else f"; halves of the customers agree by {trial.agreement:.2f}"
        reasons.setdefault(trial.name, f"as good by silhouette, but {chosen.name} was preferred{agreement}")
    return chosen, _trials(candidates, reasons, chosen, len(genes))


def _count(model: SegmentModel) -> int:
    return len(model.segment_ids)


def _most_detailed(equals: Sequence[_Candidate]) -> _Candidate:
    """The reproducible candidate with the most segments; k-means before a mixture, for its simpler shape."""
    agreement = {trial.name: trial.agreement or 0.0 for trial in equals}
    bar = min(MINIMUM_AGREEMENT, max(agreement.values()))
    reproducible = [trial for trial in equals if agreement[trial.name] >= bar]
    return max(reproducible, key=lambda trial: (trial.method == K_MEANS, trial.segment_count))


def _candidates(
    genes: FloatArray,
    customers: pd.DataFrame,
    counts: Sequence[int],
    previous: SegmentModel | None,
    seed: int,
    rng: np.random.Generator,
) -> list[_Candidate]:
    rows = np.arange(len(genes))
    if len(genes) > _SILHOUETTE_ROWS:
        rows = np.sort(rng.choice(len(genes), _SILHOUETTE_ROWS, replace=False))
    distances = pairwise_distances(genes[rows])

    def measured(method: str, grouping: Grouping) -> _Candidate:
        count = len(grouping.weights)
        labels = grouping.labels(genes)
        is_measurable = len(np.unique(labels[rows])) > 1
        silhouette = silhouette_score(distances, labels[rows], metric="precomputed") if is_measurable else -1.0
        share = np.bincount(labels, minlength=count).min() / len(labels)
        return _Candidate(method, count, grouping, float(silhouette), float(share))

    start = None if previous is None else _start(genes, customers, previous)
    trials = [
        measured(K_MEANS, _fit_k_means(genes, k, seed, start if start is not None and len(start) == k else None))
        for k in counts
    ]
    best_first = sorted(trials, key=lambda trial: (trial.segment_count < ACTIONABLE_COUNT, -trial.silhouette))
    mixture_counts = {trial.segment_count for trial in best_first[:_MIXTURE_COUNT]}
    if previous is not None and previous.method == MIXTURE:
        mixture_counts.add(_count(previous))
    trials += [measured(MIXTURE, _fit_mixture(genes, k, seed)) for k in sorted(mixture_counts & set(counts))]
    return trials


def _start(genes: FloatArray, customers: pd.DataFrame, previous: SegmentModel) -> FloatArray | None:
    """Mean genes of the previous model's segments among today's customers; None where one has no customer left."""
    labels = previous.grouping.labels(previous.scaler.transform(customers))
    sizes = np.bincount(labels, minlength=_count(previous))
    if sizes.min() == 0:
        return None
    sums = np.zeros((len(sizes), genes.shape[1]))
    np.add.at(sums, labels, genes)
    return sums / sizes[:, None]


def _with_agreement(trial: _Candidate, genes: FloatArray, seed: int, rng: np.random.Generator) -> _Candidate:
    """The candidate with the adjusted Rand index, over all customers, of models fitted on two random halves."""
    order = rng.permutation(len(genes))
    first, second = (
        _fit(trial.method, genes[np.sort(half)], trial.segment_count, seed).labels(genes)
        for half in np.array_split(order, 2)
    )
    return replace(trial, agreement=float(adjusted_rand_score(first, second)))


def _trials(
    candidates: Sequence[_Candidate], reasons: Mapping[str, str], chosen: _Candidate, row_count: int
) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "candidate": trial.name,
            "is_chosen": trial.name == chosen.name,
            "choice_reason": reasons[trial.name],
            "method": trial.method,
            "segment_count": trial.segment_count,
            "silhouette_score": None if np.isnan(trial.silhouette) else round(trial.silhouette, 9),
            "training_row_count": row_count,
            "parameters": json.dumps(
                {
                    "smallest_share": round(trial.smallest_share, 9),
                    "agreement_of_halves": None if trial.agreement is None else round(trial.agreement, 9),
                }
            ),
        }
        for trial in candidates
    )


# Identity


def _identify(
    labels: IntArray, count: int, customers: pd.DataFrame, previous: SegmentModel | None
) -> tuple[tuple[int, ...], tuple[str | None, ...], int]:
    """Id and previous name of each segment by position (None for a new one), and the largest id ever given."""
    if previous is None:
        return tuple(range(1, count + 1)), (None,) * count, count
    before = previous.grouping.labels(previous.scaler.transform(customers))
    common = np.zeros((count, _count(previous)))
    np.add.at(common, (labels, before), 1)
    sizes = common.sum(axis=1, keepdims=True) + common.sum(axis=0, keepdims=True) - common
    overlap = np.divide(common, sizes, out=np.zeros_like(common), where=sizes > 0)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    match = {int(r): int(c) for r, c in zip(rows, columns, strict=True) if overlap[r, c] >= MINIMUM_OVERLAP}
    largest_id = previous.largest_segment_id
    ids: list[int] = []
    for segment in range(count):
        if segment in match:
            ids.append(previous.segment_ids[match[segment]])
        else:
            largest_id += 1
            ids.append(largest_id)
    names = tuple(previous.segment_names[match[segment]] if segment in match else None for segment in range(count))
    return tuple(ids), names, largest_id


# Names


_RANKED = {
    "order_count": "orders",
    "recent_purchase_day_count": "recent purchase days",
    "spend_amount": "total spend",
    "average_order_value_amount": "average order value",
    "days_since_last_order": "days since last order",
    "t_days": "days since first order",
    "momentum_share": "momentum",
    "return_share": "share returned",
}
_SHARES = {"one_time_share": "customers with one purchase day", "inactive_share": "customers without recent purchase"}

_QUALIFIERS = {
    "spend_amount": ("low spend", "high spend"),
    "average_order_value_amount": ("small baskets", "big baskets"),
    "order_count": ("few orders", "many orders"),
    "days_since_last_order": ("bought recently", "long away"),
    "t_days": ("short history", "long history"),
    "momentum_share": ("slowing", "gaining"),
}
"""What tells two segments apart that one rule fits: a gene, in words for low and high; the preferred first."""

_TELLING = 0.15
"""Distance from the typical percentile, 0.5, from which a gene is preferred for telling segments apart."""


def _percentile(gene: str, facts: Mapping[str, float]) -> str:
    return f"{_RANKED[gene]} above {facts[gene]:.0%} of customers on average"


@dataclass(frozen=True)
class _Test:
    """``fact`` is at least (``is_minimum``) or at most ``bound``."""

    fact: str
    is_minimum: bool
    bound: float

    def margin(self, facts: Mapping[str, float]) -> float:
        """How far beyond the bound the fact is; negative where the test fails."""
        return facts[self.fact] - self.bound if self.is_minimum else self.bound - facts[self.fact]

    def text(self, facts: Mapping[str, float]) -> str:
        bound = f"(rule: at {'least' if self.is_minimum else 'most'} {self.bound:.0%})"
        if self.fact in _SHARES:
            return f"{_SHARES[self.fact]} {facts[self.fact]:.0%} {bound}"
        return f"{_percentile(self.fact, facts)} {bound}"


def _at_least(fact: str, bound: float) -> _Test:
    return _Test(fact, True, bound)


def _at_most(fact: str, bound: float) -> _Test:
    return _Test(fact, False, bound)


NAMING_RULES: tuple[tuple[str, tuple[_Test, ...]], ...] = (
    (
        "Champions",
        (
            _at_least("recent_purchase_day_count", 0.70),
            _at_least("spend_amount", 0.70),
            _at_most("days_since_last_order", 0.40),
        ),
    ),
    (
        "New",
        (_at_most("t_days", 0.30), _at_most("days_since_last_order", 0.60), _at_most("inactive_share", 0.50)),
    ),
    ("One-time", (_at_least("one_time_share", 0.80),)),
    ("Lapsed regulars", (_at_least("inactive_share", 0.70), _at_least("order_count", 0.50))),
    ("Dormant", (_at_least("inactive_share", 0.70), _at_least("days_since_last_order", 0.55))),
    ("At risk", (_at_least("days_since_last_order", 0.60), _at_least("order_count", 0.45))),
    ("Frequent small baskets", (_at_least("order_count", 0.55), _at_most("average_order_value_amount", 0.40))),
    (
        "Loyal",
        (_at_least("order_count", 0.60), _at_most("days_since_last_order", 0.45), _at_most("inactive_share", 0.50)),
    ),
    ("Big baskets", (_at_least("average_order_value_amount", 0.65), _at_most("days_since_last_order", 0.60))),
    (
        "Promising",
        (_at_most("t_days", 0.45), _at_most("days_since_last_order", 0.50), _at_most("inactive_share", 0.50)),
    ),
    ("Frequent returners", (_at_least("return_share", 0.65),)),
    ("Fading", (_at_most("momentum_share", 0.42), _at_least("days_since_last_order", 0.50))),
    ("Growing", (_at_least("momentum_share", 0.62), _at_least("t_days", 0.15))),
    ("Regulars", (_at_least("order_count", 0.40),)),
    ("Occasional", (_at_most("order_count", 0.45),)),
)
"""Ordered rules: name and tests on the segment's average percentile of a gene among all customers, or on shares.

The last two cover every profile, so that each segment meets at least one rule.
"""

EVERYONE = ("Everyone", "a single segment holds all customers")
"""Name and naming rule of a single segment."""

_CATCH_ALL = ("Regulars", "Occasional")
_LENIENCE = 0.05
"""By how much a segment may miss the rule of the name it had, so that names do not flicker around a bound."""


def _segment_facts(customers: pd.DataFrame, labels: IntArray, count: int) -> list[dict[str, float]]:
    """Of each segment, the average percentile (0 to 1; 0.5 is typical) of its customers' genes, and shares."""
    sizes = np.bincount(labels, minlength=count)
    columns: dict[str, pd.Series[Any]] = {}
    for gene in _RANKED:
        values = pd.Series(numbers(customers[gene]))
        columns[gene] = ((values.rank() - 0.5) / max(values.count(), 1)).fillna(0.5)
    columns["one_time_share"] = customers["frequency_count"] == 0
    columns["inactive_share"] = customers["recent_purchase_day_count"] == 0
    means = {name: np.bincount(labels, numbers(column), count) / sizes for name, column in columns.items()}
    # Rounded, so that a rule does not fire or fail by the last digit of a sum.
    return [{name: round(float(values[segment]), 6) for name, values in means.items()} for segment in range(count)]


@dataclass(frozen=True)
class _Claim:
    name: str
    strength: float
    rule: str


def _claims(facts: Mapping[str, float], previous_name: str | None) -> list[_Claim]:
    """Names the segment may have, the preferred first: its previous name, rules in order, rules with a qualifier.

    A previous name is kept while its rule fires; a catch-all or qualified one only while no rule before it does.
    """
    previous_rule = "" if previous_name is None else previous_name.split(", ")[0]
    fired = []
    for name, tests in NAMING_RULES:
        margin = min(test.margin(facts) for test in tests)
        if margin >= (-_LENIENCE if name == previous_rule else 0.0):
            fired.append(_Claim(name, margin, "; ".join(test.text(facts) for test in tests)))
    first = fired[0].name
    tested = {name: {test.fact for test in tests} for name, tests in NAMING_RULES}
    telling = sorted(_QUALIFIERS, key=lambda gene: abs(facts[gene] - 0.5) < _TELLING)
    for claim in tuple(fired):
        genes = [gene for gene in telling if gene not in tested[claim.name]]
        # Pairs make sure that every segment has more names to claim than there can be segments.
        for qualifiers in (*combinations(genes, 1), *combinations(genes, 2)):
            words = ", ".join(_QUALIFIERS[gene][int(facts[gene] >= 0.5)] for gene in qualifiers)
            rule = f"{claim.rule}; told apart by {', '.join(_percentile(gene, facts) for gene in qualifiers)}"
            fired.append(_Claim(f"{claim.name}, {words}", max(abs(facts[gene] - 0.5) for gene in qualifiers), rule))
    is_kept = previous_rule == first or (previous_name == previous_rule and previous_rule not in _CATCH_ALL)
    kept = [replace(claim, strength=np.inf) for claim in fired if is_kept and claim.name == previous_name]
    return kept + [claim for claim in fired if not kept or claim.name != previous_name]


def _name_segments(facts: Sequence[Mapping[str, float]], previous_names: Sequence[str | None]) -> list[tuple[str, str]]:
    """Unique name and naming rule of each segment, by deferred acceptance (Gale and Shapley, 1962).

    Each segment claims its names in order of preference; the stronger claim to a name holds it, the other segment
    goes on to its next one.
    """
    claims = [iter(_claims(one, name)) for one, name in zip(facts, previous_names, strict=True)]
    holders: dict[str, tuple[int, _Claim]] = {}
    waiting = list(range(len(facts)))
    while waiting:
        segment = waiting.pop(0)
        claim = next(claims[segment])
        holder = holders.get(claim.name)
        if holder is None or claim.strength > holder[1].strength:
            holders[claim.name] = (segment, claim)
            if holder is not None:
                waiting.append(holder[0])
        else:
            waiting.append(segment)
    by_segment = dict(holders.values())
    return [(by_segment[segment].name, by_segment[segment].rule) for segment in range(len(facts))]


# Tables


def segment_customers(model: SegmentModel, features: pd.DataFrame, previous: pd.DataFrame | None) -> SegmentedCustomers:
    """Assign, profile and compare with the previous snapshot.

    Args:
        model: the segments of this snapshot.
        features: contract ``customer_features`` of this snapshot.
        previous: contract ``customer_segments`` of the previous snapshot, if there is one.
    """
    customers = by_customer(features)
    assignment = model.assign(customers)
    moves, migrations = describe_moves(assignment, previous, customers)
    assignment.insert(0, "as_of", customers["as_of"])
    return SegmentedCustomers(
        customers=pd.concat([assignment, moves], axis=1),
        profiles=profile_segments(customers, assignment, model),
        migrations=migrations,
    )


def profile_segments(features: pd.DataFrame, assignment: pd.DataFrame, model: SegmentModel) -> pd.DataFrame:
    """Contract ``segment_profiles``: size, share of recent spend and median genes of each segment with customers.

    Medians leave out missing values. A segment that gave back more than it bought recently has a ``spend_share`` of 0.
    """
    customers = by_customer(features)
    segment = by_customer(assignment)["segment_id"]
    rules = dict(zip(model.segment_ids, zip(model.segment_names, model.naming_rules, strict=True), strict=True))
    size = segment.groupby(segment).size()
    profiles = pd.DataFrame({"segment_id": size.index.astype("int32")})
    profiles.insert(0, "as_of", customers["as_of"].max())
    profiles["segment_name"] = [rules[one][0] for one in size.index]
    profiles["naming_rule"] = [rules[one][1] for one in size.index]
    profiles["customer_count"] = size.to_numpy()
    profiles["customer_share"] = size.to_numpy() / len(customers)
    recent = _money_by(customers, [segment])
    total = recent.sum()
    profiles["recent_spend_amount"] = recent.to_numpy()
    profiles["spend_share"] = (recent / total).clip(lower=0).to_numpy() if total > 0 else np.nan
    for gene in (
        "spend_amount",
        "average_order_value_amount",
        "frequency_count",
        "days_since_last_order",
        "t_days",
        "order_gap_mean_days",
        "momentum_share",
    ):
        profiles[f"median_{gene}"] = pd.Series(numbers(customers[gene])).groupby(segment).median().to_numpy()
    return profiles


def describe_moves(
    assignment: pd.DataFrame, previous: pd.DataFrame | None, features: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Who moved since the previous snapshot.

    Args:
        assignment: ``customer_id, segment_id, segment_name`` of this snapshot.
        previous: the same columns of the previous snapshot, if there is one.
        features: contract ``customer_features`` of this snapshot.

    Returns:
        ``previous_segment_id`` and ``has_moved`` of each customer, sorted by ``customer_id`` (null without a previous
        segment), and contract ``segment_migrations``, in which customers without a previous segment come from
        segment 0, "New customers".
    """
    customers = by_customer(features)
    now = by_customer(assignment)[["customer_id", "segment_id", "segment_name"]]
    if previous is None:
        previous = now.iloc[:0]
    before = previous[["customer_id", "segment_id", "segment_name"]]
    joined = now.merge(before, how="left", on="customer_id", suffixes=("", "_before"), validate="one_to_one")
    previous_id = joined["segment_id_before"].astype("Int32")
    has_moved = joined["segment_id"].astype("Int32") != previous_id
    moves = pd.DataFrame({"previous_segment_id": previous_id, "has_moved": has_moved})
    pairs = [
        previous_id.fillna(0).astype("int32").rename("from_segment_id"),
        joined["segment_id"].astype("int32").rename("to_segment_id"),
        joined["segment_name_before"].astype(object).fillna(NEW_CUSTOMERS).rename("from_segment_name"),
        joined["segment_name"].rename("to_segment_name"),
    ]
    migrations = joined.groupby(pairs).size().rename("customer_count").reset_index()
    migrations["recent_spend_amount"] = _money_by(customers, pairs).to_numpy()
    migrations.insert(0, "as_of", customers["as_of"].max())
    return moves, migrations


def _money_by(customers: pd.DataFrame, keys: Sequence[pd.Series[Any]]) -> pd.Series[float]:
    """Recent spend per group, summed in whole cents so that it is exact; null where no customer has an amount."""
    cents = pd.Series(np.rint(numbers(customers["recent_spend_amount"]) * 100)).astype("Int64")
    return cents.groupby(list(keys)).sum(min_count=1).astype("Float64").astype("float64") / 100
