"""Why a prediction is what it is: signed contributions that add up to it.

Each part of a model gives, on the scale on which it is additive (log-odds of churn, logarithm of expected orders or
spend), what every term adds: a gene, or the purchase history as BTYD reads it, which is how often, how recently and
for how long a customer has bought. A term's contribution is what it adds more than for the snapshot's average customer.

They become contributions to the prediction itself by integrated gradients along the straight line from the average
customer: each is multiplied by (f(b + s) - f(b)) / s, where b is the average customer's score, s the sum of the
contributions and f the inverse link. So they add up exactly, and are continuous where s passes 0 (Sundararajan, M.,
Taly, A. and Yan, Q. (2017), "Axiomatic Attribution for Deep Networks", ICML, eq. 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_pipeline.contracts.tables import GENES

Floats = NDArray[np.float64]

HISTORY = "purchase_history"
"""How often, how recently and for how long a customer has bought, taken together."""

TERMS = (*GENES, HISTORY)
"""What contributions are attributed to."""

REFERENCE_ROWS = 10_000
"""Customers of a snapshot that the average one is taken over, at most."""

_NEARLY_ZERO = 1e-9


@dataclass(frozen=True)
class Explanation:
    """Why predictions of one kind are what they are, in the unit of the prediction.

    Attributes:
        base: prediction for a customer who is average in every term.
        contributions: what each of :data:`TERMS` adds to it, shape (customers, terms). A row and ``base`` add up to
            the prediction.
    """

    base: float
    contributions: Floats


def no_terms(customers: int) -> Floats:
    """Terms that add nothing yet, with the constant in the last column, shape (customers, terms + 1)."""
    return np.zeros((customers, len(TERMS) + 1))


def explain(terms: Floats, reference: Floats, inverse_link: Callable[[Floats], Floats]) -> Explanation:
    """Contributions to the prediction of terms (customers, terms + 1), whose rows add up to its link.

    ``reference`` is the terms of the average customer, shape (terms + 1,).
    """
    base = float(reference.sum())
    added = terms - reference
    total = added.sum(axis=1)
    at_base = inverse_link(np.array([base]))[0]
    is_flat = np.abs(total) < _NEARLY_ZERO
    safe = np.where(is_flat, _NEARLY_ZERO, total)
    slope = (inverse_link(base + safe) - at_base) / safe
    return Explanation(float(at_base), added[:, :-1] * slope[:, np.newaxis])


def reference_rows(features: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows that the average customer is taken over: all, or :data:`REFERENCE_ROWS` drawn by ``seed``."""
    if len(features) <= REFERENCE_ROWS:
        return features
    drawn = np.random.default_rng(seed).choice(len(features), REFERENCE_ROWS, replace=False)
    return features.iloc[np.sort(drawn)]
