"""The warehouse's schema version, and the statements that lead from each older version to the present one."""

from __future__ import annotations

SCHEMA_VERSION = 6
"""Increased with each change of the warehouse's tables; the step for each increase is below.

Some changes need no step: a new table, and a new column of a derived table that is a number or may be null. These are
added on opening, and the slices concerned are made again.
"""

_GENES_OF_SEASON = ("last_gap_days", "year_ago_purchase_day_count", "two_years_ago_purchase_day_count")

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
        # Examples named customers; since then they are kept only in Dagster's log.
        "UPDATE data_quality SET observed = regexp_replace(observed, ',? e\\.g\\. .*$', '', 's')"
        " WHERE contains(observed, 'e.g. ')",
    ),
    4: (
        "ALTER TABLE customer_activity ADD COLUMN IF NOT EXISTS last_gap_days BIGINT",
        *(
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {gene} BIGINT"
            for table in ("customer_features", "customer_genome")
            for gene in _GENES_OF_SEASON
        ),
        *(
            statement
            for table in ("customer_features", "customer_genome")
            for statement in (
                f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS active_year_share DOUBLE DEFAULT 1",
                f"ALTER TABLE {table} ALTER COLUMN active_year_share SET NOT NULL",
                f"ALTER TABLE {table} ALTER COLUMN active_year_share DROP DEFAULT",
            )
        ),
        *(
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} DOUBLE"
            for table in ("customer_value", "customer_genome")
            for column in ("orders_if_retained", "spend_per_order_amount")
        ),
        # Older slices lack values in these columns; marked as made under other settings, they are made again.
        "UPDATE written_slices SET settings_hash = 'schema 4' WHERE table_name IN ('customer_activity',"
        " 'segment_profiles')",
    ),
    5: (
        *(
            f"ALTER TABLE {table} DROP COLUMN IF EXISTS {part}_confidence"
            for table in ("customer_confidence", "customer_genome")
            for part in ("sufficiency", "precision", "membership", "familiarity")
        ),
        *(
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {part}_confidence DOUBLE"
            for table in ("customer_confidence", "customer_genome", "prediction_outcomes")
            for part in ("churn", "orders", "spend")
        ),
        # Older models do not hold expected errors, so snapshots are made again.
        "UPDATE written_slices SET settings_hash = 'schema 5' WHERE table_name = 'segment_profiles'",
    ),
}
"""Version -> the statements that lead to the next one. A warehouse without a recorded version has version 1.

Each statement is committed separately, as DuckDB cannot fill a column and constrain it in one transaction, and has no
effect if it was executed before.
"""
