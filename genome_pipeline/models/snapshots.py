"""Matured snapshots: what was known of customers at a date, and what they did in the horizon that followed."""

from __future__ import annotations

from collections.abc import Sequence
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


LEVEL_WEIGHT = 2 / 3
"""How much of an earlier snapshot's error in level is expected again: it is one observation, of one season."""

_YEAR_DAYS = 365
_SAME_SEASON_DAYS = 20


@dataclass(frozen=True, eq=False)
class LabelledSnapshot:
    """One matured snapshot. Both frames are put in order of ``customer_id``, so that rows correspond.

    Snapshots are compared by identity, so that a fit on the very same ones can be kept.

    Attributes:
        as_of: the date; features know only what happened before it, outcomes what happened from it on.
        features: rows of contract table ``customer_features``.
        outcomes: ``customer_id``, ``actual_orders`` (purchase days within the horizon), ``actual_spend`` (purchases
            less returns, negative where more came back; null where the log has no amounts), ``has_churned``.

    Raises:
        ValueError: the two frames are not about the same customers, each once.
    """

    as_of: date
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


def usable_snapshots(
    matured: Sequence[LabelledSnapshot], as_of: date, horizon_days: int
) -> tuple[LabelledSnapshot, ...]:
    """The matured snapshots in order of time, without those of fewer than :data:`MINIMUM_CUSTOMERS` customers.

    Raises:
        ValueError: the horizon of a snapshot reaches past ``as_of``: its outcomes are not known yet.
    """
    for snapshot in matured:
        if snapshot.as_of + timedelta(days=horizon_days) > as_of:
            raise ValueError(
                f"snapshot {snapshot.as_of} has not matured by {as_of}: its horizon is {horizon_days} days"
            )
    large = (snapshot for snapshot in matured if len(snapshot.features) >= MINIMUM_CUSTOMERS)
    return tuple(sorted(large, key=lambda snapshot: snapshot.as_of))


def horizon_split(
    snapshots: Sequence[LabelledSnapshot], horizon_days: int
) -> tuple[list[LabelledSnapshot], LabelledSnapshot | None]:
    """Split matured snapshots into those to train on and the last one, on which candidates are compared.

    The training part is exactly what had matured by the date of the selection snapshot, so that comparing there
    repeats what a deployment at that date would have done: no outcome of a training row falls into the horizon it is
    judged on. Without snapshots the selection is None.
    """
    if not snapshots:
        return [], None
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.as_of)
    selection = ordered[-1]
    horizon = timedelta(days=horizon_days)
    return [snapshot for snapshot in ordered if snapshot.as_of + horizon <= selection.as_of], selection


def year_before(snapshots: Sequence[LabelledSnapshot], as_of: date, horizon_days: int) -> LabelledSnapshot | None:
    """The matured snapshot of the same season, at most 20 days from a year before ``as_of``; None without one.

    One before which the log was shorter than a horizon tells of its customers' first days, not of a season.
    """
    day = as_of - timedelta(days=_YEAR_DAYS)
    near = [
        snapshot
        for snapshot in snapshots
        if abs((snapshot.as_of - day).days) <= _SAME_SEASON_DAYS
        and numbers(snapshot.features["t_days"]).max() >= horizon_days
    ]
    return min(near, key=lambda snapshot: abs((snapshot.as_of - day).days), default=None)


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
