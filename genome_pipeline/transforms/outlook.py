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


def longest_horizon(outlook: ir.Table) -> ir.Table:
    """Of ``customer_outlook``, the longest horizon with a forecast of spend, a row for each customer.

    Columns: ``lifetime_horizon_days``, ``expected_spend`` with its bounds, and ``outlook_abstain_reason``.
    """
    known = ibis.ifelse(outlook.expected_spend.notnull(), outlook.horizon_days, ibis.null("int64"))
    longest = known.max().over(group_by=[outlook.as_of, outlook.customer_id])
    rows = outlook.mutate(lifetime_horizon_days=longest)
    is_longest = rows.horizon_days == rows.lifetime_horizon_days
    spend = ("expected_spend", "expected_spend_lower", "expected_spend_upper")
    return rows.group_by("as_of", "customer_id").agg(
        lifetime_horizon_days=rows.lifetime_horizon_days.max(),
        **{name: rows[name].max(where=is_longest) for name in spend},
        outlook_abstain_reason=rows.abstain_reason.max(),
    )


def by_horizon(outlook: ir.Table, horizons_days: Sequence[int]) -> ir.Table:
    """Churn probabilities of ``customer_outlook``, a row for each customer and a column for each horizon.

    Columns are named as :func:`churn_within`.
    """
    columns = {
        churn_within(days): outlook.churn_probability.max(where=outlook.horizon_days == days) for days in horizons_days
    }
    return outlook.group_by("as_of", "customer_id").agg(**columns)
