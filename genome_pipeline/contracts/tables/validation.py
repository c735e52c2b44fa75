"""Tables of lines that passed every rule, and of rows that did not."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table
from genome_pipeline.contracts.tables.ingestion import RAW_COLUMNS

TABLES = (
    Table(
        "validated_transactions",
        "source",
        "transaction line",
        "Typed lines that passed every rule; returns are flagged and kept.",
        (
            "period_start_date",
            "source_file",
            "source_row",
            "customer_id",
            "order_id",
            "ordered_at",
            "product_id",
            "category",
            "country",
            "quantity",
            "unit_price",
            "amount",
            "is_return",
        ),
        ("source_file", "source_row"),
        "period_start_date",
        never_null=("period_start_date",),
    ),
    Table(
        "quarantined_transactions",
        "source",
        "source row",
        "Rows that failed a rule, as they came, with all their reasons; without a period where no date can be read.",
        ("period_start_date", "source_file", "source_row", "reasons", "line_amount", *RAW_COLUMNS),
        ("source_file", "source_row"),
        "period_start_date",
    ),
)

MADE_AT_PUBLISHING = (
    Table(
        "quarantine_reasons",
        "source",
        "reason x period",
        "Quarantined rows and amounts by reason; a row with two reasons counts under both.",
        ("period_start_date", "reason", "row_count", "amount_sum"),
        ("period_start_date", "reason"),
        "period_start_date",
        is_published=True,
        is_made_at_publishing=True,
    ),
    Table(
        "quarantine_samples",
        "source",
        "reason x source row",
        "The first five quarantined rows of each reason, as they came: what a reason looks like in the source.",
        ("reason", "source_file", "source_row", "period_start_date", "line_amount", *RAW_COLUMNS),
        ("reason", "source_file", "source_row"),
        None,
        is_published=True,
        is_made_at_publishing=True,
    ),
)
"""Tables of the published file only, which come after those they are made from."""
