"""Which segments continue, and what became of the others."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest

from genome_pipeline.models.segments.before import Before
from genome_pipeline.models.segments.identity import describe_events, first_identity, identify
from genome_pipeline.models.segments.model import SegmentModel, fit_segments
from genome_pipeline_tests.support.populations import AS_OF, assert_keeps_contract, shop


def before(labels: list[int], names: str = "ABC", largest_id: int = 9) -> Before:
    ids = tuple(range(1, len(names) + 1))
    return Before("k-means", np.array(labels), ids, tuple(names), largest_id)


def identified(labels: list[int], labels_before: list[int], names: str = "ABC") -> tuple[tuple[int, ...], list[str]]:
    """Ids now, and events as "what id name related", of segments called by their position."""
    known = before(labels_before, names)
    count = max(labels) + 1
    genes = np.array(labels, dtype=float)[:, None]
    identity = identify(np.array(labels), genes, count, known)
    events = describe_events(identity, [f"n{segment}" for segment in range(count)], known)
    told = [
        " ".join(str(event[name]) for name in ("event", "segment_id", "related_segment_id") if event[name])
        for event in events
        if event["event"] != "rename"
    ]
    return identity.ids, told


@pytest.mark.parametrize(
    ("now", "then", "names", "ids", "events"),
    [
        pytest.param([1, 1, 0, 0, 2, 2], [0, 0, 1, 1, 2, 2], "ABC", (2, 1, 3), [], id="in another order"),
        pytest.param([0, 0, 0, 2, 1, 1], [0, 0, 0, 0, 1, 1], "AB", (1, 2, 10), ["split 10 1"], id="a part left"),
        pytest.param([0, 0, 0, 0, 1, 1], [0, 0, 0, 2, 1, 1], "ABC", (1, 2), ["merge 3 1"], id="one was taken in"),
        pytest.param(
            [0, 0, 1, 1, 2, 0, 1, 2, 2], [0, 0, 1, 1, 0, 0, 1, 1, 1], "AB", (1, 2, 10), ["split 10 2"], id="from two"
        ),
        pytest.param([0, 0, 1, 1, 0, 1], [0, 0, 1, 1, 2, 2], "ABC", (1, 2), ["merge 3 1"], id="half went there"),
        pytest.param(
            [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2],
            [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
            "ABCD",
            (1, 2, 3),
            ["death 4"],
            id="scattered",
        ),
        pytest.param(
            [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],
            [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2],
            "ABC",
            (1, 2, 3, 10),
            ["birth 10"],
            id="gathered from all",
        ),
        pytest.param(
            [0, 0, 1, 1], [0, 0, 0, 0], "A", (10, 11), ["split 10 1", "split 11 1", "merge 1 10"], id="of one"
        ),
    ],
)
def test_segments_continue_split_merge_and_end(
    now: list[int], then: list[int], names: str, ids: tuple[int, ...], events: list[str]
) -> None:
    assert identified(now, then, names) == (ids, events)


def test_where_members_do_not_decide_the_nearer_centroid_does() -> None:
    # Each segment has one member in common with each previous one; centroids are 1 and 9, and were 8 and 2.
    genes = np.array([[2.0], [0.0], [14.0], [4.0]])
    identity = identify(np.array([0, 0, 1, 1]), genes, 2, before([1, 0, 0, 1], "AB"))
    assert identity.ids == (2, 1)
    mirrored = identify(np.array([0, 0, 1, 1]), genes, 2, before([0, 1, 1, 0], "AB"))
    assert mirrored.ids == (1, 2)


def test_the_first_segments_are_born_and_a_new_name_is_an_event() -> None:
    born = describe_events(first_identity(2), ["New", "Loyal"], None)
    assert [(event["event"], event["segment_id"], event["segment_name"]) for event in born] == [
        ("birth", 1, "New"),
        ("birth", 2, "Loyal"),
    ]
    known = before([0, 0, 1, 1], "AB")
    identity = identify(np.array([0, 0, 1, 1]), np.zeros((4, 1)), 2, known)
    (renamed,) = describe_events(identity, ["A", "Loyal"], known)
    assert (renamed["event"], renamed["segment_id"]) == ("rename", 2)
    assert (renamed["segment_name"], renamed["previous_segment_name"]) == ("Loyal", "B")


def snapshots(count: int) -> list[pd.DataFrame]:
    """The shop over ``count`` snapshots: customers age, some fall silent, and a new group comes in the middle."""
    frames = []
    for number in range(count):
        frame = shop(seed=1 + number % 3, size=14)
        silent = frame["customer_id"].str[1:].astype(int) < number
        frame.loc[silent & frame["customer_id"].str.startswith("b"), "days_since_last_order"] = 200
        if number < count // 2:
            frame = frame[~frame["customer_id"].str.startswith("e")]
        frames.append(frame.reset_index(drop=True))
    return frames


def test_twenty_four_snapshots_made_again_in_any_order_keep_ids_and_names() -> None:
    frames = snapshots(24)
    stored: list[bytes] = []
    for frame in frames:
        previous = SegmentModel.from_bytes(stored[-1]) if stored else None
        stored.append(fit_segments(frame, previous, seed=0).to_bytes())
    backfilled = [SegmentModel.from_bytes(content) for content in stored]
    order = list(range(24))
    random.Random(5).shuffle(order)
    for number in order:
        # As a re-run does: from what is stored of the snapshot before, which may have been made again itself.
        previous = SegmentModel.from_bytes(stored[number - 1]) if number else None
        stored[number] = fit_segments(frames[number], previous, seed=0).to_bytes()
    again = [SegmentModel.from_bytes(content) for content in stored]
    assert [(model.segment_ids, model.segment_names) for model in again] == [
        (model.segment_ids, model.segment_names) for model in backfilled
    ]
    events = pd.concat([model.events(AS_OF) for model in again[1:]])
    assert_keeps_contract("segment_events", again[-1].events(AS_OF))
    assert len(events) > 0


def test_no_id_is_given_twice_and_no_name_changes_without_an_event() -> None:
    previous, ended = None, set[int]()
    for frame in snapshots(12):
        model = fit_segments(frame, previous, seed=0)
        if previous is not None:
            names = dict(zip(previous.segment_ids, previous.segment_names, strict=True))
            renamed = {
                id_
                for id_, name in zip(model.segment_ids, model.segment_names, strict=True)
                if names.get(id_, name) != name
            }
            events = model.events(AS_OF)
            assert renamed == set(events.loc[events["event"] == "rename", "segment_id"])
            born = set(model.segment_ids) - set(previous.segment_ids)
            assert born == set(events.loc[events["event"].isin(["birth", "split"]), "segment_id"])
            gone = set(previous.segment_ids) - set(model.segment_ids)
            assert gone == set(events.loc[events["event"].isin(["merge", "death"]), "segment_id"])
            ended |= gone
            assert not ended & set(model.segment_ids)
        previous = model
