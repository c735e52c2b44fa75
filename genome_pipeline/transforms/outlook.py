"""The outlook where there is one horizon, and the outlook with a row for each customer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.contracts.tables.outlook import churn_within


def main_outlook(risk: ir.Table, value: ir.Table, dates: Sequence[date], horizon_days: int) -> ir.Table:
    """Rows of contract table ``customer_outlook`` at some snapshots, for the main horizon."""
    both = risk.filter(risk.as_of.isin([*map(ibis.date, dates)])).inner_join(
        value, ["as_of", "customer_id"], rname="value_{name}"
    )
    of_value, of_risk = both.value_abstain_reason, both.abstain_reason
    return both.mutate(
        horizon_days=ibis.literal(horizon_days, "int64"),
        is_extrapolated=both.churn_probability.notnull() & both.churn_probability_lower.isnull(),
        abstain_reason=ibis.ifelse(
            (of_value != of_risk).fill_null(False), of_value + "; " + of_risk, ibis.coalesce(of_value, of_risk)
        ),
    ).select(*TABLES["customer_outlook"].columns)


def by_horizon(outlook: ir.Table, horizons_days: Sequence[int]) -> ir.Table:
    """Churn probabilities of ``customer_outlook``, a row for each customer and a column for each horizon.

    Columns are named as :func:`churn_within`.
    """
    columns = {
        churn_within(days): outlook.churn_probability.max(where=outlook.horizon_days == days) for days in horizons_days
    }
    return outlook.group_by("as_of", "customer_id").agg(**columns)
