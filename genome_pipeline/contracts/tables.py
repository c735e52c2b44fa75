"""Every table: its grain, key, slice, columns, and which of them may be null.

DDL, Great Expectations suites, Dagster column schemas, DuckDB comments, the data dictionary and the
dashboard's tooltips are all made from these declarations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from genome_pipeline.contracts.columns import AS_READ, COLUMNS, PROFILE_GENES, SPREAD, Column


@dataclass(frozen=True)
class Reference:
    """Rows of another table that every row of this one belongs to: ``columns`` here are ``their_columns`` there.

    Where it ``is_complete``, every row there is also meant by one here, slice by slice.
    """

    table: str
    columns: tuple[str, ...]
    their_columns: tuple[str, ...]
    is_complete: bool = False


@dataclass(frozen=True)
class Table:
    """One table of the flow.

    ``slice_by`` is the column whose values are replaced together (a partition); ``None`` means the whole
    table is one slice. ``key`` identifies a row. ``nullable`` columns may be null, all others may not.
    Tables ``is_made_at_publishing`` stand in the published file only.
    """

    name: str
    group: str
    grain: str
    description: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    slice_by: str | None
    nullable: frozenset[str] = frozenset()
    is_published: bool = False
    is_made_at_publishing: bool = False
    references: tuple[Reference, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in (*self.columns, *self.key, *self.nullable) if name not in COLUMNS]
        stray = [name for name in (*self.key, *self.nullable) if name not in self.columns]
        if unknown or stray or (self.slice_by and self.slice_by not in self.columns):
            raise ValueError(f"table {self.name}: undeclared columns {unknown}, not in the table {stray}")

    @cached_property
    def fields(self) -> tuple[Column, ...]:
        """The columns in order."""
        return tuple(COLUMNS[name] for name in self.columns)

    @property
    def is_snapshot(self) -> bool:
        """Whether the table holds one slice per snapshot."""
        return self.slice_by in ("as_of", "matured_as_of")

    @property
    def published_name(self) -> str:
        """Its name in the published file, where the plain name is that of a view of the latest snapshot."""
        return f"{self.name}_history" if self.is_snapshot else self.name

    def ddl(self, name: str | None = None, types: dict[str, str] | None = None) -> str:
        """``CREATE TABLE`` statement, with ``types`` for the columns that keep the source's type."""
        lines = []
        for column in self.fields:
            type_ = column.type if column.type != AS_READ else (types or {}).get(column.name, "VARCHAR")
            lines.append(f'"{column.name}" {type_}' + ("" if column.name in self.nullable else " NOT NULL"))
        return f"CREATE TABLE {name or self.name} ({', '.join(lines)})"


ID_COLUMNS = ("customer_id", "neighbor_customer_id", "raw_customer_id")
"""Columns that name a person, in whichever table they stand."""

RAW_COLUMNS = (
    "raw_customer_id",
    "raw_order_id",
    "raw_ordered_at",
    "raw_product_id",
    "raw_category",
    "raw_quantity",
    "raw_unit_price",
    "raw_amount",
    "raw_country",
    "raw_currency",
)

_ACTIVITY = (
    "first_order_date",
    "last_order_date",
    "order_count",
    "purchase_day_count",
    "line_count",
    "order_product_count",
    "item_count",
    "weekend_purchase_day_count",
    "categories",
    "gross_amount",
    "return_amount",
    "first_day_amount",
    "squared_order_amount_sum",
    "squared_gap_days_sum",
    "last_gap_days",
    "return_line_count",
    "country",
)

