"""Who resembles whom: nearest neighbours by cosine similarity of scaled genes, why, and what became of them.

Up to :data:`EXACT_CUSTOMERS` customers are compared with all others. Above, an inverted file (Sivic, J. and Zisserman,
A. (2003), "Video Google", ICCV; as in faiss, Johnson, J., Douze, M. and Jegou, H. (2019), "Billion-scale similarity
search with GPUs", IEEE Transactions on Big Data 7(3)) proposes candidates from the nearest of its cells, and these are
compared exactly. How many cells are looked at is set, at each build, by the recall on a sample.

Every processor finds the same. Cells are made and chosen by coordinates so coarse that single precision multiplies and
adds them exactly. In single precision a cell's customers are only listed: the list is made longer until what follows
cannot be as near as the last one taken, and customers who are exactly alike stand in it as one.
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

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.genes import GENE_LABELS, FloatArray, GeneScaler, by_customer
from genome_pipeline.models.similarity.nearest import (
    Doubles,
    Rows,
    cell_centers,
    coarse,
    load_faiss,
    nearest_cells,
    one_thread,
    share_out,
)
from genome_pipeline.models.snapshots import snapshot_date

EXACT_CUSTOMERS = 10_000
"""Customers up to which each is compared with all: beyond, cells are faster (see benchmarks/similarity.py)."""

WANTED_RECALL = 0.993
"""Recall on the sample from which no more cells are looked at: 0.99 is asked for, and a sample may flatter a little."""

SHARD_CUSTOMERS = 2_000_000
"""Twice as many are searched in two parts: a worker holds one at a time, in some 500 bytes a customer."""

RECALL_SAMPLE = 1_000
"""Customers whose neighbours are found among all others too, to measure recall."""

ESTIMATE_NEIGHBORS = 25
"""Matured neighbours that an estimate is the mean of: ten tell a rare event too coarsely, more win little."""

STANDS_OUT = 0.75
"""Scaled value from which a gene stands out: three quarters of a robust standard deviation from the median."""

DIFFERS = 0.5
"""Distance of scaled values from which two customers differ in a gene: neighbours are close in most."""

SINGLE_ERROR = 2e-6
"""Of a similarity in single precision: several times what vectors of this length can be out by."""

NOTHING_STANDS_OUT = "typical on every gene"
NOTHING_DIFFERS = "close on every gene"
NOTHING_MATURED = "no earlier snapshot has matured, so that what became of similar customers is not known yet"
_CHUNK_VALUES = 400_000  # similarities held at a time; few enough to stay in the processor's cache
_CHUNK_PAIRS = 200_000
_PRECISION = 1e9  # similarities are compared to 1e-9, so that ties do not depend on rounding in the matrix product
_ROW_BITS = 32
_TRAIT_COUNT = 3
_CELLS_PER_ROOT = 4  # cells per square root of the number of customers
_TRAINING_ROWS_PER_CELL = 32
_FEWEST_PROBES = 8
_MORE_PROBES = 4  # at each trial
_MORE_CANDIDATES = 4  # beyond those asked for, as single precision may take near ties in another order
_TIMES_MORE = 4  # as many candidates where these do not decide


@dataclass(frozen=True)
class SimilarityIndex:
    """Scaled genes of every customer of one snapshot, in a form that answers who is nearest.

    ``customer_ids`` has shape (n,), sorted; ``vectors`` (n, g), scaled genes in [-4, 4]; ``weights`` (g,), from 0, what
    each gene counts in the cosine. ``cells`` is the faiss index, None where all are compared; ``probes`` the number of
    its cells looked at; ``recall`` the share of the true neighbours found in the sample.
    """

    customer_ids: NDArray[np.str_]
    vectors: FloatArray
    scaler: GeneScaler
    weights: FloatArray
    neighbor_count: int
    seed: int
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
    ) -> SimilarityIndex:
        """Scale the genes of contract ``customer_features`` of one snapshot.

        Args:
            features: the customers.
            neighbor_count: neighbours of each customer.
            block_weights: what the genes of a block count in the cosine, from 0; 1 where it is not named.
            seed: of the cells' start.
            exact_customers: customers up to which each is compared with all.

        Raises:
            ValueError: ``neighbor_count`` is below 1.
        """
        if neighbor_count < 1:
            raise ValueError(f"neighbor_count must be at least 1, not {neighbor_count}")
        customers = by_customer(features)
        scaler = GeneScaler.fit(customers)
        ids = customers["customer_id"].to_numpy(dtype=np.str_)
        weights = np.array([(block_weights or {}).get(GENES[gene].block, 1.0) for gene in scaler.genes])
        index = cls(ids, scaler.transform(customers), scaler, weights, neighbor_count, seed)
        return index if len(ids) <= exact_customers else index._with_cells()

    @cached_property
    def unit(self) -> FloatArray:
        """Weighted vectors of length 1, shape (n, g), whose products are the similarities; 0 where nothing is left."""
        return unit_vectors(self.vectors, self.weights)

    def neighbors(self, as_of: date) -> pd.DataFrame:
        """Contract ``customer_neighbors``: the most similar other customers of each customer, best first.

        Similarities are rounded to 1e-9 and ties go to the smaller customer id. A customer who is at the median of
        every gene has similarity 0 to everyone. With fewer customers than asked for there are fewer neighbours.
        """
        return self._pairs(as_of, self.customer_ids, self.vectors, *self.nearest_of_all())

    def neighbors_of(self, features: pd.DataFrame) -> pd.DataFrame:
        """Contract ``customer_neighbors`` of some customers, by contract ``customer_features`` of the index's snapshot.

        The same rows as :meth:`neighbors` gives them. They need not be in the index themselves (see :func:`shards`).
        """
        customers = by_customer(features)
        ids, vectors = customers["customer_id"].to_numpy(dtype=np.str_), self.scaler.transform(customers)
        own = positions(self.customer_ids, ids)
        found = self.nearest(unit_vectors(vectors, self.weights), own, self._count(self.neighbor_count))
        return self._pairs(snapshot_date(customers), ids, vectors, *found)

    def nearest_of_all(self) -> tuple[Rows, FloatArray]:
        """Rows of the nearest others of every customer, and their similarity, both of shape (n, neighbours)."""
        return self.nearest(self.unit, np.arange(len(self.customer_ids)), self._count(self.neighbor_count))

    def lookalikes(self, customer_ids: Sequence[str], count: int) -> pd.DataFrame:
        """The customers nearest to a group, best first, none of them in it.

        A group is the mean of its members' unit vectors. Columns: ``customer_id``, ``similarity`` to that mean,
        ``shared_traits`` and ``different_traits`` against the group's mean genes.

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
        shared, different = _traits(group, self.vectors[found])
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
        """The same index of the other customers; ids that are not in it do not count."""
        is_kept = ~np.isin(self.customer_ids, np.array([*customer_ids], dtype=np.str_))
        return self if is_kept.all() else self._only(is_kept)

    def _only(self, is_kept: NDArray[np.bool_]) -> SimilarityIndex:
        # Made anew, so that they are no wider than the longest that stays.
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

        The cells are in it as faiss writes them, and ``parameters`` says what it was built from.
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
            "cells": 0 if self.cells is None else int(self.cells.nlist),
            "probed_cells": self.probes,
            "recall": self.recall,
        }

    def _count(self, wanted: int) -> int:
        """Neighbours of each customer: as many for all, who may not be their own."""
        return max(0, min(wanted, len(self.customer_ids) - 1))

    @cached_property
    def _doubles(self) -> Doubles:
        return Doubles.of(self.unit)

    def _with_cells(self) -> SimilarityIndex:
        """The same with cells, of which as many are looked at as the wanted recall takes."""
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
            # A customer as similar as the last true neighbour is one, whoever it is.
            recall = float((alike >= truth[:, -1:]).mean())
            if recall >= WANTED_RECALL:
                break
        return replace(self, cells=cells, probes=probes, recall=recall)

    def _filled(self, cells: Any) -> Any:
        """The empty cells with the customers in the nearest one, of those exactly alike the first."""
        faiss, first = load_faiss(), self._doubles.first
        points = self.unit[first].astype(np.float32)
        cell, _ = nearest_cells(cells.quantizer, coarse(self.unit[first]), 1)
        cells.add_core(len(points), faiss.swig_ptr(points), faiss.swig_ptr(first), faiss.swig_ptr(cell))
        return cells

    def nearest(self, queries: FloatArray, own: Rows, count: int) -> tuple[Rows, FloatArray]:
        """Rows of the ``count`` nearest customers of each query, and their similarity, both of shape (q, count).

        ``queries`` are unit vectors, shape (q, g); ``own`` (q,) the row each may not get, -1 for none.
        """
        if count == 0:
            return np.empty((len(queries), 0), dtype=np.int64), np.empty((len(queries), 0))
        if self.cells is None:
            return self._compare_all(queries, own, count)
        return self._compare_candidates(queries, own, count)

    def _compare_all(self, queries: FloatArray, own: Rows, count: int) -> tuple[Rows, FloatArray]:
        customers = len(self.customer_ids)
        nearest = np.empty((len(queries), count), dtype=np.int64)
        similarity = np.empty((len(queries), count))
        scaled = np.ascontiguousarray(self.unit.T * _PRECISION)
        # One integer orders a pair by similarity, then by id: ids are sorted, so the earlier row gets the larger rest.
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

    def _compare_candidates(self, queries: FloatArray, own: Rows, count: int) -> tuple[Rows, FloatArray]:
        """The nearest of the candidates that the cells propose; of all, for a query with too few of them."""
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
                # There is more, and it may be as near.
                is_open = (rows[:, -1] >= 0) & (single[:, -1] >= similarity[part][:, -1] - SINGLE_ERROR)
                part, wanted = part[is_open], wanted * _TIMES_MORE

        # Queries of one cell look at the same cells, which then stay in the processor's cache.
        share_out(np.argsort(cell[:, 0], kind="stable"), search)
        # Similarity 0 to everyone: the smallest ids.
        is_nowhere = ~queries.any(axis=1)
        first = np.tile(np.arange(count), (int(is_nowhere.sum()), 1))
        first += first >= np.where(own < 0, len(self.customer_ids), own)[is_nowhere, None]
        nearest[is_nowhere], similarity[is_nowhere] = first, 0.0
        is_short = nearest[:, -1] < 0
        if is_short.any():
            nearest[is_short], similarity[is_short] = self._compare_all(queries[is_short], own[is_short], count)
        return nearest, similarity

    def _candidates(self, count: int) -> int:
        """Candidates for ``count`` neighbours: the customer may be one, and single precision mistakes near ties."""
        return min(count + 1 + _MORE_CANDIDATES, len(self._doubles.first))

    def _best(self, queries: FloatArray, own: Rows, rows: Rows, count: int) -> tuple[Rows, FloatArray]:
        """The ``count`` best of the candidate ``rows`` and of their doubles, in double precision.

        By similarity, then by id: ids are sorted. ``rows`` have shape (q, c), -1 where there is none, as has what is
        returned, with a similarity of -inf.
        """
        alike = np.rint(np.einsum("qcg,qg->qc", self.unit[rows], queries) * _PRECISION)
        rows, alike = self._doubles.told(rows, alike, count + 1)  # the customer may be one
        if rows.shape[1] < count:
            missing = ((0, 0), (0, count - rows.shape[1]))
            rows, alike = np.pad(rows, missing, constant_values=-1), np.pad(alike, missing)
        is_none = (rows < 0) | (rows == own[:, None])
        alike[is_none] = -np.inf
        order = np.lexsort((rows, -alike), axis=1)[:, :count]
        nearest = np.take_along_axis(np.where(is_none, -1, rows), order, 1)
        return nearest, np.take_along_axis(alike, order, 1) / _PRECISION

    def _pairs(
        self, as_of: date, ids: NDArray[np.str_], vectors: FloatArray, rows: Rows, similarity: FloatArray
    ) -> pd.DataFrame:
        """Contract ``customer_neighbors``, of customers and their nearest ``rows`` here, shape (n, count)."""
        customers, count = rows.shape
        own, other = np.repeat(np.arange(customers), count), rows.ravel()
        shared, different = (np.empty(len(own), dtype=np.int64) for _ in range(2))
        for start in range(0, len(own), _CHUNK_PAIRS):
            part = slice(start, start + _CHUNK_PAIRS)
            shared[part], different[part] = _traits(vectors[own[part]], self.vectors[other[part]])
        # Text objects are made once for each customer, not for each pair.
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
        """Traits, as :func:`_traits` numbers them, in words: a text is kept once, not for each pair."""
        names = ["", *(f"{way} {GENE_LABELS[gene]}" for gene in self.scaler.genes for way in ways)]
        found, code = np.unique(traits, return_inverse=True)
        digits = found[:, None] // len(names) ** np.arange(_TRAIT_COUNT)[::-1] % len(names)
        texts = ["; ".join(names[digit] for digit in row if digit) or nothing for row in digits.tolist()]
        return pd.Categorical.from_codes(code, pd.Index(texts))


