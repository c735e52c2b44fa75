"""The categories of a log at a snapshot: how popular each is, and which ones are bought by the same customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.categories.histories import Histories, Ints, Names

CONTEXT = 50
"""So many categories of a customer, the most frequent ones, say which others are near."""

_NEAREST = 20
"""Neighbours kept of a category."""

_DECIMALS = 6


@dataclass(frozen=True)
class Market:
    """Categories in order of name, with their popularity and their neighbours.

    Attributes:
        names: shape (categories,).
        popularity: share of the customers of the recent window who bought the category in it, in [0, 1], shape
            (categories,); the share of all customers who ever bought it counts as one customer more.
        trend: popularity over the share of all customers who ever bought it, shape (categories,).
        neighbors: cosine of the sets of customers who bought two categories, for the nearest ones of each, shape
            (categories, categories), sparse.
    """

    names: Names
    popularity: Floats
    trend: Floats
    neighbors: sp.csr_array

    @classmethod
    def of(cls, histories: Histories) -> Market:
        """The market as these customers make it."""
        names, codes = np.unique(histories.names, return_inverse=True)
        customers, count = len(histories.customers), len(names)
        ever = np.bincount(codes, minlength=count) / max(customers, 1)
        recent = np.bincount(codes, weights=histories.facts["recent_counts"] > 0, minlength=count)
        active = np.count_nonzero(histories.each("recent_purchase_day_count") > 0)
        popularity = (recent + ever) / (active + 1)
        near = histories.places < CONTEXT
        sets = sp.csr_array(
            (np.ones(np.count_nonzero(near)), (histories.rows[near], codes[near])), shape=(customers, count)
        )
        return cls(
            names,
            popularity.round(_DECIMALS),
            (popularity / np.maximum(ever, 1e-12)).round(_DECIMALS),
            _nearest(sets),
        )

    def codes(self, names: Names) -> tuple[Ints, Names]:
        """Numbers of categories, and the names that they number: those of the market, then those unknown to it."""
        codes = pd.Index(self.names, dtype=object).get_indexer(pd.Index(names, dtype=object)).astype(np.int64)
        is_unknown = codes < 0
        unknown, places = np.unique(names[is_unknown], return_inverse=True)
        codes[is_unknown] = len(self.names) + places
        return codes, np.concatenate([self.names, unknown])

    def popular(self, count: int) -> Ints:
        """Numbers of the most popular categories, the first by name of equal ones."""
        return np.argsort(-self.popularity, kind="stable")[:count].astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary that JSON can hold."""
        return {
            "names": self.names.tolist(),
            "popularity": self.popularity.tolist(),
            "trend": self.trend.tolist(),
            "starts": self.neighbors.indptr.tolist(),
            "near": self.neighbors.indices.tolist(),
            "cosines": self.neighbors.data.tolist(),
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Market:
        """Inverse of :meth:`to_dict`."""
        count = len(plain["names"])
        return cls(
            np.array(plain["names"], dtype=object),
            np.array(plain["popularity"], dtype=np.float64),
            np.array(plain["trend"], dtype=np.float64),
            sp.csr_array(
                (
                    np.array(plain["cosines"], dtype=np.float64),
                    np.array(plain["near"], dtype=np.int64),
                    np.array(plain["starts"], dtype=np.int64),
                ),
                shape=(count, count),
            ),
        )


def _nearest(sets: sp.csr_array) -> sp.csr_array:
    """Cosines of the columns of ``sets`` with their nearest ones: the largest of each row, the first of equal ones."""
    norms = np.sqrt(np.maximum(np.asarray(sets.sum(axis=0)), 1.0))
    together = sp.csr_array(sets.T @ sets)
    together.sort_indices()
    rows, columns, cosines = [], [], []
    for row, (start, end) in enumerate(zip(together.indptr[:-1], together.indptr[1:], strict=True)):
        others = together.indices[start:end]
        found = (together.data[start:end] / (norms[row] * norms[others])).round(_DECIMALS)
        found[others == row] = 0.0
        best = np.argsort(-found, kind="stable")[:_NEAREST]
        best = np.sort(best[found[best] > 0])
        rows.append(np.full(len(best), row))
        columns.append(others[best])
        cosines.append(found[best])
    if not rows:
        return sp.csr_array(together.shape)
    return sp.csr_array(
        (np.concatenate(cosines), (np.concatenate(rows), np.concatenate(columns))), shape=together.shape
    )
