"""What may be asked of groups of customers: a closed list of measures, and of columns to group and filter by.

All of them are of ``customer_genome``. An asker names them, and never writes SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.columns.totals import TOTALS

Target = Literal["churn", "orders", "spend"]
"""What ``model_performance`` tells errors of."""


@dataclass(frozen=True)
class Measure:
    """A number of a group of customers: the sum or the mean of ``expression``, which only reads ``column``.

    ``total`` names the total in ``forecast_totals`` whose interval it has, for a mean divided by the customers with a
    prediction. ``target`` is what has to be known of earlier forecasts, to judge it; None for what was measured.
    """

    column: str
    description: str
    kind: Literal["sum", "mean"] = "sum"
    expression: str = ""
    target: Target | None = None
    total: str | None = None

    @property
    def sql(self) -> str:
        """The aggregate."""
        function = "sum" if self.kind == "sum" else "avg"
        return f"{function}({self.expression or self.column})::DOUBLE"


_BUYERS, _ORDERS, _SPEND = TOTALS

MEASURES: dict[str, Measure] = {
    "customer_count": Measure("customer_id", "Customers with a purchase before the snapshot.", expression="1"),
    "spend_amount": Measure("spend_amount", "Spent until the snapshot."),
    "mean_spend_amount": Measure("spend_amount", "Spent until the snapshot, per customer.", "mean"),
    "recent_spend_amount": Measure("recent_spend_amount", "Spent in the recent window before the snapshot."),
    "purchase_day_count": Measure("purchase_day_count", "Days with a purchase until the snapshot."),
    "mean_purchase_day_count": Measure("purchase_day_count", "Days with a purchase, per customer.", "mean"),
    "mean_days_since_last_order": Measure("days_since_last_order", "Days since the last order, per customer.", "mean"),
    "mean_order_gap_days": Measure(
        "order_gap_mean_days", "Days between purchases, per customer with more than one.", "mean"
    ),
    "mean_average_order_value_amount": Measure("average_order_value_amount", "Average order, per customer.", "mean"),
    "mean_return_share": Measure("return_share", "Share of spend that was sent back, per customer.", "mean"),
    _BUYERS: Measure(
        "churn_probability",
        "Customers who are expected to buy within the horizon.",
        expression="1 - churn_probability",
        target="churn",
        total=_BUYERS,
    ),
    _ORDERS: Measure("expected_orders", "Orders expected within the horizon.", target="orders", total=_ORDERS),
    _SPEND: Measure("expected_spend", "Spend expected within the horizon.", target="spend", total=_SPEND),
    "mean_churn_probability": Measure(
        "churn_probability",
        "Probability that a customer buys nothing within the horizon.",
        "mean",
        target="churn",
        total=_BUYERS,
    ),
    "mean_expected_orders": Measure(
        "expected_orders", "Orders expected within the horizon, per customer.", "mean", target="orders", total=_ORDERS
    ),
    "mean_expected_spend": Measure(
        "expected_spend", "Spend expected within the horizon, per customer.", "mean", target="spend", total=_SPEND
    ),
    "revenue_at_stake_amount": Measure(
        "revenue_at_stake_amount",
        "Spend that is lost if those leave who may leave: churn probability times spend if they stay.",
        target="spend",
    ),
    "lifetime_value_amount": Measure(
        "lifetime_value_amount", "Discounted spend of the coming years, an extrapolation.", target="spend"
    ),
    "mean_confidence": Measure("confidence", "How far the predictions can be trusted, from 0 to 1.", "mean"),
}
"""Every measure by its name."""


@dataclass(frozen=True)
class Dimension:
    """A column to group and filter by. ``values`` is the closed list of its values, None where the data decide."""

    column: str
    description: str
    expression: str = ""
    values: tuple[str, ...] | None = None

    @property
    def sql(self) -> str:
        """The value as text."""
        return f"CAST({self.expression or self.column} AS VARCHAR)"


def _listed(column: str) -> Dimension:
    return Dimension(column, COLUMNS[column].description, values=COLUMNS[column].values)


def _flag(column: str) -> Dimension:
    return Dimension(column, COLUMNS[column].description, values=("false", "true"))


def _bands(column: str, *edges: int) -> Dimension:
    """Whole numbers in bands: finer cut-offs would let single customers be found by trying."""
    names = [f"under {edges[0]:,}", *(f"{low:,} to under {high:,}" for low, high in pairwise(edges))]
    cases = " ".join(f"WHEN {column} < {edge} THEN '{name}'" for edge, name in zip(edges, names, strict=True))
    last = f"{edges[-1]:,} or more"
    return Dimension(
        column,
        f"{COLUMNS[column].description} In bands.",
        f"CASE {cases} WHEN {column} IS NOT NULL THEN '{last}' END",
        (*names, last),
    )


DIMENSIONS: dict[str, Dimension] = {
    **{name: _listed(name) for name in ("segment_name", "action_rule", "risk_band", "confidence_band")},
    **{name: _listed(name) for name in ("country", "next_category", "suggested_category")},
    **{name: _flag(name) for name in ("is_overdue", "has_moved", "is_for_review")},
    "days_since_last_order_band": _bands("days_since_last_order", 30, 90, 180, 365),
    "customer_age_days_band": _bands("t_days", 90, 180, 365, 730),
    "purchase_day_count_band": _bands("purchase_day_count", 2, 3, 6, 11),
    "spend_amount_band": _bands("spend_amount", 10, 100, 1_000, 10_000),
}
"""Every column to group and filter by, by its name."""
