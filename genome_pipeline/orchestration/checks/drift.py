"""Whether genes moved since the previous snapshot, and since the one that models last learned from."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from genome_pipeline.calendar import Calendar
from genome_pipeline.contracts.column import Unit
from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.orchestration.checks.bridge import Subject, check
from genome_pipeline.quality.validation import CheckResult, Severity

_SHOWN = 5
"""Number of genes named in the sentence; the table beside it has all of them."""


@check(
    "gene_drift",
    description="No gene's distribution moved beyond the declared bound since the previous snapshot, nor since the one"
    " that models learned from last. Stops the run only beyond quality.drift_error_psi, where one is set.",
    is_blocking=True,
)
def drift(subject: Subject) -> Sequence[CheckResult]:
    """One result for each snapshot of the run and baseline."""
    calendar, error_psi = subject.settings.time, subject.settings.quality.drift_error_psi
    dates = subject.snapshots
    frame = subject.database.con.execute(
        "SELECT * FROM gene_drift WHERE as_of IN (SELECT unnest(?)) ORDER BY as_of, baseline, psi DESC, gene",
        [dates],
    ).df()
    return [_result(part, calendar, error_psi) for _, part in frame.groupby(["as_of", "baseline"])]


def _result(genes: pd.DataFrame, calendar: Calendar, error_psi: float | None) -> CheckResult:
    first = genes.iloc[0]
    as_of, baseline_as_of = first["as_of"].date(), first["baseline_as_of"].date()
    moved = genes[genes["has_drifted"].fillna(False).astype(bool)]
    is_error = error_psi is not None and bool((moved["psi"] > error_psi).any())
    severity: Severity = "ERROR" if is_error else "WARN"
    what = "; ".join(movement(row) for row in moved.head(_SHOWN).to_dict("records"))
    more = f"; and {len(moved) - _SHOWN} more" if len(moved) > _SHOWN else ""
    return CheckResult(
        "gene_drift",
        f"drift_{first['baseline']}",
        severity,
        moved.empty,
        f"{as_of} against the {first['baseline']} snapshot, {baseline_as_of}: {what + more or _nothing_moved(genes)}",
        int(first["customer_count"]),
        calendar.period_start(as_of),
        tuple(_details(row) for row in moved.to_dict("records")),
    )


def _nothing_moved(genes: pd.DataFrame) -> str:
    judged = genes[genes["has_drifted"].notna()]
    if judged.empty:
        return f"not judged, as {genes['unjudged_reason'].iloc[0]}"
    return f"no gene moved, of {len(judged)} judged; largest PSI {judged['psi'].iloc[0]:.2f} ({judged['gene'].iloc[0]})"


def movement(row: Mapping[Hashable, Any]) -> str:
    """How one gene of ``gene_drift`` moved, in words: by its median or, if that did not move, by its mean."""
    gene = str(row["gene"])
    name = f"{gene} added in the period" if row["measure"] == "added" else gene
    before, now = (_amount(gene, row[column]) for column in ("baseline_median", "median"))
    statistic = "median"
    if before == now:
        before, now = (_amount(gene, row[column]) for column in ("baseline_mean", "mean"))
        statistic = "mean"
    words = f"{name}: {statistic} {before} to {now}, PSI {row['psi']:.2f}"
    if abs(row["missing_share"] - row["baseline_missing_share"]) >= 0.01:
        words += f", missing {row['baseline_missing_share']:.0%} to {row['missing_share']:.0%}"
    return words


def _details(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    shown = ("gene", "measure", "baseline_median", "median", "baseline_mean", "mean")
    gene = str(row["gene"])
    return {
        "as_of": str(row["as_of"].date()),
        "baseline": row["baseline"],
        **{name: row[name] if name in ("gene", "measure") else _amount(gene, row[name]) for name in shown},
        "psi": round(row["psi"], 3),
        "ks_statistic": round(row["ks_statistic"], 3),
    }


def _amount(gene: str, value: float) -> str:
    if pd.isna(value):
        return "none"
    return f"{value:,.2f}" if COLUMNS[gene].unit is Unit.CURRENCY else f"{value:,.4g}"


CHECKS = (drift,)
