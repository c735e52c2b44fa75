"""Tables of similar customers, and of the outcomes of similar customers of the past."""

from __future__ import annotations

from genome_pipeline.contracts.table import Reference, Table
from genome_pipeline.contracts.tables.features import EVERY_CUSTOMER, SNAPSHOT_CUSTOMER

_NEIGHBOR = ("neighbor_rank", "neighbor_customer_id", "similarity", "shared_traits", "different_traits")

NEIGHBOR_ESTIMATES = ("neighbor_expected_orders", "neighbor_expected_spend", "neighbor_churn_probability")


TABLES = (
    Table(
        "similarity_index",
        "customers",
        "snapshot",
        "The index that answers who resembles whom, and what it was built from. Files of the latest three are kept.",
        ("as_of", "method", "customer_count", "gene_count", "recall_share", "parameters", "artifact_file"),
        ("as_of",),
        "as_of",
        never_null=("parameters", "artifact_file"),
        is_published=True,
    ),
    Table(
        "customer_neighbors",
        "customers",
        "customer x rank x snapshot",
        "The most similar customers by cosine similarity of scaled genes, with the traits they share and do not.",
        ("as_of", "customer_id", *_NEIGHBOR),
        ("as_of", "customer_id", "neighbor_rank"),
        "as_of",
        is_published=True,
        references=(
            Reference("customer_features", SNAPSHOT_CUSTOMER, SNAPSHOT_CUSTOMER),
            Reference("customer_features", ("as_of", "neighbor_customer_id"), SNAPSHOT_CUSTOMER),
        ),
    ),
    Table(
        "matured_neighbors",
        "outcomes",
        "customer x rank x snapshot",
        "Customers who, at the latest snapshot that has matured, were most like this one is now; and what they did"
        " within the horizon that followed.",
        ("as_of", "customer_id", "neighbor_as_of", *_NEIGHBOR, "actual_orders", "actual_spend", "has_churned"),
        ("as_of", "customer_id", "neighbor_rank"),
        "as_of",
        never_null=("neighbor_as_of",),
        is_published=True,
        references=(
            Reference("customer_features", SNAPSHOT_CUSTOMER, SNAPSHOT_CUSTOMER),
            Reference("customer_features", ("neighbor_as_of", "neighbor_customer_id"), SNAPSHOT_CUSTOMER),
        ),
    ),
    Table(
        "neighbor_estimates",
        "outcomes",
        "customer x snapshot",
        "A second opinion beside the models': what the nearest matured neighbours did on average.",
        (
            "as_of",
            "customer_id",
            "neighbor_as_of",
            "neighbor_count",
            "mean_similarity",
            *NEIGHBOR_ESTIMATES,
            "abstain_reason",
        ),
        ("as_of", "customer_id"),
        "as_of",
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
)
