"""The table of confidence in predictions."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table
from genome_pipeline.contracts.tables.features import EVERY_CUSTOMER

CONFIDENCE = ("confidence", "churn_confidence", "orders_confidence", "spend_confidence")


TABLES = (
    Table(
        "customer_confidence",
        "forecast",
        "customer x snapshot",
        "How far each customer's predictions can be trusted, and why.",
        ("as_of", "customer_id", *CONFIDENCE, "confidence_band", "abstain_reason"),
        ("as_of", "customer_id"),
        "as_of",
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
)
