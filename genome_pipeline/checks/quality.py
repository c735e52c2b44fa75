"""Whether the models earned their place, on every snapshot that matured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import dagster as dg

from genome_pipeline.checks.bridge import check
from genome_pipeline.partitions import period_starts
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline.resources import Pipeline

_HEADLINE = {"orders": "mae", "spend": "mae", "churn": "brier"}

_FAMILY_DEVIATES = 3.5
"""Standard errors from what is expected that count as outside: by chance less than one slice in 2,000 is."""

_LEAST_SNAPSHOTS = 6
_STEADY_DEVIATIONS = 3


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
            [dates, _HEADLINE],
        ).fetchall()
    return [
        CheckResult(
            "model_performance",
            f"beats_naive_{target}",
            "WARN",
            model <= naive,
            f"{target} at {as_of}: {_HEADLINE[target]} {_number(model)}, naive {_number(naive)}",
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
            " ntile(10) OVER (PARTITION BY as_of ORDER BY confidence, customer_id) AS decile FROM prediction_outcomes"
            " WHERE matured_as_of IN (SELECT unnest(?)) AND confidence IS NOT NULL AND churn_probability IS NOT NULL),"
            " deciles AS (SELECT matured_as_of, as_of, decile, avg(error) AS error, count(*) AS customers FROM scored"
            " GROUP BY ALL),"
            " ranked AS (SELECT *, rank() OVER (PARTITION BY as_of ORDER BY error) AS error_rank FROM deciles)"
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
    """Coverage below its binomial band; above it is no fault, as where most customers buy nothing."""
    level = pipeline.settings.predict.interval_level
    with pipeline.warehouse.open() as database:
        rows = database.con.execute(
            "SELECT matured_as_of, as_of, target,"
            " list(slice_name || ' ' || slice_value ORDER BY slice_name, slice_value)"
            " FILTER (metric_value < $level - $z * sqrt($level * (1 - $level) / customer_count)),"
            " max(metric_value) FILTER (slice_name = 'all'), max(customer_count), count(*) FROM model_performance"
            " WHERE metric = 'coverage' AND predictor = 'model' AND slice_name <> 'confidence_decile'"
            " AND matured_as_of IN (SELECT unnest($dates)) GROUP BY ALL ORDER BY as_of, target",
            {"level": level, "z": _FAMILY_DEVIATES, "dates": _dates(context, pipeline)},
        ).fetchall()
    return [
        CheckResult(
            "model_performance",
            f"intervals_cover_{target}",
            "WARN",
            not below,
            f"{target} at {as_of}: {_number(coverage)} of all within intervals of {level:.0%}; too few in"
            f" {len(below or [])} of {slices} slices{': ' + ', '.join(below) if below else ''}",
            count,
            pipeline.settings.time.period_start(matured_as_of),
        )
        for matured_as_of, as_of, target, below, coverage, count, slices in rows
    ]


@check(
    "prediction_outcomes",
    description="On each snapshot that matured, as many churned in each tenth of churn_probability as it said.",
    is_blocking=False,
)
def churn_is_calibrated(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """Churned customers in each tenth beyond the binomial band of the sum of their probabilities."""
    with pipeline.warehouse.open() as database:
        rows = database.con.execute(
            "WITH scored AS (SELECT matured_as_of, as_of, churn_probability AS p, has_churned::INT AS churned,"
            " ntile(10) OVER (PARTITION BY as_of ORDER BY churn_probability, customer_id) AS tenth"
            " FROM prediction_outcomes WHERE matured_as_of IN (SELECT unnest($dates))"
            " AND churn_probability IS NOT NULL), tenths AS (SELECT matured_as_of, as_of, tenth, count(*) AS n, sum(p) AS said, sum(churned) AS churned,"
            " sqrt(sum(p * (1 - p))) AS deviation FROM scored GROUP BY ALL)"
            " SELECT matured_as_of, as_of, list(tenth ORDER BY tenth)"
            " FILTER (abs(churned - said) > $z * deviation + 0.5), sum(said) / sum(n), sum(churned) / sum(n), sum(n)"
            " FROM tenths GROUP BY ALL ORDER BY as_of",
            {"z": _FAMILY_DEVIATES, "dates": _dates(context, pipeline)},
        ).fetchall()
    return [
        CheckResult(
            "prediction_outcomes",
            "churn_is_calibrated",
            "WARN",
            not outside,
            f"at {as_of}: {said:.1%} were to churn, {churned:.1%} did; too far apart in {len(outside or [])} of ten"
            f" tenths of the probability{': ' + ', '.join(map(str, outside)) if outside else ''}",
            int(count),
            pipeline.settings.time.period_start(matured_as_of),
        )
        for matured_as_of, as_of, outside, said, churned, count in rows
    ]


@check(
    "model_performance",
    description="On each snapshot that matured, the model's error is not far above what it was on those before.",
    is_blocking=False,
)
def error_is_steady(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> Sequence[CheckResult]:
    """The headline error against its mean and deviation over the earlier snapshots, from the sixth of them on."""
    with pipeline.warehouse.open() as database:
        rows = database.con.execute(
            "WITH errors AS (SELECT matured_as_of, as_of, target, metric, metric_value AS error, customer_count"
            " FROM model_performance WHERE slice_name = 'all' AND predictor = 'model'"
            " AND map_extract_value($headline::MAP(VARCHAR, VARCHAR), target) = metric),"
            " judged AS (SELECT *, avg(error) OVER earlier AS mean, stddev(error) OVER earlier AS deviation,"
            " count(*) OVER earlier AS snapshots FROM errors WINDOW earlier AS (PARTITION BY target ORDER BY as_of"
            " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))"
            " SELECT matured_as_of, as_of, target, metric, error, mean, deviation, customer_count FROM judged"
            " WHERE snapshots >= $least AND matured_as_of IN (SELECT unnest($dates)) ORDER BY as_of, target",
            {"headline": _HEADLINE, "least": _LEAST_SNAPSHOTS, "dates": _dates(context, pipeline)},
        ).fetchall()
    return [
        CheckResult(
            "model_performance",
            f"error_is_steady_{target}",
            "WARN",
            error <= mean + _STEADY_DEVIATIONS * deviation,
            f"{target} at {as_of}: {metric} {_number(error)}, on the snapshots before {_number(mean)} on average,"
            f" give or take {_number(deviation)}",
            count,
            pipeline.settings.time.period_start(matured_as_of),
        )
        for matured_as_of, as_of, target, metric, error, mean, deviation, count in rows
    ]


def _dates(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> list[date]:
    return [pipeline.settings.time.as_of(start) for start in period_starts(context)]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
