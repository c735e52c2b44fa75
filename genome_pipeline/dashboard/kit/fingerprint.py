"""Where a value of a gene stands among all customers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date
from typing import Any, cast

import duckdb
import numpy as np
import pandas as pd

from genome_pipeline.contracts.genes import FINGERPRINT_GENES
from genome_pipeline.published.versions import remembered

_QUANTILE_STEPS = 1_000


def gene_levels(connection: duckdb.DuckDBPyConnection, as_of: date) -> dict[str, Any]:
    """The values that customers are compared with: computed once for each version of the file, as that is costly.

    ``quantiles``: gene -> quantiles of all customers, a thousandth apart; empty for a gene that is null for everyone.
    ``medians``: segment number -> median of each gene, in the order of :data:`FINGERPRINT_GENES`.
    """

    def find() -> dict[str, Any]:
        quantiles: dict[str, list[float]] = {}
        medians: dict[str, list[float | None]] = {}
        # Gene by gene, so that only one is in memory. DuckDB itself takes minutes for a thousand quantiles.
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
