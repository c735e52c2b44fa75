"""The table of all check results."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table

TABLES = (
    Table(
        "data_quality",
        "quality",
        "check x period x run",
        "Every check that ran: on which period (null: on the whole table), what it found, and whether it passed.",
        (
            "run_id",
            "checked_at",
            "table_name",
            "check_name",
            "period_start_date",
            "severity",
            "is_passed",
            "observed",
        ),
        ("run_id", "table_name", "check_name", "period_start_date"),
        None,
        is_published=True,
    ),
)
