"""The warehouse's schema version, and the way from each older one to the present."""

from __future__ import annotations

SCHEMA_VERSION = 4
"""Raised with each change of the warehouse's tables, other than a new table; the step there stands below."""

STEPS: dict[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE source_files ADD COLUMN IF NOT EXISTS suppressed_row_count BIGINT DEFAULT 0",
        "ALTER TABLE source_files ALTER COLUMN suppressed_row_count SET NOT NULL",
        "ALTER TABLE source_files ALTER COLUMN suppressed_row_count DROP DEFAULT",
        "ALTER TABLE pipeline_runs ADD COLUMN IF NOT EXISTS published_schema_version VARCHAR",
    ),
    2: (
        "ALTER TABLE customer_genome ADD COLUMN IF NOT EXISTS is_provisional BOOLEAN DEFAULT false",
        "ALTER TABLE customer_genome ALTER COLUMN is_provisional SET NOT NULL",
        "ALTER TABLE customer_genome ALTER COLUMN is_provisional DROP DEFAULT",
    ),
    3: (
        "ALTER TABLE pipeline_runs ADD COLUMN IF NOT EXISTS forced_past VARCHAR",
        # Examples named customers; they are kept in Dagster's log alone.
        "UPDATE data_quality SET observed = regexp_replace(observed, ',? e\\.g\\. .*$', '', 's')"
        " WHERE contains(observed, 'e.g. ')",
    ),
}
"""Version -> the statements that lead to the next one. A warehouse of before versions were written has version 1.

Each is committed by itself, as DuckDB cannot fill a column and constrain it in one transaction, and does nothing where
it was done before.
"""
