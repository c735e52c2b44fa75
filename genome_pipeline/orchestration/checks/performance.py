"""Whether the models offer forecasts, and whether matured forecasts were good enough."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.performance import (
    HEADLINE,
    Finding,
    judge_bounds,
    judge_calibration,
    judge_confidence,
    judge_coverage,
    judge_errors,
    judge_naive,
    judge_outlook,
)
from genome_pipeline.quality.validation import CheckResult

_LEAST_RECALL = 0.99


@check(
    "model_performance",
    description="On each snapshot that matured, no error of the model is above the naive one's by more than chance.",
    is_blocking=False,
)
def beats_naive(subject: Subject) -> Sequence[CheckResult]:
    """One result for each of orders, spend and churn, on each snapshot."""
    findings = judge_naive(subject.database.con, subject.snapshots)
    return _results("beats_naive", findings, subject)


@check(
    "model_performance",
    description="On each snapshot that matured, errors fall as confidence rises: those of churn, and those of orders"
    " and spend among customers with the same churn probability.",
    is_blocking=False,
)
def confidence_means_something(subject: Subject) -> Sequence[CheckResult]:
    """One result for each of orders, spend and churn, on each snapshot."""
    findings = judge_confidence(subject.database.con, subject.snapshots)
    return _results("confidence_means_something", findings, subject)


@check(
    "model_performance",
    description="On each snapshot that matured, intervals cover what they promise, no less and no more than they must:"
    " in all, and in each decile of the prediction, segment and tenure band. Bounds of the churn probability hold what"
    " became of each tenth, and tell tenths apart.",
    is_blocking=False,
)
def intervals_cover(subject: Subject) -> Sequence[CheckResult]:
    """One result for each of orders, spend and churn, on each snapshot."""
    dates, level = subject.snapshots, subject.settings.predict.interval_level
    findings = judge_coverage(subject.database.con, dates, level) + judge_bounds(subject.database.con, dates)
    return _results("intervals_cover", findings, subject)


@check(
    "model_performance",
    description="On each snapshot that matured, as many churned as churn_probability said: in all, and in each tenth.",
    is_blocking=False,
)
def churn_is_calibrated(subject: Subject) -> Sequence[CheckResult]:
    """Two results per snapshot: on the total, and on the tenths relative to it."""
    findings = judge_calibration(subject.database.con, subject.snapshots)
    return _results("churn_is_calibrated", findings, subject)


@check(
    "outlook_performance",
    description="On each snapshot that matured over a further horizon, as many churned as churn_probability said.",
    is_blocking=False,
)
def outlook_is_calibrated(subject: Subject) -> Sequence[CheckResult]:
    """One result for each further horizon that passed."""
    findings = judge_outlook(subject.database.con, subject.snapshots)
    return _results("outlook_is_calibrated", findings, subject, "outlook_performance")


@check(
    "model_performance",
    description="On each snapshot that matured, the model's error is not far above what it was on those before.",
    is_blocking=False,
)
def error_is_steady(subject: Subject) -> Sequence[CheckResult]:
    """One result for each of orders, spend and churn, on each snapshot."""
    findings = judge_errors(subject.database.con, subject.snapshots, HEADLINE)
    return _results("error_is_steady", findings, subject)


@check(
    "customer_risk",
    description="Customers have a forecast, where those of an earlier snapshot had one.",
    is_blocking=False,
)
def forecast_is_offered(subject: Subject) -> Sequence[CheckResult]:
    """One result for each snapshot of the run, with the reason where forecasts are withheld."""
    dates = subject.snapshots
    rows = subject.database.con.execute(
        "SELECT as_of, count(*), count(churn_probability) > 0, min(abstain_reason) FROM customer_risk"
        " WHERE as_of <= ? GROUP BY as_of ORDER BY as_of",
        [dates[-1]],
    ).fetchall()
    first_offered = next((as_of for as_of, _, is_offered, _ in rows if is_offered), date.max)
    return [
        CheckResult(
            "customer_risk",
            "forecast_is_offered",
            "WARN",
            is_offered or as_of < first_offered,
            f"{as_of}: a forecast for {count:,} customers" if is_offered else f"{as_of}: no forecast, as {reason}",
            count,
            subject.settings.time.period_start(as_of),
        )
        for as_of, count, is_offered, reason in rows
        if as_of in dates
    ]


@check(
    "similarity_index",
    description="The index finds at least 99% of the true neighbours of a sample of customers.",
    is_blocking=False,
)
def neighbors_found(subject: Subject) -> Sequence[CheckResult]:
    """Recall on the sample that was measured when the index was built."""
    dates = subject.snapshots
    rows = subject.database.con.execute(
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
            subject.settings.time.period_start(as_of),
        )
        for as_of, recall, method, customers in rows
    ]


def _results(
    name: str, findings: Sequence[Finding], subject: Subject, table: str = "model_performance"
) -> list[CheckResult]:
    period_start = subject.settings.time.period_start
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


CHECKS = (
    forecast_is_offered,
    beats_naive,
    churn_is_calibrated,
    confidence_means_something,
    error_is_steady,
    intervals_cover,
    outlook_is_calibrated,
    neighbors_found,
)
