"""Matured snapshots: what was known of customers at a date, and what they did in the days that followed.

Experts train on outcomes over the whole horizon, from snapshots spread over up to two years, so that all seasons are
included. They also train on outcomes over half the horizon, which are known earlier and help with a short or changing
log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from genome_pipeline.contracts.genes import GENES
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.not_enough_data import NotEnoughData

MINIMUM_CUSTOMERS = 30
"""A snapshot of fewer customers is neither predicted nor learned from."""

MAXIMUM_TRAINING_ROWS = 100_000
"""At most this many rows train an expert; more are sampled."""

WHOLE_SNAPSHOTS = 8
"""Training snapshots with outcomes over the whole horizon, spread over the last two years."""

HALF_SNAPSHOTS = 5
"""Training snapshots with outcomes over half the horizon; the latest are used."""

_TRAINING_DAYS = 800
"""Training snapshots are at most this many days before the latest one with outcomes over the whole horizon."""

_ORIGIN_AGES = (0, 60, 120, 240)
"""Distances in days, before the latest matured snapshot, of the origins at which the forecast is made again."""

KEPT_FITS = 24
"""Size of the caches of fits: consecutive snapshots make the forecast again at the same origins."""

MONTH_DAYS = 30
"""Least distance of training snapshots, about a month: snapshots days or weeks apart nearly repeat one another."""

YEAR_DAYS = 365
SAME_SEASON_DAYS = 20
"""A snapshot is of the same season if it is at most this far from a year before another."""


@dataclass(frozen=True, eq=False)
class LabelledSnapshot:
    """One matured snapshot. Both frames are sorted by ``customer_id``, so that rows correspond.

    Snapshots are compared by identity, so that caches of fits can use them as keys.

    Attributes:
        as_of: the date; features use only what happened before it, outcomes what happened from it on.
        horizon_days: length of the outcomes, from ``as_of`` on.
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


def labelled_with_stand_ins(
    as_of: date, horizon_days: int, features: pd.DataFrame, outcomes: pd.DataFrame, stand_ins: pd.DataFrame
) -> LabelledSnapshot:
    """The snapshot of the customers who have outcomes, with a stand-in's features and outcomes for those who have none.

    Args:
        as_of: date of the snapshot.
        horizon_days: length of the outcomes.
        features: as in :class:`LabelledSnapshot`, of all customers.
        outcomes: as there, of those whose outcomes nobody has changed.
        stand_ins: ``customer_id`` (of others) and ``stand_in_id``, who is among the customers with outcomes.
    """
    named = features["customer_id"].isin(outcomes["customer_id"])
    if stand_ins.empty and named.all():
        return LabelledSnapshot(as_of, horizon_days, features, outcomes)

    def with_them(rows: pd.DataFrame) -> pd.DataFrame:
        theirs = stand_ins.merge(rows, left_on="stand_in_id", right_on="customer_id", suffixes=("", "_of_stand_in"))
        return pd.concat([rows, theirs[rows.columns]], ignore_index=True)

    return LabelledSnapshot(as_of, horizon_days, with_them(features[named]), with_them(outcomes))


