"""Whether the models earned their place, on every snapshot that matured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import dagster as dg

from genome_pipeline.checks.bridge import check
from genome_pipeline.partitions import period_starts
from genome_pipeline.quality.performance import HEADLINE, Finding, judge_calibration, judge_coverage, judge_errors
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline.resources import Pipeline

_LEAST_RECALL = 0.99


@check(
    "model_performance",
    description="On each snapshot that matured, the model's error is not above the naive baseline's.",
    is_blocking=False,
)
def beats_naive(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """Compare mean absolute error (orders, spend) and Brier score (churn) over all customers."""
    dates = _dates(context, pipeline)
    with pipeline.warehouse.open() as database:
        rows = database.con.execute(
            "SELECT matured_as_of, as_of, target, max(metric_value) FILTER (predictor = 'model') AS model,"
            " max(metric_value) FILTER (predictor = 'naive') AS naive, max(customer_count) AS customer_count"
            " FROM model_performance WHERE slice_name = 'all' AND matured_as_of IN (SELECT unnest(?))"
            " AND map_extract_value(?::MAP(VARCHAR, VARCHAR), target) = metric GROUP BY matured_as_of, as_of, target"
            " HAVING model IS NOT NULL AND naive IS NOT NULL ORDER BY as_of, target",
            [dates, HEADLINE],
        ).fetchall()
    return [
        CheckResult(
            "model_performance",
            f"beats_naive_{target}",
            "WARN",
            model <= naive,
            f"{target} at {as_of}: {HEADLINE[target]} {_number(model)}, naive {_number(naive)}",
            count,
            pipeline.settings.time.period_start(matured_as_of),
        )
        for matured_as_of, as_of, target, model, naive, count in rows
    ]


@check(
    "prediction_outcomes",
    description="On each snapshot that matured, the error of churn_probability falls as confidence rises.",
    is_blocking=False,
)
def confidence_means_something(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """Rank correlation between confidence decile and Brier score; below zero is what the name promises."""
    dates = _dates(context, pipeline)
    with pipeline.warehouse.open() as database:
        rows = database.con.execute(
            "WITH scored AS (SELECT matured_as_of, as_of, power(churn_probability - has_churned::INT, 2) AS error,"
            " ntile(10) OVER (PARTITION BY as_of ORDER BY round(confidence, 9), customer_id) AS decile"
            " FROM prediction_outcomes WHERE matured_as_of IN (SELECT unnest(?)) AND confidence IS NOT NULL"
            " AND churn_probability IS NOT NULL),"
            " deciles AS (SELECT matured_as_of, as_of, decile, avg(error) AS error, count(*) AS customers FROM scored"
            " GROUP BY ALL),"
            " ranked AS (SELECT *, rank() OVER (PARTITION BY as_of ORDER BY round(error, 9)) AS error_rank"
            " FROM deciles)"
            " SELECT matured_as_of, as_of, corr(decile, error_rank), sum(customers) FROM ranked GROUP BY ALL"
            " ORDER BY as_of",
            [dates],
        ).fetchall()
    return [
        CheckResult(
            "prediction_outcomes",
            "confidence_means_something",
            "WARN",
            rank is not None and rank < 0,
            f"at {as_of}: rank correlation of confidence decile and Brier score {_number(rank)}",
            int(count),
            pipeline.settings.time.period_start(matured_as_of),
        )
        for matured_as_of, as_of, rank, count in rows
    ]


@check(
    "model_performance",
    description="On each snapshot that matured, intervals cover what they promise: in all, and in each value decile,"
    " segment and tenure band.",
    is_blocking=False,
)
def intervals_cover(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """One result for orders and one for spend, on each snapshot."""
    level = pipeline.settings.predict.interval_level
    with pipeline.warehouse.open() as database:
        findings = judge_coverage(database.con, _dates(context, pipeline), level)
    return _results("model_performance", "intervals_cover", findings, pipeline)


@check(
    "prediction_outcomes",
    description="On each snapshot that matured, as many churned in each tenth of churn_probability as it said.",
    is_blocking=False,
)
def churn_is_calibrated(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """One result for each snapshot."""
    with pipeline.warehouse.open() as database:
        findings = judge_calibration(database.con, _dates(context, pipeline))
    return _results("prediction_outcomes", "is_calibrated", findings, pipeline)


@check(
    "model_performance",
    description="On each snapshot that matured, the model's error is not far above what it was on those before.",
    is_blocking=False,
)
def error_is_steady(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """One result for each of orders, spend and churn, on each snapshot."""
    with pipeline.warehouse.open() as database:
        findings = judge_errors(database.con, _dates(context, pipeline), HEADLINE)
    return _results("model_performance", "error_is_steady", findings, pipeline)


@check(
    "similarity_index",
    description="The index finds at least 99% of the true neighbours of a sample of customers.",
    is_blocking=False,
)
def neighbors_found(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """Recall on the sample that was measured when the index was built."""
    dates = _dates(context, pipeline)
    with pipeline.warehouse.open() as database:
        rows = database.con.execute(
            "SELECT as_of, recall_share, method, customer_count FROM similarity_index"
            " WHERE as_of IN (SELECT unnest(?)) ORDER BY as_of",
            [dates],
        ).fetchall()
    return [
        CheckResult(
            "similarity_index",
            "neighbors_found",
            "WARN",
            recall >= _LEAST_RECALL,
            f"at {as_of}: {recall:.2%} of the true neighbours found; {method}",
            customers,
            pipeline.settings.time.period_start(as_of),
        )
        for as_of, recall, method, customers in rows
    ]


def _results(table: str, name: str, findings: Sequence[Finding], pipeline: Pipeline) -> list[CheckResult]:
    period_start = pipeline.settings.time.period_start
    return [
        CheckResult(
            table,
            f"{name}_{finding.target}",
            "WARN",
            finding.is_passed,
            finding.observed,
            finding.customer_count,
            period_start(finding.matured_as_of),
        )
        for finding in findings
    ]


def _dates(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> list[date]:
    return [pipeline.settings.time.as_of(start) for start in period_starts(context)]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
