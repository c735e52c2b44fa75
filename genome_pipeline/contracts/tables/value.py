"""Tables of the value model, and of orders and spend expected within the horizon."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table
from genome_pipeline.contracts.tables.features import EVERY_CUSTOMER

ORDERS = ("expected_orders", "expected_orders_lower", "expected_orders_upper")

SPEND = ("expected_spend", "expected_spend_lower", "expected_spend_upper")

IF_RETAINED = ("orders_if_retained", "spend_per_order_amount")

NAIVE_VALUE = ("naive_expected_orders", "naive_expected_spend")

MODEL = (
    "as_of",
    "candidate",
    "is_chosen",
    "choice_reason",
    "selection_as_of",
    "training_snapshot_count",
    "training_row_count",
)


TABLES = (
    Table(
        "value_model",
        "forecast",
        "candidate x snapshot",
        "Experts on orders and amounts at the snapshot, the forecast they make, and errors of each at earlier dates,"
        " beside the naive baseline.",
        (*MODEL, "orders_mae", "spend_mae_amount", "parameters", "artifact_file"),
        ("as_of", "candidate"),
        "as_of",
        is_published=True,
    ),
    Table(
        "customer_value",
        "forecast",
        "customer x snapshot",
        "Orders and spend expected within the horizon, with prediction intervals, beside the naive baseline.",
        ("as_of", "customer_id", *ORDERS, *SPEND, *IF_RETAINED, *NAIVE_VALUE, "abstain_reason"),
        ("as_of", "customer_id"),
        "as_of",
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
)
