"""Columns on segments, their profiles and their history."""

from __future__ import annotations

from dataclasses import replace

from genome_pipeline.contracts.column import Column, Unit, count, currency, flag, money, probability, score, share, text
from genome_pipeline.contracts.genes import GENES, PROFILE_GENES, Gene

SPREAD = {"first_quartile": "First quartile", "median": "Median", "third_quartile": "Third quartile"}


def _spread(gene: Gene) -> tuple[Column, ...]:
    of = gene.column
    return tuple(
        replace(of, name=f"{prefix}_{of.name}", type="DOUBLE", description=f"{words} of {of.name}.")
        for prefix, words in SPREAD.items()
    )


COLUMNS = (
    Column("segment_count", "INTEGER", "Segments in the model.", Unit.COUNT, 1),
    Column("segment_id", "INTEGER", "Segment; keeps its number from one snapshot to the next.", None, 1),
    text("segment_name", "Segment name, derived from its profile by a stated rule."),
    text("naming_rule", "Rule that gave the segment its name."),
    Column(
        "previous_segment_id",
        "INTEGER",
        "Segment at the previous snapshot; null for a new customer.",
        None,
        1,
        is_nullable=True,
    ),
    text(
        "previous_segment_name", "Name of the segment before it was renamed; null where it was not.", is_nullable=True
    ),
    flag("has_moved", "The segment differs from the previous snapshot's; null for a new customer.", is_nullable=True),
    probability("membership_probability", "Probability that the customer belongs to this segment."),
    Column(
        "second_segment_id",
        "INTEGER",
        "Second most probable segment; null where there is but one.",
        None,
        1,
        is_nullable=True,
    ),
    text("second_segment_name", "Its name.", is_nullable=True),
    probability("second_membership_probability", "Probability that the customer belongs to it.", is_nullable=True),
    text(
        "event",
        "What happened to the segment: a birth or a split where it is new, a merge or a death where it ended, or a"
        " rename.",
        ("birth", "split", "merge", "death", "rename"),
    ),
    Column(
        "related_segment_id",
        "INTEGER",
        "Segment it split from or merged into; null for other events.",
        None,
        1,
        is_nullable=True,
    ),
    text("related_segment_name", "Its name.", is_nullable=True),
    text("event_reason", "Why this counts as that event."),
    Column("from_segment_id", "INTEGER", "Segment at the previous snapshot; 0 for new customers.", None, 0),
    text("from_segment_name", "Its name; 'New customers' for those without one."),
    Column("to_segment_id", "INTEGER", "Segment at this snapshot.", None, 1),
    text("to_segment_name", "Its name."),
    count("customer_count", "Customers."),
    Column("net_customer_count", "BIGINT", "Customers who moved this way, less those who moved back.", Unit.COUNT),
    money(
        "net_spend_amount",
        "Recent spend of those who moved this way, less that of those who moved back.",
        is_nullable=True,
    ),
    share("customer_share", "Customers, of all customers of the snapshot."),
    share(
        "spend_share",
        "Recent spend, of the recent spend of all customers; null where nothing was spent.",
        None,
        is_nullable=True,
    ),
    currency(
        "expected_spend_amount",
        "Sum of expected_spend over the customers of the row; null where none is predicted.",
        0,
        is_nullable=True,
    ),
    probability("mean_churn_probability", "Mean of churn_probability over the customers of the row.", is_nullable=True),
    score("mean_confidence_score", "Mean of confidence over the segment.", is_nullable=True),
    text("distinguishing_genes", "Genes in which the segment stands out most from all customers, with both medians."),
    text(
        "overbought_categories",
        "At most two categories on which members spend more of their money than all customers do, with the mean shares"
        " of both and the lift, one over the other; null where no difference is solid.",
        is_nullable=True,
    ),
    *(statistic for gene in PROFILE_GENES for statistic in _spread(GENES[gene])),
    score(
        "silhouette_score", "Mean silhouette of a sample of customers: 1 well apart, 0 touching.", -1, is_nullable=True
    ),
    share("smallest_share", "Customers in the smallest segment, of the customers compared."),
    score(
        "stability_score",
        "Mean adjusted Rand index with refits on resamples: 1 the same, 0 as by chance; null if not measured.",
        -1,
        is_nullable=True,
    ),
    score("smallest_jaccard_score", "Smallest jaccard_score of the segments; null if not measured.", is_nullable=True),
    score(
        "jaccard_score",
        "How far refits on resamples give the same segment (Jaccard): 1 the same, to 0.5 dissolved.",
        is_nullable=True,
    ),
)
