"""The table of the movement of genes."""

from __future__ import annotations

from genome_pipeline.contracts.table import Table

TABLES = (
    Table(
        "gene_drift",
        "customers",
        "gene x baseline x snapshot",
        "How far each gene's distribution moved since the previous snapshot, and since the one models learned from"
        " last; of very many customers, a fixed sample is compared.",
        (
            "as_of",
            "baseline",
            "gene",
            "baseline_as_of",
            "measure",
            "psi",
            "ks_statistic",
            "ks_p_value",
            "median",
            "baseline_median",
            "mean",
            "baseline_mean",
            "missing_share",
            "baseline_missing_share",
            "customer_count",
            "baseline_customer_count",
            "has_drifted",
            "unjudged_reason",
        ),
        ("as_of", "baseline", "gene"),
        "as_of",
        is_published=True,
    ),
)
