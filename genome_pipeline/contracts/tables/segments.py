"""Tables of behavioural segments: models, customers, profiles, moves and events."""

from __future__ import annotations

from genome_pipeline.contracts.columns import SPREAD
from genome_pipeline.contracts.genes import PROFILE_GENES
from genome_pipeline.contracts.table import Reference, Table
from genome_pipeline.contracts.tables.features import EVERY_CUSTOMER

_SECOND_SEGMENT = ("second_segment_id", "second_segment_name", "second_membership_probability")

SEGMENT = (
    "segment_id",
    "segment_name",
    "membership_probability",
    *_SECOND_SEGMENT,
    "previous_segment_id",
    "has_moved",
)

_PROFILE = tuple(f"{statistic}_{gene}" for gene in PROFILE_GENES for statistic in SPREAD)


TABLES = (
    Table(
        "segment_model",
        "customers",
        "candidate x snapshot",
        "Segment models tried at the snapshot, with the one chosen.",
        (
            "as_of",
            "candidate",
            "is_chosen",
            "choice_reason",
            "method",
            "segment_count",
            "silhouette_score",
            "smallest_share",
            "stability_score",
            "smallest_jaccard_score",
            "training_row_count",
            "artifact_file",
        ),
        ("as_of", "candidate"),
        "as_of",
        is_published=True,
    ),
    Table(
        "segment_events",
        "customers",
        "event of a segment x snapshot",
        "What happened to the segments since the previous snapshot: births, splits, merges, deaths and renames.",
        (
            "as_of",
            "segment_id",
            "event",
            "segment_name",
            "previous_segment_name",
            "related_segment_id",
            "related_segment_name",
            "event_reason",
        ),
        ("as_of", "event", "segment_id"),
        "as_of",
        is_published=True,
    ),
    Table(
        "customer_segments",
        "customers",
        "customer x snapshot",
        "The behavioural segment of every customer, how clearly they belong, the second-best one, and whether they"
        " moved.",
        ("as_of", "customer_id", *SEGMENT),
        ("as_of", "customer_id"),
        "as_of",
        is_published=True,
        references=(EVERY_CUSTOMER,),
    ),
    Table(
        "segment_profiles",
        "genome",
        "segment x snapshot",
        "What each segment is like: its size, spend and shares, what is expected of it, medians and quartiles of genes,"
        " and what sets it apart.",
        (
            "as_of",
            "segment_id",
            "segment_name",
            "naming_rule",
            "jaccard_score",
            "customer_count",
            "customer_share",
            "recent_spend_amount",
            "spend_share",
            "expected_spend_amount",
            "mean_churn_probability",
            "mean_confidence_score",
            "distinguishing_genes",
            "overbought_categories",
            *_PROFILE,
        ),
        ("as_of", "segment_id"),
        "as_of",
        is_published=True,
        references=(
            Reference("customer_segments", ("as_of", "segment_id"), ("as_of", "segment_id"), is_complete=True),
        ),
    ),
    Table(
        "segment_migrations",
        "customers",
        "pair of segments x snapshot",
        "How many customers, and how much of their recent spend, moved between segments since the last snapshot.",
        (
            "as_of",
            "from_segment_id",
            "to_segment_id",
            "from_segment_name",
            "to_segment_name",
            "customer_count",
            "recent_spend_amount",
            "net_customer_count",
            "net_spend_amount",
        ),
        ("as_of", "from_segment_id", "to_segment_id"),
        "as_of",
        is_published=True,
    ),
)