GENES = (
    "order_count",
    "purchase_day_count",
    "frequency_count",
    "active_period_count",
    "active_period_share",
    "recency_days",
    "t_days",
    "days_since_last_order",
    "spend_amount",
    "monetary_value_amount",
    "average_order_value_amount",
    "order_value_std_amount",
    "items_per_order_count",
    "products_per_order_count",
    "category_count",
    "order_gap_mean_days",
    "order_gap_std_days",
    "order_gap_cv_ratio",
    "overdue_ratio",
    "weekend_share",
    "recent_purchase_day_count",
    "previous_purchase_day_count",
    "recent_spend_amount",
    "previous_spend_amount",
    "momentum_share",
    "return_line_count",
    "return_amount",
    "return_share",
    "last_gap_days",
    "active_year_share",
    "year_ago_purchase_day_count",
    "two_years_ago_purchase_day_count",
)
"""The measured genome: the numeric columns of ``customer_features``."""

NULLABLE_GENES = frozenset(
    {
        "spend_amount",
        "monetary_value_amount",
        "average_order_value_amount",
        "order_value_std_amount",
        "items_per_order_count",
        "products_per_order_count",
        "category_count",
        "order_gap_mean_days",
        "order_gap_std_days",
        "order_gap_cv_ratio",
        "overdue_ratio",
        "recent_spend_amount",
        "previous_spend_amount",
        "momentum_share",
        "return_amount",
        "return_share",
        "last_gap_days",
        "year_ago_purchase_day_count",
        "two_years_ago_purchase_day_count",
    }
)

CUMULATIVE_GENES = (
    "order_count",
    "purchase_day_count",
    "frequency_count",
    "active_period_count",
    "spend_amount",
    "category_count",
    "return_line_count",
    "return_amount",
)
"""Genes that are running totals: they grow as long as a customer is known, so what moves is what a period adds."""

CLOCK_GENES = (
    "t_days",
    "recency_days",
    "days_since_last_order",
    "active_period_share",
    "active_year_share",
    "year_ago_purchase_day_count",
    "two_years_ago_purchase_day_count",
)
"""Genes that are distances between dates, or tell of a season: the calendar moves them, whatever customers do."""

_SECOND_SEGMENT = ("second_segment_id", "second_segment_name", "second_membership_probability")
_SEGMENT = (
    "segment_id",
    "segment_name",
    "membership_probability",
    *_SECOND_SEGMENT,
    "previous_segment_id",
    "has_moved",
)
_PROFILE = tuple(f"{statistic}_{gene}" for gene, *_ in PROFILE_GENES for statistic in SPREAD)
_ORDERS = ("expected_orders", "expected_orders_lower", "expected_orders_upper")
_SPEND = ("expected_spend", "expected_spend_lower", "expected_spend_upper")
_IF_RETAINED = ("orders_if_retained", "spend_per_order_amount")
_NAIVE_VALUE = ("naive_expected_orders", "naive_expected_spend")
_CHURN = ("churn_probability", "churn_probability_lower", "churn_probability_upper")
_CONFIDENCE = ("confidence", "churn_confidence", "orders_confidence", "spend_confidence")
_STAKE = ("revenue_at_stake_amount", "revenue_at_stake_amount_lower", "revenue_at_stake_amount_upper")
_BACKTEST = (
    "actual_churn_share",
    "average_churn_share",
    "churn_lift_ratio",
    "concurrent_churn_share",
    "actual_mean_spend_amount",
    "spend_lift_ratio",
)
_NEIGHBOR = ("neighbor_rank", "neighbor_customer_id", "similarity", "shared_traits", "different_traits")
_NEIGHBOR_ESTIMATES = ("neighbor_expected_orders", "neighbor_expected_spend", "neighbor_churn_probability")
_PREDICTIONS = (*_ORDERS, *_SPEND, *_NAIVE_VALUE, *_CHURN, "naive_churn_probability")
_MODEL = (
    "as_of",
    "candidate",
    "is_chosen",
    "choice_reason",
    "selection_as_of",
    "training_snapshot_count",
    "training_row_count",
)

_SNAPSHOT_CUSTOMER = ("as_of", "customer_id")
_EVERY_CUSTOMER = Reference("customer_features", _SNAPSHOT_CUSTOMER, _SNAPSHOT_CUSTOMER, is_complete=True)

