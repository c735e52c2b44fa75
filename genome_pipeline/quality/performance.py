"""Whether matured predictions were as good as they said they were, and as good as those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

HEADLINE = {"orders": "mae", "spend": "mae", "churn": "brier"}
"""The error that each target is judged by."""

OUTSIDE_ERRORS = 3.5
"""Standard errors from what is expected that count as outside: by chance less than one slice in 2,000 is."""

LEAST_SNAPSHOTS = 6
STEADY_DEVIATIONS = 3
"""An error this many deviations above the mean of at least :data:`LEAST_SNAPSHOTS` snapshots before is reported."""


@dataclass(frozen=True)
class Finding:
    """What was found of one target on one snapshot, in words; ``is_passed`` where it is as it should be."""

    matured_as_of: date
    target: str
    is_passed: bool
    observed: str
    customer_count: int


def judge_coverage(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date], level: float) -> list[Finding]:
    """Coverage of intervals of ``level`` in each slice of ``model_performance``, against its binomial band.

    Coverage above the band is no fault: where most customers buy nothing, every interval that holds 0 covers them.
    """
    rows = connection.execute(
        "SELECT matured_as_of, as_of, target,"
        " list(slice_name || ' ' || slice_value ORDER BY slice_name, slice_value)"
        " FILTER (metric_value < $level - $errors * sqrt($level * (1 - $level) / customer_count)),"
        " max(metric_value) FILTER (slice_name = 'all'), max(customer_count), count(*) FROM model_performance"
        " WHERE metric = 'coverage' AND predictor = 'model' AND slice_name <> 'confidence_decile'"
        " AND matured_as_of IN (SELECT unnest($dates)) GROUP BY ALL ORDER BY as_of, target",
        {"level": level, "errors": OUTSIDE_ERRORS, "dates": [*matured_as_of]},
    ).fetchall()
    return [
        Finding(
            matured,
            target,
            not below,
            f"{target} at {as_of}: {coverage:.1%} of all within intervals of {level:.0%};"
            f" too few in {len(below or [])} of {slices} slices{_listed(below)}",
            count,
        )
        for matured, as_of, target, below, coverage, count, slices in rows
    ]


def judge_calibration(connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date]) -> list[Finding]:
    """Customers who churned in each tenth of ``churn_probability``, against the binomial band of what it said."""
    rows = connection.execute(
        "WITH scored AS (SELECT matured_as_of, as_of, churn_probability AS p, has_churned::INT AS churned,"
        " ntile(10) OVER (PARTITION BY as_of ORDER BY round(churn_probability, 9), customer_id) AS tenth"
        " FROM prediction_outcomes WHERE matured_as_of IN (SELECT unnest($dates)) AND churn_probability IS NOT NULL),"
        " tenths AS (SELECT matured_as_of, as_of, tenth, count(*) AS n, sum(p) AS said, sum(churned) AS churned,"
        " sqrt(sum(p * (1 - p))) AS deviation FROM scored GROUP BY ALL)"
        # Half a customer more, as counts are whole.
        " SELECT matured_as_of, as_of, list(tenth ORDER BY tenth)"
        " FILTER (abs(churned - said) > $errors * deviation + 0.5), sum(said) / sum(n), sum(churned) / sum(n), sum(n)"
        " FROM tenths GROUP BY ALL ORDER BY as_of",
        {"errors": OUTSIDE_ERRORS, "dates": [*matured_as_of]},
    ).fetchall()
    return [
        Finding(
            matured,
            "churn",
            not outside,
            f"churn at {as_of}: {said:.1%} were to churn, {churned:.1%} did;"
            f" too far apart in {len(outside or [])} tenths of the probability{_listed(outside)}",
            int(count),
        )
        for matured, as_of, outside, said, churned, count in rows
    ]


def judge_errors(
    connection: duckdb.DuckDBPyConnection, matured_as_of: Sequence[date], metrics: Mapping[str, str]
) -> list[Finding]:
    """The model's error in ``metrics`` (by target), against its mean and deviation on the snapshots before."""
    rows = connection.execute(
        "WITH errors AS (SELECT matured_as_of, as_of, target, metric, metric_value AS error, customer_count"
        " FROM model_performance WHERE slice_name = 'all' AND predictor = 'model'"
        " AND map_extract_value($metrics::MAP(VARCHAR, VARCHAR), target) = metric),"
        " judged AS (SELECT *, avg(error) OVER earlier AS mean, stddev(error) OVER earlier AS deviation,"
        " count(*) OVER earlier AS snapshots FROM errors WINDOW earlier AS (PARTITION BY target ORDER BY as_of"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))"
        " SELECT matured_as_of, as_of, target, metric, error, mean, deviation, customer_count FROM judged"
        " WHERE snapshots >= $least AND matured_as_of IN (SELECT unnest($dates)) ORDER BY as_of, target",
        {"metrics": {**metrics}, "least": LEAST_SNAPSHOTS, "dates": [*matured_as_of]},
    ).fetchall()
    return [
        Finding(
            matured,
            target,
            error <= mean + STEADY_DEVIATIONS * deviation,
            f"{target} at {as_of}: {metric} {error:.4g}, on the snapshots before {mean:.4g} on average,"
            f" give or take {deviation:.4g}",
            count,
        )
        for matured, as_of, target, metric, error, mean, deviation, count in rows
    ]


def _listed(names: Sequence[object] | None) -> str:
    return f": {', '.join(map(str, names))}" if names else ""
