"""Nearest vectors by cosine: candidates from single precision, compared in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from genome_pipeline.models.arrays import Floats

Rows = NDArray[np.int64]

_CHUNK_QUERIES = 4_096  # the same for any number of threads, so that results do not depend on it
_TRAINING_ROUNDS = 5
_COARSE = 2.0**11  # steps of a coordinate per 1: sums of products are then multiples of 2**-22, below 2


@dataclass(frozen=True)
class Doubles:
    """Groups of customers who are exactly alike, in order of their ids.

    ``first`` (groups,) is the first row of each group; ``group`` (n,) is the group of each row. ``rows`` lists all
    rows, group by group; each group begins at ``start`` and holds ``size`` rows.
    """

    first: Rows
    group: Rows
    rows: Rows
    start: Rows
    size: Rows

    @classmethod
    def of(cls, unit: Floats) -> Doubles:
        """The groups of vectors of shape (n, genes), which are in order of their customers' ids."""
        whole = np.ascontiguousarray(unit + 0.0).view(np.dtype((np.void, unit.itemsize * unit.shape[1]))).ravel()
        _, first, group, size = np.unique(whole, return_index=True, return_inverse=True, return_counts=True)
        rows = np.argsort(group, kind="stable").astype(np.int64)
        return cls(first.astype(np.int64), group.astype(np.int64), rows, np.cumsum(size) - size, size.astype(np.int64))

    def expanded(self, first: Rows, alike: Floats, count: int) -> tuple[Rows, Floats]:
        """Candidates of shape (q, c), -1 for none: up to ``count`` members of each group in place of its first."""
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


def positions(known: NDArray[np.str_], wanted: NDArray[np.str_]) -> Rows:
    """Position of each of ``wanted`` in the sorted ``known``; -1 for values that are not in it."""
    position = np.searchsorted(known, wanted).astype(np.int64)
    is_there = position < len(known)
    is_there[is_there] = known[position[is_there]] == wanted[is_there]
    return np.where(is_there, position, -1)


def coarse(unit: Floats) -> NDArray[np.float32]:
    """Unit vectors rounded to steps of 2**-11, so that single-precision products of two are exact in any order."""
    return np.asarray(np.rint(unit * _COARSE) / _COARSE, dtype=np.float32)


def cell_centers(points: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Centres of ``count`` cells of coarse points, also coarse, by spherical k-means (Dhillon and Modha 2001).

    The first points are the starting centres, as points are in random order.
    """
    cells = load_faiss().IndexFlatIP(points.shape[1])
    centers = points[:count]
    for _ in range(_TRAINING_ROUNDS):
        cells.reset()
        cells.add(centers)
        cell = nearest_cells(cells, points, 1)[0][:, 0]
        # Sums of coarse points are exact.
        sums = np.column_stack([np.bincount(cell, gene, count) for gene in points.T.astype(np.float64)])
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centers = np.where(length > 0, coarse(sums / np.maximum(length, 1e-9)), centers)
    return centers


def nearest_cells(quantizer: Any, points: NDArray[np.float32], count: int) -> tuple[Rows, NDArray[np.float32]]:
    """The ``count`` cells nearest to each coarse point, and how near they are, both of shape (points, count).

    If two cells are equally near, the first of them takes the last place.
    """
    listed = min(count + 1, quantizer.ntotal)
    cell = np.empty((len(points), listed), dtype=np.int64)
    closeness = np.empty((len(points), listed), dtype=np.float32)

    def search(part: Rows) -> None:
        closeness[part], cell[part] = quantizer.search(points[part], listed)

    in_chunks(np.arange(len(points)), search)
    if listed > count:
        is_tied = (closeness[:, count - 1] == closeness[:, count]) & (cell[:, count] < cell[:, count - 1])
        cell[is_tied, count - 1] = cell[is_tied, count]
    return np.ascontiguousarray(cell[:, :count]), np.ascontiguousarray(closeness[:, :count])


def in_chunks(rows: Rows, work: Callable[[Rows], None]) -> None:
    """Do ``work`` on all rows in threads; chunks, and so results, are the same for any number of threads."""
    faiss = load_faiss()
    thread_count = faiss.omp_get_max_threads()

    def alone(start: int) -> None:
        faiss.omp_set_num_threads(1)  # setting of this thread only
        work(rows[start : start + _CHUNK_QUERIES])

    # As many threads as OpenMP may use: Spark gives each of its tasks one, as many may share a machine.
    with threadpool_limits(limits=1), ThreadPoolExecutor(thread_count) as threads:
        for _ in threads.map(alone, range(0, len(rows), _CHUNK_QUERIES)):
            pass


def load_faiss() -> Any:
    """The faiss library, which takes half a second to load and is only needed for many customers."""
    import faiss

    # Use matrix products for any number of queries: comparing points with cells is then five times faster.
    faiss.cvar.distance_compute_blas_threshold = 1
    return faiss


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread while this is active: sums of floats depend on how threads share them out."""
    faiss = load_faiss()
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        faiss.omp_set_num_threads(threads)
