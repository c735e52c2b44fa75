"""Customers at the latest matured snapshot who resembled a customer of today, and what they did next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import GeneScaler, by_customer, numbers
from genome_pipeline.models.similarity.compared import compared_genes, gene_labels, unit_vectors
from genome_pipeline.models.similarity.index import (
    ESTIMATE_NEIGHBORS,
    NOTHING_MATURED,
    SimilarityIndex,
)
from genome_pipeline.models.similarity.nearest import positions
from genome_pipeline.models.snapshots import LabelledSnapshot


def matured_neighbors(
    features: pd.DataFrame,
    matured: LabelledSnapshot | None,
    as_of: date,
    neighbor_count: int = 10,
    block_weights: Mapping[str, float] | None = None,
    seed: int = 0,
    categories: Sequence[str] = (),
    matured_categories: Sequence[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Contracts ``matured_neighbors`` and ``neighbor_estimates``: similar customers of the past and their outcomes.

    A customer is compared with the other customers as they were at the latest snapshot whose horizon had passed, so
    that their outcomes are known at ``as_of``. Their own earlier self is left out. Genes are scaled at each snapshot
    separately: two customers are alike if they compare in the same way with everyone else at their own time. On the
    earlier scale all customers of a young log would look old today, and alike for that reason alone.
    Taste is compared by those categories of then that stand for themselves today, too.

    Args:
        features: contract ``customer_features`` at ``as_of``.
        matured: the latest snapshot that had matured by ``as_of``; None where there is none.
        as_of: the snapshot of the estimates.
        neighbor_count: number of matured neighbours listed per customer; estimates are means over 25.
        block_weights: as in :meth:`SimilarityIndex.build`.
        seed: as in :meth:`SimilarityIndex.build`.
        categories: as in :meth:`SimilarityIndex.build`, of ``features``.
        matured_categories: the same of ``matured``.
    """
    customers = by_customer(features)
    estimates = pd.DataFrame(
        {"as_of": as_of, "customer_id": customers["customer_id"]}, columns=list(TABLES["neighbor_estimates"].columns)
    ).assign(neighbor_count=0, abstain_reason=NOTHING_MATURED)
    if matured is None or len(matured.features) < 2:
        return pd.DataFrame(columns=list(TABLES["matured_neighbors"].columns)), estimates
    index = SimilarityIndex.build(matured.features, neighbor_count, block_weights, seed, categories=matured_categories)
    ids = customers["customer_id"].to_numpy(dtype=np.str_)
    vectors = _vectors(customers, categories, index)
    unit, own = unit_vectors(vectors, index.weights), positions(index.customer_ids, ids)
    rows, similarity = index.nearest(unit, own, index._count(ESTIMATE_NEIGHBORS))
    orders, spend, churned = (
        numbers(matured.outcomes[name]) for name in ("actual_orders", "actual_spend", "has_churned")
    )
    pairs = index._pairs(as_of, ids, vectors, rows[:, :neighbor_count], similarity[:, :neighbor_count])
    best = rows[:, :neighbor_count].ravel()
    pairs = pairs.assign(
        neighbor_as_of=matured.as_of,
        actual_orders=orders[best],
        actual_spend=spend[best],
        has_churned=churned[best].astype(bool),
    )
    estimates = estimates.assign(
        neighbor_as_of=matured.as_of,
        neighbor_count=rows.shape[1],
        mean_similarity=similarity.mean(axis=1),
        neighbor_expected_orders=orders[rows].mean(axis=1),
        neighbor_expected_spend=np.maximum(spend[rows].mean(axis=1), 0.0),
        neighbor_churn_probability=churned[rows].mean(axis=1),
        abstain_reason=None,
    )
    return pairs[list(TABLES["matured_neighbors"].columns)], estimates


def _vectors(customers: pd.DataFrame, categories: Sequence[str], index: SimilarityIndex) -> Floats:
    """Customers of today on their own scale, in the order of the index's genes; 0 in one that is not known today."""
    scaler = GeneScaler.fit(customers, compared_genes(categories))
    scaled = dict(zip(gene_labels(scaler.genes, categories), scaler.transform(customers).T, strict=True))
    return np.column_stack([scaled.get(label, np.zeros(len(customers))) for label in index.labels])
