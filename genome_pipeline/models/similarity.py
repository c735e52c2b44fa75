"""Who resembles whom: exact nearest neighbours by cosine similarity of scaled genes, and the traits they share."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from genome_pipeline.models.genes import GENE_LABELS, FloatArray, GeneScaler, by_customer

METHOD = "exact cosine"

STANDS_OUT = 0.75
"""Scaled value from which a gene stands out: three quarters of a robust standard deviation from the median."""

NOTHING_STANDS_OUT = "typical on every gene"

_CHUNK_VALUES = 400_000  # similarities held at a time; few enough to stay in the processor's cache
_PRECISION = 1e9  # similarities are compared to 1e-9, so that ties do not depend on rounding in the matrix product
_ROW_BITS = 32
_TRAIT_COUNT = 3


@dataclass(frozen=True)
class SimilarityIndex:
    """Scaled genes of every customer of one snapshot.

    ``customer_ids`` has shape (n,), sorted; ``vectors`` (n, g), scaled genes in [-4, 4]; ``genes`` names the columns.
    """

    customer_ids: NDArray[np.str_]
    vectors: FloatArray
    genes: tuple[str, ...]
    neighbor_count: int

    @classmethod
    def build(cls, features: pd.DataFrame, neighbor_count: int = 10) -> SimilarityIndex:
        """Scale the genes of contract ``customer_features`` of one snapshot.

        Raises:
            ValueError: ``neighbor_count`` is below 1.
        """
        if neighbor_count < 1:
            raise ValueError(f"neighbor_count must be at least 1, not {neighbor_count}")
        customers = by_customer(features)
        scaler = GeneScaler.fit(customers)
        ids = customers["customer_id"].to_numpy(dtype=np.str_)
        return cls(ids, scaler.transform(customers), scaler.genes, neighbor_count)

    def neighbors(self, as_of: date) -> pd.DataFrame:
        """Contract ``customer_neighbors``: the most similar other customers of each customer, best first.

        Similarities are rounded to 1e-9 and ties go to the smaller customer id. A customer who is at the median of
        every gene has similarity 0 to everyone. With fewer customers than asked for there are fewer neighbours.
        """
        count = max(0, min(self.neighbor_count, len(self.customer_ids) - 1))
        rows, similarity = self._nearest(count)
        own = np.repeat(np.arange(len(rows)), count)
        other = rows.ravel()
        return pd.DataFrame(
            {
                "as_of": as_of,
                "customer_id": self.customer_ids[own].astype(object),
                "neighbor_rank": np.tile(np.arange(1, count + 1, dtype=np.int32), len(rows)),
                "neighbor_customer_id": self.customer_ids[other].astype(object),
                "similarity": similarity.ravel(),
                "shared_traits": self._shared_traits(own, other),
            }
        )

    def summary(self, as_of: date) -> pd.DataFrame:
        """Contract ``similarity_index`` without ``artifact_file``: one row."""
        row = {
            "as_of": as_of,
            "method": METHOD,
            "customer_count": len(self.customer_ids),
            "gene_count": len(self.genes),
        }
        return pd.DataFrame([row])

    def to_bytes(self) -> bytes:
        """The index as NumPy's .npz, without pickled objects; equal indexes give equal bytes."""
        content = io.BytesIO()
        np.savez(
            content,
            allow_pickle=False,
            customer_ids=self.customer_ids,
            vectors=self.vectors,
            genes=np.array(self.genes, dtype=np.str_),
            neighbor_count=np.array(self.neighbor_count),
        )
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> SimilarityIndex:
        """Inverse of :meth:`to_bytes`.

        Raises:
            ValueError: the content is not an .npz file, or holds pickled objects.
            KeyError: an array is missing.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return cls(
                arrays["customer_ids"],
                arrays["vectors"],
                tuple(str(gene) for gene in arrays["genes"]),
                int(arrays["neighbor_count"]),
            )

    def _nearest(self, count: int) -> tuple[NDArray[np.int64], FloatArray]:
        """Rows of the ``count`` nearest customers and their similarity, both of shape (n, count)."""
        n = len(self.vectors)
        nearest = np.empty((n, count), dtype=np.int64)
        similarity = np.empty((n, count))
        if count == 0:
            return nearest, similarity
        length = np.linalg.norm(self.vectors, axis=1, keepdims=True)
        unit = np.divide(self.vectors, length, out=np.zeros_like(self.vectors), where=length > 0)
        scaled = np.ascontiguousarray(unit.T * _PRECISION)
        # One integer orders a pair by similarity, then by id: ids are sorted, so the earlier row gets the larger rest.
        tie_break = np.arange(n, 0, -1)
        chunk = max(1, _CHUNK_VALUES // n)
        with threadpool_limits(limits=1):
            for start in range(0, n, chunk):
                rows = np.arange(start, min(start + chunk, n))
                product = unit[rows] @ scaled
                keys = np.rint(product, out=product).astype(np.int64)
                keys <<= _ROW_BITS
                keys += tie_break
                keys[np.arange(len(rows)), rows] = np.iinfo(np.int64).min
                keys.partition(n - count, axis=1)
                best = np.sort(keys[:, n - count :], axis=1)[:, ::-1]
                nearest[rows] = n - (best & ((1 << _ROW_BITS) - 1))
                similarity[rows] = (best >> _ROW_BITS) / _PRECISION
        return nearest, similarity

    def _shared_traits(self, own: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.object_]:
        """Up to three genes of each pair, by the product of their scaled values, where both stand out alike."""
        labels = [GENE_LABELS[gene] for gene in self.genes]
        # Words for every code: 0 is nothing, then each gene low and high.
        words = np.array(["", *(f"{way} {label}" for label in labels for way in ("low", "high"))], dtype=object)
        mine, theirs = self.vectors[own], self.vectors[other]
        product = mine * theirs
        is_shared = (product > 0) & (np.minimum(np.abs(mine), np.abs(theirs)) >= STANDS_OUT)
        product[~is_shared] = 0
        # A stable sort breaks ties by the order of the genes.
        top = np.argsort(-product, axis=1, kind="stable")[:, :_TRAIT_COUNT]
        pair = np.arange(len(own))[:, None]
        code = np.where(is_shared[pair, top], 1 + 2 * top + (mine[pair, top] > 0), 0)
        combination = code @ (len(words) ** np.arange(code.shape[1]))
        # Text is made once for each combination of traits, not for each pair of customers.
        _, first, inverse = np.unique(combination, return_index=True, return_inverse=True)
        texts = ["; ".join(words[row][row > 0]) or NOTHING_STANDS_OUT for row in code[first]]
        return np.array(texts, dtype=object)[inverse]
