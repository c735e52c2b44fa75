"""Candidate groupings of customers, and the choice among them by silhouette and bootstrap stability.

Candidates are k-means and Gaussian mixtures (diagonal covariance) over scaled genes. They start from Ward's hierarchy
(1963) cut into as many groups, so that nothing depends on random starts; the candidate with the previous model's
method and number of segments starts from that model's segments, so that groups drift with their customers instead of
being drawn anew. How well groups are apart is measured by silhouette (Rousseeuw 1987), how far they are more than
chance by refitting on bootstrap resamples: the adjusted Rand index (Hubert and Arabie 1985) of all groups, and the
Jaccard similarity of each (Hennig 2007, "Cluster-wise assessment of cluster stability").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.special import softmax
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances, silhouette_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from genome_pipeline.models.genes import FloatArray
from genome_pipeline.models.segment_before import Before, IntArray

K_MEANS = "k-means"
MIXTURE = "Gaussian mixture"
SINGLE = "single segment"

SEGMENT_COUNTS = range(3, 13)
ACTIONABLE_COUNT = 5
"""Fewer segments are coarse to act on: they are chosen only where they are clearly better apart than more are."""

MINIMUM_CUSTOMERS = 50
MINIMUM_SHARE = 0.02
"""Share of the customers that every segment must hold."""

SILHOUETTE_TOLERANCE = 0.05
"""Candidates this close to the best silhouette count as equally well apart."""

CLEAR_SILHOUETTE = 0.1
"""Difference of silhouettes from which the larger one is clearly better."""

DISSOLVED_JACCARD = 0.5
"""Mean Jaccard similarity up to which a segment dissolves when customers are resampled (Hennig 2007)."""

KEPT_JACCARD = 0.4
"""The same for segments that are there already, so that they do not come and go around a bound."""

RESAMPLES = 20
"""Resamples that say how stable segments are that are kept."""

CHOICE_RESAMPLES = 100
"""Resamples that decide between candidates, so that chance does not."""

_COMPARED_ROWS = 1_000
_RESAMPLE_ROWS = 800


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
class Candidate:
    """A grouping, how well its groups are apart, and how far resamples give the same ones.

    Attributes:
        silhouette: mean over customers, in [-1, 1]; NaN for a single segment.
        smallest_share: share of the customers in the smallest segment.
        stability: mean adjusted Rand index with the resamples' groupings, at most 1; None where it is not measured.
        jaccard: mean Jaccard similarity of each segment with its best match in the resamples, in [0, 1].
    """

    method: str
    count: int
    grouping: Grouping
    silhouette: float
    smallest_share: float
    stability: float | None = None
    jaccard: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in the table of candidates."""
        return SINGLE if self.method == SINGLE else f"{self.method}, {self.count} segments"


def choose_grouping(
    genes: FloatArray, before: Before | None, seed: int
) -> tuple[Candidate, tuple[Mapping[str, Any], ...]]:
    """The chosen candidate, and the row of every candidate for the ``segment_model`` table.

    Every segment must hold at least 2% of the customers. Silhouette alone nearly always favours the fewest segments,
    so that fewer than five are considered only where their best silhouette is better by 0.1. The previous model's
    method and number of segments are kept while its silhouette is within 0.1 of the best and none of its segments
    dissolves in resamples. Otherwise that of the best silhouettes (within 0.05) is chosen first whose segments all
    hold. Below 50 customers, or where all are alike, there is one segment.

    Args:
        genes: scaled genes, shape (customers, genes).
        before: the model of the previous snapshot, if there is one.
        seed: seed of the resamples.
    """
    # The order of sums within k-means depends on the number of threads; with one it is always the same.
    with threadpool_limits(limits=1):
        chosen, candidates, reasons = _choose(genes, before, seed)
        trials = _trials(candidates, reasons, chosen, len(genes))
        if chosen.method != SINGLE and len(genes) > _COMPARED_ROWS:
            start = chosen.grouping.labels(genes)
            chosen = replace(chosen, grouping=_fit(chosen.method, genes, start))
    return chosen, trials


