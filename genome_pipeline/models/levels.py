"""The level of predictions: what all of them share, and what a single season cannot teach.

Customers are told apart by what boosting and BTYD learn; how many of all will buy, and how much, moves with the season
and with the shop. Parts of a candidate are brought to one level, that of BTYD corrected by what it missed before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from genome_pipeline.models.genes import numbers
from genome_pipeline.models.snapshots import SAME_SEASON_DAYS, YEAR_DAYS, LabelledSnapshot, training_snapshots

Floats = NDArray[np.float64]

_LEVEL_SNAPSHOTS = 3
_RECENT_CREDIBILITY = 0.9
_LARGEST_FACTOR = 4.0


class Credibility(NamedTuple):
    """What share of what BTYD missed is expected again: of the logarithm of totals, and of the log-odds to buy."""

    totals: float
    share: float


def level_evidence(
    snapshots: Sequence[LabelledSnapshot], as_of: date, horizon_days: int
) -> tuple[Sequence[LabelledSnapshot], Credibility]:
    """The snapshots whose level tells most of that at ``as_of``, and what share of what BTYD missed there to expect.

    BTYD knows no season, so that it misses at the same season a year before, at most 20 days off, what it misses now.
    The share is the credibility of that one snapshot, ``log / (log + horizon)`` for the days of log before it: in a log
    that has just begun, customers' first days hide the season (Buehlmann, H. (1967), "Experience Rating and
    Credibility", ASTIN Bulletin 4(3)).

    Without such a snapshot, or with one that had less than a horizon of log, it is the mean of the latest snapshots
    with half a horizon. Their credibility is the same, but for half a horizon, and of totals half of that: of the
    second half nothing is known. Who buys at all has mostly done so in the first, so that what was missed of the share
    who do is expected again by nine tenths.
    """
    season = as_of - timedelta(days=YEAR_DAYS)
    matured = [snapshot for snapshot in snapshots if snapshot.horizon_days == horizon_days]
    near = min(matured, key=lambda snapshot: abs((snapshot.as_of - season).days), default=None)
    if near is not None and abs((near.as_of - season).days) <= SAME_SEASON_DAYS:
        log_days = _log_days(near)
        if log_days >= horizon_days:
            credibility = log_days / (log_days + horizon_days)
            return [near], Credibility(credibility, credibility)
    recent = training_snapshots(snapshots, as_of, horizon_days)[-_LEVEL_SNAPSHOTS:]
    if not recent:
        return recent, Credibility(0.0, 0.0)
    log_days = float(np.mean([_log_days(snapshot) for snapshot in recent]))
    return recent, Credibility(log_days / (log_days + recent[0].horizon_days) / 2, _RECENT_CREDIBILITY)


def _log_days(snapshot: LabelledSnapshot) -> float:
    """Days of log before a snapshot."""
    return float(numbers(snapshot.features["t_days"]).max())


def share_of(is_event: NDArray[np.bool_]) -> float:
    """Share of events, in (0, 1), as if there were one more by half: few who end alike are no proof that all do."""
    return float((is_event.sum() + 0.5) / (is_event.size + 1))


def shift_to_share(log_odds: Floats, share: float) -> float:
    """What, added to all log-odds, shape (customers,), makes their mean probability the share, in (0, 1)."""
    low, high = logit(share) - log_odds.max() - 1, logit(share) - log_odds.min() + 1
    return float(brentq(lambda shift: expit(log_odds + shift).mean() - share, low, high))


def factors_to_totals(predicted: Floats, target: Floats) -> Floats:
    """What rows of predictions are to be multiplied by to have the totals of the target's rows, shape (rows,).

    Both of shape (rows, customers). From 1/4 to 4; 1 where nothing is predicted or the target is unknown.
    """
    factors = []
    for values, wanted in zip(predicted, target, strict=True):
        is_known = np.isfinite(wanted) & np.isfinite(values)
        totals = float(wanted[is_known].sum()), float(values[is_known].sum())
        ratio = totals[0] / totals[1] if totals[1] > 0 else 1.0
        factors.append(np.clip(ratio, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR))
    return np.array(factors)