def model_matrix(features: pd.DataFrame) -> Floats:
    """Design matrix of the genes, float64 of shape (customers, genes), columns in the order of ``GENES``; null is NaN.

    Accepts counts, floats and Decimals. Rows keep their order.
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


def why_unobserved(unobserved_days: int, horizon_days: int) -> str | None:
    """Why a snapshot has no forecast if the log ends so many days before it; None where these days are few."""
    if unobserved_days <= horizon_days / 2:
        return None
    return (
        f"the log ends {unobserved_days} days before the snapshot, over half of the horizon of {horizon_days}: who has"
        " left cannot be told from who is not in it yet"
    )


def training_horizon(horizon_days: int) -> int:
    """Days of outcomes that the experts on half a horizon train on, rounded up."""
    return (horizon_days + 1) // 2


def snapshots_to_learn_from(
    dates: Sequence[date], as_of: date, observed_until: date, horizon_days: int
) -> list[tuple[date, int]]:
    """The earlier snapshots that a forecast at ``as_of`` learns from, each with the days of outcomes that are needed.

    They are the snapshots it trains on, the origins at which it is made again to learn from its errors, and the
    snapshots that forecasts made at these origins train on.

    Args:
        dates: dates of the earlier snapshots.
        as_of: the snapshot to predict at.
        observed_until: day up to which the log is complete, at most ``as_of``.
        horizon_days: length of the horizon.
    """
    known = [day for day in dates if day + timedelta(days=horizon_days) <= observed_until]
    origins = _origins(known, as_of, horizon_days)
    wanted = {(day, horizon_days) for day in origins}
    for by in (observed_until, *origins):
        for days in (horizon_days, training_horizon(horizon_days)):
            wanted |= {(day, days) for day in _training_dates(dates, by, days, horizon_days)}
    return sorted(wanted)


def _training_dates(dates: Iterable[date], by: date, days: int, horizon_days: int) -> list[date]:
    """Dates of the snapshots to train on by a date, latest first; ``days`` is the whole horizon or half of it."""
    known = [day for day in dates if day + timedelta(days=days) <= by]
    if not known:
        return []
    latest = max(known)
    if days < horizon_days:
        return _nearest(known, [latest - timedelta(days=MONTH_DAYS * step) for step in range(HALF_SNAPSHOTS)])
    span = max((latest - day).days for day in known if (latest - day).days <= _TRAINING_DAYS)
    count = min(WHOLE_SNAPSHOTS, span // MONTH_DAYS + 1)
    return _nearest(known, [latest - timedelta(days=round(age)) for age in np.linspace(0, span, count).tolist()])


def _origins(dates: Iterable[date], as_of: date, horizon_days: int) -> list[date]:
    """Dates at which the forecast is made again: the latest matured, some before it, and those of the same season."""
    known = [day for day in dates if day + timedelta(days=horizon_days) <= as_of]
    if not known:
        return []
    latest = max(known)
    chosen = _nearest(known, [latest - timedelta(days=age) for age in _ORIGIN_AGES])
    season = season_before(known, as_of)
    return sorted({*chosen, *([] if season is None else [season])})


def latest_matured_dates(dates: Sequence[date], observed_until: date, horizon_days: int, count: int) -> list[date]:
    """The latest snapshot whose horizon had passed, and up to ``count - 1`` before it a month apart, oldest first.

    ``observed_until`` is the day up to which the log is complete.
    """
    known = [day for day in dates if day + timedelta(days=horizon_days) <= observed_until]
    targets = [max(known) - timedelta(days=MONTH_DAYS * step) for step in range(count)] if known else []
    return sorted(_nearest(known, targets))


def _nearest(known: Sequence[date], targets: Sequence[date]) -> list[date]:
    """The known date nearest to each target, if one is within half a month.

    Known dates that are not chosen do not matter: without them the same dates are chosen.
    """
    near = ((min(known, key=lambda day: (abs((day - target).days), day)), target) for target in targets)
    return sorted({day for day, target in near if abs((day - target).days) <= MONTH_DAYS / 2}, reverse=True)


def season_before(dates: Iterable[date], as_of: date) -> date | None:
    """The date nearest to a year before another, where one is at most :data:`SAME_SEASON_DAYS` from it."""
    season = as_of - timedelta(days=YEAR_DAYS)
    near = min(dates, key=lambda day: (abs((day - season).days), day), default=None)
    return near if near is not None and abs((near - season).days) <= SAME_SEASON_DAYS else None


def usable_snapshots(labelled: Sequence[LabelledSnapshot], as_of: date) -> tuple[LabelledSnapshot, ...]:
    """The labelled snapshots in order of time, without those of fewer than :data:`MINIMUM_CUSTOMERS` customers.

    Raises:
        ValueError: the outcomes of a snapshot reach past ``as_of`` and are not known yet.
    """
    for snapshot in labelled:
        if snapshot.as_of + timedelta(days=snapshot.horizon_days) > as_of:
            raise ValueError(
                f"snapshot {snapshot.as_of} has not matured by {as_of}: its horizon is {snapshot.horizon_days} days"
            )
    large = (snapshot for snapshot in labelled if len(snapshot.features) >= MINIMUM_CUSTOMERS)
    return tuple(sorted(large, key=lambda snapshot: snapshot.as_of))


def origins(snapshots: Sequence[LabelledSnapshot], as_of: date, horizon_days: int) -> tuple[LabelledSnapshot, ...]:
    """The snapshots at which a forecast for ``as_of`` is made again, oldest first."""
    at = {snapshot.as_of: snapshot for snapshot in snapshots if snapshot.horizon_days == horizon_days}
    return tuple(at[day] for day in _origins(at, as_of, horizon_days))


def training_snapshots(
    snapshots: Sequence[LabelledSnapshot], by: date, days: int, horizon_days: int
) -> tuple[LabelledSnapshot, ...]:
    """The snapshots to train on by a date, oldest first; ``days`` is the whole horizon or half of it.

    At an origin these are what a deployment at that date would have had: no training outcome falls into the horizon on
    which the forecast is judged.
    """
    at = {snapshot.as_of: snapshot for snapshot in snapshots if snapshot.horizon_days == days}
    return tuple(at[day] for day in sorted(_training_dates(at, by, days, horizon_days)))


def pooled_rows(snapshots: Sequence[LabelledSnapshot], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features and outcomes of several snapshots, concatenated.

    Above :data:`MAXIMUM_TRAINING_ROWS` rows, that many are drawn at random (by ``seed``) without replacement.

    Raises:
        NotEnoughData: there is no snapshot.
    """
    if not snapshots:
        raise NotEnoughData("no snapshot with enough customers had matured early enough to train on")
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
