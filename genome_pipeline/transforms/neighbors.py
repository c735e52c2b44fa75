"""Merging the neighbours found in parts of an index."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir


def best_neighbors(found: ir.Table, count: int) -> ir.Table:
    """Table ``customer_neighbors``: the best ``count`` neighbours in ``found`` of each customer, ranked anew.

    ``found`` has the same columns. As within a part, ties go to the smaller customer id.
    """
    by_closeness = ibis.window(
        group_by=["as_of", "customer_id"], order_by=[ibis.desc("similarity"), ibis.asc("neighbor_customer_id")]
    )
    ranked = found.mutate(neighbor_rank=(ibis.row_number().over(by_closeness) + 1).cast("int32"))
    return ranked.filter(ranked.neighbor_rank <= count)
