"""Every table: its grain, key, slice, columns, and which of them may be null.

DDL, Great Expectations suites, Dagster column schemas, DuckDB comments, the data dictionary and the
dashboard's tooltips are all made from these declarations. A module holds the tables of one subject.

The group of a table is its group in Dagster. There are six, each of which reads only those before it: source,
customers, forecast, outcomes, actions and genome; bookkeeping and quality are no assets.
"""

from __future__ import annotations

from genome_pipeline.contracts.table import Reference, Table
from genome_pipeline.contracts.tables import (
    actions,
    bookkeeping,
    confidence,
    drift,
    drivers,
    experiments,
    features,
    genome,
    ingestion,
    outlook,
    performance,
    quality,
    risk,
    segments,
    similarity,
    taste,
    totals,
    validation,
    value,
)
from genome_pipeline.contracts.tables.ingestion import RAW_COLUMNS

__all__ = ["ID_COLUMNS", "RAW_COLUMNS", "TABLES", "Reference", "Table"]

ID_COLUMNS = ("customer_id", "neighbor_customer_id", "raw_customer_id")
"""Columns that name a person, in any table."""

_IN_ORDER = (
    *ingestion.TABLES,
    *validation.TABLES,
    *features.TABLES,
    *drift.TABLES,
    *segments.TABLES,
    *value.TABLES,
    *risk.TABLES,
    *outlook.TABLES,
    *taste.TABLES,
    *totals.TABLES,
    *drivers.TABLES,
    *similarity.TABLES,
    *performance.TABLES,
    *confidence.TABLES,
    *experiments.TABLES,
    *actions.TABLES,
    *genome.TABLES,
    *validation.MADE_AT_PUBLISHING,
    *totals.MADE_AT_PUBLISHING,
    *quality.TABLES,
    *bookkeeping.TABLES,
)

TABLES: dict[str, Table] = {table.name: table for table in _IN_ORDER}
"""All tables by name, in the order of the flow."""
