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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.genes import GENE_LABELS, FloatArray, GeneScaler, by_customer, numbers
from genome_pipeline.models.snapshots import LabelledSnapshot, snapshot_date

Rows = NDArray[np.int64]

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
_CHUNK_QUERIES = 4_096  # whatever the number of threads, so that results do not depend on it
_CHUNK_PAIRS = 200_000
_PRECISION = 1e9  # similarities are compared to 1e-9, so that ties do not depend on rounding in the matrix product
_ROW_BITS = 32
_TRAIT_COUNT = 3
_CELLS_PER_ROOT = 4  # cells per square root of the number of customers
_TRAINING_ROWS_PER_CELL = 32
_TRAINING_ROUNDS = 5
_FEWEST_PROBES = 8
_MORE_PROBES = 4  # at each trial
_MORE_CANDIDATES = 4  # beyond those asked for, as single precision may take near ties in another order
_TIMES_MORE = 4  # as many candidates where these do not decide
_COARSE = 2.0**11  # steps of a coordinate to 1: sums of products are then multiples of 2**-22, below 2


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
        return _unit(self.vectors, self.weights)

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
        own = _positions(self.customer_ids, ids)
        found = self._nearest(_unit(vectors, self.weights), own, self._count(self.neighbor_count))
        return self._pairs(snapshot_date(customers), ids, vectors, *found)

    def nearest_of_all(self) -> tuple[Rows, FloatArray]:
        """Rows of the nearest others of every customer, and their similarity, both of shape (n, neighbours)."""
        return self._nearest(self.unit, np.arange(len(self.customer_ids)), self._count(self.neighbor_count))

    def lookalikes(self, customer_ids: Sequence[str], count: int) -> pd.DataFrame:
        """The customers nearest to a group, best first, none of them in it.

        A group is the mean of its members' unit vectors. Columns: ``customer_id``, ``similarity`` to that mean,
        ``shared_traits`` and ``different_traits`` against the group's mean genes.

        Raises:
            KeyError: ids of customers that are not in the index.
        """
        members = _positions(self.customer_ids, np.array(sorted(set(customer_ids)), dtype=np.str_))
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
        cells = _faiss().deserialize_index(_faiss().serialize_index(self.cells))
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
            arrays["cells"] = _faiss().serialize_index(self.cells)
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
                cells = _faiss().deserialize_index(arrays["cells"])
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
    def _doubles(self) -> _Doubles:
        return _Doubles.of(self.unit)

    def _with_cells(self) -> SimilarityIndex:
        """The same with cells, of which as many are looked at as the wanted recall takes."""
        faiss = _faiss()
        customers, genes = self.vectors.shape
        points, distinct = self.unit.astype(np.float32), self._doubles.first
        cell_count = 2 ** int(min(round(np.log2(_CELLS_PER_ROOT * np.sqrt(len(distinct)))), np.log2(len(distinct))))
        generator = np.random.default_rng(self.seed)
        training = min(len(distinct), _TRAINING_ROWS_PER_CELL * cell_count)
        centers = _centers(_coarse(self.unit[generator.choice(distinct, training, replace=False)]), cell_count)
        cells = faiss.IndexIVFFlat(faiss.IndexFlatIP(genes), genes, cell_count, faiss.METRIC_INNER_PRODUCT)
        cells.quantizer.add(centers)
        cells.is_trained = True
        self._filled(cells)
        sample = np.sort(generator.choice(customers, min(customers, RECALL_SAMPLE), replace=False))
        count, queries = self._count(self.neighbor_count), self.unit[sample]
        with _one_thread():
            wanted = self._candidates(count)
            near = queries.astype(np.float32)
            _, found = faiss.knn(near, points[distinct], wanted, metric=faiss.METRIC_INNER_PRODUCT)
        _, truth = self._best(queries, sample, distinct[found], count)
        for probes in range(min(_FEWEST_PROBES, cell_count), cell_count + 1, _MORE_PROBES):
            _, alike = replace(self, cells=cells, probes=probes)._nearest(queries, sample, count)
            # A customer as similar as the last true neighbour is one, whoever it is.
            recall = float((alike >= truth[:, -1:]).mean())
            if recall >= WANTED_RECALL:
                break
        return replace(self, cells=cells, probes=probes, recall=recall)

    def _filled(self, cells: Any) -> Any:
        """The empty cells with the customers in the nearest one, of those exactly alike the first."""
        faiss, first = _faiss(), self._doubles.first
        points = self.unit[first].astype(np.float32)
        cell, _ = _nearest_cells(cells.quantizer, _coarse(self.unit[first]), 1)
        cells.add_core(len(points), faiss.swig_ptr(points), faiss.swig_ptr(first), faiss.swig_ptr(cell))
        return cells

    def _nearest(self, queries: FloatArray, own: Rows, count: int) -> tuple[Rows, FloatArray]:
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
        cell, closeness = _nearest_cells(self.cells.quantizer, _coarse(queries), self.probes)
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
        _share_out(np.argsort(cell[:, 0], kind="stable"), search)
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


