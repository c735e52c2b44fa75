"""Tables of predictions beside their outcomes, and of the models' accuracy."""

from __future__ import annotations

from genome_pipeline.contracts.table import Reference, Table
from genome_pipeline.contracts.tables.confidence import CONFIDENCE
from genome_pipeline.contracts.tables.features import SNAPSHOT_CUSTOMER
from genome_pipeline.contracts.tables.risk import CHURN
from genome_pipeline.contracts.tables.value import NAIVE_VALUE, ORDERS, SPEND

_PREDICTIONS = (*ORDERS, *SPEND, *NAIVE_VALUE, *CHURN, "naive_churn_probability")


TABLES = (
    Table(
        "prediction_outcomes",
        "outcomes",
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
            *CONFIDENCE,
        ),
        ("as_of", "customer_id"),
        "matured_as_of",
        is_published=True,
        references=(Reference("customer_features", SNAPSHOT_CUSTOMER, SNAPSHOT_CUSTOMER),),
    ),
    Table(
        "model_performance",
        "outcomes",
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
        is_published=True,
    ),
    Table(
        "outlook_performance",
        "outcomes",
        "horizon other than the main one x snapshot that matured over it",
        "How the forecast over each further horizon turned out, over all customers with one. Of the main horizon,"
        " model_performance says more.",
        (
            "matured_as_of",
            "as_of",
            "horizon_days",
            "customer_count",
            "actual_churn_share",
            "mean_churn_probability",
            "expected_brier_score",
            "log_loss",
            "orders_total_ratio",
            "spend_total_ratio",
            "orders_coverage_share",
            "spend_coverage_share",
        ),
        ("matured_as_of", "as_of", "horizon_days"),
        "matured_as_of",
        is_published=True,
    ),
)
