"""Tables of the rows ingested from the source, as they are written."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table

RAW_COLUMNS = (
    "raw_customer_id",
    "raw_order_id",
    "raw_ordered_at",
    "raw_product_id",
    "raw_category",
    "raw_quantity",
    "raw_unit_price",
    "raw_amount",
    "raw_country",
    "raw_currency",
)


TABLES = (
    Table(
        "source_files",
        "bookkeeping",
        "source file",
        "Files taken in: content, size and types, so that an unchanged file is not read again; and copies left out.",
        (
            "source_file",
            "content_hash",
            "copy_of_source_file",
            "row_count",
            "raw_types",
            "ingested_at",
            "suppressed_row_count",
        ),
        ("source_file",),
        "source_file",
        is_published=True,
    ),
    Table(
        "changed_periods",
        "bookkeeping",
        "period",
        "When the source rows of each period (null: without a usable date) last changed; what a refresh rebuilds.",
        ("period_start_date", "changed_at"),
        ("period_start_date",),
        "period_start_date",
    ),
    Table(
        "raw_transactions",
        "source",
        "source row",
        "Every source row as it came.",
        ("source_file", "source_row", "ingested_at", *RAW_COLUMNS),
        ("source_file", "source_row"),
        "source_file",
    ),
)
