"""Columns on time, customers and source rows, raw and typed."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, Unit, at, count, date, flag, money, raw, text

COLUMNS = (
    # Time and identity
    date("as_of", "End of the period, exclusive: the snapshot knows only what happened before it."),
    date("matured_as_of", "Snapshot at which the horizon of the prediction had passed and its outcome became known."),
    date(
        "selection_as_of",
        "Latest matured snapshot at which the forecast was made again, to learn from its errors.",
        is_nullable=True,
    ),
    flag(
        "is_provisional",
        "The log did not reach the end of the snapshot's period when it was made: what is still to come is not in it.",
    ),
    date("period_start_date", "First day of the period.", is_nullable=True),
    text(
        "customer_id",
        "Customer, as named in the source (surrounding blanks removed); its pseudonym where privacy.pseudonyms is on.",
    ),
    text("run_id", "Pipeline run that wrote the row."),
    # Source rows
    text("source_file", "File the row was read from, relative to the source folder; a sheet follows after '#'."),
    Column("source_row", "BIGINT", "Position of the row in its file: 1 is the first row after the header.", None, 1),
    at("ingested_at", "When the file was read (UTC)."),
    raw("raw_customer_id", "Customer, as it came; its pseudonym where privacy.pseudonyms is on."),
    raw("raw_order_id", "Order, as it came."),
    raw("raw_ordered_at", "Moment of the order, as it came."),
    raw("raw_product_id", "Product, as it came."),
    raw("raw_category", "Product category, as it came."),
    raw("raw_quantity", "Quantity, as it came."),
    raw("raw_unit_price", "Price of one unit, as it came."),
    raw("raw_amount", "Line total, as it came."),
    raw("raw_country", "Country, as it came."),
    raw("raw_currency", "Currency of the amounts, as it came."),
    text(
        "content_hash",
        "Tells a changed file: SHA-256 of its bytes, or its version in a bucket; and encoding and delimiter, if set.",
        is_nullable=True,
    ),
    text(
        "copy_of_source_file",
        "File with the same content that was taken in instead; null where none is.",
        is_nullable=True,
    ),
    text("raw_types", "Types of the mapped columns as read, as JSON."),
    count("row_count", "Rows."),
    count("suppressed_row_count", "Rows left out because their customers were forgotten, rounded up to tens."),
    # Transaction lines
    text("order_id", "Order the line belongs to; where the source has none, the customer's day (YYYY-MM-DD)."),
    at("ordered_at", "Moment of the order, in wall time of the source's time zone."),
    text("product_id", "Product.", is_nullable=True),
    text("category", "Product category.", is_nullable=True),
    text("country", "Country.", is_nullable=True),
    Column(
        "quantity",
        "DECIMAL(18,3)",
        "Units bought, to three decimals (amount is made of all that are written); negative in a return.",
        Unit.COUNT,
        is_nullable=True,
    ),
    Column(
        "unit_price",
        "DECIMAL(18,4)",
        "Price of one unit, to four decimals (amount is made of all that are written).",
        Unit.CURRENCY,
        is_nullable=True,
    ),
    money("amount", "Line total; negative in a return.", is_nullable=True),
    flag("is_return", "The line takes something back: a negative quantity or amount."),
    Column("reasons", "VARCHAR[]", "Every rule the row failed, by name."),
    money("line_amount", "Line total as far as it could be read; null where it is absurd.", is_nullable=True),
)
