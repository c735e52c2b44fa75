"""Labels and descriptions of columns on screen, from the contract."""

from __future__ import annotations

import html

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.genes import GENES, PROFILE_GENES

_LABELS = {
    **{name: gene.label for name, gene in GENES.items()},
    **{f"median_{name}": GENES[name].label for name in PROFILE_GENES},
    "action_rule": "Rule",
    "category_probability": "Probability to buy it",
    "check_name": "Check",
    "content_hash": "Content",
    "customer_count": "Customers",
    "ingested_at": "Read",
    "is_for_review": "For review",
    "is_passed": "Result",
    "p_alive": "Still active (BTYD)",
    "period_start_date": "Period",
    "previous_segment_id": "Previous segment number",
    "revenue_at_stake_amount": "Revenue at stake",
    "revenue_at_stake_amount_lower": "Revenue at stake, lower",
    "revenue_at_stake_amount_upper": "Revenue at stake, upper",
    "reorder_date": "Due",
    "row_count": "Rows",
    "second_segment_id": "Second segment number",
    "second_segment_name": "Second segment",
    "segment_id": "Segment number",
    "segment_name": "Segment",
    "source_file": "File",
    "table_name": "Table",
}
_KINDS = ("_amount", "_count", "_days", "_share", "_ratio", "_date", "_id")


def label(column_name: str) -> str:
    """The column's name on screen."""
    if column_name in _LABELS:
        return _LABELS[column_name]
    for kind in _KINDS:
        if column_name.endswith(kind):
            column_name = column_name.removesuffix(kind)
            break
    return column_name.replace("_", " ").capitalize()


def description(column_name: str) -> str:
    """The column's meaning, with its unit."""
    column = COLUMNS[column_name]
    return f"{column.description} Unit: {column.unit}." if column.unit else column.description


def plot_text(value: object) -> str:
    """Text from data for use in a figure: Plotly reads tags in labels and hovers, so they are made literal."""
    return html.escape(str(value), quote=False)
