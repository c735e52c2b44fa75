"""Checks that no row is lost between source and validated lines, and warnings about unusual lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from genome_pipeline.contracts.rules import Rule, active_rules
from genome_pipeline.orchestration.assets.frames import observed_at, order_days
from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.files import judge_files
from genome_pipeline.quality.reconciliation import Tally, balances, difference, tallies, total
from genome_pipeline.quality.validation import CheckResult, Severity
from genome_pipeline.quality.volume import judge_silence
from genome_pipeline.transforms.lines import NAMES
from genome_pipeline.transforms.names import names_changed
from genome_pipeline.transforms.reconciliation import (
    recounted_by_reason,
    recounted_repeats,
    row_and_cent_totals,
    source_totals,
)
from genome_pipeline.transforms.validation import judges_repeats, rejected_by_reason, repeated_hashes
from genome_pipeline.warehouse.database import stored
from genome_pipeline.warehouse.ingestion import PRESENT_FILES, typed_raw

_SO_FAR = (
    "WITH so_far AS (SELECT period_start_date, customer_id, return_amount, sum(gross_amount) OVER until AS bought,"
    " sum(return_amount) OVER until AS returned FROM customer_activity"
    " WINDOW until AS (PARTITION BY customer_id ORDER BY period_start_date))"
)


@check(
    "raw_transactions",
    description="Every row counted while a source file was read is in the table.",
    is_blocking=True,
)
def rows_counted(subject: Subject) -> Sequence[CheckResult]:
    """Compare the stored rows of each file with the number read."""
    differing = subject.database.con.execute(
        "SELECT source_file, f.row_count, coalesce(r.row_count, 0) FROM source_files f FULL JOIN"
        " (SELECT source_file, count(*) AS row_count FROM raw_transactions GROUP BY 1) r USING (source_file)"
        " WHERE f.row_count IS DISTINCT FROM coalesce(r.row_count, 0)"
    ).fetchall()
    row_count = int(subject.database.table("raw_transactions").count().execute())
    observed = "; ".join(f"{name}: {read} rows read, {kept} stored" for name, read, kept in differing)
    return [
        CheckResult(
            "raw_transactions",
            "rows_counted",
            "ERROR",
            not differing,
            observed or f"{row_count:,} rows stored",
            row_count,
        )
    ]


@check(
    "raw_transactions",
    description="No source file holds the same as another; a copy is left out, so that nothing counts twice.",
    is_blocking=False,
)
def files_differ(subject: Subject) -> Sequence[CheckResult]:
    """Name the files that were left out as copies."""
    files = subject.database.con.execute(
        "SELECT source_file, copy_of_source_file FROM source_files ORDER BY source_file"
    ).fetchall()
    copies = [f"{name} holds the same as {other} and is left out" for name, other in files if other is not None]
    observed = "; ".join(copies) or f"all {len(files):,} files differ"
    return [CheckResult("raw_transactions", "files_differ", "WARN", not copies, observed, len(files))]


@check(
    "raw_transactions",
    description="Every source file that was published is still there, with as many rows. Stops the run only where more"
    " of the rows are gone than quality.max_removed_share.",
    is_blocking=True,
)
def files_remain(subject: Subject) -> Sequence[CheckResult]:
    """Compare the files taken in with those of the last publication."""
    limit = subject.settings.quality.max_removed_share
    published, now = (
        {name: (content, rows) for name, content, rows in subject.database.con.execute(query).fetchall()}
        for query in ("SELECT source_file, content_hash, row_count FROM published_files", PRESENT_FILES)
    )
    finding, share = judge_files(published, now, limit)
    severity: Severity = "ERROR" if share > limit else "WARN"
    row_count = sum(rows for _, rows in now.values())
    return [CheckResult("raw_transactions", "files_remain", severity, finding.is_passed, finding.observed, row_count)]


@check(
    "raw_transactions",
    description="Ids and names are taken as they are written: no marks that show nothing, no blanks but plain ones, no"
    " accents apart from their letters and no .0 behind whole numbers stand in them.",
    is_blocking=False,
)
def names_as_written(subject: Subject) -> Sequence[CheckResult]:
    """Count the rows with an id or name that is read as another than is written, and name the first."""
    mapped = subject.settings.source.columns.mapped
    raw = subject.database.table("raw_transactions")
    changed = {name: names_changed(raw, name).to_pyarrow().to_pylist() for name in NAMES if name in mapped}
    row_count = int(raw.count().execute())
    observed = [_names_taken(mapped[name], files) for name, files in changed.items() if files]
    return [
        CheckResult(
            "raw_transactions",
            "names_as_written",
            "WARN",
            not observed,
            "; ".join(observed) or "every id and name is taken as it is written",
            row_count,
        )
    ]


def _names_taken(column: str, files: Sequence[Mapping[str, Any]]) -> str:
    row_count = sum(file["row_count"] for file in files)
    first = min(files, key=lambda file: file["source_file"])
    return (
        f"column {column!r}: {row_count:,} rows are taken for another id or name than is written, as blanks around it,"
        f" marks that show nothing and the .0 of a whole number do not count, the first of them {first['source_file']}"
        f" row {first['first_row']:,}"
    )


@check(
    "quarantined_transactions",
    description="Every source row is either validated or quarantined: rows and cents reconcile per period, file and"
    " reason, and in all, and amounts are what is written.",
    is_blocking=True,
)
def nothing_lost(subject: Subject) -> Sequence[CheckResult]:
    """Reconcile the run's periods, and the rows that belong to none."""
    settings, periods = subject.settings, subject.periods
    rules = active_rules(list(settings.source.columns.mapped), settings.rules.disabled)
    lines = typed_raw(subject.database, settings)
    wanted = lines.filter(lines.period_start_date.isin(periods) | lines.period_start_date.isnull())
    source = source_totals(
        wanted, mapped=list(settings.source.columns.mapped), formats=settings.source.formats
    ).to_pandas()
    sides = [source]
    recounted = [recounted_by_reason(wanted, rules).to_pandas()]
    if judges_repeats(rules):
        with stored(subject.database, repeated_hashes(wanted), "repeated_hashes") as hashes:
            recounted.append(recounted_repeats(wanted, hashes).to_pandas())
    for name, amount in (("validated_transactions", "amount"), ("quarantined_transactions", "line_amount")):
        table = subject.database.table(name)
        kept = table.filter(table.period_start_date.isin(periods) | table.period_start_date.isnull())
        sides.append(row_and_cent_totals(kept, amount).to_pandas())
    by_reason = rejected_by_reason(kept)
    rejected = by_reason.mutate(cents=(by_reason.amount_sum * 100).cast("int64")).to_pandas()
    by_period, by_file = (balances(sides[0], sides[1], sides[2], key) for key in ("period_start_date", "source_file"))
    whole = total(by_period)
    differing = [balance for balance in by_file if not balance.is_passed]
    in_files = "; ".join(f"{balance.key}: {balance.observed}" for balance in differing)
    return [
        *(
            _balance("nothing_lost", balance.is_passed, balance.observed, balance.raw.row_count, balance.key)
            for balance in by_period
        ),
        *_reasons_balance(
            tallies(pd.concat(recounted), "period_start_date", "reason"),
            tallies(rejected, "period_start_date", "reason"),
            [*periods, None],
        ),
        _balance(
            "nothing_lost_in_files", not differing, in_files or f"all {len(by_file):,} files", whole.raw.row_count
        ),
        _balance("nothing_lost_in_total", whole.is_passed, whole.observed, whole.raw.row_count),
        amounts_multiplied(source),
    ]


