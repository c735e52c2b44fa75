"""Whether segments are well separated and stable, and keep their customers from snapshot to snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from genome_pipeline.quality.volume import Finding

MINIMUM_SILHOUETTE = 0.15
MINIMUM_STABILITY = 0.5
DISSOLVED_JACCARD = 0.5
"""A segment counts as dissolved at this Jaccard similarity of resamples or below (Hennig 2007)."""

MINIMUM_SHARE = 0.01
"""Share of all customers; half the share that a segment must hold of the sample it is fitted on."""

MINIMUM_AGREEMENT = 0.4
"""Below this adjusted Rand index with the previous snapshot, segments share their names but not their customers."""

SNAPSHOTS_BEFORE = 6
FEWEST_BEFORE = 3
MOVED_FACTOR = 2.0
"""A share moved is reported from twice the median of earlier ones."""


@dataclass(frozen=True)
class Flow:
    """Customers who were in one segment at the previous snapshot and are now in another, or in the same."""

    from_id: int
    to_id: int
    customer_count: int


def moved_share(flows: Sequence[Flow]) -> float | None:
    """Share of the customers of both snapshots who changed segment; None if there are none."""
    total = sum(flow.customer_count for flow in flows)
    stayed = sum(flow.customer_count for flow in flows if flow.from_id == flow.to_id)
    return 1 - stayed / total if total else None


def agreement(flows: Sequence[Flow]) -> float | None:
    """Adjusted Rand index of both snapshots' segments over the customers in both; None where it is not defined.

    Hubert, L. and Arabie, P. (1985), "Comparing partitions", Journal of Classification 2, 193-218.
    """
    before: dict[int, int] = {}
    now: dict[int, int] = {}
    for flow in flows:
        before[flow.from_id] = before.get(flow.from_id, 0) + flow.customer_count
        now[flow.to_id] = now.get(flow.to_id, 0) + flow.customer_count
    together, pairs_before, pairs_now, pairs = (
        sum(count * (count - 1) / 2 for count in counts)
        for counts in ([f.customer_count for f in flows], before.values(), now.values(), [sum(now.values())])
    )
    if pairs == 0:
        return None
    by_chance = pairs_before * pairs_now / pairs
    most = (pairs_before + pairs_now) / 2
    return (together - by_chance) / (most - by_chance) if most > by_chance else None


def judge_moved(share: float | None, earlier: Sequence[float]) -> Finding:
    """Compare the share of customers who moved with the shares of earlier snapshots, oldest first."""
    if share is None:
        return Finding(True, "nobody was there at the previous snapshot")
    recent = earlier[-SNAPSHOTS_BEFORE:]
    if len(recent) < FEWEST_BEFORE:
        return Finding(True, f"{share:.1%} of the customers moved; too few earlier snapshots to compare with")
    usual = median(recent)
    observed = f"{share:.1%} of the customers moved, {usual:.1%} as median of the {len(recent)} snapshots before"
    return Finding(share <= MOVED_FACTOR * usual, observed)
