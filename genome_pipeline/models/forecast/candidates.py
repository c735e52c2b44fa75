"""The rows of a model table: the experts, the forecast that joins them, and their errors at earlier dates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import pandas as pd

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.forecast.experts import Training
from genome_pipeline.models.snapshots import MAXIMUM_TRAINING_ROWS

FORECAST = "forecast"
"""The candidate that is always chosen: all experts joined."""


@dataclass(frozen=True)
class CandidateRow:
    """One candidate of a model table; ``parameters`` is None where none were fitted.

    Errors are means over the dates at which the forecast was made again, at the level expected from what was known at
    that date; None where not defined.
    """

    candidate: str
    is_chosen: bool
    choice_reason: str
    selection_as_of: date | None
    training_snapshot_count: int
    training_row_count: int
    errors: dict[str, float | None]
    parameters: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        day = self.selection_as_of
        return {**vars(self), "selection_as_of": None if day is None else day.isoformat()}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> CandidateRow:
        """Inverse of :meth:`to_dict`."""
        day = state["selection_as_of"]
        return cls(**{**state, "selection_as_of": None if day is None else date.fromisoformat(day)})


def abstention(candidates: Sequence[str], reason: str) -> tuple[CandidateRow, ...]:
    """Rows of a model table where nothing could be fitted, all with the same reason."""
    return tuple(CandidateRow(name, False, f"Not fitted: {reason}.", None, 0, 0, {}, None) for name in candidates)


def candidate_table(table_name: str, as_of: date, rows: Sequence[CandidateRow]) -> pd.DataFrame:
    """The rows as contract table ``table_name``, a model table, without ``artifact_file``; unknown errors are null."""
    columns = [name for name in TABLES[table_name].columns if name != "artifact_file"]
    records = [
        {
            "as_of": as_of,
            **vars(row),
            **row.errors,
            "parameters": None if row.parameters is None else json.dumps(row.parameters),
        }
        for row in rows
    ]
    floats = [field.name for field in TABLES[table_name].fields if field.type == "DOUBLE"]
    return pd.DataFrame(records).reindex(columns=columns).astype(dict.fromkeys(floats, "float64"))


class Judged(NamedTuple):
    """Mean errors of a candidate at earlier dates, and a sentence about one of them, empty without such dates."""

    errors: dict[str, float | None]
    summary: str


def candidate_rows(
    judged: Mapping[str, Judged],
    weights: Mapping[str, float],
    missing: Mapping[str, str],
    training: Training,
    selection_as_of: date | None,
    customers: int,
) -> tuple[CandidateRow, ...]:
    """Rows of a model table, in the order of ``judged``: the baseline, the experts, and the joined forecast.

    Args:
        judged: the mean errors of every candidate.
        weights: of the experts that could be fitted.
        missing: why the other experts could not be fitted.
        training: the snapshots that experts learned from.
        selection_as_of: the latest date at which candidates were judged, if there is one.
        customers: customers of the snapshot, to whose histories Pareto/NBD is fitted.
    """
    unmeasured = (
        "No snapshot has matured yet to measure it on."
        if selection_as_of is None
        else "At no earlier date was it fitted."
    )
    rows = []
    for candidate, (errors, summary) in judged.items():
        known = training.half if candidate.endswith("_half") else training.whole
        is_trained = candidate in weights and candidate != "btyd"
        size = sum(len(snapshot.features) for snapshot in known)
        rows.append(
            CandidateRow(
                candidate,
                candidate == FORECAST,
                _reason(candidate, weights.get(candidate), missing.get(candidate), summary, unmeasured),
                selection_as_of,
                len(known) if is_trained else 0,
                min(size, MAXIMUM_TRAINING_ROWS) if is_trained else customers if candidate == "btyd" else 0,
                errors,
                {"weight": weights[candidate]} if candidate in weights else None,
            )
        )
    return tuple(rows)


def _reason(candidate: str, weight: float | None, missing: str | None, summary: str, unmeasured: str) -> str:
    """Why a candidate has its weight, in one or two plain sentences."""
    if candidate == "naive":
        return f"Not used: the baseline. {summary}".strip()
    if candidate == FORECAST:
        counts = "All experts joined."
    elif weight is None:
        return f"Not used: {missing}."
    else:
        counts = f"Weight {weight:.2f}."
    return f"{counts} {summary or unmeasured}"
