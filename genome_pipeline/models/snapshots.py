"""Matured snapshots: what was known of customers at a date, and what they did in the days that followed.

Boosting trains on outcomes over half the horizon. They are known earlier, so that it learns from fresher snapshots and
from a shorter log; on public logs that ranks customers better than outcomes over all of the horizon do
(``docs/methodology.md``). What half a horizon cannot tell is the level over the whole, which BTYD gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_pipeline.contracts.tables import GENES
from genome_pipeline.models.btyd import NotEnoughData
from genome_pipeline.models.genes import by_customer, numbers

Floats = NDArray[np.float64]

MINIMUM_CUSTOMERS = 30
"""Customers below which a snapshot is neither predicted nor learned from."""

MAXIMUM_TRAINING_ROWS = 200_000
"""Rows that boosting trains on at most; more are sampled."""

TRAINING_SNAPSHOTS = 5
"""Boosting trains on the latest snapshots, this many: older ones tell of customers as they were."""

KEPT_FITS = 16
"""Fits kept, with what they learned from: snapshots of a range compare candidates as fitted for earlier ones of it."""

_SPACING_DAYS = 25
"""Training snapshots are a month apart: those of days or weeks nearly repeat one another."""

YEAR_DAYS = 365
SAME_SEASON_DAYS = 20
"""A snapshot at most this far from a year before another is of the same season."""


@dataclass(frozen=True, eq=False)
class LabelledSnapshot:
    """One matured snapshot. Both frames are put in order of ``customer_id``, so that rows correspond.

    Snapshots are compared by identity, so that a fit on the very same ones can be kept.

    Attributes:
        as_of: the date; features know only what happened before it, outcomes what happened from it on.
        horizon_days: how long from ``as_of`` on the outcomes go.
        features: rows of contract table ``customer_features``.
        outcomes: ``customer_id``, ``actual_orders`` (purchase days within the horizon), ``actual_spend`` (purchases
            less returns, negative where more came back; null where the log has no amounts), ``has_churned``.

    Raises:
        ValueError: the two frames are not about the same customers, each once.
    """

    as_of: date
    horizon_days: int
    features: pd.DataFrame
    outcomes: pd.DataFrame

    def __post_init__(self) -> None:
        features, outcomes = by_customer(self.features), by_customer(self.outcomes)
        ids = features["customer_id"]
        if ids.duplicated().any() or not np.array_equal(ids.to_numpy(object), outcomes["customer_id"].to_numpy(object)):
            raise ValueError(
                f"snapshot {self.as_of}: features and outcomes must be about the same customers, each once"
            )
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "outcomes", outcomes)


def model_matrix(features: pd.DataFrame) -> Floats:
    """Design matrix of the genes, float64 of shape (customers, genes), columns in the order of ``GENES``; null is NaN.

    Counts, floats and Decimals are taken alike. Rows keep their order.
    """
    return np.column_stack([numbers(features[gene]) for gene in GENES])


def purchase_history(features: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """BTYD frequency, recency and T of each customer, in days."""
    return numbers(features["frequency_count"]), numbers(features["recency_days"]), numbers(features["t_days"])


def snapshot_date(features: pd.DataFrame) -> date:
    """The ``as_of`` that all rows share. Raises ValueError where they do not share one."""
    days = features["as_of"].unique()
    if len(days) != 1:
        raise ValueError(f"expected the customers of one snapshot, not of {len(days)}")
    return pd.Timestamp(str(days[0])).date()


def training_horizon(horizon_days: int) -> int:
    """Days of outcomes that boosting trains on: half the horizon, rounded up."""
    return (horizon_days + 1) // 2


def snapshots_to_learn_from(
    dates: Sequence[date], as_of: date, observed_until: date, horizon_days: int
) -> list[tuple[date, int]]:
    """The earlier snapshots that a model at ``as_of`` learns from, each with the days of outcomes it is needed with.

    With all of the horizon: the last matured one, on which candidates are compared, and that of the same season a year
    before. With half of it: those boosting trains on now, and would have trained on at the last matured one.

    Args:
        dates: of the earlier snapshots there are.
        as_of: the snapshot to predict at.
        observed_until: day up to which the log is complete, at most ``as_of``.
        horizon_days: length of the horizon.
    """
    half = training_horizon(horizon_days)
    matured = sorted(day for day in dates if day + timedelta(days=horizon_days) <= observed_until)
    wanted = {(day, half) for day in _latest(dates, observed_until, half)}
    if matured:
        wanted |= {(matured[-1], horizon_days)} | {(day, half) for day in _latest(dates, matured[-1], half)}
        season = as_of - timedelta(days=YEAR_DAYS)
        near = min(matured, key=lambda day: abs((day - season).days))
        if abs((near - season).days) <= SAME_SEASON_DAYS:
            wanted.add((near, horizon_days))
    return sorted(wanted)


def _latest(dates: Iterable[date], by: date, horizon_days: int) -> list[date]:
    """The latest dates whose outcomes were known ``by`` then, at most :data:`TRAINING_SNAPSHOTS`, a month apart."""
    found: list[date] = []
    for day in sorted(dates, reverse=True):
        is_known = day + timedelta(days=horizon_days) <= by
        if is_known and (not found or (found[-1] - day).days >= _SPACING_DAYS):
            found.append(day)
    return found[:TRAINING_SNAPSHOTS]


def usable_snapshots(labelled: Sequence[LabelledSnapshot], as_of: date) -> tuple[LabelledSnapshot, ...]:
    """The labelled snapshots in order of time, without those of fewer than :data:`MINIMUM_CUSTOMERS` customers.

    Raises:
        ValueError: the outcomes of a snapshot reach past ``as_of``: they are not known yet.
    """
    for snapshot in labelled:
        if snapshot.as_of + timedelta(days=snapshot.horizon_days) > as_of:
            raise ValueError(
                f"snapshot {snapshot.as_of} has not matured by {as_of}: its horizon is {snapshot.horizon_days} days"
            )
    large = (snapshot for snapshot in labelled if len(snapshot.features) >= MINIMUM_CUSTOMERS)
    return tuple(sorted(large, key=lambda snapshot: snapshot.as_of))


def last_matured(snapshots: Sequence[LabelledSnapshot], horizon_days: int) -> LabelledSnapshot | None:
    """The last snapshot with outcomes over all of the horizon, on which candidates are compared; None without one."""
    matured = [snapshot for snapshot in snapshots if snapshot.horizon_days == horizon_days]
    return max(matured, key=lambda snapshot: snapshot.as_of, default=None)


def training_snapshots(
    snapshots: Sequence[LabelledSnapshot], by: date, horizon_days: int
) -> tuple[LabelledSnapshot, ...]:
    """What boosting trains on at a date: the latest snapshots with outcomes over half the horizon known by then.

    At the date of the last matured snapshot, this is what a deployment at that date would have had: no outcome of a
    training row falls into the horizon it is judged on.
    """
    half = training_horizon(horizon_days)
    at = {snapshot.as_of: snapshot for snapshot in snapshots if snapshot.horizon_days == half}
    return tuple(at[day] for day in reversed(_latest(at, by, half)))


def pooled_rows(snapshots: Sequence[LabelledSnapshot], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features and outcomes of several snapshots below one another.

    Above :data:`MAXIMUM_TRAINING_ROWS` rows, that many are drawn at random (by ``seed``) without replacement.

    Raises:
        NotEnoughData: there is no snapshot.
    """
    if not snapshots:
        raise NotEnoughData("no snapshot had matured early enough to train on")
    sizes = [len(snapshot.features) for snapshot in snapshots]
    total = sum(sizes)
    is_kept = np.ones(total, dtype=bool)
    if total > MAXIMUM_TRAINING_ROWS:
        dropped = np.random.default_rng(seed).permutation(total)[MAXIMUM_TRAINING_ROWS:]
        is_kept[dropped] = False
    kept = np.split(is_kept, np.cumsum(sizes)[:-1])
    pairs = list(zip(snapshots, kept, strict=True))
    features = pd.concat([snapshot.features.loc[rows] for snapshot, rows in pairs], ignore_index=True)
    outcomes = pd.concat([snapshot.outcomes.loc[rows] for snapshot, rows in pairs], ignore_index=True)
    return features, outcomes