def _choose(
    genes: FloatArray, before: Before | None, seed: int
) -> tuple[Candidate, Sequence[Candidate], Mapping[str, str]]:
    alone = _single(genes)
    if len(genes) < MINIMUM_CUSTOMERS:
        return alone, [alone], {alone.name: f"fewer than {MINIMUM_CUSTOMERS} customers"}
    rows = _evenly(len(genes), _COMPARED_ROWS)
    compared = genes[rows]
    distinct = len(np.unique(compared.round(6), axis=0))
    if distinct < SEGMENT_COUNTS.start:
        return alone, [alone], {alone.name: "the customers' genes are all alike"}

    compared_before = None if before is None else replace(before, labels=before.labels[rows])
    candidates = _candidates(compared, [k for k in SEGMENT_COUNTS if k <= distinct], compared_before)
    reasons = {
        trial.name: f"a segment holds only {trial.smallest_share:.1%} of the customers, below {MINIMUM_SHARE:.0%}"
        for trial in candidates
        if trial.smallest_share < MINIMUM_SHARE
    }
    eligible = [trial for trial in candidates if trial.name not in reasons]
    if not eligible:
        reasons[alone.name] = f"no candidate holds {MINIMUM_SHARE:.0%} of the customers in every segment"
        return alone, [*candidates, alone], reasons
    pool = _pool(eligible)
    reasons |= {
        trial.name: "too few segments to act on, and not clearly better apart"
        if trial.count < ACTIONABLE_COUNT
        else "fewer segments are clearly better apart"
        for trial in eligible
        if trial not in pool
    }
    best_first = sorted(pool, key=lambda trial: -trial.silhouette)
    best = best_first[0].silhouette
    measured: dict[str, Candidate] = {}

    def holds(trial: Candidate, resamples: int, bound: float) -> bool:
        measured[trial.name] = _with_stability(trial, genes, compared, before, resamples, seed)
        return min(measured[trial.name].jaccard) > bound

    def result(name: str, why: str) -> tuple[Candidate, Sequence[Candidate], Mapping[str, str]]:
        chosen = measured[name]
        reasons[name] = f"{why}; silhouette {chosen.silhouette:.3f}, of the best {best:.3f}"
        dissolved = {
            trial.name: f"a segment dissolves in resamples (Jaccard similarity {min(trial.jaccard):.2f})"
            for trial in measured.values()
            if min(trial.jaccard) <= DISSOLVED_JACCARD
        }
        behind = {
            trial.name: f"silhouette {trial.silhouette:.3f} is more than {SILHOUETTE_TOLERANCE} below the best, {best:.3f}"
            for trial in pool
            if trial.silhouette < best - SILHOUETTE_TOLERANCE
        }
        told = {trial.name: f"as good, but {name} was preferred" for trial in pool} | behind | dissolved | reasons
        return chosen, [measured.get(trial.name, trial) for trial in candidates], told

    previous = [
        trial for trial in best_first if before and (trial.method, trial.count) == (before.method, before.count)
    ]
    is_near = bool(previous) and previous[0].silhouette > best - CLEAR_SILHOUETTE
    # Where few resamples speak against a kept model, more are asked, so that chance does not end it.
    if is_near and any(holds(previous[0], count, KEPT_JACCARD) for count in (RESAMPLES, CHOICE_RESAMPLES)):
        return result(previous[0].name, "kept from the previous snapshot")
    for trial in best_first:
        is_equal = trial.silhouette >= best - SILHOUETTE_TOLERANCE and trial.name not in measured
        if is_equal and holds(trial, CHOICE_RESAMPLES, DISSOLVED_JACCARD):
            return result(trial.name, "the best silhouette of those whose segments all hold in resamples")
    if is_near:
        return result(previous[0].name, "kept from the previous snapshot, as no other holds better in resamples")
    return result(best_first[0].name, "the best silhouette, though no candidate's segments all hold in resamples")


def _pool(eligible: Sequence[Candidate]) -> Sequence[Candidate]:
    """The candidates with enough segments to act on, or those with fewer where they are clearly better apart."""
    fine, coarse = (
        [trial for trial in eligible if (trial.count >= ACTIONABLE_COUNT) == is_fine] for is_fine in (True, False)
    )
    if not fine or not coarse:
        return fine or coarse
    best_fine, best_coarse = (max(trial.silhouette for trial in trials) for trials in (fine, coarse))
    return coarse if best_coarse - best_fine >= CLEAR_SILHOUETTE else fine


def _single(genes: FloatArray) -> Candidate:
    shape = (1, genes.shape[1])
    return Candidate(SINGLE, 1, Grouping(np.zeros(shape), np.ones(shape), np.ones(1)), np.nan, 1.0)


def _evenly(count: int, limit: int) -> IntArray:
    """Positions of at most ``limit`` of ``count`` rows, evenly spread, so that a sample needs no seed."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64))


def _candidates(genes: FloatArray, counts: Sequence[int], before: Before | None) -> list[Candidate]:
    distances = pairwise_distances(genes)
    tree = linkage(genes, "ward")

    def measured(method: str, grouping: Grouping) -> Candidate:
        count = len(grouping.weights)
        labels = grouping.labels(genes)
        share = np.bincount(labels, minlength=count).min() / len(labels)
        is_measurable = len(np.unique(labels)) > 1
        silhouette = silhouette_score(distances, labels, metric="precomputed") if is_measurable else -1.0
        return Candidate(method, count, grouping, float(silhouette), float(share))

    found: dict[tuple[str, int], Candidate] = {}
    for count in counts:
        groups = _cut(tree, count)
        if groups.max() + 1 < count:
            continue  # ties: the hierarchy has no level with as many
        for method in (K_MEANS, MIXTURE):
            start = _warm(before, method, count)
            if start is None:
                start = groups if method == K_MEANS else found[K_MEANS, count].grouping.labels(genes)
            found[method, count] = measured(method, _fit(method, genes, start))
    return [trial for kind in (K_MEANS, MIXTURE) for (method, _), trial in found.items() if method == kind]


def _cut(tree: FloatArray, count: int) -> IntArray:
    """At most ``count`` groups of a hierarchy, numbered from 0; fewer where merges are tied."""
    return fcluster(tree, count, "maxclust").astype(np.int64) - 1


def _warm(before: Before | None, method: str, count: int) -> IntArray | None:
    """The previous model's groups, if it was of this kind and all its segments have customers."""
    if before is None or (before.method, before.count) != (method, count):
        return None
    return before.labels if len(np.unique(before.labels)) == count else None


