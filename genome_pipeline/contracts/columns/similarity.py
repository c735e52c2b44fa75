"""Columns on similar customers, and on estimates from them."""

from __future__ import annotations

from genome_pipeline.contracts.column import Column, count, currency, date, orders, probability, score, share, text

COLUMNS = (
    Column("neighbor_rank", "INTEGER", "1 is the most similar customer.", None, 1),
    text("neighbor_customer_id", "The similar customer."),
    score("similarity", "Cosine similarity of the two genomes.", -1.0000001, 1.0000001),
    text("shared_traits", "Genes in which the two stand out alike, most telling first."),
    text("different_traits", "Genes in which the two differ most, said of the similar customer."),
    date(
        "neighbor_as_of",
        "Snapshot, since matured, at which the similar customers were as this one is now.",
        is_nullable=True,
    ),
    count("neighbor_count", "Similar customers that the estimates are means of."),
    score("mean_similarity", "Their mean cosine similarity.", -1.0000001, 1.0000001, is_nullable=True),
    orders(
        "neighbor_expected_orders",
        "Second opinion: mean orders of the matured neighbours within their horizon.",
        is_nullable=True,
    ),
    currency(
        "neighbor_expected_spend",
        "Second opinion: mean spend of the matured neighbours; at least 0.",
        0,
        is_nullable=True,
    ),
    probability(
        "neighbor_churn_probability",
        "Second opinion: share of the matured neighbours who bought nothing.",
        is_nullable=True,
    ),
    share("recall_share", "True neighbours that the index finds, of a sample of customers; 1 where all are compared."),
)
