"""The dictionary of columns: one name, type, unit and meaning each, in every table.

Tables in :mod:`genome_pipeline.contracts.tables` are composed from these. A name carries its unit or
kind (``_days``, ``_count``, ``_amount``, ``_probability``, ``_share``, ``_ratio``, ``_at``, ``_date``,
``_id``, ``is_``, ``has_``); the field's own terms (``frequency``, ``recency``, ``T``) keep their sense.
"""

from __future__ import annotations

from genome_pipeline.contracts.column import Column
from genome_pipeline.contracts.columns import (
    actions,
    activity,
    bookkeeping,
    drift,
    experiments,
    predictions,
    questions,
    segments,
    similarity,
    source,
    taste,
    totals,
)
from genome_pipeline.contracts.columns.segments import SPREAD
from genome_pipeline.contracts.genes import GENES

__all__ = ["COLUMNS", "SPREAD"]

_DICTIONARY = (
    *source.COLUMNS,
    *(gene.column for gene in GENES.values()),
    *activity.COLUMNS,
    *segments.COLUMNS,
    *predictions.COLUMNS,
    *taste.COLUMNS,
    *similarity.COLUMNS,
    *drift.COLUMNS,
    *actions.COLUMNS,
    *experiments.COLUMNS,
    *questions.COLUMNS,
    *totals.COLUMNS,
    *bookkeeping.COLUMNS,
)

COLUMNS: dict[str, Column] = {column.name: column for column in _DICTIONARY}
assert len(COLUMNS) == len(_DICTIONARY), "a column is declared twice"
