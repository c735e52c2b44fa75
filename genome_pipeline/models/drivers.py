"""Why a prediction is what it is: signed contributions that add up to it.

Each part of the forecast is a sum of terms on its own scale. A term is a gene, or one of the two terms of the purchase
history as BTYD reads it: the purchase rate, and the effect of the silence since the last purchase. Each term is
measured as its difference from that of the snapshot's average customer.

Integrated gradients along the straight line from the average customer turn these differences into contributions to the
prediction itself. With s(t) from the average's scores s(0) to the customer's s(1), a term that adds d to score k
contributes ``d`` times the integral, over t from 0 to 1, of the prediction's derivative by s_k (Sundararajan, M., Taly,
A. and Yan, Q. (2017), "Axiomatic Attribution for Deep Networks", ICML, eq. 1). These contributions add up.

The largest contributions, in words, are the rows of ``customer_drivers``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import expit

from genome_pipeline.contracts.column import Unit
from genome_pipeline.contracts.genes import GENES
from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import by_customer, numbers

PURCHASE_RATE, SILENCE = "purchase_rate", "silence"
"""Purchase days over the time the customer is known, and the silence since the last one given that rate."""

TERMS = (*GENES, PURCHASE_RATE, SILENCE)
"""The terms that contributions are attributed to."""

_GENES_OF_TERM = {
    SILENCE: ("days_since_last_order", "overdue_ratio"),
    PURCHASE_RATE: ("order_count", "purchase_day_count", "frequency_count", "order_gap_mean_days", "recency_days"),
}
"""Genes that say the same as a term of the purchase history; their contributions are added to it."""

_LONG_SILENCE, _SHORT_SILENCE = 1.5, 0.5
"""Silence in usual gaps between orders: above the one it speaks against a next order, below the other for it."""

_NODES, _WEIGHTS = leggauss(12)[0] / 2 + 0.5, leggauss(12)[1] / 2
"""Gauss-Legendre quadrature on (0, 1)."""

REFERENCE_ROWS = 1_000
"""At most this many customers of a snapshot define the average customer."""

AVERAGE, REST = "average_customer", "everything_else"
"""Names of the first and of the last driver of each prediction."""

TOP_TERMS = 5
"""Terms named for each prediction; all other terms are added up in one row."""

BATCH_CUSTOMERS = 100_000
"""Customers whose rows are in memory at the same time."""

_DRIVERS = np.array([*TERMS, AVERAGE, REST], dtype=object)
_AVERAGE_WORDS, _REST_WORDS = "the average customer", "everything else"


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


class Link(Enum):
    """How the scores of the forecast combine into a prediction; see :mod:`genome_pipeline.models.forecast`.

    Scores are the log-odds of a purchase, the logarithm of the purchase days beyond the first, and the logarithm of the
    spend per purchase day. Each prediction uses the first one, two or three of them.
    """

    CHURN = 1
    ORDERS = 2
    SPEND = 3

    def value_at(self, scores: Sequence[Floats]) -> Floats:
        """The prediction from scores of shape (n,) each."""
        if self is Link.CHURN:
            return np.asarray(expit(-scores[0]))
        orders = expit(scores[0]) * (1 + np.exp(scores[1]))
        return np.asarray(orders * np.exp(scores[2]) if self is Link.SPEND else orders)

    def slopes_at(self, scores: Sequence[Floats]) -> list[Floats]:
        """Its derivative by each score, of shape (n,) each."""
        if self is Link.CHURN:
            return [-expit(scores[0]) * expit(-scores[0])]
        value = self.value_at(scores)
        further = np.exp(scores[1])
        return [value * expit(-scores[0]), value * further / (1 + further), value][: self.value]


def no_terms(customers: int) -> Floats:
    """Terms of zero, with a last column for the constant, shape (customers, terms + 1)."""
    return np.zeros((customers, len(TERMS) + 1))


def explain(terms: Sequence[Floats], references: Sequence[Floats], link: Link) -> Explanation:
    """Contributions to a prediction; the rows of ``terms``, (customers, terms + 1) each, add up to its scores.

    ``references`` are the terms of the average customer, (terms + 1,) each; the constant is the same for all.
    """
    base = [float(reference.sum()) for reference in references]
    added = [rows[:, :-1] - reference[:-1] for rows, reference in zip(terms, references, strict=True)]
    moved = [rows.sum(axis=1) for rows in added]
    slopes = np.zeros((len(added), len(added[0])))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        at = [start + node * move for start, move in zip(base, moved, strict=True)]
        slopes += weight * np.stack(link.slopes_at(at))
    contributions = sum(rows * slope[:, np.newaxis] for rows, slope in zip(added, slopes, strict=True))
    contributions = np.asarray(contributions)
    at_base = float(link.value_at([np.array([start]) for start in base])[0])
    end = link.value_at([start + move for start, move in zip(base, moved, strict=True)])
    # The small error of the quadrature is spread over the terms in proportion to their size.
    missed = end - at_base - contributions.sum(axis=1)
    size = np.abs(contributions)
    total = size.sum(axis=1)
    share = np.divide(missed, total, out=np.zeros_like(missed), where=total > 0)
    contributions = contributions + size * share[:, np.newaxis]
    for term, genes in _GENES_OF_TERM.items():
        places = [TERMS.index(gene) for gene in genes]
        contributions[:, TERMS.index(term)] += contributions[:, places].sum(axis=1)
        contributions[:, places] = 0.0
    return Explanation(at_base, contributions)


def reference_rows(features: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows that define the average customer: all, or :data:`REFERENCE_ROWS` of them drawn by ``seed``."""
    if len(features) <= REFERENCE_ROWS:
        return features
    drawn = np.random.default_rng(seed).choice(len(features), REFERENCE_ROWS, replace=False)
    return features.iloc[np.sort(drawn)]


