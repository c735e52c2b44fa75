"""The volume of each period, compared with the log's earlier periods."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.validation import CheckResult
from genome_pipeline.quality.volume import Volume, judge_missing, judge_volume

_MEASURES = ("lines", "orders", "customers", "revenue")
_NONE: Volume = dict.fromkeys(_MEASURES, 0)

_MISSING = {
    # A line without an order id gets the customer's day as its order id.
    "order_id": "order_id = CAST(ordered_at::DATE AS VARCHAR)",
    "product_id": "product_id IS NULL",
    "category": "category IS NULL",
    "quantity": "quantity IS NULL",
    "country": "country IS NULL",
}


@check(
    "customer_activity",
    description="Lines, orders, customers and revenue of the period are between half and twice those of the same period"
    " a year before, or of the median of the periods before where the log is younger.",
    is_blocking=False,
)
def volume(subject: Subject) -> Sequence[CheckResult]:
    """One result for each period of the run."""
    periods, calendar = subject.periods, subject.settings.time
    rows = subject.database.con.execute(
        "SELECT period_start_date, sum(line_count), sum(order_count), count(*) FILTER (purchase_day_count > 0),"
        " sum(gross_amount - return_amount) FROM customer_activity WHERE period_start_date <= ? GROUP BY 1",
        [periods[-1]],
    ).fetchall()
    found: dict[date, Volume] = {
        start: {name: None if value is None else float(value) for name, value in zip(_MEASURES, values, strict=True)}
        for start, *values in rows
    }
    known = {start: found.get(start, _NONE) for start in calendar.periods(min(found, default=periods[0]), periods[-1])}
    findings = {start: judge_volume(known, start, calendar.period) for start in periods if start in known}
    return [
        CheckResult(
            "customer_activity",
            "volume",
            "WARN",
            finding.is_passed,
            finding.observed,
            int(known[start]["lines"] or 0),
            start,
        )
        for start, finding in findings.items()
    ]


@check(
    "validated_transactions",
    description="No optional column that is mapped lost, or gained, more than a twentieth of its values since the"
    " period before.",
    is_blocking=False,
)
def missing_share(subject: Subject) -> Sequence[CheckResult]:
    """One result for each period of the run, which names every column that jumped."""
    periods, period = subject.periods, subject.settings.calendar.period
    columns = [name for name in _MISSING if name in subject.settings.source.columns.mapped]
    if not columns:
        return []
    counts = ", ".join(f"count(*) FILTER ({_MISSING[name]})" for name in columns)
    rows = subject.database.con.execute(
        f"SELECT period_start_date, count(*), {counts} FROM validated_transactions"
        " WHERE period_start_date BETWEEN ? AND ? GROUP BY 1",
        [period.shift(periods[0], -1), periods[-1]],
    ).fetchall()
    found = {start: (lines, missing) for start, lines, *missing in rows}
    results = []
    for start in periods:
        (lines, missing), (lines_before, missing_before) = (
            found.get(day, (0, [0] * len(columns))) for day in (start, period.shift(start, -1))
        )
        findings = [
            judge_missing(name, (now, lines), (before, lines_before))
            for name, now, before in zip(columns, missing, missing_before, strict=True)
        ]
        told = [finding for finding in findings if not finding.is_passed] or findings
        results.append(
            CheckResult(
                "validated_transactions",
                "missing_share",
                "WARN",
                all(finding.is_passed for finding in findings),
                f"{period} from {start}: {'; '.join(finding.observed for finding in told)}",
                lines,
                start,
            )
        )
    return results


CHECKS = (volume, missing_share)
