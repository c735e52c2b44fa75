"""Whether the segments of each snapshot are well separated, and the same as at the snapshot before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.segments import (
    DISSOLVED_JACCARD,
    MINIMUM_AGREEMENT,
    MINIMUM_SHARE,
    MINIMUM_SILHOUETTE,
    MINIMUM_STABILITY,
    Flow,
    agreement,
    judge_moved,
    moved_share,
)
from genome_pipeline.quality.validation import CheckResult


@check(
    "segment_model",
    description="The segments chosen are apart (silhouette) and come again when customers are resampled.",
    is_blocking=False,
)
def segments_hold(subject: Subject) -> Sequence[CheckResult]:
    """Two results for each snapshot of the run: silhouette, and stability."""
    rows = subject.database.con.execute(
        "SELECT as_of, candidate, silhouette_score, stability_score, smallest_jaccard_score, training_row_count"
        " FROM segment_model WHERE is_chosen AND as_of IN (SELECT unnest(?)) ORDER BY as_of",
        [subject.snapshots],
    ).fetchall()
    results = []
    for as_of, candidate, silhouette, stability, jaccard, count in rows:
        start = subject.settings.time.period_start(as_of)
        if silhouette is None:
            found = [("silhouette", True, "nothing to measure"), ("stability", True, "nothing to measure")]
        else:
            is_stable = stability >= MINIMUM_STABILITY and jaccard > DISSOLVED_JACCARD
            observed = f"adjusted Rand index with resamples {stability:.2f}, smallest Jaccard similarity {jaccard:.2f}"
            found = [
                ("silhouette", silhouette >= MINIMUM_SILHOUETTE, f"silhouette {silhouette:.3f}"),
                ("stability", is_stable, observed),
            ]
        results += [
            CheckResult("segment_model", name, "WARN", is_passed, f"{candidate} at {as_of}: {observed}", count, start)
            for name, is_passed, observed in found
        ]
    return results


@check(
    "segment_migrations",
    description="No segment is tiny, no more customers moved than usual, and the segments agree with the previous"
    " snapshot's.",
    is_blocking=False,
)
def segments_last(subject: Subject) -> Sequence[CheckResult]:
    """Three results for each snapshot of the run: smallest share, share moved, agreement."""
    dates = subject.snapshots
    rows = subject.database.con.execute(
        "SELECT as_of, from_segment_id, to_segment_id, customer_count FROM segment_migrations WHERE as_of <= ?"
        " ORDER BY as_of",
        [dates[-1]],
    ).fetchall()
    flows: dict[date, list[Flow]] = {}
    for as_of, *flow in rows:
        flows.setdefault(as_of, []).append(Flow(*flow))
    moved = {as_of: moved_share([flow for flow in found if flow.from_id]) for as_of, found in flows.items()}
    results = []
    for as_of in dates:
        found = flows.get(as_of, [])
        sizes: dict[int, int] = {}
        for flow in found:
            sizes[flow.to_id] = sizes.get(flow.to_id, 0) + flow.customer_count
        count = sum(sizes.values())
        if not count:
            continue
        share = min(sizes.values()) / count
        index = agreement([flow for flow in found if flow.from_id])
        earlier = [value for day, value in moved.items() if day < as_of and value is not None]
        judged = judge_moved(moved[as_of], earlier)
        agrees = "nothing to compare with" if index is None else f"adjusted Rand index {index:.2f}"
        results += [
            CheckResult(
                "segment_migrations",
                name,
                "WARN",
                is_passed,
                f"{as_of}: {observed}",
                count,
                subject.settings.time.period_start(as_of),
            )
            for name, is_passed, observed in (
                (
                    "smallest_segment",
                    share >= MINIMUM_SHARE,
                    f"the smallest segment holds {share:.1%} of the customers",
                ),
                ("moved_share", judged.is_passed, judged.observed),
                ("agreement", index is None or index >= MINIMUM_AGREEMENT, f"with the previous snapshot: {agrees}"),
            )
        ]
    return results


CHECKS = (segments_hold, segments_last)
