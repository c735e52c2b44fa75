"""Behavioural segments: the model of a snapshot, who belongs where, and who moved.

:mod:`genome_pipeline.models.segments.candidates` chooses the grouping and the number of segments,
:mod:`genome_pipeline.models.segments.identity` finds the previous segments that they continue, and the rules of
:mod:`genome_pipeline.models.segments.names` name them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.genes import SEGMENT_GENES, GeneScaler, by_customer
from genome_pipeline.models.segments.before import Before
from genome_pipeline.models.segments.candidates import Grouping, as_probabilities, choose_grouping
from genome_pipeline.models.segments.identity import describe_events, first_identity, identify
from genome_pipeline.models.segments.migrations import describe_moves
from genome_pipeline.models.segments.names import EVERYONE, name_segments, segment_facts

_FIT_ROWS = 20_000


@dataclass(frozen=True)
class SegmentModel:
    """Segments of one snapshot: how to assign a customer, and each segment's identity and name.

    ``segment_ids``, ``segment_names``, ``naming_rules`` and ``jaccard_scores`` follow the order of the rows of
    ``grouping.means``; ``jaccard_scores`` is empty for a single segment. ``largest_segment_id`` is the largest id ever
    given, so that the id of an ended segment is never used again. ``trials`` are the rows of :meth:`candidates`,
    ``changes`` those of :meth:`events`.
    """

    scaler: GeneScaler
    method: str
    grouping: Grouping
    segment_ids: tuple[int, ...]
    segment_names: tuple[str, ...]
    naming_rules: tuple[str, ...]
    jaccard_scores: tuple[float, ...]
    largest_segment_id: int
    trials: tuple[Mapping[str, Any], ...]
    changes: tuple[Mapping[str, Any], ...]

    @property
    def described(self) -> pd.DataFrame:
        """``segment_id``, ``segment_name``, ``naming_rule`` and ``jaccard_score`` (null for a single segment)."""
        return pd.DataFrame(
            {
                "segment_id": self.segment_ids,
                "segment_name": self.segment_names,
                "naming_rule": self.naming_rules,
                "jaccard_score": self.jaccard_scores or (np.nan,),
            }
        )

    def candidates(self, as_of: date) -> pd.DataFrame:
        """Contract ``segment_model`` without ``artifact_file``: one row per candidate tried."""
        columns = [name for name in TABLES["segment_model"].columns if name != "artifact_file"]
        frame = pd.DataFrame([{"as_of": as_of, **trial} for trial in self.trials], columns=columns)
        return frame.astype({name: "float64" for name in columns if name.endswith("_score")})

    def events(self, as_of: date) -> pd.DataFrame:
        """Contract ``segment_events``: changes of the segments since the previous snapshot."""
        columns = list(TABLES["segment_events"].columns)
        frame = pd.DataFrame([{"as_of": as_of, **change} for change in self.changes], columns=columns)
        return frame.astype({"related_segment_id": "Int32"})

    def assign(self, features: pd.DataFrame) -> pd.DataFrame:
        """The most and the second most probable segment of each customer, by customer.

        Returns ``customer_id``, ``segment_id``, ``segment_name``, ``membership_probability``, and the same three of the
        second segment, which are null if there is only one segment.
        """
        customers = by_customer(features)
        log_density = self.grouping.log_density(self.scaler.transform(customers))
        posterior = as_probabilities(log_density)
        ids = pd.Series(self.segment_ids, dtype="int32")
        names = np.array(self.segment_names, dtype=object)
        # The first of equally probable segments, in the order of the model.
        order = np.argsort(-log_density, axis=1, kind="stable")
        best = order[:, 0]
        frame = pd.DataFrame(
            {
                "customer_id": customers["customer_id"],
                "segment_id": ids.to_numpy()[best],
                "segment_name": names[best],
                "membership_probability": np.take_along_axis(posterior, best[:, None], axis=1)[:, 0],
            }
        )
        if len(ids) == 1:
            return frame.assign(
                second_segment_id=pd.array([None] * len(frame), dtype="Int32"),
                second_segment_name=None,
                second_membership_probability=np.nan,
            )
        second = order[:, 1]
        return frame.assign(
            second_segment_id=pd.array(ids.to_numpy()[second], dtype="Int32"),
            second_segment_name=names[second],
            second_membership_probability=np.take_along_axis(posterior, second[:, None], axis=1)[:, 0],
        )

    def seen_from(self, customers: pd.DataFrame) -> Before:
        """The model's assignment of the next snapshot's ``customer_features``, as that snapshot needs it."""
        labels = self.grouping.labels(self.scaler.transform(customers))
        return Before(self.method, labels, self.segment_ids, self.segment_names, self.largest_segment_id)

    def to_bytes(self) -> bytes:
        """The model as UTF-8 JSON; equal models give equal bytes."""
        state = {
            "scaler": self.scaler.to_dict(),
            "method": self.method,
            "means": self.grouping.means.tolist(),
            "variances": self.grouping.variances.tolist(),
            "weights": self.grouping.weights.tolist(),
            **{name: getattr(self, name) for name in (*_LISTS, "largest_segment_id")},
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
            largest_segment_id=state["largest_segment_id"],
            **{name: tuple(state[name]) for name in _LISTS},
        )


_LISTS = ("segment_ids", "segment_names", "naming_rules", "jaccard_scores", "trials", "changes")


@dataclass(frozen=True)
class SegmentedCustomers:
    """Contract tables ``customer_segments`` and ``segment_migrations`` of one snapshot."""

    customers: pd.DataFrame
    migrations: pd.DataFrame


def fit_segments(features: pd.DataFrame, previous: SegmentModel | None, seed: int) -> SegmentModel:
    """Fit, choose, identify and name the segments of one snapshot.

    Args:
        features: contract ``customer_features`` of one snapshot. At most 20,000 customers, evenly spread over their
            ids, are used.
        previous: the model of the previous snapshot, if there is one. Nothing else of the past is used, so that making
            a snapshot again gives the same model.
        seed: seed of the bootstrap resamples.
    """
    customers = by_customer(features)
    if len(customers) > _FIT_ROWS:
        customers = customers.iloc[np.linspace(0, len(customers) - 1, _FIT_ROWS).round().astype(int)]
        customers = customers.reset_index(drop=True)
    scaler = GeneScaler.fit(customers, SEGMENT_GENES)
    genes = scaler.transform(customers)
    before = None if previous is None else previous.seen_from(customers)
    chosen, trials = choose_grouping(genes, before, seed)
    labels = chosen.grouping.labels(genes)
    identity = first_identity(chosen.count) if before is None else identify(labels, genes, chosen.count, before)
    if chosen.count == 1:
        named = [EVERYONE]
    else:
        previous_names = [None if before is None or i is None else before.names[i] for i in identity.previous]
        named = name_segments(segment_facts(customers, labels, chosen.count), previous_names)
    names = tuple(name for name, _ in named)
    return SegmentModel(
        scaler=scaler,
        method=chosen.method,
        grouping=chosen.grouping,
        segment_ids=identity.ids,
        segment_names=names,
        naming_rules=tuple(rule for _, rule in named),
        jaccard_scores=chosen.jaccard,
        largest_segment_id=identity.largest_id,
        trials=trials,
        changes=describe_events(identity, names, before),
    )


def compare_segments(
    assignment: pd.DataFrame, features: pd.DataFrame, previous: pd.DataFrame | None
) -> SegmentedCustomers:
    """Each customer's segment beside the one at the previous snapshot, and the moves between segments.

    Args:
        assignment: the result of :meth:`SegmentModel.assign` for all customers of the snapshot.
        features: ``as_of``, ``customer_id`` and ``recent_spend_amount`` of the same customers.
        previous: ``customer_id``, ``segment_id`` and ``segment_name`` of the previous snapshot, if there is one.
    """
    customers, assignment = by_customer(features), by_customer(assignment)
    moves, migrations = describe_moves(assignment, previous, customers)
    assignment.insert(0, "as_of", customers["as_of"])
    return SegmentedCustomers(pd.concat([assignment, moves], axis=1), migrations)
