"""The categories that each customer is most likely to buy within the horizon.

The probability of a category is p q: p is the forecast's probability that the customer buys at all, q that one who buys
buys this category too. So no category is likelier than a purchase. q comes from two regressions, of categories that
the customer has bought and of others, trained on matured snapshots and calibrated on the latest of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.tables.taste import NEXT_CATEGORIES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.categories.candidates import Candidates, candidates
from genome_pipeline.models.categories.histories import Histories, Ints, LabelledHistories
from genome_pipeline.models.categories.market import Market
from genome_pipeline.models.forecast.regression import LogRegression, fit_log_regression
from genome_pipeline.models.genes import numbers
from genome_pipeline.models.not_enough_data import NotEnoughData
from genome_pipeline.models.snapshots import MINIMUM_CUSTOMERS

NO_CATEGORIES = "no customer has bought anything with a category"
NOTHING_MATURED = "no snapshot with enough customers has matured: categories are ranked by the customer's own frequency"

_BUYERS = 2_000
"""At most this many buyers of a matured snapshot are learned from."""

_ROWS = 10_000
"""At most this many candidates of a matured snapshot train a regression."""

_KEPT = 4
"""Snapshots learned from that are kept for the next snapshot: each may have two million candidates."""

_TENTHS = 10
_TOGETHER = 5_000
"""So many customers are predicted together: each has up to a thousand candidates."""

_PRIOR_EVENTS, _PRIOR_ROWS = 0.1, 10.0
"""Where all ended alike, the share of events is smoothed with these."""

_DECIMALS = 9
"""Log-odds are rounded so before they rank, and q, as processors differ in the last bits."""

_LEAST_RHYTHM = 3
_LOST_GAPS = 2.0
"""A category has a rhythm from three purchase days on, until the customer has been without it for two mean gaps."""


class Best(NamedTuple):
    """The candidates that are listed, in order of customer and rank: positions among all, and the rank from 1."""

    chosen: Ints
    ranks: Ints


@dataclass(frozen=True)
class Calibration:
    """Log-odds that were told, rising, and those that came true, not falling; both shape (tenths,).

    Between two of them the line counts, beyond the ends the difference at the end.
    """

    told: tuple[float, ...]
    true: tuple[float, ...]

    @classmethod
    def fit(cls, log_odds: Floats, is_event: NDArray[np.bool_]) -> Calibration:
        """From tenths of candidates whose outcome is known, both shape (candidates,); there must be some."""
        parts = np.array_split(np.argsort(log_odds, kind="stable"), min(_TENTHS, len(log_odds)))
        told = np.array([log_odds[part].mean() for part in parts])
        overall = (is_event.sum() + 0.5) / (len(is_event) + 1)
        shares = np.array([(is_event[part].sum() + overall) / (len(part) + 1) for part in parts])
        told, first = np.unique(told.round(_DECIMALS), return_index=True)
        return cls(tuple(told.tolist()), tuple(np.maximum.accumulate(logit(shares))[first].tolist()))

    def apply(self, log_odds: Floats) -> Floats:
        """Calibrated log-odds."""
        told = np.array(self.told)
        inside = np.clip(log_odds, told[0], told[-1])
        return np.asarray(np.interp(inside, told, self.true) + log_odds - inside)


@dataclass(frozen=True)
class NextCategoryModel:
    """The fitted model of a snapshot; without ``own`` it ranks by the customer's own frequency.

    Attributes:
        market: the categories at the snapshot.
        own: log-odds of q for categories that the customer has bought.
        new: log-odds of q for other categories.
        calibration: from log-odds of candidates that would be listed.
        facts: what the model rests on, by column of ``next_category_model``.
        abstain_reason: why it has no probabilities; None where it has.
    """

    market: Market
    own: LogRegression | None
    new: LogRegression | None
    calibration: Calibration | None
    facts: dict[str, Any]
    abstain_reason: str | None

    def candidates(self, as_of: date) -> pd.DataFrame:
        """The row of contract table ``next_category_model``, without ``artifact_file``."""
        columns = [name for name in TABLES["next_category_model"].columns if name != "artifact_file"]
        row = {"as_of": as_of, **self.facts, "abstain_reason": self.abstain_reason}
        return pd.DataFrame([row]).reindex(columns=columns)

    def predict(self, customers: pd.DataFrame) -> pd.DataFrame:
        """Rows of contract table ``customer_next_category``.

        ``customers`` are rows of :func:`genome_pipeline.transforms.taste.category_histories`, with
        ``churn_probability`` and ``abstain_reason`` of ``customer_risk`` beside them.
        """
        histories = Histories.of(customers)
        starts = range(0, len(histories.customers), _TOGETHER)
        parts = [self._predict(histories.part(start, start + _TOGETHER)) for start in starts]
        columns = list(TABLES["customer_next_category"].columns)
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def _predict(self, histories: Histories) -> pd.DataFrame:
        found = candidates(histories, self.market)
        log_odds = self._log_odds(found)
        best = ranked(found, log_odds)
        rows, codes = found.rows[best.chosen], found.codes[best.chosen]
        customers = histories.customers.iloc[rows].reset_index(drop=True)
        reason = customers["abstain_reason"].astype(object).where(customers["abstain_reason"].notna(), None)
        if self.calibration is None:
            probability = np.full(len(rows), np.nan)
            reason = pd.Series([self.abstain_reason] * len(rows), dtype=object)
        else:
            # Rounded, as the last bits need not fall with the log-odds.
            given = expit(self.calibration.apply(log_odds[best.chosen])).round(_DECIMALS)
            probability = (1 - numbers(customers["churn_probability"])) * given
        last, reorder = _days(histories, found, best)
        as_of = pd.to_datetime(customers["as_of"])
        return pd.DataFrame(
            {
                "as_of": customers["as_of"],
                "customer_id": customers["customer_id"],
                "next_category_rank": best.ranks,
                "category": found.names[codes],
                "category_probability": probability,
                "last_order_date": as_of - pd.to_timedelta(last, unit="D"),
                "reorder_date": as_of + pd.to_timedelta(reorder, unit="D"),
                "abstain_reason": reason.where(np.isnan(probability), None),
            },
            columns=list(TABLES["customer_next_category"].columns),
        )

    def _log_odds(self, found: Candidates) -> Floats:
        """Log-odds of q before calibration; -inf for what is not listed, shape (candidates,)."""
        if self.own is not None and self.new is not None:
            return found.log_odds(self.own, self.new).round(_DECIMALS)
        log_odds = np.full(len(found.rows), -np.inf)
        log_odds[found.is_own] = -found.places
        return log_odds

    def to_bytes(self) -> bytes:
        """The model as bytes; :meth:`from_bytes` restores a model with identical predictions."""
        plain = {
            "market": self.market.to_dict(),
            "own": self.own and self.own.to_dict(),
            "new": self.new and self.new.to_dict(),
            "calibration": self.calibration and vars(self.calibration),
            "facts": self.facts | {"selection_as_of": str(self.facts.get("selection_as_of") or "")},
            "abstain_reason": self.abstain_reason,
        }
        return json.dumps(plain).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> NextCategoryModel:
        """Inverse of :meth:`to_bytes`."""
        plain = json.loads(data)
        day = plain["facts"]["selection_as_of"]
        own, new = (LogRegression.from_dict(plain[name]) if plain[name] else None for name in ("own", "new"))
        return cls(
            Market.from_dict(plain["market"]),
            own,
            new,
            Calibration(*map(tuple, plain["calibration"].values())) if plain["calibration"] else None,
            plain["facts"] | {"selection_as_of": date.fromisoformat(day) if day else None},
            plain["abstain_reason"],
        )


def fit_next_category(current: Histories, labelled: Sequence[LabelledHistories], seed: int) -> NextCategoryModel:
    """Fit the model of a snapshot.

    Args:
        current: histories of customers of the snapshot, of whom the market is made.
        labelled: matured snapshots, oldest first. The last one calibrates, the others train; of a single one, half of
            the buyers do each.
        seed: seed of the samples.
    """
    market = Market.of(current)
    learned = [_learned(snapshot, seed) for snapshot in labelled]
    learned = [each for each in learned if each.buyers >= MINIMUM_CUSTOMERS and len(each.found.rows)]
    facts: dict[str, Any] = {"selection_as_of": None, "training_snapshot_count": 0, "training_row_count": 0}
    if not len(market.names) or not learned:
        reason = NOTHING_MATURED if len(market.names) else NO_CATEGORIES
        return NextCategoryModel(market, None, None, None, facts, reason)
    *training, last = learned if len(learned) > 1 else learned[0].halves(seed)
    own, new = (_regression([each.sample(is_own, seed) for each in training]) for is_own in (True, False))
    facts |= {
        "selection_as_of": last.as_of,
        "training_snapshot_count": len(training),
        "training_row_count": sum(each.buyers for each in training),
    }
    plain = NextCategoryModel(market, None, None, None, facts, None)
    model = NextCategoryModel(market, own, new, None, facts, None)
    log_odds = model._log_odds(last.found)
    best = ranked(last.found, log_odds)
    facts["recall_at_ten_share"] = last.recall(best)
    facts["own_recall_at_ten_share"] = last.recall(ranked(last.found, plain._log_odds(last.found)))
    calibration = Calibration.fit(log_odds[best.chosen], last.is_bought[best.chosen])
    return NextCategoryModel(market, own, new, calibration, facts, None)


def ranked(found: Candidates, log_odds: Floats) -> Best:
    """The ten candidates of each customer with the largest log-odds, the first by name of equal ones; none of -inf."""
    by_name = np.empty(len(found.names), dtype=np.int64)
    by_name[np.argsort(found.names, kind="stable")] = np.arange(len(found.names))
    order = np.lexsort((by_name[found.codes], -log_odds, found.rows))
    rows = found.rows[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    is_listed = (places < NEXT_CATEGORIES) & np.isfinite(log_odds[order])
    return Best(order[is_listed], places[is_listed] + 1)


@dataclass(frozen=True)
class _Learned:
    """Candidates of buyers at a matured snapshot, and which of them they bought.

    ``bought_counts`` are the categories that each buyer bought, candidates or not, shape (buyers,).
    """

    as_of: date
    found: Candidates
    is_bought: NDArray[np.bool_]
    bought_counts: Floats

    @property
    def buyers(self) -> int:
        return len(self.bought_counts)

    @classmethod
    def of(cls, snapshot: LabelledHistories, seed: int) -> _Learned:
        histories, bought, rows = snapshot.buyers()
        count = len(histories.customers)
        if count > _BUYERS:
            chosen = np.sort(np.random.default_rng(seed).permutation(count)[:_BUYERS])
            is_kept = np.isin(rows, chosen)
            histories, bought, rows = histories.only(chosen), bought[is_kept], np.searchsorted(chosen, rows[is_kept])
        found = candidates(histories, Market.of(snapshot.histories))
        places = pd.Index(found.names, dtype=object).get_indexer(pd.Index(bought, dtype=object))
        width = len(found.names)
        keys = (rows * width + places)[places >= 0]
        return cls(
            snapshot.as_of,
            found,
            np.isin(found.rows * width + found.codes, keys),
            np.bincount(rows, minlength=len(histories.customers)).astype(np.float64),
        )

    def halves(self, seed: int) -> tuple[_Learned, _Learned]:
        """Half of the buyers, and the others."""
        is_first = np.zeros(self.buyers, dtype=bool)
        is_first[np.random.default_rng(seed).permutation(self.buyers)[: self.buyers // 2]] = True
        return self._only(is_first), self._only(~is_first)

    def _only(self, is_kept: NDArray[np.bool_]) -> _Learned:
        found = self.found
        of_rows = is_kept[found.rows]
        of_own = of_rows[found.is_own]
        kept = found._replace(
            rows=(np.cumsum(is_kept) - 1)[found.rows[of_rows]],
            codes=found.codes[of_rows],
            is_own=found.is_own[of_rows],
            places=found.places[of_own],
            own=found.own[of_own],
            near=found.near[of_rows],
            of_customer=found.of_customer[is_kept],
        )
        return _Learned(self.as_of, kept, self.is_bought[of_rows], self.bought_counts[is_kept])

    def sample(self, is_own: bool, seed: int) -> tuple[Floats, NDArray[np.bool_]]:
        """Facts of at most :data:`_ROWS` candidates of one kind, and which were bought."""
        chosen = np.flatnonzero(self.found.is_own == is_own)
        if len(chosen) > _ROWS:
            chosen = chosen[np.sort(np.random.default_rng(seed).permutation(len(chosen))[:_ROWS])]
        return self.found.facts(chosen, are_own=is_own), self.is_bought[chosen]

    def recall(self, best: Best) -> float | None:
        """Mean share of what a buyer bought that is listed; None where nobody bought a category."""
        hits = np.bincount(self.found.rows[best.chosen], weights=self.is_bought[best.chosen], minlength=self.buyers)
        has_bought = self.bought_counts > 0
        return float((hits[has_bought] / self.bought_counts[has_bought]).mean()) if has_bought.any() else None


@lru_cache(maxsize=_KEPT)
def _learned(snapshot: LabelledHistories, seed: int) -> _Learned:
    """As :meth:`_Learned.of`: consecutive snapshots learn from the same ones."""
    return _Learned.of(snapshot, seed)


def _regression(samples: Sequence[tuple[Floats, NDArray[np.bool_]]]) -> LogRegression:
    """Log-odds of a purchase from the facts; the same for all where all ended alike."""
    facts = np.concatenate([each for each, _ in samples])
    is_event = np.concatenate([each for _, each in samples])
    try:
        return fit_log_regression(facts, is_event)
    except NotEnoughData:
        share = (is_event.sum() + _PRIOR_EVENTS) / (len(is_event) + _PRIOR_ROWS)
        nothing = (0.0,) * facts.shape[1]
        return LogRegression(float(logit(share)), nothing, nothing, nothing, nothing)


def _days(histories: Histories, found: Candidates, best: Best) -> tuple[Floats, Floats]:
    """Days since the last purchase of each listed category, and days until the next by its rhythm; NaN for none."""
    last, until = np.full(len(found.rows), np.nan), np.full(len(found.rows), np.nan)
    # A customer's pairs follow one another.
    starts = np.searchsorted(histories.rows, np.arange(len(histories.customers)))
    pairs = starts[found.rows[found.is_own]] + found.places
    counts, first, since = (histories.facts[name][pairs] for name in ("counts", "first_days", "last_days"))
    gaps = (first - since) / np.maximum(counts - 1, 1)
    has_rhythm = (counts >= _LEAST_RHYTHM) & (since <= _LOST_GAPS * gaps)
    last[found.is_own] = since
    until[found.is_own] = np.where(has_rhythm, np.maximum(np.rint(gaps) - since, 0), np.nan)
    return last[best.chosen], until[best.chosen]
