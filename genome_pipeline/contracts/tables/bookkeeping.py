"""Tables on the pipeline itself: slices, checks, publications, the dictionary."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table

TABLES = (
    Table(
        "written_slices",
        "bookkeeping",
        "slice of a table",
        "When each slice was last written, by which run and under which settings.",
        ("table_name", "slice_key", "row_count", "run_id", "settings_hash", "written_at"),
        ("table_name", "slice_key"),
        None,
    ),
    Table(
        "checked_slices",
        "bookkeeping",
        "slice of a table x blocking check",
        "What each blocking check last found of each slice: what may be published is told by it and written_slices.",
        ("table_name", "slice_key", "check_name", "is_passed", "observed", "run_id", "checked_at"),
        ("table_name", "slice_key", "check_name"),
        None,
    ),
    Table(
        "published_files",
        "bookkeeping",
        "source file",
        "The source files as they were at the last publication: what is gone since is told by them.",
        ("source_file", "content_hash", "row_count"),
        ("source_file",),
        None,
    ),
    Table(
        "published_slices",
        "bookkeeping",
        "slice of a table",
        "The slices as they were at the last publication: the next one writes what has changed since.",
        ("table_name", "slice_key", "row_count", "run_id", "settings_hash", "written_at"),
        ("table_name", "slice_key"),
        None,
    ),
    Table(
        "warehouse_identity",
        "bookkeeping",
        "setting",
        "Settings the warehouse is bound to: rows made under others cannot be mixed with it.",
        ("setting_name", "setting_value"),
        ("setting_name",),
        None,
    ),
    Table(
        "pipeline_runs",
        "bookkeeping",
        "publication",
        "Every publication: its run, latest snapshot, program version, settings, and source rows kept and set aside.",
        (
            "run_id",
            "as_of",
            "version",
            "settings_hash",
            "parameters",
            "published_at",
            "published_schema_version",
            "forced_past",
        ),
        ("run_id", "as_of"),
        None,
        never_null=("parameters",),
        is_published=True,
    ),
    Table(
        "data_dictionary",
        "bookkeeping",
        "column of a table",
        "Every table and column of this file, with type, unit and meaning.",
        ("table_name", "column_name", "column_type", "unit", "minimum", "maximum", "grain", "description"),
        ("table_name", "column_name"),
        None,
        is_published=True,
        is_made_at_publishing=True,
    ),
)
