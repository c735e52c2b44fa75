"""Nearest neighbours of customers by cosine similarity of scaled genes, and the genes in which they agree and differ.

Up to :data:`EXACT_CUSTOMERS` customers are compared with all others. Above, an inverted file (Sivic, J. and Zisserman,
A. (2003), "Video Google", ICCV; as in faiss, Johnson, J., Douze, M. and Jegou, H. (2019), "Billion-scale similarity
search with GPUs", IEEE Transactions on Big Data 7(3)) proposes candidates from the nearest of its cells, and these are
compared exactly. Each build sets the number of cells to search by the recall on a sample.

Every processor gives the same result. Cells are built and searched on coordinates so coarse that single precision adds
and multiplies them exactly. Within cells, single precision only lists candidates: the list grows until no candidate
beyond it can be as near as the last one taken. Customers who are exactly alike are one candidate.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import GeneScaler, by_customer
from genome_pipeline.models.similarity.compared import compared_genes, gene_labels, gene_weights, unit_vectors
from genome_pipeline.models.similarity.nearest import (
    Doubles,
    Rows,
    cell_centers,
    coarse,
    in_chunks,
    load_faiss,
    nearest_cells,
    one_thread,
    positions,
)
from genome_pipeline.models.snapshots import snapshot_date

EXACT_CUSTOMERS = 10_000
"""Up to this many customers, each is compared with all others; cells are faster beyond (benchmarks/similarity.py)."""

WANTED_RECALL = 0.993
"""Recall on the sample at which the search stops adding cells; the aim is 0.99, and a sample may flatter a little."""

SHARD_CUSTOMERS = 2_000_000
"""An index of twice as many is searched in parts. A worker holds one part at a time: some 700 bytes per customer."""

RECALL_SAMPLE = 1_000
"""Sample of customers whose neighbours are also found among all others, to measure recall."""

ESTIMATE_NEIGHBORS = 25
"""Number of matured neighbours in an estimate: ten tell a rare event too coarsely, and more improve little."""

STANDS_OUT = 0.75
"""Least absolute scaled value for a gene to stand out: three quarters of a robust standard deviation."""

DIFFERS = 0.5
"""Least distance of scaled values for two customers to differ in a gene; neighbours are close in most genes."""

SINGLE_ERROR = 2e-6
"""Bound on the error of a similarity in single precision: several times the actual error for this vector length."""

NOTHING_STANDS_OUT = "typical on every gene"
NOTHING_DIFFERS = "close on every gene"
NOTHING_MATURED = "no earlier snapshot has matured, so that what became of similar customers is not known yet"
_CHUNK_VALUES = 400_000  # similarities computed at a time; few enough to stay in the processor's cache
_CHUNK_PAIRS = 200_000
_PRECISION = 1e9  # similarities are compared to 1e-9, so that ties do not depend on rounding in the matrix product
_ROW_BITS = 32
_TRAIT_COUNT = 3
_CELLS_PER_ROOT = 4  # cells per square root of the number of customers
_TRAINING_ROWS_PER_CELL = 32
_FEWEST_PROBES = 8
_MORE_PROBES = 4  # cells added at each trial
_MORE_CANDIDATES = 4  # candidates beyond those asked for, as single precision may reorder near ties
_TIMES_MORE = 4  # factor on the number of candidates where they are not conclusive


@dataclass(frozen=True)
class SimilarityIndex:
    """Scaled genes of every customer of one snapshot, in a form that finds nearest neighbours.

    ``customer_ids`` has shape (n,), sorted. ``vectors`` (n, g) are scaled genes in [-4, 4]. ``weights`` (g,), at least
    0, are the weights of genes in the cosine. ``categories`` are named by the genes of taste, the first by the first of
    them. ``cells`` is the faiss index, None where all are compared; ``probes`` is
    the number of its cells to search; ``recall`` is the share of true neighbours found for the sample.
    """

    customer_ids: NDArray[np.str_]
    vectors: Floats
    scaler: GeneScaler
    weights: Floats
    neighbor_count: int
    seed: int
    categories: tuple[str, ...] = ()
    cells: Any = None
    probes: int = 0
    recall: float = 1.0

    @classmethod
    def build(
        cls,
        features: pd.DataFrame,
        neighbor_count: int = 10,
        block_weights: Mapping[str, float] | None = None,
        seed: int = 0,
        exact_customers: int = EXACT_CUSTOMERS,
        categories: Sequence[str] = (),
    ) -> SimilarityIndex:
        """Scale the genes of contract ``customer_features`` of one snapshot.

        Args:
            features: the customers, with their taste beside (:func:`genome_pipeline.transforms.taste.taste_shares`)
                where there are categories.
            neighbor_count: neighbours of each customer.
            block_weights: weight, at least 0, of each gene of a block in the cosine; 1 for blocks that are not named.
                That of ``taste`` is shared out over the categories.
            seed: seed of the cells' starting points.
            exact_customers: up to this many customers, each is compared with all others.
            categories: by which taste is compared, in the order of their rank; without them it does not count.

        Raises:
            ValueError: ``neighbor_count`` is below 1.
        """
        if neighbor_count < 1:
            raise ValueError(f"neighbor_count must be at least 1, not {neighbor_count}")
        customers = by_customer(features)
        scaler = GeneScaler.fit(customers, compared_genes(categories))
        ids = customers["customer_id"].to_numpy(dtype=np.str_)
        weights = gene_weights(scaler.genes, block_weights or {})
        index = cls(ids, scaler.transform(customers), scaler, weights, neighbor_count, seed, tuple(categories))
        return index if len(ids) <= exact_customers else index._with_cells()

    @property
    def labels(self) -> tuple[str, ...]:
        """Plain words for each gene, in the order of the columns of ``vectors``."""
        return gene_labels(self.scaler.genes, self.categories)

    @cached_property
    def unit(self) -> Floats:
        """Weighted vectors of length 1, shape (n, g), 0 where all genes are 0; similarities are their products."""
        return unit_vectors(self.vectors, self.weights)

    def neighbors(self, as_of: date) -> pd.DataFrame:
        """Contract ``customer_neighbors``: the most similar other customers of each customer, best first.

        Similarities are rounded to 1e-9 and ties go to the smaller customer id. A customer who is at the median of
        every gene has similarity 0 to everyone. With fewer customers than asked for there are fewer neighbours.
        """
        return self._pairs(as_of, self.customer_ids, self.vectors, *self.nearest_of_all())

    def neighbors_of(self, features: pd.DataFrame) -> pd.DataFrame:
        """Contract ``customer_neighbors`` of some customers, from their ``customer_features`` at the index's snapshot.

        Gives the same rows as :meth:`neighbors`. The customers need not be in the index themselves (see
        :func:`shards`).
        """
        customers = by_customer(features)
        ids, vectors = customers["customer_id"].to_numpy(dtype=np.str_), self.scaler.transform(customers)
        own = positions(self.customer_ids, ids)
        found = self.nearest(unit_vectors(vectors, self.weights), own, self._count(self.neighbor_count))
        return self._pairs(snapshot_date(customers), ids, vectors, *found)

    def nearest_of_all(self) -> tuple[Rows, Floats]:
        """Rows of the nearest other customers of each customer, and their similarities, (n, neighbours) each."""
        return self.nearest(self.unit, np.arange(len(self.customer_ids)), self._count(self.neighbor_count))

    def lookalikes(self, customer_ids: Sequence[str], count: int) -> pd.DataFrame:
        """The customers nearest to a group, best first, without the group's members.

        The group stands for the mean of its members' unit vectors. Columns: ``customer_id``, ``similarity`` to that
        mean, ``shared_traits`` and ``different_traits`` against the group's mean genes.

        Raises:
            KeyError: ids of customers that are not in the index.
        """
        members = positions(self.customer_ids, np.array(sorted(set(customer_ids)), dtype=np.str_))
        if (members < 0).any():
            raise KeyError([name for name in sorted(set(customer_ids)) if name not in set(self.customer_ids.tolist())])
        center = self.unit[members].mean(axis=0, keepdims=True)
        center /= np.linalg.norm(center) or 1.0
        wanted = max(0, min(count + len(members), len(self.customer_ids)))
        rows, similarity = self._compare_all(center, np.array([-1]), wanted)
        is_other = ~np.isin(rows[0], members)
        found, alike = rows[0][is_other][:count], similarity[0][is_other][:count]
        group = np.repeat(self.vectors[members].mean(axis=0, keepdims=True), len(found), axis=0)
        shared, different = _traits(group, self.vectors[found], self.weights)
        ids = self.customer_ids[found].astype(object)
        return pd.DataFrame(
            {
                "customer_id": ids,
                "similarity": alike,
                "shared_traits": self._words(shared, ("low", "high"), NOTHING_STANDS_OUT),
                "different_traits": self._words(different, ("lower", "higher"), NOTHING_DIFFERS),
            }
        )

    def without(self, customer_ids: Sequence[str]) -> SimilarityIndex:
        """The index without these customers; unknown ids are ignored."""
        is_kept = ~np.isin(self.customer_ids, np.array([*customer_ids], dtype=np.str_))
        return self if is_kept.all() else self._only(is_kept)

    def _only(self, is_kept: NDArray[np.bool_]) -> SimilarityIndex:
        # Converted anew, so that the ids are no wider than the longest that stays.
        ids = np.array(self.customer_ids[is_kept].tolist(), dtype=np.str_)
        kept = replace(self, customer_ids=ids, vectors=self.vectors[is_kept], cells=None)
        if self.cells is None:
            return kept
        cells = load_faiss().deserialize_index(load_faiss().serialize_index(self.cells))
        cells.reset()
        return replace(kept, cells=kept._filled(cells))

    def summary(self, as_of: date) -> pd.DataFrame:
        """Contract ``similarity_index`` without ``artifact_file``: one row."""
        row = {
            "as_of": as_of,
            "method": "exact cosine" if self.cells is None else "cosine, candidates by inverted file (faiss IVF)",
            "customer_count": len(self.customer_ids),
            "gene_count": len(self.scaler.genes),
            "recall_share": self.recall,
            "parameters": json.dumps(self._parameters()),
        }
        return pd.DataFrame([row])

    def to_bytes(self) -> bytes:
        """The index as NumPy's .npz, without pickled objects; equal indexes give equal bytes.

        The cells are stored in faiss's format, and ``parameters`` holds the arguments of the build.
        """
        arrays = {
            "customer_ids": self.customer_ids,
            "vectors": self.vectors,
            "scaler": np.array(json.dumps(self.scaler.to_dict())),
            "weights": self.weights,
            "parameters": np.array(json.dumps(self._parameters())),
        }
        if self.cells is not None:
            arrays["cells"] = load_faiss().serialize_index(self.cells)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> SimilarityIndex:
        """Inverse of :meth:`to_bytes`.

        Raises:
            ValueError: the content is not an .npz file, or holds pickled objects.
            KeyError: an array is missing.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            parameters = json.loads(str(arrays["parameters"]))
            cells = None
            if "cells" in arrays:
                cells = load_faiss().deserialize_index(arrays["cells"])
            return cls(
                arrays["customer_ids"],
                arrays["vectors"],
                GeneScaler.from_dict(json.loads(str(arrays["scaler"]))),
                arrays["weights"],
                parameters["neighbors"],
                parameters["seed"],
                tuple(parameters.get("categories", ())),
                cells,
                parameters["probed_cells"],
                parameters["recall"],
            )

    def _parameters(self) -> dict[str, Any]:
        return {
            "genes": list(self.scaler.genes),
            "weights": self.weights.tolist(),
            "neighbors": self.neighbor_count,
            "seed": self.seed,
            "categories": list(self.categories),
            "cells": 0 if self.cells is None else int(self.cells.nlist),
            "probed_cells": self.probes,
            "recall": self.recall,
        }

    def _count(self, wanted: int) -> int:
        """Neighbours per customer, the same number for all; customers are not their own neighbours."""
        return max(0, min(wanted, len(self.customer_ids) - 1))

    @cached_property
    def _doubles(self) -> Doubles:
        return Doubles.of(self.unit)

    def _with_cells(self) -> SimilarityIndex:
        """The index with cells, and with the number of cells to search that reaches the wanted recall."""
        faiss = load_faiss()
        customers, genes = self.vectors.shape
        points, distinct = self.unit.astype(np.float32), self._doubles.first
        cell_count = 2 ** int(min(round(np.log2(_CELLS_PER_ROOT * np.sqrt(len(distinct)))), np.log2(len(distinct))))
        generator = np.random.default_rng(self.seed)
        training = min(len(distinct), _TRAINING_ROWS_PER_CELL * cell_count)
        centers = cell_centers(coarse(self.unit[generator.choice(distinct, training, replace=False)]), cell_count)
        cells = faiss.IndexIVFFlat(faiss.IndexFlatIP(genes), genes, cell_count, faiss.METRIC_INNER_PRODUCT)
        cells.quantizer.add(centers)
        cells.is_trained = True
        self._filled(cells)
        sample = np.sort(generator.choice(customers, min(customers, RECALL_SAMPLE), replace=False))
        count, queries = self._count(self.neighbor_count), self.unit[sample]
        with one_thread():
            wanted = self._candidates(count)
            near = queries.astype(np.float32)
            _, found = faiss.knn(near, points[distinct], wanted, metric=faiss.METRIC_INNER_PRODUCT)
        _, truth = self._best(queries, sample, distinct[found], count)
        for probes in range(min(_FEWEST_PROBES, cell_count), cell_count + 1, _MORE_PROBES):
            _, alike = replace(self, cells=cells, probes=probes).nearest(queries, sample, count)
            # Any customer as similar as the last true neighbour counts as a true neighbour.
            recall = float((alike >= truth[:, -1:]).mean())
            if recall >= WANTED_RECALL:
                break
        return replace(self, cells=cells, probes=probes, recall=recall)

    def _filled(self, cells: Any) -> Any:
        """The empty cells filled with each customer in the nearest cell; customers exactly alike are added once."""
        faiss, first = load_faiss(), self._doubles.first
        points = self.unit[first].astype(np.float32)
        cell, _ = nearest_cells(cells.quantizer, coarse(self.unit[first]), 1)
        cells.add_core(len(points), faiss.swig_ptr(points), faiss.swig_ptr(first), faiss.swig_ptr(cell))
        return cells

    def nearest(self, queries: Floats, own: Rows, count: int) -> tuple[Rows, Floats]:
        """Rows of the ``count`` nearest customers of each query, and their similarity, both of shape (q, count).

        ``queries`` are unit vectors, shape (q, g). ``own`` (q,) is the row that each query must not get, -1 for none.
        """
        if count == 0:
            return np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0))
        if self.cells is None:
            return self._compare_all(queries, own, count)
        return self._compare_candidates(queries, own, count)

    def _compare_all(self, queries: Floats, own: Rows, count: int) -> tuple[Rows, Floats]:
        customers = len(self.customer_ids)
        nearest = np.empty((len(queries), count), dtype=np.int64)
        similarity = np.empty((len(queries), count))
        scaled = np.ascontiguousarray(self.unit.T * _PRECISION)
        # One integer orders pairs by similarity, then by id: ids are sorted, so an earlier row gets a larger remainder.
        tie_break = np.arange(customers, 0, -1)
        chunk = max(1, _CHUNK_VALUES // customers)
        with threadpool_limits(limits=1):
            for start in range(0, len(queries), chunk):
                part = slice(start, start + chunk)
                product = queries[part] @ scaled
                keys = np.rint(product, out=product).astype(np.int64)
                keys <<= _ROW_BITS
                keys += tie_break
                has_own = own[part] >= 0
                keys[np.flatnonzero(has_own), own[part][has_own]] = np.iinfo(np.int64).min
                keys.partition(customers - count, axis=1)
                best = np.sort(keys[:, customers - count :], axis=1)[:, ::-1]
                nearest[part] = customers - (best & ((1 << _ROW_BITS) - 1))
                similarity[part] = (best >> _ROW_BITS) / _PRECISION
        return nearest, similarity

    def _compare_candidates(self, queries: Floats, own: Rows, count: int) -> tuple[Rows, Floats]:
        """The nearest of the candidates that cells propose; queries with too few candidates are compared with all."""
        nearest = np.empty((len(queries), count), dtype=np.int64)
        similarity = np.zeros((len(queries), count))
        points = queries.astype(np.float32)
        cell, closeness = nearest_cells(self.cells.quantizer, coarse(queries), self.probes)
        self.cells.nprobe = self.probes

        def search(part: Rows) -> None:
            wanted = self._candidates(count)
            while len(part):
                single, rows = self.cells.search_preassigned(points[part], wanted, cell[part], closeness[part])
                nearest[part], similarity[part] = self._best(queries[part], own[part], rows, count)
                # Candidates beyond the list may be as near as its last one.
                is_open = (rows[:, -1] >= 0) & (single[:, -1] >= similarity[part][:, -1] - SINGLE_ERROR)
                part, wanted = part[is_open], wanted * _TIMES_MORE

        # Queries of one cell search the same cells, which then stay in the processor's cache.
        in_chunks(np.argsort(cell[:, 0], kind="stable"), search)
        # A zero vector has similarity 0 to everyone: it gets the smallest ids.
        is_nowhere = ~queries.any(axis=1)
        first = np.tile(np.arange(count), (int(is_nowhere.sum()), 1))
        first += first >= np.where(own < 0, len(self.customer_ids), own)[is_nowhere, None]
        nearest[is_nowhere], similarity[is_nowhere] = first, 0.0
        is_short = nearest[:, -1] < 0
        if is_short.any():
            nearest[is_short], similarity[is_short] = self._compare_all(queries[is_short], own[is_short], count)
        return nearest, similarity

    def _candidates(self, count: int) -> int:
        """Candidates needed for ``count`` neighbours: one may be the customer; single precision reorders near ties."""
        return min(count + 1 + _MORE_CANDIDATES, len(self._doubles.first))

    def _best(self, queries: Floats, own: Rows, rows: Rows, count: int) -> tuple[Rows, Floats]:
        """The ``count`` best of the candidate ``rows`` and of customers exactly like them, in double precision.

        Ordered by similarity, then by id: ids are sorted. ``rows`` have shape (q, c), with -1 where there is no
        candidate; so have the returned rows, with a similarity of -inf there.
        """
        alike = np.rint(np.einsum("qcg,qg->qc", self.unit[rows], queries) * _PRECISION)
        rows, alike = self._doubles.expanded(rows, alike, count + 1)  # the customer may be one
        if rows.shape[1] < count:
            missing = ((0, 0), (0, count - rows.shape[1]))
            rows, alike = np.pad(rows, missing, constant_values=-1), np.pad(alike, missing)
        is_none = (rows < 0) | (rows == own[:, None])
        alike[is_none] = -np.inf
        order = np.lexsort((rows, -alike), axis=1)[:, :count]
        nearest = np.take_along_axis(np.where(is_none, -1, rows), order, 1)
        return nearest, np.take_along_axis(alike, order, 1) / _PRECISION

    def _pairs(
        self, as_of: date, ids: NDArray[np.str_], vectors: Floats, rows: Rows, similarity: Floats
    ) -> pd.DataFrame:
        """Contract ``customer_neighbors`` for customers and their nearest ``rows`` of this index, shape (n, count)."""
        customers, count = rows.shape
        own, other = np.repeat(np.arange(customers), count), rows.ravel()
        shared, different = (np.empty(len(own), dtype=np.int64) for _ in range(2))
        for start in range(0, len(own), _CHUNK_PAIRS):
            part = slice(start, start + _CHUNK_PAIRS)
            shared[part], different[part] = _traits(vectors[own[part]], self.vectors[other[part]], self.weights)
        # Texts are made once per customer, not once per pair.
        return pd.DataFrame(
            {
                "as_of": as_of,
                "customer_id": ids.astype(object)[own],
                "neighbor_rank": np.tile(np.arange(1, count + 1, dtype=np.int32), customers),
                "neighbor_customer_id": self.customer_ids.astype(object)[other],
                "similarity": similarity.ravel(),
                "shared_traits": self._words(shared, ("low", "high"), NOTHING_STANDS_OUT),
                "different_traits": self._words(different, ("lower", "higher"), NOTHING_DIFFERS),
            }
        )

    def _words(self, traits: Rows, ways: tuple[str, str], nothing: str) -> pd.Categorical[str]:
        """Traits in words, from their numbers in :func:`_traits`; each text is made once, not once per pair."""
        names = ["", *(f"{way} {label}" for label in self.labels for way in ways)]
        found, code = np.unique(traits, return_inverse=True)
        digits = found[:, None] // len(names) ** np.arange(_TRAIT_COUNT)[::-1] % len(names)
        texts = ["; ".join(names[digit] for digit in row if digit) or nothing for row in digits.tolist()]
        return pd.Categorical.from_codes(code, pd.Index(texts))


def shards(stored: bytes, customers: int = SHARD_CUSTOMERS) -> Iterator[bytes]:
    """A stored index split into stored indexes of at least ``customers`` customers each, and fewer than twice as many.

    The best of the neighbours that all parts find for a customer are those that the whole index finds. Cells propose
    candidates in each part, which can only raise recall.

    Raises:
        ValueError: a part would hold no more customers than the number of neighbours.
    """
    index = SimilarityIndex.from_bytes(stored)
    if customers <= index.neighbor_count:
        raise ValueError(f"{customers} customers in a part are too few for {index.neighbor_count} neighbours")
    total = len(index.customer_ids)
    count = total // customers
    if count < 2:
        yield stored
        return
    part = np.arange(total) * count // total
    yield from (index._only(part == number).to_bytes() for number in range(count))


def _traits(mine: Floats, theirs: Floats, weights: Floats) -> tuple[Rows, Rows]:
    """The genes in which each pair is most alike, and most different, as numbers; vectors have shape (pairs, g).

    Pairs are alike in genes that stand out the same way, by the product of their scaled values. They differ by the
    distance of these values, described from the second customer. Both count as much as the gene weighs, shape (g,). At
    most three genes each; :meth:`SimilarityIndex._words` puts the numbers into words.
    """
    product, distance = mine * theirs, theirs - mine
    is_shared = (product > 0) & (np.minimum(np.abs(mine), np.abs(theirs)) >= STANDS_OUT)
    size = np.abs(distance)
    size[size < DIFFERS] = 0.0
    shared = np.where(is_shared, product, 0.0) * weights
    return _largest(shared, mine > 0), _largest(size * np.sqrt(weights), distance > 0)


def _largest(size: Floats, is_high: NDArray[np.bool_]) -> Rows:
    """The genes of largest ``size`` above 0 of each pair, as digits of one number, largest first.

    A digit is 1 + 2 * gene + is_high, in base 2 * genes + 1. ``size``, of shape (pairs, g), is overwritten.
    """
    pair = np.arange(len(size))
    found = np.zeros(len(size), dtype=np.int64)
    for _ in range(min(_TRAIT_COUNT, size.shape[1])):
        gene = np.argmax(size, axis=1)  # the first of equal sizes
        is_listed = size[pair, gene] > 0
        found = np.where(is_listed, found * (2 * size.shape[1] + 1) + 1 + 2 * gene + is_high[pair, gene], found)
        size[pair, gene] = 0.0
    return found
