"""The table with a customer's whole genome in one row."""

from __future__ import annotations

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.contracts.table import Table
from genome_pipeline.contracts.tables.actions import STAKE
from genome_pipeline.contracts.tables.confidence import CONFIDENCE
from genome_pipeline.contracts.tables.features import EVERY_CUSTOMER
from genome_pipeline.contracts.tables.outlook import LIFETIME_VALUE, NEXT_ORDER
from genome_pipeline.contracts.tables.risk import CHURN
from genome_pipeline.contracts.tables.segments import SEGMENT
from genome_pipeline.contracts.tables.similarity import NEIGHBOR_ESTIMATES
from genome_pipeline.contracts.tables.taste import LEADING
from genome_pipeline.contracts.tables.value import IF_RETAINED, NAIVE_VALUE, ORDERS, SPEND

TABLES = (
    Table(
        "customer_genome",
        "genome",
        "customer x snapshot",
        "The whole genome of a customer in one row: segment, value, risk, next order and category, action,"
        " measured genes.",
        (
            "as_of",
            "is_provisional",
            "customer_id",
            *SEGMENT,
            *ORDERS,
            *SPEND,
            *IF_RETAINED,
            *NAIVE_VALUE,
            "value_abstain_reason",
            *CHURN,
            "p_alive",
            "risk_band",
            "naive_churn_probability",
            "risk_abstain_reason",
            *NEXT_ORDER,
            *LIFETIME_VALUE,
            *LEADING,
            *NEIGHBOR_ESTIMATES,
            *CONFIDENCE,
            "confidence_band",
            "action",
            "action_rule",
            "action_reason",
            "is_for_review",
            *STAKE,
            "first_order_date",
            "last_order_date",
            "country",
            *GENES,
        ),
        ("as_of", "customer_id"),
        "as_of",
        never_null=("first_order_date", "last_order_date"),
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
)
