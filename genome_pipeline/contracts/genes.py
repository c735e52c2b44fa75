"""All facts about a gene, declared once: its column, its names, its sentences, and where it is used.

A gene is a measured number of a customer, a numeric column of ``customer_features``. Columns, reasons of predictions,
names and profiles of segments, similarity, drift, the playbook and the dashboard take it from here.
"""

from __future__ import annotations

from dataclasses import dataclass

from genome_pipeline.contracts.column import Column, Unit, count, currency, days, money, ratio, share

_NO_AMOUNTS = "no amounts in the source"


@dataclass(frozen=True)
class Gene:
    """One gene. Every gene may be used by the playbook, the forecast and reasons, and is watched for drift.

    Attributes:
        column: name, type, unit, bounds and meaning, and whether it may be null.
        block: the part of the genome it belongs to, by which similarity is weighted.
        label: its name on screen.
        reason: its value in words, as a reason. ``{s}`` is the ending of a plural; ``{window}`` is the length of the
            recent window in days, ``{windows}`` that of the recent window and the one before.
        reason_if_null: its absence in words, if it may be null.
        trait: its name within a sentence, as after "high"; for genes in one of the lists below.
        low: adjective for a segment that has little of it.
        high: adjective for a segment that has much of it.
        is_skewed: its logarithm is compared instead of itself.
        is_cumulative: a running total, which grows as long as a customer is known; drift compares what a period adds.
        is_clock: a distance between dates, or from a season, which the calendar moves whatever customers do.

    Raises:
        ValueError: it may be null and has no ``reason_if_null``, or the reverse.
    """

    column: Column
    block: str
    label: str
    reason: str
    reason_if_null: str = ""
    trait: str = ""
    low: str = ""
    high: str = ""
    is_skewed: bool = False
    is_cumulative: bool = False
    is_clock: bool = False

    def __post_init__(self) -> None:
        if self.column.is_nullable != bool(self.reason_if_null):
            raise ValueError(f"gene {self.name}: give reason_if_null where it may be null, and only there")

    @property
    def name(self) -> str:
        """The name of its column."""
        return self.column.name


