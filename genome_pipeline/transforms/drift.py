"""Genes as they can be compared between snapshots: values, and for running totals what the last period added."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.tables import CUMULATIVE_GENES, GENES


def comparable_genes(features: ir.Table, as_of: date, before: date) -> ir.Table:
    """Every gene of every customer at ``as_of`` as a float; of a cumulative one, its growth since ``before``.

    ``features`` is ``customer_features`` with at least these two snapshots. A customer who was not known at
    ``before`` adds the whole total. One row per customer: ``customer_id`` and the genes.
    """
    now = features.filter(features.as_of == ibis.date(as_of))
    earlier = features.filter(features.as_of == ibis.date(before))
    earlier = earlier.select(
        earlier.customer_id, was_known=True, **{f"{gene}_before": earlier[gene] for gene in CUMULATIVE_GENES}
    )
    joined = now.left_join(earlier, "customer_id")

    def measure(gene: str) -> ir.FloatingValue:
        value = joined[gene].cast("float64")
        if gene not in CUMULATIVE_GENES:
            return value
        return value - ibis.ifelse(joined.was_known.isnull(), 0.0, joined[f"{gene}_before"].cast("float64"))

    return joined.select("customer_id", **{gene: measure(gene) for gene in GENES})
