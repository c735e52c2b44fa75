"""Sampling the customers of a snapshot for models, where there are too many to learn from all."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np

SNAPSHOT_ROWS = 50_000
"""At most this many customers of a snapshot are used to fit models; larger snapshots are sampled by strata."""

_FREQUENCY_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128)
_RECENCY_BOUNDS_DAYS = (30, 60, 90, 180, 365)
_DRAWS = 2**30


def stratified_sample(features: ir.Table, rows: int, seed: int) -> ir.Table:
    """Keys (``as_of``, ``customer_id``) of at most ``rows`` customers of each snapshot of ``customer_features``.

    Strata are formed by how often customers came back, then by how long ago they last bought. Each stratum has its
    share of the sample to within one customer (proportional allocation: Cochran, W. G. (1977), "Sampling Techniques",
    ch. 5), so that fitting needs no weights. A hash of the ``seed`` and the id chooses the customers of a stratum: it
    depends neither on the order of rows nor on threads or other snapshots.
    """
    frequency, recency = features.frequency_count, features.days_since_last_order
    keyed = features.select(
        "as_of",
        "customer_id",
        stratum=_reached(frequency, _FREQUENCY_BOUNDS) * (len(_RECENCY_BOUNDS_DAYS) + 1)
        + _reached(recency, _RECENCY_BOUNDS_DAYS),
        draw=(ibis.literal(f"{seed} ") + features.customer_id).hash().abs() % _DRAWS,
    )
    sizes = keyed.group_by("as_of", "stratum").agg(size=keyed.count())
    placed = sizes.mutate(
        total=sizes["size"].sum().over(ibis.window(group_by="as_of")),
        upto=sizes["size"].sum().over(ibis.cumulative_window(group_by="as_of", order_by="stratum")),
    )
    # Rounded from a random start: from 0, the first stratum would always get less than its share.
    start = placed.total * int(np.random.default_rng(seed).integers(_DRAWS)) // _DRAWS
    before = placed.upto - placed["size"]
    wanted = (placed.upto * rows + start) // placed.total - (before * rows + start) // placed.total
    allotted = placed.select(
        "as_of", "stratum", "size", wanted=ibis.ifelse(placed.total <= rows, placed["size"], wanted).cast("int64")
    )
    # Sorting all customers takes several times as long as sorting those who can be among the first of their stratum.
    enough = allotted.wanted + 10 * allotted.wanted.sqrt() + 30
    allotted = allotted.mutate(bound=enough / allotted["size"] * _DRAWS)
    joined = keyed.inner_join(allotted, ["as_of", "stratum"])
    likely = joined.filter(joined.draw < joined.bound)
    place = ibis.row_number().over(ibis.window(group_by=["as_of", "stratum"], order_by=["draw", "customer_id"]))
    return likely.mutate(place=place).filter(lambda t: t.place < t.wanted).select("as_of", "customer_id")


def _reached(values: ir.IntegerColumn, bounds: Sequence[int]) -> ir.IntegerValue:
    """The number of bounds that each value has reached."""
    return sum(((values >= bound).cast("int64") for bound in bounds), start=ibis.literal(0, "int64"))