_ALL = (
    Gene(
        count("order_count", "Orders with at least one purchased line."),
        block="activity",
        label="Orders",
        reason="{value} order{s} so far",
        trait="orders",
        low="few orders",
        high="many orders",
        is_skewed=True,
        is_cumulative=True,
    ),
    Gene(
        count("purchase_day_count", "Days with at least one purchase."),
        block="activity",
        label="Purchase days",
        reason="{value} purchase day{s} so far",
        is_cumulative=True,
    ),
    Gene(
        count("frequency_count", "BTYD frequency x: repeat purchase days (purchase days after the first)."),
        block="activity",
        label="Repeat purchase days",
        reason="{value} repeat purchase day{s}",
        is_cumulative=True,
    ),
    Gene(
        count("active_period_count", "Periods with at least one purchase.", 1),
        block="activity",
        label="Active periods",
        reason="bought in {value} period{s}",
        is_cumulative=True,
    ),
    Gene(
        share("active_period_share", "Periods with a purchase, of those since the first purchase."),
        block="activity",
        label="Share of periods active",
        reason="bought in {value} of the periods since the first order",
        is_clock=True,
    ),
    Gene(
        days("recency_days", "BTYD recency t_x: days from first to last purchase. Not days_since_last_order."),
        block="duration",
        label="First to last purchase",
        reason="{value} day{s} from first to last order",
        is_clock=True,
    ),
    Gene(
        days("t_days", "BTYD T: days from first purchase to as_of."),
        block="duration",
        label="Customer age",
        reason="first order {value} day{s} ago",
        trait="days since first order",
        low="short history",
        high="long history",
        is_skewed=True,
        is_clock=True,
    ),
    Gene(
        days("days_since_last_order", "Days from last purchase to as_of (the RFM sense of recency)."),
        block="duration",
        label="Days since last order",
        reason="last order {value} day{s} ago",
        trait="days since last order",
        low="bought recently",
        high="long away",
        is_skewed=True,
        is_clock=True,
    ),
    Gene(
        money("spend_amount", "Purchases less returns.", is_nullable=True),
        block="spend",
        label="Spend so far",
        reason="spent {value} so far",
        reason_if_null=_NO_AMOUNTS,
        trait="total spend",
        low="low spend",
        high="high spend",
        is_skewed=True,
        is_cumulative=True,
    ),
    Gene(
        currency(
            "monetary_value_amount",
            "Mean amount per repeat purchase day; null without a repeat purchase.",
            0,
            is_nullable=True,
        ),
        block="spend",
        label="Monetary value",
        reason="{value} a repeat purchase day",
        reason_if_null="no repeat purchase day",
    ),
    Gene(
        currency("average_order_value_amount", "Mean amount per order.", 0, is_nullable=True),
        block="spend",
        label="Average order value",
        reason="{value} an order",
        reason_if_null=_NO_AMOUNTS,
        trait="average order value",
        low="small baskets",
        high="big baskets",
        is_skewed=True,
    ),
    Gene(
        currency(
            "order_value_std_amount", "Standard deviation of order amounts; null below two orders.", 0, is_nullable=True
        ),
        block="spend",
        label="Spread of order values",
        reason="order amounts vary by {value}",
        reason_if_null="fewer than two orders so far",
    ),
    Gene(
        Column("items_per_order_count", "DOUBLE", "Mean units per order.", Unit.COUNT, 0, is_nullable=True),
        block="breadth",
        label="Items per order",
        reason="{value} item{s} an order",
        reason_if_null="no quantities in the source",
    ),
    Gene(
        Column(
            "products_per_order_count", "DOUBLE", "Mean distinct products per order.", Unit.COUNT, 0, is_nullable=True
        ),
        block="breadth",
        label="Products per order",
        reason="{value} product{s} an order",
        reason_if_null="no products in the source",
        trait="products per order",
        is_skewed=True,
    ),
    Gene(
        count("category_count", "Distinct categories purchased so far.", is_nullable=True),
        block="breadth",
        label="Categories",
        reason="categories bought so far: {value}",
        reason_if_null="no categories in the source",
        trait="categories bought",
        is_skewed=True,
        is_cumulative=True,
    ),
    Gene(
        days(
            "order_gap_mean_days",
            "Mean days between consecutive purchase days; null without a repeat.",
            "DOUBLE",
            is_nullable=True,
        ),
        block="rhythm",
        label="Days between orders",
        reason="{value} day{s} between orders",
        reason_if_null="days between orders unknown: one purchase day",
        trait="order gap",
        is_skewed=True,
    ),
    Gene(
        days(
            "order_gap_std_days", "Standard deviation of those gaps; null below two gaps.", "DOUBLE", is_nullable=True
        ),
        block="rhythm",
        label="Spread of days between orders",
        reason="days between orders vary by {value}",
        reason_if_null="spread of days between orders unknown: under three purchase days",
    ),
    Gene(
        ratio(
            "order_gap_cv_ratio",
            "Irregularity: standard deviation of gaps over their mean; null below two gaps.",
            is_nullable=True,
        ),
        block="rhythm",
        label="Irregularity",
        reason="days between orders vary by {value} times their mean",
        reason_if_null="regularity unknown: under three purchase days",
        trait="irregularity of order gaps",
        is_skewed=True,
    ),
    Gene(
        ratio(
            "overdue_ratio",
            "days_since_last_order over order_gap_mean_days; above 1 the silence is longer than the mean gap.",
            is_nullable=True,
        ),
        block="rhythm",
        label="Silence over mean gap",
        reason="{value} times the usual gap since the last order",
        reason_if_null="usual gap unknown: one purchase day",
    ),
    Gene(
        share("weekend_share", "Purchase days that fall on a weekend, of all purchase days."),
        block="rhythm",
        label="Weekend share",
        reason="{value} of purchase days at weekends",
    ),
    Gene(
        count("recent_purchase_day_count", "Purchase days in the recent window (whole periods nearest the horizon)."),
        block="activity",
        label="Recent purchase days",
        reason="{value} purchase day{s} in the last {window} days",
        trait="recent purchase days",
        is_skewed=True,
    ),
    Gene(
        count("previous_purchase_day_count", "Purchase days in the window of equal length before the recent one."),
        block="momentum",
        label="Purchase days before the recent window",
        reason="{value} purchase day{s} from {windows} to {window} days ago",
    ),
    Gene(
        money("recent_spend_amount", "Purchases less returns in the recent window.", is_nullable=True),
        block="momentum",
        label="Recent spend",
        reason="spent {value} in the last {window} days",
        reason_if_null=_NO_AMOUNTS,
    ),
    Gene(
        money("previous_spend_amount", "Purchases less returns in the window before the recent one.", is_nullable=True),
        block="momentum",
        label="Spend before the recent window",
        reason="spent {value} from {windows} to {window} days ago",
        reason_if_null=_NO_AMOUNTS,
    ),
    Gene(
        share(
            "momentum_share",
            "Recent purchase days, of recent and previous ones; 0.5 is steady, null without any.",
            is_nullable=True,
        ),
        block="momentum",
        label="Momentum",
        reason="{value} of the last {windows} days' purchase days in the last {window}",
        reason_if_null="no purchase day in the last {windows} days",
        trait="momentum",
        low="slowing",
        high="gaining",
    ),
    Gene(
        count("return_line_count", "Lines that take something back."),
        block="returns",
        label="Returned lines",
        reason="{value} line{s} returned",
        is_cumulative=True,
    ),
    Gene(
        money("return_amount", "Amount taken back in returns, as a positive number.", 0, is_nullable=True),
        block="returns",
        label="Returned amount",
        reason="returned {value}",
        reason_if_null=_NO_AMOUNTS,
        is_cumulative=True,
    ),
    Gene(
        share(
            "return_share",
            "Amount returned, of amount purchased; above 1 where more came back than was bought.",
            None,
            is_nullable=True,
        ),
        block="returns",
        label="Returned share",
        reason="returned {value} of what was bought",
        reason_if_null=_NO_AMOUNTS,
        trait="share returned",
        is_skewed=True,
    ),
    Gene(
        days("last_gap_days", "Days between the last two purchase days; null without a repeat.", is_nullable=True),
        block="rhythm",
        label="Last gap",
        reason="{value} day{s} between the last two purchase days",
        reason_if_null="one purchase day",
    ),
    Gene(
        share(
            "active_year_share", "Years with a purchase, of those since the first purchase, counted back from as_of."
        ),
        block="duration",
        label="Share of years with a purchase",
        reason="bought in {value} of the years since the first order",
        is_clock=True,
    ),
    Gene(
        count(
            "year_ago_purchase_day_count",
            "Purchase days in the window, as long as the recent one, that began a year before as_of; null for who first"
            " bought later.",
            is_nullable=True,
        ),
        block="activity",
        label="Purchase days a year ago",
        reason="{value} purchase day{s} in the {window} days that began a year ago",
        reason_if_null="no customer then",
        is_clock=True,
    ),
    Gene(
        count("two_years_ago_purchase_day_count", "The same two years before as_of.", is_nullable=True),
        block="activity",
        label="Purchase days two years ago",
        reason="{value} purchase day{s} in the {window} days that began two years ago",
        reason_if_null="no customer then",
        is_clock=True,
    ),
)

