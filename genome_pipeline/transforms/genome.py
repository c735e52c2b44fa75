"""The wide mart: everything known of a customer at a snapshot, in one row."""

from __future__ import annotations

import ibis.expr.types as ir

from genome_pipeline.contracts.tables import TABLES


def customer_genome(
    features: ir.Table,
    segments: ir.Table,
    value: ir.Table,
    risk: ir.Table,
    estimates: ir.Table,
    confidence: ir.Table,
    actions: ir.Table,
) -> ir.Table:
    """Table ``customer_genome`` from the customer tables of the same snapshots."""
    parts = (
        segments,
        value.rename(value_abstain_reason="abstain_reason"),
        risk.rename(risk_abstain_reason="abstain_reason"),
        estimates.drop("abstain_reason"),
        confidence.drop("abstain_reason"),
        actions,
    )
    genome = features
    for part in parts:
        genome = genome.inner_join(part, ["as_of", "customer_id"])
    return genome.select(*TABLES["customer_genome"].columns)
