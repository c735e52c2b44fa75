"""The table of a model: the experts it joins, the forecast they make, and their errors at earlier dates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from genome_pipeline.contracts.tables import TABLES

FORECAST = "forecast"
"""The candidate that is always the chosen one: all experts joined."""


@dataclass(frozen=True)
class CandidateRow:
    """One candidate of a model table; ``parameters`` is None where none were fitted.

    Errors are those at the dates where the forecast was made again, at the level expected there by what was known then,
    on average; None where not defined.
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
    """Rows of a model table where nothing could be fitted, for one reason."""
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


def weight_reason(weight: float | None, missing: str, summary: str) -> str:
    """Why an expert counts as it does, in a plain sentence: ``summary`` tells its errors, or is empty."""
    if weight is None:
        return f"Not used: {missing}."
    return f"Weight {weight:.2f}." + (f" {summary}" if summary else " No snapshot has matured yet to measure it on.")
