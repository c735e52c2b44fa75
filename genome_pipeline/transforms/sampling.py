"""The customers of a snapshot that models learn from, where there are too many to learn from all."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np

_FREQUENCY_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128)
_RECENCY_BOUNDS_DAYS = (30, 60, 90, 180, 365)


def stratified_sample(features: ir.Table, rows: int, seed: int) -> ir.Table:
    """Keys (``as_of``, ``customer_id``) of at most ``rows`` customers of each snapshot of ``customer_features``.

    Strata are how often customers have come back, within that how long ago they bought last. Each has its share of the
    sample to within one customer (systematic sampling of the customers in order of their strata: Cochran, W. G. (1977),
    "Sampling Techniques", ch. 8), so that what is fitted on it needs no weights. Which customers of a stratum are in it
    is up to a hash of the ``seed`` and the id: it depends on neither engine, order of rows nor threads, and on
    nothing but the snapshot.
    """
    keyed = features.select(
        "as_of",
        "customer_id",
        frequency_stratum=_stratum(features.frequency_count, _FREQUENCY_BOUNDS),
        recency_stratum=_stratum(features.days_since_last_order, _RECENCY_BOUNDS_DAYS),
        draw=(ibis.literal(f"{seed} ") + features.customer_id).hexdigest("md5"),
    )
    in_order = ibis.window(group_by="as_of", order_by=["frequency_stratum", "recency_stratum", "draw", "customer_id"])
    placed = keyed.select(
        "as_of",
        "customer_id",
        place=ibis.row_number().over(in_order),
        total=keyed.count().over(ibis.window(group_by="as_of")),
    )
    # A start at random: were it the first customer's, the first stratum would always have the larger share.
    start = placed.total * int(np.random.default_rng(seed).integers(1_000_000)) // 1_000_000
    is_drawn = (placed.total <= rows) | ((placed.place * rows + start) % placed.total < rows)
    return placed.filter(is_drawn).select("as_of", "customer_id")


def _stratum(values: ir.IntegerColumn, bounds: Sequence[int]) -> ir.IntegerValue:
    """How many of the bounds each value has reached."""
    return sum(((values >= bound).cast("int64") for bound in bounds), start=ibis.literal(0, "int64"))
