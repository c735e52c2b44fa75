"""What the checks of segments say of moves and agreement."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from genome_pipeline.quality.segments import Flow, agreement, judge_moved, moved_share

FLOWS = [Flow(1, 1, 60), Flow(1, 2, 5), Flow(2, 2, 25), Flow(2, 3, 10)]


def test_agreement_is_the_adjusted_rand_index_of_scikit_learn() -> None:
    before, now = (
        np.repeat([getattr(flow, side) for flow in FLOWS], [flow.customer_count for flow in FLOWS])
        for side in ("from_id", "to_id")
    )
    assert agreement(FLOWS) == pytest.approx(adjusted_rand_score(before, now), abs=1e-12)


def test_agreement_with_nobody_or_with_one_segment_for_all_is_not_defined() -> None:
    assert agreement([]) is None
    assert agreement([Flow(1, 1, 1)]) is None
    assert agreement([Flow(1, 1, 30)]) is None


def test_moved_share_counts_who_changed() -> None:
    assert moved_share(FLOWS) == pytest.approx(0.15)
    assert moved_share([]) is None


@pytest.mark.parametrize(
    ("share", "earlier", "is_passed"),
    [
        (0.3, [0.1, 0.12, 0.11], False),
        (0.2, [0.1, 0.12, 0.11], True),
        (0.9, [0.1, 0.1], True),
        (0.3, [0.1] * 9 + [0.4] * 6, True),
        (None, [0.1, 0.1, 0.1], True),
    ],
)
def test_more_moves_than_twice_the_usual_are_reported(share: float, earlier: list[float], is_passed: bool) -> None:
    assert judge_moved(share, earlier).is_passed is is_passed
