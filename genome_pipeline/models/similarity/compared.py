"""What customers are compared by: their genes and, where there are categories, their taste; with weights and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.contracts.tables.taste import TASTE_SHARES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import GENE_LABELS, SCALED_GENES, TASTE_GENES, ScaledGene


def compared_genes(categories: Sequence[str]) -> list[ScaledGene]:
    """The genes, and a share of spend for each of the categories."""
    return [*SCALED_GENES, *TASTE_GENES[: len(categories)]]


def gene_weights(genes: Sequence[str], block_weights: Mapping[str, float]) -> Floats:
    """The weight of each gene in the cosine, shape (genes,): that of its block; the genes of taste share theirs."""
    tastes = sum(gene not in GENES for gene in genes)
    of_taste = block_weights.get("taste", 1.0) / max(tastes, 1)
    return np.array([block_weights.get(GENES[gene].block, 1.0) if gene in GENES else of_taste for gene in genes])


def gene_labels(genes: Sequence[str], categories: Sequence[str]) -> tuple[str, ...]:
    """Plain words for each gene; those of taste are named by the categories, the first by the first."""
    of_taste = {name: f"share of spend on {category}" for name, category in zip(TASTE_SHARES, categories, strict=False)}
    return tuple(GENE_LABELS.get(gene) or of_taste[gene] for gene in genes)


def unit_vectors(vectors: Floats, weights: Floats) -> Floats:
    """Vectors of shape (n, genes), weighted and scaled to length 1; zero vectors stay 0."""
    weighted = vectors * np.sqrt(weights)
    length = np.linalg.norm(weighted, axis=1, keepdims=True)
    unit: Floats = np.divide(weighted, length, out=np.zeros_like(weighted), where=length > 0)
    return unit
