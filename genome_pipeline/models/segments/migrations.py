"""Who moved between segments since the previous snapshot, and the value that moved with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from genome_pipeline.models.genes import by_customer, numbers

NEW_CUSTOMERS = "New customers"
"""``from_segment`` of customers who had no segment at the previous snapshot; their ``from_segment_id`` is 0."""


def describe_moves(
    assignment: pd.DataFrame, previous: pd.DataFrame | None, features: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Moves of customers between segments since the previous snapshot.

    Args:
        assignment: ``customer_id, segment_id, segment_name`` of this snapshot.
        previous: the same columns of the previous snapshot, if there is one.
        features: contract ``customer_features`` of this snapshot.

    Returns:
        ``previous_segment_id`` and ``has_moved`` of each customer, sorted by ``customer_id`` (null without a previous
        segment), and contract ``segment_migrations``: one row per pair of segments between which anybody moved or
        stayed. Customers without a previous segment come from segment 0, "New customers". A net flow is the flow one
        way less the flow the other way. The two net flows of a pair add up to 0; that of staying is 0.
    """
    customers = by_customer(features)
    now = by_customer(assignment)[["customer_id", "segment_id", "segment_name"]]
    if previous is None:
        previous = now.iloc[:0]
    before = previous[["customer_id", "segment_id", "segment_name"]]
    joined = now.merge(before, how="left", on="customer_id", suffixes=("", "_before"), validate="one_to_one")
    previous_id = joined["segment_id_before"].astype("Int32")
    has_moved = joined["segment_id"].astype("Int32") != previous_id
    moves = pd.DataFrame({"previous_segment_id": previous_id, "has_moved": has_moved})
    pairs = [
        previous_id.fillna(0).astype("int32").rename("from_segment_id"),
        joined["segment_id"].astype("int32").rename("to_segment_id"),
        joined["segment_name_before"].astype(object).fillna(NEW_CUSTOMERS).rename("from_segment_name"),
        joined["segment_name"].rename("to_segment_name"),
    ]
    migrations = joined.groupby(pairs).size().rename("customer_count").reset_index()
    migrations["recent_spend_amount"] = money_by(customers, pairs).to_numpy()
    migrations.insert(0, "as_of", customers["as_of"].max())
    return moves, _with_net_flows(migrations)


def _with_net_flows(migrations: pd.DataFrame) -> pd.DataFrame:
    pair = ["from_segment_id", "to_segment_id"]
    amounts = ["customer_count", "recent_spend_amount"]
    back = migrations[[*pair, *amounts]].rename(columns=dict(zip(pair, reversed(pair), strict=True)))
    returned = migrations[pair].merge(back, how="left", on=pair)
    migrations["net_customer_count"] = migrations["customer_count"] - returned["customer_count"].fillna(0).astype(int)
    # Rounded to cents again: the floating-point difference of two amounts has further digits.
    migrations["net_spend_amount"] = (
        migrations["recent_spend_amount"] - returned["recent_spend_amount"].fillna(0)
    ).round(2)
    return migrations


def money_by(customers: pd.DataFrame, keys: Sequence[pd.Series[Any]]) -> pd.Series[float]:
    """Recent spend per group, summed in whole cents so that it is exact; null where no customer has an amount."""
    cents = pd.Series(np.rint(numbers(customers["recent_spend_amount"]) * 100)).astype("Int64")
    return cents.groupby(list(keys)).sum(min_count=1).astype("Float64").astype("float64") / 100