def shards(stored: bytes, customers: int = SHARD_CUSTOMERS) -> Iterator[bytes]:
    """A stored index in parts of at least so many customers each, and fewer than twice as many, stored alike.

    Of the neighbours that the parts find for a customer, the best are those that the whole finds. Where cells propose
    candidates, they do so in each part: recall can only be higher.

    Raises:
        ValueError: a part would hold no more customers than neighbours are asked for.
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


def unit_vectors(vectors: FloatArray, weights: FloatArray) -> FloatArray:
    """Vectors of shape (n, genes), weighted and of length 1, or 0 where nothing is in them."""
    weighted = vectors * np.sqrt(weights)
    length = np.linalg.norm(weighted, axis=1, keepdims=True)
    unit: FloatArray = np.divide(weighted, length, out=np.zeros_like(weighted), where=length > 0)
    return unit


def positions(known: NDArray[np.str_], wanted: NDArray[np.str_]) -> Rows:
    """Where each of ``wanted`` stands among ``known``, which are sorted; -1 where it does not."""
    position = np.searchsorted(known, wanted).astype(np.int64)
    is_there = position < len(known)
    is_there[is_there] = known[position[is_there]] == wanted[is_there]
    return np.where(is_there, position, -1)


def _traits(mine: FloatArray, theirs: FloatArray) -> tuple[Rows, Rows]:
    """In which genes each pair is most alike, and most different, as numbers; vectors of shape (pairs, g).

    Alike: both stand out the same way, by the product of their scaled values. Different: by the distance of these, said
    of the second. At most three each; :meth:`SimilarityIndex._words` puts the numbers into words.
    """
    product, distance = mine * theirs, theirs - mine
    is_shared = (product > 0) & (np.minimum(np.abs(mine), np.abs(theirs)) >= STANDS_OUT)
    size = np.abs(distance)
    size[size < DIFFERS] = 0.0
    return _largest(np.where(is_shared, product, 0.0), mine > 0), _largest(size, distance > 0)


def _largest(size: FloatArray, is_high: NDArray[np.bool_]) -> Rows:
    """The genes of largest ``size`` above 0 of each pair, as digits: 1 + 2 x gene + whether it is high, largest first.

    The base is one more than twice the genes. ``size``, of shape (pairs, g), is used up.
    """
    pair = np.arange(len(size))
    found = np.zeros(len(size), dtype=np.int64)
    for _ in range(min(_TRAIT_COUNT, size.shape[1])):
        gene = np.argmax(size, axis=1)  # of equal ones the first
        is_told = size[pair, gene] > 0
        found = np.where(is_told, found * (2 * size.shape[1] + 1) + 1 + 2 * gene + is_high[pair, gene], found)
        size[pair, gene] = 0.0
    return found