def explain_customers(
    explain_batch: Callable[[pd.DataFrame], Mapping[str, Explanation]],
    features: pd.DataFrame,
    previous: pd.DataFrame | None,
    currency: str,
) -> Iterator[pd.DataFrame]:
    """Rows of contract table ``customer_drivers``, of one prediction and at most :data:`BATCH_CUSTOMERS` at a time.

    Args:
        explain_batch: gives the explanations of rows of ``customer_features``, by prediction.
        features: rows of ``customer_features`` of one snapshot.
        previous: rows of the previous snapshot, explained in the same way for comparison; None without one.
        currency: code to write after amounts; may be empty.
    """
    features = by_customer(features)
    known = pd.Index([]) if previous is None else pd.Index(previous["customer_id"])
    for start in range(0, len(features), BATCH_CUSTOMERS):
        batch = features.iloc[start : start + BATCH_CUSTOMERS]
        position = known.get_indexer(pd.Index(batch["customer_id"]))
        was_there = position >= 0
        before = None if previous is None or not was_there.any() else previous.iloc[position[was_there]]
        explained = explain_batch(batch)
        explained_before = {} if before is None else explain_batch(before)
        for prediction, explanation in explained.items():
            changes = np.full_like(explanation.contributions, np.nan)
            if prediction in explained_before:
                earlier = explained_before[prediction].contributions
                changes[was_there] = explanation.contributions[was_there] - earlier
            yield _driver_rows(batch, prediction, explanation, changes, currency)


def _driver_rows(
    features: pd.DataFrame, prediction: str, explanation: Explanation, changes: Floats, currency: str
) -> pd.DataFrame:
    """Rows of ``customer_drivers`` for one prediction; ``changes`` of the contributions are NaN where unknown."""
    # Among terms of equal size (often 0), the one that changed more comes first. Terms that contradict the customer's
    # own facts come last, where they are part of "everything else".
    size = np.where(_contradicts_facts(prediction, features, explanation), -1.0, np.abs(explanation.contributions))
    order = np.lexsort((-np.abs(np.nan_to_num(changes)), -size), axis=1)
    top = order[:, :TOP_TERMS]
    shape = (len(features), TOP_TERMS + 2)
    drivers = np.full(shape, len(TERMS))
    drivers[:, 1:-1], drivers[:, -1] = top, len(TERMS) + 1
    contribution, change = _by_rank(explanation.contributions, order), _by_rank(changes, order)
    contribution[:, 0] = explanation.base
    words = np.full(shape, _AVERAGE_WORDS, dtype=object)
    words[:, -1] = _REST_WORDS
    for term, name in enumerate(TERMS):
        row, rank = np.nonzero(top == term)
        if row.size:
            words[row, rank + 1] = describe(name, features, row, currency)
    # A term that adds nothing now and added nothing before is left out, also where its change is unknown.
    is_listed = (contribution != 0) | (np.nan_to_num(change) != 0)
    is_listed[:, 0] = True
    row, rank = np.nonzero(is_listed)
    return pd.DataFrame(
        {
            "as_of": features["as_of"].to_numpy()[row],
            "customer_id": features["customer_id"].array.take(row),
            "prediction": prediction,
            "driver_rank": rank.astype(np.int32),
            "driver": _DRIVERS[drivers[row, rank]],
            "contribution": contribution[row, rank],
            "contribution_change": change[row, rank],
            "explanation": words[row, rank],
        },
        columns=list(TABLES["customer_drivers"].columns),
    )


