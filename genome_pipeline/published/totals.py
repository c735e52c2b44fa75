"""What any customers are expected to do together over the main horizon, with the interval of their total.

An interval needs two things: what the file says of how far totals were off (``forecast_total_errors``), and sums over
the customers, which one aggregate query gives beside whatever else is asked of them. All customers together, or those
of one segment, so have the interval that ``forecast_totals`` has.
"""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import pandas as pd

from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.models.forecast.totals import (
    TARGETS,
    Groups,
    errors_of_rows,
    group_bounds,
    own_variances,
    why_no_bounds,
)
from genome_pipeline.models.genes import numbers

NO_PREDICTION = "none of them has a prediction"


def total_sums() -> str:
    """SQL aggregates over rows of ``customer_genome``: ``customer_count``, the totals, and what their bounds need."""
    buys, orders, spend = "(1 - churn_probability)", "expected_orders", "expected_spend"
    # The formula of the models, written out by DuckDB.
    variances = own_variances(
        *(duckdb.SQLExpression(text) for text in (f"nullif({buys}, 0)", f"nullif({orders}, 0)", spend))
    )
    sums = {
        **dict(zip(TOTALS, (buys, orders, spend), strict=True)),
        **{f"{target}_variance": variance for target, variance in zip(TARGETS, variances, strict=True)},
    }
    return ", ".join(["count(*) AS customer_count", *(f"sum({value}) AS {name}" for name, value in sums.items())])


def with_bounds(
    connection: duckdb.DuckDBPyConnection, as_of: date, horizon_days: int, level: float, sums: pd.DataFrame
) -> pd.DataFrame:
    """Rows of :func:`total_sums` at a snapshot, with ``_lower`` and ``_upper`` of each total, and ``abstain_reason``.

    ``horizon_days`` is the main horizon and ``level`` the part of totals that intervals are made to hold, as the run
    that published the file was given them. The reason says why a total or a bound is missing, else it is None.
    """
    rows = connection.execute(
        "SELECT * FROM forecast_total_errors_history WHERE as_of = ? AND horizon_days = ?", [as_of, horizon_days]
    ).df()
    errors = errors_of_rows(rows).get(horizon_days, {})
    company = connection.execute(
        "SELECT * FROM forecast_totals_history WHERE as_of = ? AND group_kind = 'company' AND horizon_days = ?",
        [as_of, horizon_days],
    ).df()
    found = sums.copy()
    customers = numbers(found["customer_count"])
    for target, name in zip(TARGETS, TOTALS, strict=True):
        total, of_all = numbers(found[name]), float(company[name].iloc[0]) if len(company) else 0.0
        bounds = np.full((2, len(found)), np.nan)
        if target in errors:
            # Sums of the same numbers in another order may differ in the last bit.
            share = np.minimum(total / of_all, 1.0) if of_all > 0 else np.ones(len(found))
            groups = Groups(customers, total, np.nan_to_num(numbers(found[f"{target}_variance"])), share)
            bounds = np.where(np.isfinite(total), group_bounds(target, groups, errors[target], level), np.nan)
        found[f"{name}_lower"], found[f"{name}_upper"] = bounds
    of_company = company["abstain_reason"].iloc[0] if len(company) else None
    reasons = []
    for count, told, whole in zip(
        found["customer_count"],
        found[TOTALS[0]].notna(),
        found[[f"{name}_lower" for name in TOTALS]].notna().all(axis=1),
        strict=True,
    ):
        few = why_no_bounds(count) if told else NO_PREDICTION if count else None
        known = [reason for reason in (of_company, few) if isinstance(reason, str)]
        reasons.append(None if whole else "; ".join(known) or None)
    return found.assign(abstain_reason=pd.Series(reasons, index=found.index, dtype="object"))
