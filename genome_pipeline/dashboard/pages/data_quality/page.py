"""Data quality: can the input be trusted."""

from __future__ import annotations

import pandas as pd
from dash import html
from dash.development.base_component import Component

from genome_pipeline.contracts.rules import RULES
from genome_pipeline.dashboard.kit import formats, paths
from genome_pipeline.dashboard.kit.chart import chart_panel
from genome_pipeline.dashboard.kit.checks import check_summary
from genome_pipeline.dashboard.kit.components import badge, choice, columns_of, kpi, page, panel
from genome_pipeline.dashboard.kit.glossary import label
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.table import grid, table
from genome_pipeline.dashboard.pages.data_quality import figures, queries

PATH = paths.DATA_QUALITY
TITLE = "Data quality"
QUESTION = "Can the input be trusted, and what was set aside?"

_BASELINES = {"previous": "the previous snapshot", "training": "the snapshot last learned from"}
_SNAPSHOTS_SHOWN = 12
_PASSED_CLASSES = {"check-failed": "params.value === '✗ failed'", "check-passed": "params.value === '✓ passed'"}
_RULE_DESCRIPTIONS = {rule.name: rule.description for rule in RULES}


def layout(request: PageRequest) -> Component:
    """Rows in, kept and set aside, with the reasons; every check; the source files."""
    connection, run = request.connection, request.run
    reasons = queries.quarantine_by_reason(connection)
    periods = queries.quarantine_by_period(connection)
    return page(
        TITLE,
        f"{QUESTION} This page is about the whole published file, whichever snapshot is chosen.",
        html.Div(_kpis(request), className="kpis kpis-4"),
        _forced(queries.forced_publications(connection)),
        columns_of(
            chart_panel(
                figures.quarantine_by_reason(reasons, run.currency, theme=request.theme),
                reasons,
                ("reason", "row_count", "amount_sum"),
            ),
            chart_panel(
                figures.quarantine_by_period(periods, theme=request.theme),
                periods,
                ("period_start_date", "reason", "row_count"),
            ),
        )
        if not reasons.empty
        else panel(title="Rows set aside", reading="None: every source row passed every rule."),
        _reason_table(reasons, run.currency) if not reasons.empty else None,
        _samples(request, reasons["reason"].tolist()) if not reasons.empty else None,
        _reconciliation(queries.reconciliation(connection)),
        _checks_over_time(request),
        _check_grid(queries.checks(connection)),
        _drift(request),
        _files(queries.source_files(connection)),
    )


def _forced(publications: pd.DataFrame) -> Component | None:
    """What was published although a blocking check stood in the way; nothing where that never happened."""
    if publications.empty:
        return None
    rows = [
        [html.Code(row["run_id"][:8]), _iso_day(row["as_of"]), formats.moment(row["published_at"]), row["forced_past"]]
        for _, row in publications.iterrows()
    ]
    return panel(
        table(("Run", "As of", "Published", "In spite of"), rows),
        title="Published by force",
        reading="These were published by force, although a blocking check had not passed.",
        columns=("forced_past",),
        name="forced",
    )


def _samples(request: PageRequest, reasons: list[str]) -> Component:
    """What a reason looks like in the source."""
    reason = request.chosen("reason", reasons, reasons[0])
    samples = queries.quarantine_samples(request.connection, reason)
    known = [column for column in samples.columns if samples[column].notna().any()]
    rows = [
        [
            formats.money(row[column], request.run.currency)
            if column == "line_amount"
            else _iso_day(row[column])
            if column == "period_start_date"
            else formats.NOTHING
            if formats.is_missing(row[column])
            else str(row[column])
            for column in known
        ]
        for _, row in samples.iterrows()
    ]
    return panel(
        choice("reason", "Reason", [(name, name) for name in reasons], reason),
        table([label(column) for column in known], rows)
        if rows
        else html.P("Run genome quarantine to see the rows; the file holds none of this reason."),
        title="What the rows set aside look like",
        reading="The first rows of a reason, as they came. All of them, for repair: genome quarantine.",
        columns=("reason", "line_amount"),
        name="quarantine-samples",
    )


def _checks_over_time(request: PageRequest) -> Component:
    periods = queries.checks_by_period(request.connection)
    runs = queries.check_runs(request.connection)
    last_runs = table(
        ("Run", "When", "Checks", "Failed"),
        [
            [
                html.Code(row["run_id"][:8]),
                formats.moment(row["checked_at"]),
                formats.integer(row["check_count"]),
                formats.integer(row["failed_check_count"]),
            ]
            for _, row in runs.iterrows()
        ],
        numeric=(2, 3),
    )
    history = panel(last_runs, title="The last runs", reading="Each run checks the periods that it made.", name="runs")
    if periods.empty:
        return history
    return columns_of(
        chart_panel(figures.checks_by_period(periods, theme=request.theme), periods, ("severity",)),
        history,
        wide="3fr 2fr",
    )


def _reconciliation(found: pd.DataFrame) -> Component:
    shown = found.assign(
        is_passed=found["is_passed"].map({True: "✓ passed", False: "✗ failed"}),
        period_start_date=found["period_start_date"].map(_iso_day),
    )
    return panel(
        grid(
            shown,
            [
                {"field": "is_passed", "width": 105, "cellClassRules": _PASSED_CLASSES},
                {"field": "period_start_date", "width": 112},
                {"field": "observed", "flex": 1, "wrapText": True, "autoHeight": True},
            ],
            name="reconciliation-grid",
        ),
        title="Is every source row accounted for?",
        reading="Rows and cents of the source, beside those kept and set aside, period by period.",
        columns=("check_name", "observed"),
    )


