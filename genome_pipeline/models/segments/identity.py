"""Identity of segments: which previous segment each one continues, and what happened to the segments that ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.segments.before import Before, IntArray

MINIMUM_OVERLAP = 0.25
"""Least Jaccard overlap with which a segment continues a previous one; below it the segment is new."""

LARGER_PART = 0.5
"""Least share of a segment's customers that settles which segment it came from, or went to."""

_TIE = 1e-6  # weight of the distance of centroids: it decides only between equal overlaps


@dataclass(frozen=True)
class Identity:
    """Which segments continue: ``previous[i]`` is the position of the previous segment that segment ``i`` continues.

    It is None for a new segment. ``overlap`` has shape (segments, previous segments): today's customers whom this
    model puts into the one and the previous model into the other.
    """

    ids: tuple[int, ...]
    largest_id: int
    previous: tuple[int | None, ...]
    overlap: IntArray


def first_identity(count: int) -> Identity:
    """Segments without predecessors, numbered from 1."""
    return Identity(tuple(range(1, count + 1)), count, (None,) * count, np.zeros((count, 0), dtype=np.int64))


def identify(labels: IntArray, genes: Floats, count: int, before: Before) -> Identity:
    """Match segments with the previous ones by optimal assignment.

    Both models assign today's customers, so that movements of customers play no part. Matches maximise the Jaccard
    overlap of members, then minimise the distance of centroids. An overlap below 0.25 is no match. A single segment
    that holds everyone matches nothing, as it is no group. Segments without a match get ids that were never used.

    Args:
        labels: segment of each of today's customers, by position, shape (customers,).
        genes: scaled genes of the customers, shape (customers, genes).
        count: number of segments.
        before: the previous model.
    """
    common = np.zeros((count, before.count), dtype=np.int64)
    np.add.at(common, (labels, before.labels), 1)
    union = common.sum(axis=1, keepdims=True) + common.sum(axis=0, keepdims=True) - common
    overlap = common / np.maximum(union, 1)
    distance = cdist(_centroids(genes, labels, count), _centroids(genes, before.labels, before.count))
    # Rounded more finely than the distances weigh, so that no match depends on the last bits of a sum.
    rows, columns = linear_sum_assignment((overlap - _TIE * distance).round(12), maximize=True)
    is_comparable = (count == 1) == (before.count == 1)
    match = {
        int(row): int(column)
        for row, column in zip(rows, columns, strict=True)
        if is_comparable and overlap[row, column] >= MINIMUM_OVERLAP
    }
    largest_id = before.largest_id
    ids: list[int] = []
    for segment in range(count):
        if segment in match:
            ids.append(before.ids[match[segment]])
        else:
            largest_id += 1
            ids.append(largest_id)
    return Identity(tuple(ids), largest_id, tuple(match.get(segment) for segment in range(count)), common)


def describe_events(identity: Identity, names: Sequence[str], before: Before | None) -> tuple[dict[str, Any], ...]:
    """Rows of contract ``segment_events`` without ``as_of``: changes of the segments since ``before``.

    A segment without predecessor is a ``split`` of the previous segment that at least half of its customers come from;
    without such a segment it is a ``birth``. A previous segment without successor is a ``merge`` into the segment that
    at least half of its customers went to; without such a segment it is a ``death``. A segment that continues under
    another name is a ``rename``.
    """
    if before is None:
        reason = "the first snapshot with segments"
        return tuple(_event("birth", id_, name, reason) for id_, name in zip(identity.ids, names, strict=True))
    events: list[dict[str, Any]] = []
    for segment, (id_, name, previous) in enumerate(zip(identity.ids, names, identity.previous, strict=True)):
        if previous is None:
            origin, share = _larger_part(identity.overlap[segment])
            if origin is None:
                reason = "no previous segment would hold half of its customers"
                events.append(_event("birth", id_, name, reason))
            else:
                reason = f"{share:.0%} of its customers would have been in {before.names[origin]} before"
                events.append(_event("split", id_, name, reason, related=(before.ids[origin], before.names[origin])))
        elif name != before.names[previous]:
            reason = f"its profile no longer met the rule of {before.names[previous]}, or another met it better"
            events.append(_event("rename", id_, name, reason, previous_name=before.names[previous]))
    for ended in sorted(set(range(before.count)) - set(identity.previous)):
        id_, name = before.ids[ended], before.names[ended]
        heir, share = _larger_part(identity.overlap[:, ended])
        if heir is None:
            reason = "no segment holds half of the customers it would hold"
            events.append(_event("death", id_, name, reason))
        else:
            reason = f"{share:.0%} of the customers it would hold are in {names[heir]} now"
            events.append(_event("merge", id_, name, reason, related=(identity.ids[heir], names[heir])))
    return tuple(events)


def _event(
    event: str,
    segment_id: int,
    name: str,
    reason: str,
    previous_name: str | None = None,
    related: tuple[int | None, str | None] = (None, None),
) -> dict[str, Any]:
    return {
        "segment_id": segment_id,
        "event": event,
        "segment_name": name,
        "previous_segment_name": previous_name,
        "related_segment_id": related[0],
        "related_segment_name": related[1],
        "event_reason": reason,
    }


def _larger_part(customers: IntArray) -> tuple[int | None, float]:
    """Position of the segment that holds at least half of the customers, if one does, and its share."""
    total = customers.sum()
    if total == 0:
        return None, 0.0
    largest = int(np.argmax(customers))
    share = float(customers[largest] / total)
    return (largest, share) if share >= LARGER_PART else (None, share)


def _centroids(genes: Floats, labels: IntArray, count: int) -> Floats:
    """Mean genes of each segment, shape (segments, genes); a segment without customers is at the origin."""
    sums = np.zeros((count, genes.shape[1]))
    np.add.at(sums, labels, genes)
    return sums / np.maximum(np.bincount(labels, minlength=count), 1)[:, None]
