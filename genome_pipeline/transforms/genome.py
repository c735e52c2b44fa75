"""The wide mart: everything known of a customer at a snapshot, in one row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.transforms.taste import leading_categories


def customer_genome(parts: Sequence[ir.Table], provisional: Sequence[date]) -> ir.Table:
    """Table ``customer_genome`` of some snapshots; those at the ``provisional`` dates are marked as provisional.

    ``parts``: features, segments, value, risk, next order, lifetime value, estimates of neighbours, confidence, actions
    and next categories, in this order. Not every customer has a next category.
    """
    features, segments, value, risk, next_order, lifetime_value, estimates, confidence, actions, listed = parts
    joined = (
        segments,
        value.rename(value_abstain_reason="abstain_reason"),
        risk.rename(risk_abstain_reason="abstain_reason"),
        next_order.drop("abstain_reason"),
        lifetime_value.drop("abstain_reason", "lifetime_horizon_days", "lifetime_year_count", "discount_rate_share"),
        estimates.drop("abstain_reason"),
        confidence.drop("abstain_reason"),
        actions,
    )
    genome = features
    for part in joined:
        genome = genome.inner_join(part, ["as_of", "customer_id"])
    leading = leading_categories(listed, features)
    genome = genome.left_join(leading, ["as_of", "customer_id"], rname="{name}_listed")
    genome = genome.mutate(is_provisional=genome.as_of.isin([*map(ibis.date, provisional)]))
    return genome.select(*TABLES["customer_genome"].columns)