def _fit(method: str, genes: FloatArray, start: IntArray) -> Grouping:
    """A candidate fitted from the groups ``start``, numbered from 0, of which none is empty."""
    sizes = np.bincount(start)
    count = len(sizes)
    of_group = np.eye(count)[start].T
    means = of_group @ genes / sizes[:, None]
    if method == K_MEANS:
        model = KMeans(count, init=means, n_init=1).fit(genes)
        mean_squared_distance = max(model.inertia_ / len(genes), 1e-6)
        shape = model.cluster_centers_.shape
        return Grouping(model.cluster_centers_, np.full(shape, mean_squared_distance / 2), np.full(count, 1 / count))
    variances = of_group @ genes**2 / sizes[:, None] - means**2
    mixture = GaussianMixture(
        count,
        covariance_type="diag",
        reg_covar=_LEAST_VARIANCE,
        weights_init=sizes / len(genes),
        means_init=means,
        precisions_init=1 / np.maximum(variances, _LEAST_VARIANCE),
    ).fit(genes)
    return Grouping(mixture.means_, mixture.covariances_, mixture.weights_)


_LEAST_VARIANCE = 1e-2


def _with_stability(
    trial: Candidate, genes: FloatArray, compared: FloatArray, before: Before | None, resamples: int, seed: int
) -> Candidate:
    """The candidate with what refits on bootstrap resamples of the customers, started alike, make of ``compared``."""
    rng = np.random.default_rng(seed)
    labels = trial.grouping.labels(compared)
    agreement = np.zeros(resamples)
    jaccard = np.zeros((resamples, trial.count))
    for resample in range(resamples):
        rows = np.sort(rng.integers(0, len(genes), min(len(genes), _RESAMPLE_ROWS)))
        drawn = genes[rows]
        start = _warm(
            None if before is None else replace(before, labels=before.labels[rows]), trial.method, trial.count
        )
        if start is None:
            start = _cut(linkage(drawn, "ward"), trial.count)
            if trial.method == MIXTURE:
                start = _fit(K_MEANS, drawn, start).labels(drawn)
        refitted = _fit(trial.method, drawn, start).labels(compared)
        agreement[resample], jaccard[resample] = _similarity(labels, refitted, trial.count)
    return replace(trial, stability=float(agreement.mean()), jaccard=tuple(jaccard.mean(axis=0).tolist()))


def _similarity(labels: IntArray, others: IntArray, count: int) -> tuple[float, FloatArray]:
    """Adjusted Rand index of two groupings, and the Jaccard similarity of each group with the most similar other.

    From one table of both, as scikit-learn's index would check its input thousands of times.
    """
    common = np.zeros((count, count))
    np.add.at(common, (labels, others), 1)
    sizes, other_sizes = common.sum(axis=1), common.sum(axis=0)
    together, pairs, other_pairs = ((n * (n - 1) / 2).sum() for n in (common, sizes, other_sizes))
    by_chance = pairs * other_pairs / (len(labels) * (len(labels) - 1) / 2)
    index = (together - by_chance) / ((pairs + other_pairs) / 2 - by_chance)
    jaccard: FloatArray = (common / (sizes[:, None] + other_sizes - common)).max(axis=1)
    return float(index), jaccard


def _trials(
    candidates: Sequence[Candidate], reasons: Mapping[str, str], chosen: Candidate, row_count: int
) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "candidate": trial.name,
            "is_chosen": trial.name == chosen.name,
            "choice_reason": reasons[trial.name],
            "method": trial.method,
            "segment_count": trial.count,
            "silhouette_score": None if np.isnan(trial.silhouette) else round(trial.silhouette, 9),
            "smallest_share": round(trial.smallest_share, 9),
            "stability_score": None if trial.stability is None else round(trial.stability, 9),
            "smallest_jaccard_score": round(min(trial.jaccard), 9) if trial.jaccard else None,
            "training_row_count": row_count,
        }
        for trial in candidates
    )
