"""Whether the total forecast of a snapshot is plausible, given the log's earlier totals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.totals import Seen, Total, judge_totals
from genome_pipeline.quality.validation import CheckResult


@check(
    "customer_value",
    description="The orders and the spend expected of all customers together are at most twice what the log has seen in"
    " any earlier window as long as the horizon.",
    is_blocking=True,
)
def total_is_plausible(subject: Subject) -> Sequence[CheckResult]:
    """A result for each of orders and spend, as far as they are predicted, at each snapshot of the run."""
    calendar, horizon_days = subject.settings.time, subject.settings.predict.horizon_days
    periods = subject.periods
    totals: dict[date, Total] = {
        as_of: Total(*values)
        for as_of, *values in subject.database.con.execute(
            "SELECT as_of, count(*), sum(expected_orders), sum(expected_spend) FROM customer_value"
            " WHERE as_of IN (SELECT unnest(?)) GROUP BY as_of",
            [subject.snapshots],
        ).fetchall()
    }
    seen = {
        start: Seen(float(orders), None if spend is None else float(spend))
        for start, orders, spend in subject.database.con.execute(
            "SELECT period_start_date, sum(purchase_day_count), sum(gross_amount - return_amount)"
            " FROM customer_activity WHERE period_start_date <= ? GROUP BY 1",
            [periods[-1]],
        ).fetchall()
    }
    return [
        CheckResult(
            "customer_value",
            f"total_is_plausible_{name}",
            "ERROR",
            finding.is_passed,
            finding.observed,
            total.customer_count,
            calendar.period_start(as_of),
        )
        for as_of, total in sorted(totals.items())
        for name, finding in judge_totals(total, seen, as_of, calendar, horizon_days).items()
    ]


CHECKS = (total_is_plausible,)