GENES: dict[str, Gene] = {gene.name: gene for gene in _ALL}
"""The measured genome, by name, in the order of the columns."""

SIMILARITY_GENES = (
    "order_count",
    "recent_purchase_day_count",
    "spend_amount",
    "average_order_value_amount",
    "t_days",
    "days_since_last_order",
    "products_per_order_count",
    "category_count",
    "order_gap_mean_days",
    "order_gap_cv_ratio",
    "momentum_share",
    "return_share",
)
"""Genes that customers are compared by, and that distinguish segments: one or two of each block, without genes that
nearly repeat one another (purchase days beside orders, items beside products per order)."""

SEGMENTING_GENES = (
    "order_count",
    "spend_amount",
    "average_order_value_amount",
    "t_days",
    "days_since_last_order",
    "order_gap_mean_days",
)
"""Genes that segments are computed from: recency, frequency and monetary value (RFM), length and rhythm of the history.

Activity within a single window of some weeks is left out: it changes by chance from month to month, and customers would
change segments with it.
"""

QUALIFYING_GENES = (
    "spend_amount",
    "average_order_value_amount",
    "order_count",
    "days_since_last_order",
    "t_days",
    "momentum_share",
)
"""Genes whose ``low`` and ``high`` distinguish segments of the same name, in order of preference."""

PROFILE_GENES = (
    "spend_amount",
    "average_order_value_amount",
    "frequency_count",
    "days_since_last_order",
    "t_days",
    "order_gap_mean_days",
    "momentum_share",
)
"""Genes whose medians and quartiles describe a segment."""

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
"""Genes that distinguish customers in the dashboard, without genes that repeat one another."""
