"""Candidate groupings of customers, and the choice among them by silhouette and bootstrap stability.

Candidates are k-means and Gaussian mixtures (diagonal covariance) over scaled genes. They start from Ward's hierarchy
(1963) cut into the same number of groups, so that nothing depends on random starts. The candidate with the previous
model's method and number of segments starts from that model's segments, so that groups drift with their customers
instead of being drawn anew. Silhouette measures how well groups are separated (Rousseeuw 1987). Refitting on bootstrap
resamples measures how stable they are: by the adjusted Rand index of all groups (Hubert and Arabie 1985), and by the
Jaccard similarity of each group (Hennig 2007, "Cluster-wise assessment of cluster stability").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.special import softmax
from sklearn import config_context
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances, silhouette_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.segments.before import Before, IntArray

K_MEANS = "k-means"
MIXTURE = "Gaussian mixture"
SINGLE = "single segment"

SEGMENT_COUNTS = range(3, 13)
ACTIONABLE_COUNT = 5
"""Fewer segments are too coarse to act on; they are only considered where customers clearly fall into so few."""

MINIMUM_CUSTOMERS = 50
MINIMUM_SHARE = 0.02
"""Share of the customers that every segment must hold."""

SILHOUETTE_TOLERANCE = 0.05
"""Candidates within this distance of the best silhouette count as equally well separated."""

MOST_TESTED = 4
"""At most this many candidates, best silhouette first, are tested on resamples until one holds."""

KEPT_TOLERANCE = 0.1
"""The same for the previous segments: a wider bound keeps segments from coming and going."""

STRUCTURE_SILHOUETTE = 0.5
"""Silhouette from which customers clearly fall into groups (Kaufman and Rousseeuw 1990), however few."""

DISSOLVED_JACCARD = 0.5
"""Mean Jaccard similarity up to which a segment dissolves when customers are resampled (Hennig 2007)."""

KEPT_JACCARD = 0.4
"""The same for segments of the previous snapshot."""

RESAMPLES = 20
"""Least number of bootstrap resamples; up to three times as many are drawn where these are not conclusive."""

DECIMALS = 9
"""Values are rounded to these before comparing or fitting: processors differ in the last bits of a matrix product."""

_DECIDED = 3.0  # standard errors from the bound at which the result is conclusive
_COMPARED_ROWS = 800
_RESAMPLE_ROWS = 800


@dataclass(frozen=True)
class Grouping:
    """A fitted candidate: a mixture of axis-parallel normal distributions over scaled genes.

    k-means is the mixture with equal weights and one variance for all: half the mean squared distance of customers to
    their own centre. Its posterior is the softmax of -(squared distance) / (mean squared distance).
    ``means`` and ``variances`` have shape (segments, genes), ``weights`` (segments,).
    """

    means: Floats
    variances: Floats
    weights: Floats

    def log_density(self, genes: Floats) -> Floats:
        """Logarithm of each segment's weight times density at each customer, up to a constant: (customers, segments).

        Rounded, so that the last bits of a sum do not order equally probable segments.
        """
        log_density = [
            np.log(weight) - 0.5 * (((genes - mean) ** 2 / variance).sum(axis=1) + np.log(variance).sum())
            for mean, variance, weight in zip(self.means, self.variances, self.weights, strict=True)
        ]
        return np.column_stack(log_density).round(DECIMALS)

    def posterior(self, genes: Floats) -> Floats:
        """Membership probabilities, shape (customers, segments), rows summing to 1."""
        return as_probabilities(self.log_density(genes))

    def labels(self, genes: Floats) -> IntArray:
        """Position of each customer's most probable segment; the first of equally probable ones."""
        position: IntArray = np.argmax(self.log_density(genes), axis=1)
        return position


