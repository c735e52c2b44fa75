"""The categories that a customer may buy next, and what is known of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.categories.histories import Histories, Ints, Names
from genome_pipeline.models.categories.market import CONTEXT, Market

POPULAR = 20
"""So many of the most popular categories are candidates of everybody."""

_OLDER_WEIGHT, _PREVIOUS_WEIGHT = 0.3, 0.5
"""What a purchase day before the recent window counts, where one within it counts 1."""


class Candidates(NamedTuple):
    """Pairs of a customer and a category, in order of both numbers.

    Attributes:
        rows: position of the customer, shape (candidates,).
        codes: number of the category among ``names``, shape (candidates,).
        names: categories.
        is_own: whether the customer has bought it, shape (candidates,).
        own: what is known of those that the customer has bought, shape (own candidates, 15).
        new: what is known of the others, shape (other candidates, 7).
        places: place of those bought among the customer's own, the most frequent first, shape (own candidates,).
    """

    rows: Ints
    codes: Ints
    names: Names
    is_own: NDArray[np.bool_]
    own: Floats
    new: Floats
    places: Ints


def candidates(histories: Histories, market: Market) -> Candidates:
    """Of each customer: their own categories, those near to their own, and the most popular ones."""
    customers, known = len(histories.customers), len(market.names)
    codes, names = market.codes(histories.names)
    width = len(names)
    near = _near(histories, codes, market)
    popular = market.popular(POPULAR)
    own_keys = histories.rows * width + codes
    near_keys = np.repeat(np.arange(customers), np.diff(near.indptr)) * width + near.indices
    popular_keys = (np.arange(customers)[:, None] * width + popular).ravel()
    keys = np.unique(np.concatenate([own_keys, near_keys, popular_keys]))
    rows, found = np.divmod(keys, max(width, 1))
    score = np.zeros(len(keys))
    score[np.searchsorted(keys, near_keys)] = near.data
    pair = np.full(len(keys), -1)
    pair[np.searchsorted(keys, own_keys)] = np.arange(len(own_keys))
    is_own = pair >= 0
    unknown = np.zeros(width - known)
    popularity, trend = (np.concatenate([each, unknown]) for each in (market.popularity, market.trend))
    # Logarithms are taken of 1 plus these, so that shares are in thousandths and in percent.
    about = np.column_stack(
        [
            1000 * popularity[found],
            trend[found],
            1000 * score,
            *(
                histories.each(name)[rows]
                for name in ("recent_purchase_day_count", "purchase_day_count", "t_days", "days_since_last_order")
            ),
        ]
    )
    pairs = pair[is_own]
    own = np.column_stack([_own_facts(histories)[pairs], about[is_own]])
    return Candidates(rows, found, names, is_own, own, about[~is_own], histories.places[pairs])


def _near(histories: Histories, codes: Ints, market: Market) -> sp.csr_array:
    """How near each category is to what a customer bought, lately above all, shape (customers, categories)."""
    facts, known = histories.facts, len(market.names)
    recent, previous = facts["recent_counts"], facts["previous_counts"]
    older = facts["counts"] - recent - previous
    weights = recent + _PREVIOUS_WEIGHT * previous + _OLDER_WEIGHT * older
    is_used = (histories.places < CONTEXT) & (codes < known)
    rows, weights = histories.rows[is_used], weights[is_used]
    totals = np.bincount(rows, weights=weights, minlength=len(histories.customers))
    own = sp.csr_array((weights / totals[rows], (rows, codes[is_used])), shape=(len(histories.customers), known))
    near = sp.csr_array(own @ market.neighbors)
    near.sort_indices()
    return near


def _own_facts(histories: Histories) -> Floats:
    """What the customer's own purchases say of each pair, shape (pairs, 8)."""
    facts, rows = histories.facts, histories.rows
    counts, recent = facts["counts"], facts["recent_counts"]
    days, recent_days = (histories.each(name)[rows] for name in ("purchase_day_count", "recent_purchase_day_count"))
    gaps = (facts["first_days"] - facts["last_days"]) / np.maximum(counts - 1, 1)
    return np.column_stack(
        [
            counts,
            recent,
            facts["previous_counts"],
            facts["last_days"],
            100 * counts / np.maximum(days, 1),
            100 * recent / np.maximum(recent_days, 1),
            np.where(counts > 1, facts["last_days"] / np.maximum(gaps, 1), 0.0),
            counts == 1,
        ]
    )
