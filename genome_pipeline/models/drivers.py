"""Why a prediction is what it is: signed contributions that add up to it.

Each part of the forecast gives, on the scale on which it is additive, what every term adds: a gene, or the purchase
history as BTYD reads it, which is a rate of purchases and what the silence since the last one takes from it. A term's
contribution is what it adds more than for the snapshot's average customer.

They become contributions to the prediction itself by integrated gradients along the straight line from the average
customer: with s(t) from the average's scores s(0) to the customer's s(1), a term that adds d to score k contributes
``d`` times the integral of the prediction's derivative by s_k over t from 0 to 1 (Sundararajan, M., Taly, A. and
Yan, Q. (2017), "Axiomatic Attribution for Deep Networks", ICML, eq. 1). So they add up.

The largest of them, in words, are the rows of ``customer_drivers``.
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
from genome_pipeline.models.genes import by_customer, numbers

Floats = NDArray[np.float64]

PURCHASE_RATE, SILENCE = "purchase_rate", "silence"
"""How often a customer has bought in the time they are known; and how long ago they last did, for one of that rate."""

TERMS = (*GENES, PURCHASE_RATE, SILENCE)
"""What contributions are attributed to."""

_TOLD_AS = {
    SILENCE: ("days_since_last_order", "overdue_ratio"),
    PURCHASE_RATE: ("order_count", "purchase_day_count", "frequency_count", "order_gap_mean_days", "recency_days"),
}
"""Genes that say what a term of the purchase history says: they are told together."""

_LONG_SILENCE, _SHORT_SILENCE = 1.5, 0.5
"""Silence, in usual gaps between orders, that speaks against the next order, and for it."""

_NODES, _WEIGHTS = leggauss(12)[0] / 2 + 0.5, leggauss(12)[1] / 2
"""Gauss-Legendre quadrature on (0, 1)."""

REFERENCE_ROWS = 1_000
"""Customers of a snapshot that the average one is taken over, at most."""

AVERAGE, REST = "average_customer", "everything_else"
"""The first and last driver of each prediction."""

TOP_TERMS = 5
"""Terms named of each prediction; the others are taken together."""

BATCH_CUSTOMERS = 100_000
"""Customers whose rows are held in memory together."""

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
    """How the scores of the forecast make a prediction; see :mod:`genome_pipeline.models.forecast`.

    Scores are the log-odds of a purchase, the logarithm of the purchase days beyond the first, and that of the amount
    of one, as far as the prediction needs them.
    """

    CHURN = 1
    ORDERS = 2
    SPEND = 3

    def value_at(self, scores: Sequence[Floats]) -> Floats:
        """The prediction, of scores of shape (n,) each."""
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
    """Terms that add nothing yet, with the constant in the last column, shape (customers, terms + 1)."""
    return np.zeros((customers, len(TERMS) + 1))


def explain(terms: Sequence[Floats], references: Sequence[Floats], link: Link) -> Explanation:
    """Contributions to a prediction whose scores the rows of ``terms`` add up to, (customers, terms + 1) each.

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
    # What the quadrature missed is spread over the terms by their size.
    missed = end - at_base - contributions.sum(axis=1)
    size = np.abs(contributions)
    total = size.sum(axis=1)
    share = np.divide(missed, total, out=np.zeros_like(missed), where=total > 0)
    contributions = contributions + size * share[:, np.newaxis]
    for term, genes in _TOLD_AS.items():
        places = [TERMS.index(gene) for gene in genes]
        contributions[:, TERMS.index(term)] += contributions[:, places].sum(axis=1)
        contributions[:, places] = 0.0
    return Explanation(at_base, contributions)


def reference_rows(features: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows that the average customer is taken over: all, or :data:`REFERENCE_ROWS` drawn by ``seed``."""
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
        explain_batch: gives the explanations, by prediction, of rows of ``customer_features``.
        features: rows of ``customer_features`` of one snapshot.
        previous: those of the snapshot before, which are explained in the same way for comparison; None without one.
        currency: code to write after amounts, or nothing.
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
    """Rows of ``customer_drivers`` of one prediction; ``changes`` are of its contributions, NaN where unknown."""
    # Of terms that add as much (often nothing), the one that changed more comes first. What contradicts the customer's
    # own facts comes last, where it is told as part of everything else.
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
    # What adds nothing, and did not before, is left out; an unknown change alone tells nothing.
    is_told = (contribution != 0) | (np.nan_to_num(change) != 0)
    is_told[:, 0] = True
    row, rank = np.nonzero(is_told)
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

    Of shape (customers, terms). A silence well above the usual gap cannot raise what is expected, nor one well below
    lower it: where joined models say so, it is not the silence that they tell of.
    """
    found = np.zeros(explanation.contributions.shape, dtype=bool)
    speaks_for = explanation.contributions[:, TERMS.index(SILENCE)] * (-1 if prediction == "churn_probability" else 1)
    gaps = numbers(features["overdue_ratio"])
    found[:, TERMS.index(SILENCE)] = ((gaps > _LONG_SILENCE) & (speaks_for > 0)) | (
        (gaps < _SHORT_SILENCE) & (speaks_for < 0)
    )
    return found


def _by_rank(values: Floats, order: NDArray[np.intp]) -> Floats:
    """Values of the average customer (0, or NaN where unknown), of the first terms in order, and of the rest."""
    ordered = np.take_along_axis(values, order, axis=1)
    average = np.where(np.isnan(values[:, 0]), np.nan, 0.0)
    return np.column_stack([average, ordered[:, :TOP_TERMS], ordered[:, TOP_TERMS:].sum(axis=1)])


def describe(term: str, features: pd.DataFrame, rows: NDArray[np.intp], currency: str) -> NDArray[np.object_]:
    """The customers' own numbers behind a term of :data:`TERMS`, in words, for ``rows`` of ``customer_features``.

    The rows are of one snapshot. Each text is made once, however many customers share it.
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
    # Plus 0, as a rounded -0.001 would be shown as -0.00.
    values, position = np.unique(np.round(numbers(features[term])[rows], digits) + 0.0, return_inverse=True)
    window = int(features["recent_window_days"].iloc[0])
    texts = np.empty(values.size, dtype=object)
    for number, value in enumerate(values.tolist()):
        shown = f"{value:.0%}" if unit is Unit.SHARE else f"{value:,.{digits}f}"
        if unit is Unit.CURRENCY and currency:
            shown = f"{shown} {currency}"
        text = gene.told_if_null if np.isnan(value) else gene.told
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
    # A customer of one purchase day has no gap, which counts as 0 here; others have at least a day.
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