def matured_neighbors(
    features: pd.DataFrame,
    matured: LabelledSnapshot | None,
    as_of: date,
    neighbor_count: int = 10,
    block_weights: Mapping[str, float] | None = None,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Contracts ``matured_neighbors`` and ``neighbor_estimates``: whom customers resemble, and what these did next.

    A customer is compared with the others as they were at the latest snapshot whose horizon had passed, so that what
    they did within it is known at ``as_of``. Their earlier selves are left out. Genes are scaled at each of the two
    snapshots for itself: alike are those who stood among the customers then as this one does now. On a scale of then,
    all customers of a young log would be old by now, and alike in that alone.

    Args:
        features: contract ``customer_features`` at ``as_of``.
        matured: the latest snapshot that had matured by ``as_of``; None where there is none.
        as_of: the snapshot that is estimated.
        neighbor_count: matured neighbours listed of each customer; estimates are means of 25.
        block_weights: as in :meth:`SimilarityIndex.build`.
        seed: as in :meth:`SimilarityIndex.build`.
    """
    customers = by_customer(features)
    estimates = pd.DataFrame(
        {"as_of": as_of, "customer_id": customers["customer_id"]}, columns=list(TABLES["neighbor_estimates"].columns)
    ).assign(neighbor_count=0, abstain_reason=NOTHING_MATURED)
    if matured is None or len(matured.features) < 2:
        return pd.DataFrame(columns=list(TABLES["matured_neighbors"].columns)), estimates
    index = SimilarityIndex.build(matured.features, neighbor_count, block_weights, seed)
    ids = customers["customer_id"].to_numpy(dtype=np.str_)
    scaled = dict(zip((scaler := GeneScaler.fit(customers)).genes, scaler.transform(customers).T, strict=True))
    vectors = np.column_stack([scaled.get(gene, np.zeros(len(customers))) for gene in index.scaler.genes])
    count = index._count(ESTIMATE_NEIGHBORS)
    own = _positions(index.customer_ids, ids)
    rows, similarity = index._nearest(_unit(vectors, index.weights), own, count)
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
        neighbor_count=count,
        mean_similarity=similarity.mean(axis=1),
        neighbor_expected_orders=orders[rows].mean(axis=1),
        neighbor_expected_spend=np.maximum(spend[rows].mean(axis=1), 0.0),
        neighbor_churn_probability=churned[rows].mean(axis=1),
        abstain_reason=None,
    )
    return pairs[list(TABLES["matured_neighbors"].columns)], estimates


def _unit(vectors: FloatArray, weights: FloatArray) -> FloatArray:
    weighted = vectors * np.sqrt(weights)
    length = np.linalg.norm(weighted, axis=1, keepdims=True)
    unit: FloatArray = np.divide(weighted, length, out=np.zeros_like(weighted), where=length > 0)
    return unit


def _positions(known: NDArray[np.str_], wanted: NDArray[np.str_]) -> Rows:
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


@dataclass(frozen=True)
class _Doubles:
    """Which customers are exactly alike, in order of their ids.

    ``first`` are the rows of the first of each group, shape (groups,); ``group`` has each row's, shape (n,); ``rows``
    are all rows, group by group, of which each begins at ``start`` and holds ``size``.
    """

    first: Rows
    group: Rows
    rows: Rows
    start: Rows
    size: Rows

    @classmethod
    def of(cls, unit: FloatArray) -> _Doubles:
        whole = np.ascontiguousarray(unit + 0.0).view(np.dtype((np.void, unit.itemsize * unit.shape[1]))).ravel()
        _, first, group, size = np.unique(whole, return_index=True, return_inverse=True, return_counts=True)
        rows = np.argsort(group, kind="stable").astype(np.int64)
        return cls(first.astype(np.int64), group.astype(np.int64), rows, np.cumsum(size) - size, size.astype(np.int64))

    def told(self, first: Rows, alike: FloatArray, count: int) -> tuple[Rows, FloatArray]:
        """Candidates of shape (q, c), -1 for none, with at most ``count`` of each group in the place of its first."""
        group = self.group[first]
        size = np.where(first < 0, 0, self.size[group])
        most = int(min(size.max(initial=0), count))
        if most <= 1:
            return first, alike
        place = np.arange(most)
        last = len(self.rows) - 1
        rows = self.rows[np.minimum(self.start[group][..., None] + place, last)]
        rows = np.where(place < size[..., None], rows, -1)
        return rows.reshape(len(first), -1), np.repeat(alike, most, axis=1)


def _coarse(unit: FloatArray) -> NDArray[np.float32]:
    """Unit vectors in steps of 2**-11: products of two, in single precision, are exact in whatever order they add."""
    return np.asarray(np.rint(unit * _COARSE) / _COARSE, dtype=np.float32)


def _centers(points: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Centres of ``count`` cells of coarse points by spherical k-means (Dhillon and Modha 2001), coarse as well.

    The first points are the start: they are in random order.
    """
    cells = _faiss().IndexFlatIP(points.shape[1])
    centers = points[:count]
    for _ in range(_TRAINING_ROUNDS):
        cells.reset()
        cells.add(centers)
        cell = _nearest_cells(cells, points, 1)[0][:, 0]
        # Of coarse points sums are exact.
        sums = np.column_stack([np.bincount(cell, gene, count) for gene in points.T.astype(np.float64)])
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centers = np.where(length > 0, _coarse(sums / np.maximum(length, 1e-9)), centers)
    return centers


def _nearest_cells(quantizer: Any, points: NDArray[np.float32], count: int) -> tuple[Rows, NDArray[np.float32]]:
    """The ``count`` cells nearest to each coarse point, and how near they are, both of shape (points, count).

    The last one is, of two that are equally near, the first.
    """
    listed = min(count + 1, quantizer.ntotal)
    cell = np.empty((len(points), listed), dtype=np.int64)
    closeness = np.empty((len(points), listed), dtype=np.float32)

    def search(part: Rows) -> None:
        closeness[part], cell[part] = quantizer.search(points[part], listed)

    _share_out(np.arange(len(points)), search)
    if listed > count:
        is_tied = (closeness[:, count - 1] == closeness[:, count]) & (cell[:, count] < cell[:, count - 1])
        cell[is_tied, count - 1] = cell[is_tied, count]
    return np.ascontiguousarray(cell[:, :count]), np.ascontiguousarray(closeness[:, :count])


def _share_out(rows: Rows, work: Callable[[Rows], None]) -> None:
    """Do ``work`` on all rows in threads, in chunks that are the same whatever their number: so are the results."""
    faiss = _faiss()
    thread_count = faiss.omp_get_max_threads()

    def alone(start: int) -> None:
        faiss.omp_set_num_threads(1)  # of this thread
        work(rows[start : start + _CHUNK_QUERIES])

    # As many as OpenMP may use: Spark gives each of its workers' tasks one, which may be one of many on a machine.
    with threadpool_limits(limits=1), ThreadPoolExecutor(thread_count) as threads:
        for _ in threads.map(alone, range(0, len(rows), _CHUNK_QUERIES)):
            pass


def _faiss() -> Any:
    """The library, which takes half a second to load and is needed for many customers only."""
    import faiss

    # Matrix products however few the queries: what compares points with cells is five times faster so.
    faiss.cvar.distance_compute_blas_threshold = 1
    return faiss


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of floats depend on how threads share them out."""
    faiss = _faiss()
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        faiss.omp_set_num_threads(threads)