_ALL = (
    Table(
        "source_files",
        "ingestion",
        "source file",
        "Files taken in: content, size and types, so that an unchanged file is not read again; and copies left out.",
        (
            "source_file",
            "content_hash",
            "copy_of_source_file",
            "row_count",
            "raw_types",
            "ingested_at",
            "suppressed_row_count",
        ),
        ("source_file",),
        "source_file",
        frozenset({"content_hash", "copy_of_source_file"}),
        is_published=True,
    ),
    Table(
        "changed_periods",
        "ingestion",
        "period",
        "When the source rows of each period (null: without a usable date) last changed; what a refresh rebuilds.",
        ("period_start_date", "changed_at"),
        ("period_start_date",),
        "period_start_date",
        frozenset({"period_start_date"}),
    ),
    Table(
        "raw_transactions",
        "ingestion",
        "source row",
        "Every source row as it came.",
        ("source_file", "source_row", "ingested_at", *RAW_COLUMNS),
        ("source_file", "source_row"),
        "source_file",
        frozenset(RAW_COLUMNS),
    ),
    Table(
        "validated_transactions",
        "validation",
        "transaction line",
        "Typed lines that passed every rule; returns are flagged and kept.",
        (
            "period_start_date",
            "source_file",
            "source_row",
            "customer_id",
            "order_id",
            "ordered_at",
            "product_id",
            "category",
            "country",
            "quantity",
            "unit_price",
            "amount",
            "is_return",
        ),
        ("source_file", "source_row"),
        "period_start_date",
        frozenset({"product_id", "category", "country", "quantity", "unit_price", "amount"}),
    ),
    Table(
        "quarantined_transactions",
        "validation",
        "source row",
        "Rows that failed a rule, as they came, with all their reasons; without a period where no date can be read.",
        ("period_start_date", "source_file", "source_row", "reasons", "line_amount", *RAW_COLUMNS),
        ("source_file", "source_row"),
        "period_start_date",
        frozenset({"period_start_date", "line_amount", *RAW_COLUMNS}),
    ),
    Table(
        "customer_activity",
        "features",
        "customer x period",
        "Mergeable sums of what each customer did in a period, so that no later stage rereads all lines.",
        ("period_start_date", "customer_id", *_ACTIVITY),
        ("period_start_date", "customer_id"),
        "period_start_date",
        frozenset(
            {
                "first_order_date",
                "last_order_date",
                "order_product_count",
                "item_count",
                "categories",
                "gross_amount",
                "return_amount",
                "first_day_amount",
                "squared_order_amount_sum",
                "last_gap_days",
                "country",
            }
        ),
        is_published=True,
        references=(
            Reference(
                "validated_transactions",
                ("period_start_date", "customer_id"),
                ("period_start_date", "customer_id"),
                is_complete=True,
            ),
        ),
    ),
    Table(
        "customer_features",
        "features",
        "customer x snapshot",
        "The measured genome: activity, spend, duration, breadth, rhythm, momentum and returns of every customer"
        " with a purchase before as_of.",
        ("as_of", "customer_id", "first_order_date", "last_order_date", "country", "recent_window_days", *GENES),
        ("as_of", "customer_id"),
        "as_of",
        NULLABLE_GENES | {"country"},
        is_published=True,
    ),
    Table(
        "gene_drift",
        "drift",
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
        frozenset({"median", "baseline_median", "mean", "baseline_mean", "has_drifted", "unjudged_reason"}),
        is_published=True,
    ),
    Table(
        "segment_model",
        "segments",
        "candidate x snapshot",
        "Segment models tried at the snapshot, with the one chosen.",
        (
            "as_of",
            "candidate",
            "is_chosen",
            "choice_reason",
            "method",
            "segment_count",
            "silhouette_score",
            "smallest_share",
            "stability_score",
            "smallest_jaccard_score",
            "training_row_count",
            "artifact_file",
        ),
        ("as_of", "candidate"),
        "as_of",
        frozenset({"silhouette_score", "stability_score", "smallest_jaccard_score", "artifact_file"}),
        is_published=True,
    ),
    Table(
        "segment_events",
        "segments",
        "event of a segment x snapshot",
        "What happened to the segments since the previous snapshot: births, splits, merges, deaths and renames.",
        (
            "as_of",
            "segment_id",
            "event",
            "segment_name",
            "previous_segment_name",
            "related_segment_id",
            "related_segment_name",
            "event_reason",
        ),
        ("as_of", "event", "segment_id"),
        "as_of",
        frozenset({"previous_segment_name", "related_segment_id", "related_segment_name"}),
        is_published=True,
    ),
    Table(
        "customer_segments",
        "segments",
        "customer x snapshot",
        "The behavioural segment of every customer, how clearly they belong, the second-best one, and whether they"
        " moved.",
        ("as_of", "customer_id", *_SEGMENT),
        ("as_of", "customer_id"),
        "as_of",
        frozenset({*_SECOND_SEGMENT, "previous_segment_id", "has_moved"}),
        is_published=True,
        references=(_EVERY_CUSTOMER,),
    ),
    Table(
        "segment_profiles",
        "segments",
        "segment x snapshot",
        "What each segment is like: its size, spend and shares, what is expected of it, medians and quartiles of genes,"
        " and what sets it apart.",
        (
            "as_of",
            "segment_id",
            "segment_name",
            "naming_rule",
            "jaccard_score",
            "customer_count",
            "customer_share",
            "recent_spend_amount",
            "spend_share",
            "expected_spend_amount",
            "mean_churn_probability",
            "mean_confidence_score",
            "distinguishing_genes",
            *_PROFILE,
        ),
        ("as_of", "segment_id"),
        "as_of",
        frozenset(
            {
                "jaccard_score",
                "recent_spend_amount",
                "spend_share",
                "expected_spend_amount",
                "mean_churn_probability",
                "mean_confidence_score",
                *(name for name in _PROFILE if name.endswith(tuple(NULLABLE_GENES))),
            }
        ),
        is_published=True,
        references=(
            Reference("customer_segments", ("as_of", "segment_id"), ("as_of", "segment_id"), is_complete=True),
        ),
    ),
    Table(
        "segment_migrations",
        "segments",
        "pair of segments x snapshot",
        "How many customers, and how much of their recent spend, moved between segments since the last snapshot.",
        (
            "as_of",
            "from_segment_id",
            "to_segment_id",
            "from_segment_name",
            "to_segment_name",
            "customer_count",
            "recent_spend_amount",
            "net_customer_count",
            "net_spend_amount",
        ),
        ("as_of", "from_segment_id", "to_segment_id"),
        "as_of",
        frozenset({"recent_spend_amount", "net_spend_amount"}),
        is_published=True,
    ),
    Table(
        "value_model",
        "value",
        "candidate x snapshot",
        "Experts on orders and amounts at the snapshot, the forecast they make, and errors of each at earlier dates,"
        " beside the naive baseline.",
        (*_MODEL, "orders_mae", "spend_mae_amount", "parameters", "artifact_file"),
        ("as_of", "candidate"),
        "as_of",
        frozenset({"selection_as_of", "orders_mae", "spend_mae_amount", "parameters", "artifact_file"}),
        is_published=True,
    ),
    Table(
        "customer_value",
        "value",
        "customer x snapshot",
        "Orders and spend expected within the horizon, with prediction intervals, beside the naive baseline.",
        ("as_of", "customer_id", *_ORDERS, *_SPEND, *_IF_RETAINED, *_NAIVE_VALUE, "abstain_reason"),
        ("as_of", "customer_id"),
        "as_of",
        frozenset({*_ORDERS, *_SPEND, *_IF_RETAINED, "naive_expected_spend", "abstain_reason"}),
        is_published=True,
        references=(_EVERY_CUSTOMER,),
    ),
    Table(
        "risk_model",
        "risk",
        "candidate x snapshot",
        "Experts on who buys at the snapshot, the forecast they make, and errors of each at earlier dates, beside the"
        " naive baseline.",
        (*_MODEL, "brier_score", "log_loss", "auc", "parameters", "artifact_file"),
        ("as_of", "candidate"),
        "as_of",
        frozenset({"selection_as_of", "brier_score", "log_loss", "auc", "parameters", "artifact_file"}),
        is_published=True,
    ),
    Table(
        "customer_risk",
        "risk",
        "customer x snapshot",
        "The calibrated probability of no purchase within the horizon, with its interval, and the BTYD p_alive.",
        ("as_of", "customer_id", *_CHURN, "p_alive", "risk_band", "naive_churn_probability", "abstain_reason"),
        ("as_of", "customer_id"),
        "as_of",
        frozenset({*_CHURN, "p_alive", "risk_band", "naive_churn_probability", "abstain_reason"}),
        is_published=True,
        references=(_EVERY_CUSTOMER,),
    ),
    Table(
        "customer_drivers",
        "drivers",
        "customer x prediction x rank x snapshot",
        "Why each prediction is what it is: the average customer's, and what this customer's genes and purchase history"
        " add to it. The contributions of a customer add up to the prediction. Spend is explained or, where it is not"
        " predicted, orders; a driver that adds nothing, and never did, has no row.",
        (
            "as_of",
            "customer_id",
            "prediction",
            "driver_rank",
            "driver",
            "contribution",
            "contribution_change",
            "explanation",
        ),
        ("as_of", "customer_id", "prediction", "driver_rank"),
        "as_of",
        frozenset({"contribution_change"}),
        is_published=True,
        references=(Reference("customer_features", _SNAPSHOT_CUSTOMER, _SNAPSHOT_CUSTOMER),),
    ),
    Table(
        "similarity_index",
        "similarity",
        "snapshot",
        "The index that answers who resembles whom, and what it was built from. Files of the latest three are kept.",
        ("as_of", "method", "customer_count", "gene_count", "recall_share", "parameters", "artifact_file"),
        ("as_of",),
        "as_of",
        is_published=True,
    ),
    Table(
        "customer_neighbors",
        "similarity",
        "customer x rank x snapshot",
        "The most similar customers by cosine similarity of scaled genes, with the traits they share and do not.",
        ("as_of", "customer_id", *_NEIGHBOR),
        ("as_of", "customer_id", "neighbor_rank"),
        "as_of",
        is_published=True,
        references=(
            Reference("customer_features", _SNAPSHOT_CUSTOMER, _SNAPSHOT_CUSTOMER),
            Reference("customer_features", ("as_of", "neighbor_customer_id"), _SNAPSHOT_CUSTOMER),
        ),
    ),
    Table(
        "matured_neighbors",
        "similarity",
        "customer x rank x snapshot",
        "Customers who, at the latest snapshot that has matured, were most like this one is now; and what they did"
        " within the horizon that followed.",
        ("as_of", "customer_id", "neighbor_as_of", *_NEIGHBOR, "actual_orders", "actual_spend", "has_churned"),
        ("as_of", "customer_id", "neighbor_rank"),
        "as_of",
        frozenset({"actual_spend"}),
        is_published=True,
        references=(
            Reference("customer_features", _SNAPSHOT_CUSTOMER, _SNAPSHOT_CUSTOMER),
            Reference("customer_features", ("neighbor_as_of", "neighbor_customer_id"), _SNAPSHOT_CUSTOMER),
        ),
    ),
    Table(
        "neighbor_estimates",
        "similarity",
        "customer x snapshot",
        "A second opinion beside the models': what the nearest matured neighbours did on average.",
        (
            "as_of",
            "customer_id",
            "neighbor_as_of",
            "neighbor_count",
            "mean_similarity",
            *_NEIGHBOR_ESTIMATES,
            "abstain_reason",
        ),
        ("as_of", "customer_id"),
        "as_of",
        frozenset({"neighbor_as_of", "mean_similarity", *_NEIGHBOR_ESTIMATES, "abstain_reason"}),
        is_published=True,
        references=(_EVERY_CUSTOMER,),
    ),
    Table(
        "prediction_outcomes",
        "performance",
        "customer x snapshot that matured",
        "What was predicted at an earlier snapshot, and what happened.",
        (
            "matured_as_of",
            "as_of",
            "customer_id",
            "actual_orders",
            "actual_spend",
            "has_churned",
            *_PREDICTIONS,
            "segment_id",
            "segment_name",
            "t_days",
            *_CONFIDENCE,
        ),
        ("as_of", "customer_id"),
        "matured_as_of",
        frozenset({"actual_spend", *_PREDICTIONS, *_CONFIDENCE}) - {"naive_expected_orders"},
        is_published=True,
        references=(Reference("customer_features", _SNAPSHOT_CUSTOMER, _SNAPSHOT_CUSTOMER),),
    ),
    Table(
        "model_performance",
        "performance",
        "target x predictor x slice x metric x snapshot that matured",
        "Backtest of every matured snapshot: the model beside the naive baseline, overall and by slice.",
        (
            "matured_as_of",
            "as_of",
            "target",
            "predictor",
            "slice_name",
            "slice_value",
            "metric",
            "metric_value",
            "customer_count",
        ),
        ("as_of", "target", "predictor", "slice_name", "slice_value", "metric"),
        "matured_as_of",
        frozenset({"metric_value"}),
        is_published=True,
    ),
    Table(
        "customer_confidence",
        "confidence",
        "customer x snapshot",
        "How far each customer's predictions can be trusted, and why.",
        ("as_of", "customer_id", *_CONFIDENCE, "confidence_band", "abstain_reason"),
        ("as_of", "customer_id"),
        "as_of",
        frozenset({*_CONFIDENCE, "confidence_band", "abstain_reason"}),
        is_published=True,
        references=(_EVERY_CUSTOMER,),
    ),
    Table(
        "customer_actions",
        "actions",
        "customer x snapshot",
        "The recommended action of every customer, the rule that chose it, and the revenue at stake.",
        ("as_of", "customer_id", "action", "action_rule", "action_reason", "is_for_review", *_STAKE),
        ("as_of", "customer_id"),
        "as_of",
        frozenset(_STAKE),
        is_published=True,
        references=(_EVERY_CUSTOMER,),
    ),
    Table(
        "action_audiences",
        "actions",
        "rule x snapshot",
        "Every rule of the playbook: how many it finds, what is at stake, and what became of those whom it picked at"
        " the snapshots that have matured.",
        (
            "as_of",
            "action_rule",
            "rule_position",
            "action",
            "rule_condition",
            "customer_count",
            "customer_share",
            "review_customer_count",
            "revenue_at_stake_amount",
            "mean_confidence",
            "matured_customer_count",
            *_BACKTEST,
        ),
        ("as_of", "action_rule"),
        "as_of",
        frozenset({"revenue_at_stake_amount", "mean_confidence", *_BACKTEST}),
        is_published=True,
    ),
    Table(
        "customer_genome",
        "genome",
        "customer x snapshot",
        "The whole genome of a customer in one row: segment, value, risk, confidence, action and measured genes.",
        (
            "as_of",
            "is_provisional",
            "customer_id",
            *_SEGMENT,
            *_ORDERS,
            *_SPEND,
            *_IF_RETAINED,
            *_NAIVE_VALUE,
            "value_abstain_reason",
            *_CHURN,
            "p_alive",
            "risk_band",
            "naive_churn_probability",
            "risk_abstain_reason",
            *_NEIGHBOR_ESTIMATES,
            *_CONFIDENCE,
            "confidence_band",
            "action",
            "action_rule",
            "action_reason",
            "is_for_review",
            *_STAKE,
            "first_order_date",
            "last_order_date",
            "country",
            *GENES,
        ),
        ("as_of", "customer_id"),
        "as_of",
        frozenset(
            {
                *_SECOND_SEGMENT,
                "previous_segment_id",
                "has_moved",
                *_ORDERS,
                *_SPEND,
                *_IF_RETAINED,
                "naive_expected_spend",
                *_CHURN,
                "p_alive",
                "risk_band",
                "naive_churn_probability",
                "value_abstain_reason",
                "risk_abstain_reason",
                *_NEIGHBOR_ESTIMATES,
                *_CONFIDENCE,
                "confidence_band",
                *_STAKE,
                "country",
            }
        )
        | NULLABLE_GENES,
        is_published=True,
        references=(_EVERY_CUSTOMER,),
    ),
    Table(
        "quarantine_reasons",
        "validation",
        "reason x period",
        "Quarantined rows and amounts by reason; a row with two reasons counts under both.",
        ("period_start_date", "reason", "row_count", "amount_sum"),
        ("period_start_date", "reason"),
        "period_start_date",
        frozenset({"period_start_date", "amount_sum"}),
        is_published=True,
        is_made_at_publishing=True,
    ),
    Table(
        "quarantine_samples",
        "validation",
        "reason x source row",
        "The first five quarantined rows of each reason, as they came: what a reason looks like in the source.",
        ("reason", "source_file", "source_row", "period_start_date", "line_amount", *RAW_COLUMNS),
        ("reason", "source_file", "source_row"),
        None,
        frozenset({"period_start_date", "line_amount", *RAW_COLUMNS}),
        is_published=True,
        is_made_at_publishing=True,
    ),
    Table(
        "data_quality",
        "quality",
        "check x period x run",
        "Every check that ran: on which period (null: on the whole table), what it found, and whether it passed.",
        (
            "run_id",
            "checked_at",
            "table_name",
            "check_name",
            "period_start_date",
            "severity",
            "is_passed",
            "observed",
        ),
        ("run_id", "table_name", "check_name", "period_start_date"),
        None,
        frozenset({"period_start_date"}),
        is_published=True,
    ),
    Table(
        "written_slices",
        "bookkeeping",
        "slice of a table",
        "When each slice was last written, by which run and under which settings.",
        ("table_name", "slice_key", "row_count", "run_id", "settings_hash", "written_at"),
        ("table_name", "slice_key"),
        None,
    ),
    Table(
        "checked_slices",
        "bookkeeping",
        "slice of a table x blocking check",
        "What each blocking check last found of each slice: what may be published is told by it and written_slices.",
        ("table_name", "slice_key", "check_name", "is_passed", "observed", "run_id", "checked_at"),
        ("table_name", "slice_key", "check_name"),
        None,
    ),
    Table(
        "published_files",
        "bookkeeping",
        "source file",
        "The source files as they were at the last publication: what is gone since is told by them.",
        ("source_file", "content_hash", "row_count"),
        ("source_file",),
        None,
        frozenset({"content_hash"}),
    ),
    Table(
        "warehouse_identity",
        "bookkeeping",
        "setting",
        "Settings the warehouse is bound to: rows made under others cannot be mixed with it.",
        ("setting_name", "setting_value"),
        ("setting_name",),
        None,
    ),
    Table(
        "pipeline_runs",
        "bookkeeping",
        "publication",
        "Every publication: its run, latest snapshot, program version, settings, and source rows kept and set aside.",
        (
            "run_id",
            "as_of",
            "version",
            "settings_hash",
            "parameters",
            "published_at",
            "published_schema_version",
            "forced_past",
        ),
        ("run_id", "as_of"),
        None,
        frozenset({"published_schema_version", "forced_past"}),
        is_published=True,
    ),
    Table(
        "data_dictionary",
        "bookkeeping",
        "column of a table",
        "Every table and column of this file, with type, unit and meaning.",
        ("table_name", "column_name", "column_type", "unit", "minimum", "maximum", "grain", "description"),
        ("table_name", "column_name"),
        None,
        frozenset({"unit", "minimum", "maximum"}),
        is_published=True,
        is_made_at_publishing=True,
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _ALL}
