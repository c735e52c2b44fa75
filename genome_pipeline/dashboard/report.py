"""The report: the dashboard's figures of one snapshot as a single HTML file, to mail or archive."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from datetime import date
from html import escape
from pathlib import Path

import duckdb
import pandas as pd
from plotly.offline import get_plotlyjs

from genome_pipeline.contracts.columns import COLUMNS
from genome_pipeline.contracts.columns.experiments import OUTCOMES
from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.dashboard.kit import formats
from genome_pipeline.dashboard.kit.chart import Chart
from genome_pipeline.dashboard.kit.checks import check_summary
from genome_pipeline.dashboard.kit.experiments import experiments_at, headline, reason_of, state_of
from genome_pipeline.dashboard.kit.glossary import description
from genome_pipeline.dashboard.kit.outcomes import expected_and_realised_spend, last_matured, realised_spend
from genome_pipeline.dashboard.kit.performance import compare, no_performance
from genome_pipeline.dashboard.kit.snapshots import Run, all_snapshots, provisional_snapshots
from genome_pipeline.dashboard.kit.theme import FONT_FAMILY
from genome_pipeline.dashboard.kit.totals import spend_interval, total_cell, totals_of
from genome_pipeline.dashboard.kit.trend import confidence_over_time, snapshot_trend
from genome_pipeline.dashboard.pages.cohorts import figures as cohort_figures
from genome_pipeline.dashboard.pages.cohorts import queries as cohort_queries
from genome_pipeline.dashboard.pages.confidence import figures as confidence_figures
from genome_pipeline.dashboard.pages.confidence import queries as confidence_queries
from genome_pipeline.dashboard.pages.data_quality import figures as quality_figures
from genome_pipeline.dashboard.pages.data_quality import queries as quality_queries
from genome_pipeline.dashboard.pages.overview import figures as overview_figures
from genome_pipeline.dashboard.pages.overview import queries as overview_queries
from genome_pipeline.dashboard.pages.proof import figures as proof_figures
from genome_pipeline.dashboard.pages.risk import figures as risk_figures
from genome_pipeline.dashboard.pages.risk import queries as risk_queries
from genome_pipeline.dashboard.pages.segments import figures as segment_figures
from genome_pipeline.dashboard.pages.segments import queries as segment_queries
from genome_pipeline.dashboard.pages.value import figures as value_figures
from genome_pipeline.dashboard.pages.value import queries as value_queries
from genome_pipeline.published.versions import PublishedFile

_STYLE = f"""
:root {{ color-scheme: light; }}
body {{ margin: 0; background: #f4f6f8; color: #1c2733; font: 15px/1.55 {FONT_FAMILY}; }}
main {{ max-width: 980px; margin: 0 auto; padding: 40px 24px 64px; }}
header {{ border-bottom: 1px solid #d5dce3; padding-bottom: 20px; margin-bottom: 28px; }}
h1 {{ margin: 0; font-size: 32px; letter-spacing: -0.02em; line-height: 1.2; }}
h2 {{ margin: 48px 0 4px; font-size: 22px; letter-spacing: -0.01em; }}
h3 {{ margin: 0; font-size: 15px; }}
p {{ margin: 6px 0 14px; max-width: 74ch; }}
.muted, figcaption p {{ color: #5b6775; }}
figcaption p {{ margin: 2px 0 10px; font-size: 13px; }}
figure, .card {{ margin: 0 0 16px; background: #fff; border: 1px solid #e1e6eb; border-radius: 12px;
  padding: 16px 18px; break-inside: avoid; overflow-x: auto; }}
.numbers {{ display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; margin: 16px 0; }}
.numbers .card {{ margin: 0; }}
.numbers span {{ display: block; color: #5b6775; font-size: 13px; }}
.numbers strong {{ display: block; font-size: 26px; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }}
table {{ width: 100%; border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }}
th {{ text-align: left; color: #5b6775; font-weight: 600; font-size: 13px; border-bottom: 1px solid #d5dce3; }}
th, td {{ padding: 7px 10px 7px 0; vertical-align: top; }}
td {{ border-top: 1px solid #eef1f4; overflow-wrap: break-word; }}
.number {{ text-align: right; white-space: nowrap; }}
.marked {{ background: #fdf0d0; color: #6b4a00; padding: 8px 12px; border-radius: 8px; }}
footer {{ margin-top: 48px; border-top: 1px solid #d5dce3; padding-top: 16px; color: #5b6775; font-size: 13px; }}
@media print {{ body {{ background: #fff; }} main {{ padding: 0; }} }}
"""


def write_report(published_path: Path, report_path: Path) -> Path:
    """Write the report of the latest snapshot; an older report stays whole until the new one takes its place."""
    # No time limit, unlike for the queries of a page: nobody waits for the report.
    with PublishedFile(published_path).connect(math.inf) as connection:
        document = build_report(connection)
    report_path.parent.mkdir(parents=True, exist_ok=True)
    building = report_path.with_suffix(".building")
    building.write_text(document, encoding="utf-8")
    os.replace(building, report_path)
    return report_path


def build_report(connection: duckdb.DuckDBPyConnection, as_of: date | None = None) -> str:
    """The report of a snapshot, by default the latest, as one HTML document that loads nothing else."""
    run = Run.of(connection)
    snapshot = as_of or all_snapshots(connection)[0]
    trend = snapshot_trend(connection, snapshot)
    sections = (
        *_headlines(connection, run, snapshot, trend),
        *_segments(connection, run, snapshot),
        *_cohorts(connection, run, snapshot),
        *_value_and_risk(connection, run, snapshot, trend),
        *_proof(connection, run, snapshot),
        *_confidence(connection, snapshot, trend),
        *_data_quality(connection, run),
    )
    provisional = provisional_snapshots(connection)
    title = f"Customer Genome: {run.source_name} at {formats.snapshot(snapshot, provisional)}"
    marked = f'<p class="marked">{description("is_provisional")}</p>' if snapshot in provisional else ""
    if run.forced_past:
        marked += (
            '<p class="marked"><strong>These numbers have not passed their checks.</strong> They were published by'
            f" force, in spite of: {escape(run.forced_past)}.</p>"
        )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
<main>
<header>
<h1>{escape(title)}</h1>
<p class="muted">What was known before {formats.day(snapshot)}, and what is expected in the {run.horizon_days} days
from then on. Intervals are meant to hold what happens {formats.percent(run.interval_level, 0)} of the time.</p>
{marked}
</header>
{"".join(_numbered(sections))}
<footer>Published {formats.moment(run.published_at)} by Customer Genome {escape(run.version)},
run {escape(run.run_id)}.</footer>
</main>
</body>
</html>
"""


def _numbered(sections: Iterable[str | Chart]) -> Iterable[str]:
    """Sections as HTML; the ids of charts are numbers, so that the same snapshot gives the same document."""
    for number, section in enumerate(sections):
        yield section if isinstance(section, str) else _figure(section, f"figure-{number}")


def _figure(chart: Chart, name: str) -> str:
    picture = chart.figure.update_layout(height=chart.height).to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        config={"displaylogo": False, "responsive": True, "modeBarButtons": [["toImage"]]},
    )
    caption = f"<h3>{escape(chart.title)}</h3><p>{escape(chart.reading)}</p>"
    return f"<figure><figcaption>{caption}</figcaption>{picture}</figure>\n"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Sequence[int] = ()) -> str:
    def cells(tag: str, items: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=number' if position in numeric else ''}>{escape(item)}</{tag}>"
            for position, item in enumerate(items)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="card"><table><thead><tr>{cells("th", headings)}</tr></thead><tbody>{body}</tbody></table></div>\n'
    )


def _headlines(
    connection: duckdb.DuckDBPyConnection, run: Run, as_of: date, trend: pd.DataFrame
) -> Iterable[str | Chart]:
    now = trend.iloc[-1]
    interval = spend_interval(
        now["expected_spend_lower"], now["expected_spend_upper"], run.interval_level, run.currency
    )
    numbers = (
        ("Customers", formats.integer(now["customer_count"])),
        ("Active customers", formats.integer(now["active_customer_count"])),
        ("Recent revenue", formats.compact_money(now["recent_spend_amount"], run.currency)),
        (
            f"Expected spend, next {run.horizon_days} days {interval}",
            formats.compact_money(now["expected_spend"], run.currency),
        ),
        ("Revenue at risk", formats.compact_money(now["revenue_at_risk_amount"], run.currency)),
        ("Mean confidence", formats.decimal(now["mean_confidence"])),
    )
    cards = "".join(
        f'<div class="card"><span>{escape(name)}</span><strong>{escape(value)}</strong></div>'
        for name, value in numbers
    )
    yield (
        "<h2>Headlines</h2><p>Active customers bought in the recent window before the snapshot. Revenue at risk is what"
        " customers of medium and high churn risk are expected to spend within the horizon.</p>"
        f"<div class='numbers'>{cards}</div>\n"
    )
    yield (
        "<h3>What today's customers will bring, and how sure that is</h3><p>In brackets the interval of the total."
        " Customers who are new by then are not in it.</p>\n"
    )
    yield _table(
        ("Next", "Customers who buy", "Orders", "Spend", "Why something is missing"),
        [
            (
                f"{formats.integer(row['horizon_days'])} days",
                *(total_cell(row, name, run.currency) for name in TOTALS),
                row["abstain_reason"],
            )
            for _, row in totals_of(connection, as_of, "company").iterrows()
        ],
        numeric=(1, 2, 3),
    )
    yield overview_figures.customers_over_time(trend)
    yield overview_figures.recommended_actions(overview_queries.actions(connection, as_of), run.currency)


def _segments(connection: duckdb.DuckDBPyConnection, run: Run, as_of: date) -> Iterable[str | Chart]:
    profiles = segment_queries.segment_profiles(connection, as_of)
    yield "<h2>Segments</h2><p>Groups of customers who behave alike, named by stated rules from what they do.</p>\n"
    if profiles.empty:
        yield "<p>No segments at this snapshot: there were too few customers to form stable groups.</p>\n"
        return
    yield _table(
        ("Segment", "Customers", "Share", "Share of spend", "Expected spend"),
        [
            (
                row["segment_name"],
                formats.integer(row["customer_count"]),
                formats.percent(row["customer_share"]),
                formats.percent(row["spend_share"]),
                total_cell(row, "expected_spend_amount", run.currency),
            )
            for _, row in profiles.iterrows()
        ],
        numeric=(1, 2, 3, 4),
    )
    yield segment_figures.segment_sizes(profiles)
    yield segment_figures.segment_profile_heatmap(profiles, run.currency)
    yield segment_figures.segment_value(profiles, run.currency, run.horizon_days)
    yield _table(
        ("Segment", "Why it has this name"),
        [(row["segment_name"], row["naming_rule"]) for _, row in profiles.iterrows()],
    )
    migrations = segment_queries.segment_migrations(connection, as_of)
    earlier = [snapshot for snapshot in all_snapshots(connection) if snapshot < as_of]
    if earlier and not migrations.empty:
        yield segment_figures.segment_migrations(migrations, earlier[0])


def _cohorts(connection: duckdb.DuckDBPyConnection, run: Run, as_of: date) -> Iterable[str | Chart]:
    step = "week" if run.period == "week" else "month"
    cohorts = cohort_queries.cohorts_by_age(connection, as_of)
    yield f"<h2>Cohorts</h2><p>The customers who first bought in the same {step}.</p>\n"
    yield cohort_figures.retention_triangle(cohorts, step)
    if cohorts["cumulative_spend_amount"].notna().any():
        forecasts = cohort_queries.cohort_forecasts(connection, as_of)
        chosen = cohort_figures.first_shown(cohorts)
        yield cohort_figures.cumulative_spend(cohorts, forecasts, chosen, step, run.currency)


def _value_and_risk(
    connection: duckdb.DuckDBPyConnection, run: Run, as_of: date, trend: pd.DataFrame
) -> Iterable[str | Chart]:
    performance = overview_queries.performance(connection, as_of)
    realised = realised_spend(connection, as_of)
    yield "<h2>Value and risk, beside the naive baseline</h2>"
    if performance.empty:
        yield f"<p>{no_performance(bool(len(realised)))}</p>\n"
    else:
        yield (
            f"<p>Predictions made on {formats.day(performance['as_of'].iloc[0])} for"
            f" {formats.integer(performance['customer_count'].max())} customers, compared with what happened in the"
            f" {run.horizon_days} days after. The naive baseline takes the recent window as the forecast.</p>\n"
        )
        yield _table(
            ("Target", "Measure", "What it says", "Model", "Naive", "Verdict"),
            [
                (line.target, line.measure, line.description, line.model, line.naive, line.verdict)
                for line in compare(performance, run.currency, run.interval_level)
            ],
            numeric=(3, 4),
        )
    yield expected_and_realised_spend(trend, realised, run.currency, run.horizon_days)
    yield overview_figures.spend_by_risk_band(
        overview_queries.risk_band_trend(connection, as_of), run.currency, run.horizon_days
    )
    bins = risk_queries.churn_distribution(connection, as_of, "risk_band")
    if not bins.empty:
        yield risk_figures.churn_distribution(bins, "risk_band", run.horizon_days)
    matured = last_matured(connection, as_of)
    if matured is not None:
        yield from _outcomes(connection, run, matured)


def _outcomes(connection: duckdb.DuckDBPyConnection, run: Run, matured: date) -> Iterable[Chart]:
    """How the predictions of a matured snapshot turned out."""
    deciles = value_queries.value_deciles(connection, matured)
    if not deciles.empty:
        model, naive = (value_queries.capture_curve(connection, matured, predictor) for predictor in ("model", "naive"))
        yield value_figures.value_deciles(deciles, matured, run.currency, run.horizon_days)
        yield value_figures.capture_curve(model, naive, matured)
    reliability = risk_queries.reliability(connection, matured)
    if not reliability.empty:
        yield risk_figures.reliability(reliability, matured, run.horizon_days)
    for target in ("spend", "orders"):
        slices = confidence_queries.coverage(connection, matured, target, "segment", run.interval_level)
        if not slices.empty:
            yield confidence_figures.coverage(
                slices, slices["slice_value"].tolist(), f"{target} by segment", run.interval_level, matured
            )


def _confidence(connection: duckdb.DuckDBPyConnection, as_of: date, trend: pd.DataFrame) -> Iterable[str | Chart]:
    yield f"<h2>Confidence</h2><p>{escape(COLUMNS['confidence'].description)}</p>\n"
    yield confidence_figures.confidence_distribution(confidence_queries.confidence_distribution(connection, as_of))
    yield confidence_over_time(trend)
    abstentions = confidence_queries.abstentions(connection, as_of)
    if abstentions.empty:
        yield "<p>A prediction with its interval is offered for every customer.</p>\n"
    else:
        yield "<p>Where the data do not carry a prediction or its interval, none is offered:</p>\n"
        yield _table(
            ("Prediction", "Reason", "Customers"),
            [
                (row["target"], row["reason"], formats.integer(row["customer_count"]))
                for _, row in abstentions.iterrows()
            ],
            numeric=(2,),
        )


def _proof(connection: duckdb.DuckDBPyConnection, run: Run, as_of: date) -> Iterable[str | Chart]:
    """What experiments have shown; nothing where none was started."""
    experiments = experiments_at(connection, as_of)
    if experiments.empty:
        return
    yield f"<h2>Proof</h2><p>{escape(headline(experiments))}.</p>\n"
    for outcome in OUTCOMES:
        seen = experiments[(experiments["outcome_name"] == outcome) & experiments["effect"].notna()]
        if not seen.empty:
            yield proof_figures.effects_of_all(seen, outcome, run.currency)
    yield _table(
        ("Experiment", "Action", "Run", "Treated / left alone", "Verdict", "By which numbers"),
        [
            (
                row["experiment_id"],
                row["action"],
                state_of(row),
                f"{formats.integer(row['treated_count'])} / {formats.integer(row['control_count'])}",
                row["verdict"],
                reason_of(row),
            )
            for _, row in experiments.iterrows()
        ],
    )


def _data_quality(connection: duckdb.DuckDBPyConnection, run: Run) -> Iterable[str | Chart]:
    summary = check_summary(connection)
    yield (
        f"<h2>Data quality</h2><p>Of {formats.integer(run.raw_row_count)} source rows,"
        f" {formats.integer(run.validated_row_count)} were kept and {formats.integer(run.quarantined_row_count)} set"
        f" aside with their reasons. {formats.integer(summary['passed_check_count'].sum())} of"
        f" {formats.integer(summary['check_count'].sum())} checks passed.</p>\n"
    )
    reasons = quality_queries.quarantine_by_reason(connection)
    if not reasons.empty:
        yield quality_figures.quarantine_by_reason(reasons, run.currency)
    checks = quality_queries.checks(connection)
    failed = checks[~checks["is_passed"].astype(bool)]
    if not failed.empty:
        yield _table(
            ("Failed check", "Table", "Severity", "What was found"),
            [(row["check_name"], row["table_name"], row["severity"], row["observed"]) for _, row in failed.iterrows()],
        )