def as_probabilities(log_density: Floats) -> Floats:
    """Membership probabilities from the result of :meth:`Grouping.log_density`."""
    return np.asarray(softmax(log_density, axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Candidate:
    """A grouping, how well its groups are separated, and how well resamples reproduce them.

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
        """Its name in the table of candidates."""
        return SINGLE if self.method == SINGLE else f"{self.method}, {self.count} segments"


def choose_grouping(genes: Floats, before: Before | None, seed: int) -> tuple[Candidate, tuple[Mapping[str, Any], ...]]:
    """The chosen candidate, and the row of every candidate for the ``segment_model`` table.

    Every segment must hold at least 2% of the customers. A silhouette of at least 0.5 means that customers clearly fall
    into groups; below it silhouette favours the fewest segments, so that candidates with fewer than five are left out.
    The previous model's method and number of segments are kept while its silhouette is within 0.1 of the best and none
    of its segments dissolves in resamples. Otherwise the candidates within 0.05 of the best silhouette, at most four,
    are tried in order of silhouette, and the first whose segments all hold is chosen. Below 50 customers, or where all
    are alike, there is one segment.

    Args:
        genes: scaled genes, shape (customers, genes).
        before: the model of the previous snapshot, if there is one.
        seed: seed of the resamples.
    """
    # k-means sums in an order that depends on the number of threads; with one thread it is always the same. Hundreds of
    # small fits would spend a third of their time on checking their input for finite values.
    with threadpool_limits(limits=1), config_context(assume_finite=True, skip_parameter_validation=True):
        chosen, candidates, reasons = _choose(genes, before, seed)
        trials = _trials(candidates, reasons, chosen, len(genes))
        if chosen.method != SINGLE and len(genes) > _COMPARED_ROWS:
            start = chosen.grouping.labels(genes)
            chosen = replace(chosen, grouping=_fit(chosen.method, genes, start))
    return chosen, trials


def _choose(
    genes: Floats, before: Before | None, seed: int
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
    measure = partial(_with_stability, genes=genes, compared=compared, before=before, seed=seed)
    chosen, why, measured = _best_that_holds(eligible, before, measure)
    reasons |= {trial.name: f"as good, but {chosen} was preferred" for trial in eligible} | why
    candidates = [measured.get(trial.name, trial) for trial in candidates]
    return measured[chosen], candidates, reasons


def _best_that_holds(
    eligible: Sequence[Candidate], before: Before | None, measure: Callable[..., Candidate]
) -> tuple[str, dict[str, str], dict[str, Candidate]]:
    """Name of the chosen candidate, the reason for or against each, and the candidates whose stability was measured."""
    measured: dict[str, Candidate] = {}

    def holds(trial: Candidate, bound: float) -> bool:
        measured[trial.name] = measure(trial, bound)
        return min(measured[trial.name].jaccard) > bound

    def result(chosen: Candidate, best: float, why: str) -> tuple[str, dict[str, str], dict[str, Candidate]]:
        reasons = {
            trial.name: f"silhouette more than {SILHOUETTE_TOLERANCE} below the best, {best:.3f}"
            for trial in pool
            if not is_within(trial, SILHOUETTE_TOLERANCE)
        }
        reasons |= {trial.name: "too few segments to act on" for trial in eligible if trial not in pool}
        reasons |= {
            trial.name: f"a segment dissolves in resamples (Jaccard similarity {min(trial.jaccard):.2f})"
            for trial in measured.values()
            if min(trial.jaccard) <= DISSOLVED_JACCARD
        }
        reasons[chosen.name] = f"{why}; silhouette {chosen.silhouette:.3f}, the best is {best:.3f}"
        return chosen.name, reasons, measured

    has_structure = max(trial.silhouette for trial in eligible) >= STRUCTURE_SILHOUETTE
    fine = [trial for trial in eligible if trial.count >= ACTIONABLE_COUNT]
    pool = eligible if has_structure or not fine else fine
    best_first = sorted(pool, key=lambda trial: -trial.silhouette)
    best = best_first[0].silhouette
    previous = next((t for t in pool if before and (t.method, t.count) == (before.method, before.count)), None)

    def is_within(trial: Candidate, tolerance: float) -> bool:
        return round(best - trial.silhouette, DECIMALS) <= tolerance

    is_near = previous is not None and is_within(previous, KEPT_TOLERANCE)
    if previous is not None and is_near and holds(previous, KEPT_JACCARD):
        return result(previous, best, "kept from the previous snapshot")
    for trial in best_first[:MOST_TESTED]:
        is_equal = is_within(trial, SILHOUETTE_TOLERANCE) and trial.name not in measured
        if is_equal and holds(trial, DISSOLVED_JACCARD):
            return result(trial, best, "the best silhouette of those whose segments all hold in resamples")
    if previous is not None and is_near:
        return result(previous, best, "kept from the previous snapshot, as no other holds better in resamples")
    return result(best_first[0], best, "the best silhouette, though no candidate's segments all hold in resamples")


def _single(genes: Floats) -> Candidate:
    shape = (1, genes.shape[1])
    return Candidate(SINGLE, 1, Grouping(np.zeros(shape), np.ones(shape), np.ones(1)), np.nan, 1.0)


def _evenly(count: int, limit: int) -> IntArray:
    """Positions of at most ``limit`` of ``count`` rows, evenly spaced, so that a sample needs no seed."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64))


def _candidates(genes: Floats, counts: Sequence[int], before: Before | None) -> list[Candidate]:
    distances = pairwise_distances(genes)
    tree = linkage(genes, "ward")

    def measured(method: str, grouping: Grouping) -> Candidate:
        count = len(grouping.weights)
        labels = grouping.labels(genes)
        share = np.bincount(labels, minlength=count).min() / len(labels)
        is_measurable = len(np.unique(labels)) > 1
        silhouette = silhouette_score(distances, labels, metric="precomputed") if is_measurable else -1.0
        return Candidate(method, count, grouping, round(float(silhouette), DECIMALS), float(share))

    found: dict[tuple[str, int], Candidate] = {}
    for count in counts:
        groups = _cut(tree, count)
        if groups.max() + 1 < count:
            continue  # ties: the hierarchy has no level with this number of groups
        for method in (K_MEANS, MIXTURE):
            start = _warm(before, method, count)
            if start is None:
                start = groups if method == K_MEANS else found[K_MEANS, count].grouping.labels(genes)
            found[method, count] = measured(method, _fit(method, genes, start))
    return [trial for kind in (K_MEANS, MIXTURE) for (method, _), trial in found.items() if method == kind]


def _cut(tree: Floats, count: int) -> IntArray:
    """At most ``count`` groups of a hierarchy, numbered from 0; fewer where merges are tied."""
    return fcluster(tree, count, "maxclust").astype(np.int64) - 1


def _warm(before: Before | None, method: str, count: int) -> IntArray | None:
    """The previous model's groups, if it has this method and number and all its segments have customers; else None."""
    if before is None or (before.method, before.count) != (method, count):
        return None
    return before.labels if len(np.unique(before.labels)) == count else None


def _fit(method: str, genes: Floats, start: IntArray) -> Grouping:
    """A candidate fitted from the starting groups ``start``; groups without customers are ignored."""
    start = np.unique(start, return_inverse=True)[1]
    sizes = np.bincount(start)
    count = len(sizes)
    of_group = np.eye(count)[start].T
    means = of_group @ genes / sizes[:, None]
    if method == K_MEANS:
        model = KMeans(count, init=means, n_init=1).fit(genes)
        mean_squared_distance = max(model.inertia_ / len(genes), 1e-6)
        shape = model.cluster_centers_.shape
        return _rounded(model.cluster_centers_, np.full(shape, mean_squared_distance / 2), np.full(count, 1 / count))
    variances = of_group @ genes**2 / sizes[:, None] - means**2
    mixture = GaussianMixture(
        count,
        covariance_type="diag",
        reg_covar=_LEAST_VARIANCE,
        tol=1e-2,
        weights_init=sizes / len(genes),
        means_init=means,
        precisions_init=1 / np.maximum(variances, _LEAST_VARIANCE),
    ).fit(genes)
    return _rounded(mixture.means_, mixture.covariances_, mixture.weights_)


def _rounded(means: Floats, variances: Floats, weights: Floats) -> Grouping:
    least = 10.0**-DECIMALS  # weights are at least this, as their logarithm is taken
    return Grouping(means.round(DECIMALS), variances.round(DECIMALS), np.maximum(weights.round(DECIMALS), least))


_LEAST_VARIANCE = 1e-2


def _with_stability(
    trial: Candidate, bound: float, *, genes: Floats, compared: Floats, before: Before | None, seed: int
) -> Candidate:
    """The candidate with its stability: refits on bootstrap resamples of ``genes`` are compared on ``compared``.

    Resamples are drawn until the smallest Jaccard similarity is clearly above or below ``bound``.
    """
    rng = np.random.default_rng(seed)
    labels = trial.grouping.labels(compared)
    agreement: list[float] = []
    jaccard: list[Floats] = []
    for count in range(RESAMPLES, 3 * RESAMPLES + 1, RESAMPLES):
        while len(agreement) < count:
            refitted = _refitted(trial, genes, before, rng).labels(compared)
            index, similarity = _similarity(labels, refitted, trial.count)
            agreement.append(index)
            jaccard.append(similarity)
        means = np.mean(jaccard, axis=0).round(DECIMALS)
        smallest = int(np.argmin(means))
        error = np.std([similarity[smallest] for similarity in jaccard]) / np.sqrt(count)
        if round(abs(means[smallest] - bound) - _DECIDED * error, DECIMALS) > 0:
            break
    return replace(trial, stability=float(np.mean(agreement)), jaccard=tuple(means.tolist()))


def _refitted(trial: Candidate, genes: Floats, before: Before | None, rng: np.random.Generator) -> Grouping:
    """The candidate's kind of model, fitted on a resample of the customers."""
    rows = np.sort(rng.integers(0, len(genes), min(len(genes), _RESAMPLE_ROWS)))
    drawn = genes[rows]
    start = _warm(None if before is None else replace(before, labels=before.labels[rows]), trial.method, trial.count)
    if start is None:
        start = _cut(linkage(drawn, "ward"), trial.count)
        if trial.method == MIXTURE:
            start = _fit(K_MEANS, drawn, start).labels(drawn)
    return _fit(trial.method, drawn, start)


def _similarity(labels: IntArray, others: IntArray, count: int) -> tuple[float, Floats]:
    """Adjusted Rand index of two groupings, and the Jaccard similarity of each group with its most similar counterpart.

    Both come from one contingency table; scikit-learn's index would check its input thousands of times.
    """
    common = np.zeros((count, count))
    np.add.at(common, (labels, others), 1)
    sizes, other_sizes = common.sum(axis=1), common.sum(axis=0)
    together, pairs, other_pairs = ((n * (n - 1) / 2).sum() for n in (common, sizes, other_sizes))
    by_chance = pairs * other_pairs / (len(labels) * (len(labels) - 1) / 2)
    index = (together - by_chance) / ((pairs + other_pairs) / 2 - by_chance)
    jaccard: Floats = (common / (sizes[:, None] + other_sizes - common)).max(axis=1)
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
