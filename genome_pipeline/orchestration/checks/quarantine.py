"""The number of source rows set aside, compared with its limits and with earlier periods."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ibis.backends.duckdb import Backend

from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.quarantine import Limits, Place, SetAside, judge_rise, judge_share
from genome_pipeline.quality.validation import CheckResult, Severity
from genome_pipeline.quality.volume import PERIODS_BEFORE, Finding


@check(
    "quarantined_transactions",
    description="In no period more of the source rows are set aside for one reason than quality.max_quarantined_share,"
    " nor of a file's rows for want of a usable date.",
    is_blocking=True,
)
def quarantined_share(subject: Subject) -> Sequence[CheckResult]:
    """One result for each period of the run, and one for each file with rows of no period."""
    quality, periods = subject.settings.quality, subject.periods
    limits = Limits(quality.max_quarantined_share, quality.max_quarantined_share_by_reason)
    found, undated = _by_period(subject.database, periods), _undated_by_file(subject.database)
    period = subject.settings.calendar.period
    return [
        *(
            _result("quarantined_share", "ERROR", judge_share(aside, limits, f"{period} from {start}"), aside, start)
            for start, aside in found.items()
        ),
        *(
            _result("quarantined_share", "ERROR", judge_share(aside, limits, f"{file}, rows of no {period}"), aside)
            for file, aside in undated.items()
        ),
    ]


@check(
    "quarantined_transactions",
    description="For no reason over a twentieth more of the period's rows are set aside than is usual in this log: the"
    " median of the periods before.",
    is_blocking=False,
)
def quarantine_is_steady(subject: Subject) -> Sequence[CheckResult]:
    """One result for each period of the run."""
    periods, period = subject.periods, subject.settings.calendar.period
    wanted = {day for start in periods for day in (start, *period.like_before(start, PERIODS_BEFORE))}
    found = _by_period(subject.database, sorted(wanted))
    return [
        _result("quarantine_is_steady", "WARN", judge_rise(found, start, period), found[start], start)
        for start in periods
    ]


def _result(
    name: str, severity: Severity, finding: Finding, aside: SetAside, period: date | None = None
) -> CheckResult:
    return CheckResult(
        "quarantined_transactions", name, severity, finding.is_passed, finding.observed, aside.rows, period
    )


def _by_period(database: Backend, periods: Sequence[date]) -> dict[date, SetAside]:
    connection = database.con
    counts = {
        start: (rows, set_aside)
        for start, rows, set_aside in connection.execute(
            "SELECT slice_key::DATE, sum(row_count)::BIGINT,"
            " coalesce(sum(row_count) FILTER (table_name = 'quarantined_transactions'), 0)::BIGINT FROM written_slices"
            " WHERE table_name IN ('validated_transactions', 'quarantined_transactions') AND slice_key <> 'undated'"
            " GROUP BY 1"
        ).fetchall()
    }
    reasons: dict[date, dict[str, int]] = {}
    places: dict[date, dict[str, Place]] = {}
    for start, reason, count, place in connection.execute(
        "WITH each AS (SELECT period_start_date, unnest(reasons) AS reason, source_file, source_row"
        " FROM quarantined_transactions WHERE period_start_date IN (SELECT unnest(?))),"
        " by_file AS (SELECT period_start_date, reason, source_file, count(*) AS row_count,"
        " min(source_row) AS first_row FROM each GROUP BY 1, 2, 3)"
        " SELECT period_start_date, reason, sum(row_count)::BIGINT, max((row_count, source_file, first_row))"
        " FROM by_file GROUP BY 1, 2",
        [periods],
    ).fetchall():
        reasons.setdefault(start, {})[reason] = count
        places.setdefault(start, {})[reason] = Place(*place)
    return {
        start: SetAside(*counts.get(start, (0, 0)), reasons.get(start, {}), places.get(start, {})) for start in periods
    }


def _undated_by_file(database: Backend) -> dict[str, SetAside]:
    """For each file with rows of no period: its rows, and the reasons of rows set aside; unwanted rows are not lost."""
    rows = database.con.execute(
        "WITH undated AS (SELECT * FROM quarantined_transactions WHERE period_start_date IS NULL"
        " AND NOT list_contains(reasons, 'outside_calendar')),"
        " by_file AS (SELECT source_file, count(*) AS set_aside FROM undated GROUP BY 1)"
        " SELECT source_file, reason, count(*), min(source_row), any_value(set_aside), any_value(row_count)"
        " FROM (SELECT source_file, source_row, unnest(reasons) AS reason FROM undated)"
        " JOIN by_file USING (source_file) JOIN source_files USING (source_file) GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    found: dict[str, SetAside] = {}
    for file, reason, count, first_row, set_aside, row_count in rows:
        before = found.get(file, SetAside(row_count, set_aside))
        places = {**before.places, reason: Place(count, file, first_row)}
        found[file] = SetAside(row_count, set_aside, {**before.reasons, reason: count}, places)
    return found


CHECKS = (quarantined_share, quarantine_is_steady)