def amounts_multiplied(source: pd.DataFrame) -> CheckResult:
    """Whether every amount is, to half a cent, what its line states: by file, from :func:`source_totals`."""
    wrong = source.groupby("source_file")["miscounted_row_count"].sum()
    observed = "; ".join(
        f"{name}: {count:,} lines whose amount is not quantity x price as written, or not the amount as written"
        for name, count in wrong[wrong > 0].items()
    )
    row_count = int(source["row_count"].sum())
    return _balance(
        "amounts_multiplied", not observed, observed or f"all {row_count:,} lines, multiplied a second way", row_count
    )


def _balance(name: str, is_passed: bool, observed: str, row_count: int, period: date | None = None) -> CheckResult:
    return CheckResult("quarantined_transactions", name, "ERROR", is_passed, observed, row_count, period)


def _reasons_balance(
    counted_in_raw: dict[tuple[object, ...], Tally],
    quarantined: dict[tuple[object, ...], Tally],
    periods: Sequence[date | None],
) -> Iterator[CheckResult]:
    """Per period: quarantined rows of each reason beside source rows counted in a second way."""
    for period in periods:
        reasons = sorted(str(reason) for day, reason in {*counted_in_raw, *quarantined} if day == period)
        pairs = [(r, quarantined.get((period, r), Tally()), counted_in_raw.get((period, r), Tally())) for r in reasons]
        wrong = [f"{reason}: {difference(kept, raw)} counted in raw" for reason, kept, raw in pairs if kept != raw]
        right = ", ".join(f"{reason} {kept.row_count:,} rows" for reason, kept, _ in pairs) or "no reason"
        row_count = sum(raw.row_count for _, _, raw in pairs)
        yield _balance("nothing_lost_by_reason", not wrong, "; ".join(wrong) or right, row_count, period)


