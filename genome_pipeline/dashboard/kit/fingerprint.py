"""Where a value of a gene stands among all customers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date
from typing import Any, cast

import duckdb
import numpy as np
import pandas as pd

from genome_pipeline.published.versions import remembered

FINGERPRINT_GENES = (
    "frequency_count",
    "active_period_share",
    "t_days",
    "days_since_last_order",
    "overdue_ratio",
    "order_gap_mean_days",
    "order_gap_cv_ratio",
    "momentum_share",
    "spend_amount",
    "recent_spend_amount",
    "average_order_value_amount",
    "items_per_order_count",
    "products_per_order_count",
    "category_count",
    "weekend_share",
    "return_share",
)
"""Genes that set customers apart, without those that say the same thing twice."""

_QUANTILE_STEPS = 1_000


def gene_levels(connection: duckdb.DuckDBPyConnection, as_of: date) -> dict[str, Any]:
    """Where customers stand among all: made once for each version of the file, and costly for many customers.

    ``quantiles``: by gene, those of all customers, a thousandth apart; none where it is null for everyone. ``medians``:
    by segment number, those of each gene in the order of :data:`FINGERPRINT_GENES`.
    """

    def find() -> dict[str, Any]:
        quantiles: dict[str, list[float]] = {}
        medians: dict[str, list[float | None]] = {}
        # Gene by gene, so that never more than one is in memory. DuckDB takes minutes for a thousand quantiles.
        for position, gene in enumerate(FINGERPRINT_GENES):
            found = connection.execute(
                f"SELECT {gene}::DOUBLE AS value, segment_id FROM customer_genome_history"
                f" WHERE as_of = ? AND {gene} IS NOT NULL",
                [as_of],
            ).fetchnumpy()
            values, segments = np.asarray(found["value"]), np.asarray(found["segment_id"])
            for segment in np.unique(segments).tolist():
                none: list[float | None] = [None] * len(FINGERPRINT_GENES)
                medians.setdefault(str(segment), none)[position] = float(np.median(values[segments == segment]))
            # The smallest value that at least this share of customers does not exceed.
            counts = -(-np.arange(_QUANTILE_STEPS + 1) * len(values) // _QUANTILE_STEPS)
            quantiles[gene] = np.sort(values)[np.maximum(counts - 1, 0)].tolist() if len(values) else []
        return {"quantiles": quantiles, "medians": medians}

    return cast(dict[str, Any], remembered(connection, f"gene levels {as_of}", find))


def percentile(quantiles: list[float], value: float | None) -> float | None:
    """Share of customers with a smaller value, plus half of those with the same one, to a thousandth."""
    if value is None or pd.isna(value) or not quantiles:
        return None
    return (bisect_left(quantiles, float(value)) + bisect_right(quantiles, float(value))) / 2 / len(quantiles)
