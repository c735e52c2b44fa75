"""The categories that a customer may buy next, and what is known of each."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.categories.histories import Histories, Ints, Names
from genome_pipeline.models.categories.market import CONTEXT, Market
from genome_pipeline.models.forecast.regression import LogRegression

POPULAR = 20
"""So many of the most popular categories are candidates of everybody."""

_OLDER_WEIGHT, _PREVIOUS_WEIGHT = 0.3, 0.5
"""What a purchase day before the recent window counts, where one within it counts 1."""


_OF_CUSTOMER = ("recent_purchase_day_count", "purchase_day_count", "t_days", "days_since_last_order")


class Candidates(NamedTuple):
    """Pairs of a customer and a category, in order of both numbers.

    What is known of a candidate is what the customer's purchases say of a category they have bought, what is known of
    the category, how near it is to their own, and what is known of the customer: each is kept once.

    Attributes:
        rows: position of the customer, shape (candidates,).
        codes: number of the category among ``names``, shape (candidates,).
        names: categories.
        is_own: whether the customer has bought it, shape (candidates,).
        places: place of those bought among the customer's own, the most frequent first, shape (own candidates,).
        own: what the customer's purchases say of those bought, shape (own candidates, 8).
        near: shape (candidates, 1).
        of_category: shape (names, 2).
        of_customer: shape (customers, 4).
    """

    rows: Ints
    codes: Ints
    names: Names
    is_own: NDArray[np.bool_]
    places: Ints
    own: Floats
    near: Floats
    of_category: Floats
    of_customer: Floats

    def facts(self, chosen: Ints, *, are_own: bool) -> Floats:
        """All that is known of the candidates at some positions, of one kind; shape (chosen, 15 if own, else 7)."""
        of_own = [self.own[(np.cumsum(self.is_own) - 1)[chosen]]] if are_own else []
        of_pair = (self.of_category[self.codes[chosen]], self.near[chosen], self.of_customer[self.rows[chosen]])
        return np.column_stack([*of_own, *of_pair])

    def log_odds(self, own: LogRegression, new: LogRegression) -> Floats:
        """Log-odds of each candidate by the regression of its kind, shape (candidates,)."""
        found = np.empty(len(self.rows))
        for is_own, regression in ((True, own), (False, new)):
            chosen = self.is_own == is_own
            columns = np.cumsum([self.own.shape[1] * is_own, self.of_category.shape[1], 1, self.of_customer.shape[1]])
            parts = [regression.part(start, end) for start, end in pairwise([0, *columns.tolist()])]
            of_category, of_customer = parts[1].linear(self.of_category), parts[3].linear(self.of_customer)
            found[chosen] = (
                regression.intercept
                + of_category[self.codes[chosen]]
                + parts[2].linear(self.near[chosen])
                + of_customer[self.rows[chosen]]
            )
            if is_own:
                found[chosen] += parts[0].linear(self.own)
        return found


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
    # Sorted: unique() sorts no faster, and hashes before.
    keys = np.sort(np.concatenate([own_keys, near_keys, popular_keys]))
    keys = keys[np.diff(keys, prepend=-1) > 0]
    rows, found = np.divmod(keys, max(width, 1))
    score = np.zeros(len(keys))
    score[np.searchsorted(keys, near_keys)] = near.data
    pair = np.full(len(keys), -1)
    pair[np.searchsorted(keys, own_keys)] = np.arange(len(own_keys))
    is_own = pair >= 0
    unknown = np.zeros(width - known)
    popularity, trend = (np.concatenate([each, unknown]) for each in (market.popularity, market.trend))
    return Candidates(
        rows,
        found,
        names,
        is_own,
        histories.places[pair[is_own]],
        _own_facts(histories)[pair[is_own]],
        # Logarithms are taken of 1 plus these, so that shares are in thousandths and in percent.
        1000 * score[:, None],
        np.column_stack([1000 * popularity, trend]),
        np.column_stack([histories.each(name) for name in _OF_CUSTOMER]),
    )


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