def _contradicts_facts(prediction: str, features: pd.DataFrame, explanation: Explanation) -> NDArray[np.bool_]:
    """Terms that speak for the next order where the customer's facts speak against it, or the reverse.

    Shape (customers, terms). A silence well above the usual gap cannot raise the expected orders, and one well below
    cannot lower them. Where the joined models say so, their term reflects something other than the silence.
    """
    found = np.zeros(explanation.contributions.shape, dtype=bool)
    speaks_for = explanation.contributions[:, TERMS.index(SILENCE)] * (-1 if prediction == "churn_probability" else 1)
    gaps = numbers(features["overdue_ratio"])
    found[:, TERMS.index(SILENCE)] = ((gaps > _LONG_SILENCE) & (speaks_for > 0)) | (
        (gaps < _SHORT_SILENCE) & (speaks_for < 0)
    )
    return found


def _by_rank(values: Floats, order: NDArray[np.intp]) -> Floats:
    """Values of the average customer (0, or NaN where unknown), of the top terms in order, and of all other terms."""
    ordered = np.take_along_axis(values, order, axis=1)
    average = np.where(np.isnan(values[:, 0]), np.nan, 0.0)
    return np.column_stack([average, ordered[:, :TOP_TERMS], ordered[:, TOP_TERMS:].sum(axis=1)])


def describe(term: str, features: pd.DataFrame, rows: NDArray[np.intp], currency: str) -> NDArray[np.object_]:
    """The customers' own numbers behind a term of :data:`TERMS`, in words, for ``rows`` of ``customer_features``.

    The rows are of one snapshot. Each text is formatted once, however many customers share it.
    """
    if term == SILENCE:
        return _describe_silence(features, rows)
    if term == PURCHASE_RATE:
        return _describe_rate(features, rows)
    gene = GENES[term]
    unit, type_ = gene.column.unit, gene.column.type
    digits = {Unit.CURRENCY: 2, Unit.SHARE: 2, Unit.RATIO: 1}.get(unit, 0) if unit else 0
    if unit is Unit.COUNT and type_ == "DOUBLE":
        digits = 1
    # Adding 0 turns -0.0 into 0.0, so that a rounded -0.001 is not shown as -0.00.
    values, position = np.unique(np.round(numbers(features[term])[rows], digits) + 0.0, return_inverse=True)
    window = int(features["recent_window_days"].iloc[0])
    texts = np.empty(values.size, dtype=object)
    for number, value in enumerate(values.tolist()):
        shown = f"{value:.0%}" if unit is Unit.SHARE else f"{value:,.{digits}f}"
        if unit is Unit.CURRENCY and currency:
            shown = f"{shown} {currency}"
        text = gene.reason_if_null if np.isnan(value) else gene.reason
        texts[number] = text.format(value=shown, s="" if value == 1 else "s", window=window, windows=2 * window)
    return texts[position]


def _describe_rate(features: pd.DataFrame, rows: NDArray[np.intp]) -> NDArray[np.object_]:
    count, known = (numbers(features[name])[rows] for name in ("purchase_day_count", "t_days"))
    pairs, position = np.unique(count + 1j * known, return_inverse=True)
    texts = [
        f"{pair.real:,.0f} purchase day{'' if pair.real == 1 else 's'}"
        f" in {pair.imag:,.0f} day{'' if pair.imag == 1 else 's'}"
        for pair in pairs.tolist()
    ]
    return np.array(texts, dtype=object)[position]


def _describe_silence(features: pd.DataFrame, rows: NDArray[np.intp]) -> NDArray[np.object_]:
    since, gap = (numbers(features[name])[rows] for name in ("days_since_last_order", "order_gap_mean_days"))
    # A customer with one purchase day has no gap, which counts as 0 here; all other gaps are at least one day.
    gap = np.nan_to_num(np.maximum(np.round(gap), 1.0))
    pairs, position = np.unique(since + 1j * gap, return_inverse=True)
    texts = np.empty(pairs.size, dtype=object)
    for number, pair in enumerate(pairs.tolist()):
        ago = f"{pair.real:,.0f} day{'' if pair.real == 1 else 's'} ago"
        texts[number] = (
            f"last order {ago}, usually every {'day' if pair.imag == 1 else f'{pair.imag:,.0f} days'}"
            if pair.imag
            else f"one purchase day, {ago}"
        )
    return texts[position]
