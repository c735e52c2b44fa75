"""Columns on the pipeline itself."""

from __future__ import annotations

from genome_pipeline.contracts.column import at, flag, money, text

COLUMNS = (
    text("table_name", "Table."),
    text("column_name", "Column."),
    text("column_type", "DuckDB type."),
    text("unit", "Unit.", is_nullable=True),
    text("grain", "What one row is."),
    text("description", "Meaning."),
    text("minimum", "Smallest allowed value.", is_nullable=True),
    text("maximum", "Largest allowed value.", is_nullable=True),
    text("slice_key", "Slice of the table: a date, or a file."),
    at("written_at", "When it was written (UTC)."),
    at("changed_at", "When rows of the period, or contacts, changed in the source (UTC)."),
    at("published_at", "When the file was published (UTC)."),
    at("checked_at", "When the check ran (UTC)."),
    text("version", "Version of the program."),
    text("setting_name", "Setting, as in genome.toml."),
    text("setting_value", "Its value."),
    text(
        "published_schema_version",
        "Version of the published schema; null of publications before there was one.",
        is_nullable=True,
    ),
    text("settings_hash", "Fingerprint of the settings results depend on."),
    text("check_name", "Check."),
    text(
        "forced_past",
        "The blocking checks past which it was published by force; null where all had passed.",
        is_nullable=True,
    ),
    text("severity", "What a failure means: ERROR stops the run, WARN is reported.", ("ERROR", "WARN")),
    flag("is_passed", "The check passed."),
    text("observed", "What was found."),
    text("reason", "Why the row is there."),
    money("amount_sum", "Sum of the amounts.", is_nullable=True),
)
