"""The table of reasons for predictions."""

from __future__ import annotations

from genome_pipeline.contracts.table import Reference, Table
from genome_pipeline.contracts.tables.features import SNAPSHOT_CUSTOMER

TABLES = (
    Table(
        "customer_drivers",
        "forecast",
        "customer x prediction x rank x snapshot",
        "Why each prediction is what it is: the average customer's, and what this customer's genes and purchase history"
        " add to it. The contributions of a customer add up to the prediction. Spend is explained or, where it is not"
        " predicted, orders; a driver that adds nothing, and never did, has no row.",
        (
            "as_of",
            "customer_id",
            "prediction",
            "driver_rank",
            "driver",
            "contribution",
            "contribution_change",
            "explanation",
        ),
        ("as_of", "customer_id", "prediction", "driver_rank"),
        "as_of",
        is_published=True,
        references=(Reference("customer_features", SNAPSHOT_CUSTOMER, SNAPSHOT_CUSTOMER),),
    ),
)