@check(
    "validated_transactions",
    description="The log reaches the end of the period; otherwise recency is overstated at that snapshot.",
    is_blocking=False,
)
def covers_period(subject: Subject) -> Sequence[CheckResult]:
    """Compare the log's last day before each snapshot with its date."""
    results = []
    periods = subject.periods
    dates = subject.snapshots
    observed_dates = observed_at(subject.database, subject.settings, dates)
    for period, as_of, observed_until in zip(periods, dates, observed_dates, strict=True):
        missing = (as_of - observed_until).days
        observed = (
            f"the log ends {missing} days before {as_of}: days since the last order are overstated at that snapshot"
            if missing
            else f"the log reaches {as_of}"
        )
        results.append(CheckResult("validated_transactions", "covers_period", "WARN", not missing, observed, 0, period))
    return results


@check(
    "validated_transactions",
    description="The log has no silence as long as the horizon: as if all customers had left, and come back.",
    is_blocking=False,
)
def no_long_silence(subject: Subject) -> Sequence[CheckResult]:
    """One result per period of the run, on silences that end in it and on a silence that lasts."""
    settings, periods = subject.settings, subject.periods
    dates = subject.snapshots
    days = order_days(subject.database, dates[-1])
    findings = {
        start: judge_silence(days, start, min(as_of, settings.today()), settings.predict.horizon_days)
        for start, as_of in zip(periods, dates, strict=True)
    }
    return [
        CheckResult("validated_transactions", "no_long_silence", "WARN", finding.is_passed, finding.observed, 0, start)
        for start, finding in findings.items()
    ]


@check(
    "validated_transactions",
    description="No line that was kept breaks a row rule of severity WARN.",
    is_blocking=False,
)
def lines_in_bounds(subject: Subject) -> Sequence[CheckResult]:
    """Count the lines of each period that fail such a rule."""
    settings, periods = subject.settings, subject.periods
    rules = active_rules(list(settings.source.columns.mapped), settings.rules.disabled)
    results = []
    kept = subject.database.table("validated_transactions")
    lines = kept.filter(kept.period_start_date.isin(periods)).mutate(outlier_amount=settings.rules.outlier_amount)
    for rule in rules:
        if rule.severity == "WARN":
            judged = lines.group_by("period_start_date").agg(
                row_count=lines.count(), failing_row_count=lines.count(where=rule.fails(lines))
            )
            for found in judged.order_by("period_start_date").to_pyarrow().to_pylist():
                of_period = lines.filter(lines.period_start_date == found["period_start_date"])
                results.append(_warning(rule, of_period, *found.values()))
    return results


def _warning(rule: Rule, lines: ir.Table, period: date, count: int, failing: int) -> CheckResult:
    observed = f"{failing:,} of {count:,} lines" if failing else f"none of {count:,} lines"
    return CheckResult(
        "validated_transactions",
        rule.name,
        "WARN",
        not failing,
        f"{rule.description} {observed}",
        count,
        period,
        rows=ibis.to_sql(lines.filter(rule.fails(lines)), dialect="duckdb") if failing else "",
    )


@check(
    "customer_activity",
    description="No customer has returned more than they bought: purchases before the log began, or returns booked"
    " to the wrong customer. They are kept, and their spend is negative.",
    is_blocking=False,
)
def returns_within_purchases(subject: Subject) -> Sequence[CheckResult]:
    """Compare, for customers with a return in a period, what they returned until its end with what they bought."""
    periods = subject.periods
    rows = subject.database.con.execute(
        f"{_SO_FAR} SELECT period_start_date, count(*), count(*) FILTER (returned > bought) FROM so_far"
        " WHERE period_start_date IN (SELECT unnest(?)) AND return_amount > 0 GROUP BY 1 ORDER BY 1",
        [periods],
    ).fetchall()
    return [
        CheckResult(
            "customer_activity",
            "returns_within_purchases",
            "WARN",
            not beyond,
            f"{beyond:,} of {count:,} customers with a return have returned more than they bought"
            if beyond
            else f"all {count:,} customers with a return",
            count,
            period,
            rows=f"{_SO_FAR} SELECT customer_id, bought, returned FROM so_far WHERE period_start_date = DATE '{period}'"
            " AND return_amount > 0 AND returned > bought ORDER BY returned - bought DESC"
            if beyond
            else "",
        )
        for period, count, beyond in rows
    ]


CHECKS = (
    rows_counted,
    files_differ,
    files_remain,
    names_as_written,
    nothing_lost,
    covers_period,
    no_long_silence,
    lines_in_bounds,
    returns_within_purchases,
)