def _drift(request: PageRequest) -> Component:
    baseline = request.chosen("baseline", _BASELINES, "previous")
    tools = choice("baseline", "Compared with", list(_BASELINES.items()), baseline, width=300)
    drift = queries.gene_drift(request.connection, request.as_of, baseline)
    if drift.empty:
        return panel(
            tools,
            html.P("Drift appears from the second snapshot on."),
            title="Drift of the genes",
            reading="There is no earlier snapshot to compare with.",
        )
    recent = drift[drift["as_of"].isin(sorted(drift["as_of"].unique())[-_SNAPSHOTS_SHOWN:])]
    return chart_panel(
        figures.gene_drift(recent, _BASELINES[baseline], theme=request.theme),
        drift,
        ("psi", "has_drifted", "unjudged_reason"),
        tools=tools,
    )


def _kpis(request: PageRequest) -> list[Component]:
    run = request.run
    summary = check_summary(request.connection)
    total, passed = int(summary["check_count"].sum()), int(summary["passed_check_count"].sum())
    pending = run.raw_row_count - run.validated_row_count - run.quarantined_row_count
    of_all = max(run.raw_row_count, 1)
    return [
        kpi(
            "Source rows in",
            formats.integer(run.raw_row_count),
            name="raw-rows",
            explanation="Every row of every source file.",
            change=badge("✓ every row accounted for", "good")
            if pending == 0
            else badge(f"{formats.integer(pending)} in periods not built yet", "warning"),
        ),
        kpi(
            "Rows kept",
            formats.integer(run.validated_row_count),
            name="validated-rows",
            explanation="Rows that passed every rule; returns are flagged and kept.",
            note=f"{formats.percent(run.validated_row_count / of_all, 2)} of all",
        ),
        kpi(
            "Rows set aside",
            formats.integer(run.quarantined_row_count),
            name="quarantined-rows",
            explanation="Rows that failed at least one rule; they are kept with all their reasons.",
            note=f"{formats.percent(run.quarantined_row_count / of_all, 2)} of all",
        ),
        kpi(
            "Checks passed",
            f"{formats.integer(passed)} of {formats.integer(total)}",
            name="checks-passed",
            explanation="Checks of what was published last: the latest result of each since the publication before.",
            change=badge("✓ all passed", "good")
            if passed == total
            else badge(f"✗ {formats.integer(total - passed)} failed", "warning"),
        ),
    ]


def _reason_table(reasons: pd.DataFrame, currency: str | None) -> Component:
    rows = [
        [
            html.Strong(row["reason"]),
            _RULE_DESCRIPTIONS.get(row["reason"], ""),
            formats.integer(row["row_count"]),
            formats.money(row["amount_sum"], currency),
        ]
        for _, row in reasons.iterrows()
    ]
    return panel(
        table(("Reason", "What it means", "Rows", "Amount"), rows, numeric=(2, 3)),
        title="What the reasons mean",
        reading="Amounts are of lines whose amount could be read; returns count as negative.",
        columns=("reason", "row_count", "amount_sum"),
        name="quarantine-reasons",
    )


def _check_grid(checks: pd.DataFrame) -> Component:
    shown = checks.assign(
        is_passed=checks["is_passed"].map({True: "✓ passed", False: "✗ failed"}),
        period_start_date=checks["period_start_date"].map(_iso_day),
    )
    failed = shown["is_passed"] == "✗ failed"
    reading = (
        f"{formats.integer(failed.sum())} of {formats.integer(len(shown))} failed; failures come first."
        if failed.any()
        else f"All {formats.integer(len(shown))} passed."
    )
    docs = html.A("Data Docs", href=f"{paths.DATA_DOCS}/index.html", target="_blank")
    return panel(
        html.P(["What each expectation of Great Expectations found last: ", docs, "."]),
        grid(
            shown,
            [
                {
                    "field": "is_passed",
                    "width": 110,
                    "cellClassRules": _PASSED_CLASSES,
                },
                {"field": "severity", "width": 90},
                {"field": "table_name", "width": 165},
                {"field": "check_name", "width": 165},
                {"field": "observed", "flex": 1, "minWidth": 280, "wrapText": True, "autoHeight": True},
                {"field": "period_start_date", "width": 108},
            ],
            name="check-grid",
        ),
        title="Checks",
        reading=f"{reading} A failed ERROR stops the run, a failed WARN is reported.",
        columns=("severity", "is_passed", "observed"),
    )


def _iso_day(value: object) -> str:
    return "" if formats.is_missing(value) else f"{value:%Y-%m-%d}"


def _files(files: pd.DataFrame) -> Component:
    # Twelve digits are enough to tell two files apart.
    shown = files.assign(
        ingested_at=files["ingested_at"].map(formats.moment), content_hash=files["content_hash"].str[:12]
    )
    return panel(
        grid(
            shown,
            [
                {"field": "source_file", "flex": 1},
                {
                    "field": "row_count",
                    "width": 120,
                    "type": "rightAligned",
                    "valueFormatter": {"function": "d3.format(',')(params.value)"},
                },
                {"field": "ingested_at", "width": 200},
                {"field": "content_hash", "width": 160},
            ],
            name="file-grid",
        ),
        title="Source files",
        reading="What was read, and the fingerprint by which a changed file is noticed.",
        columns=("source_file", "row_count", "ingested_at", "content_hash"),
    )
