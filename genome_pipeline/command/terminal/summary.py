"""The summary of a run, and the state of the pipeline."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from genome_pipeline.command.terminal.cells import amount, facts_table, new_grid, number, percent
from genome_pipeline.contracts.metrics import METRICS

PREDICTIONS = {
    "churn_probability": "churn probability",
    "expected_spend": "expected spend",
    "expected_orders": "expected orders",
}


def print_summary(console: Console, facts: dict[str, Any], config_argument: str) -> None:
    """The summary of a run, from :func:`genome_pipeline.published.summary.summarise`."""
    done = _done(facts["snapshots_made"])
    note = " (provisional: the log does not reach the end of the period)" if facts["is_provisional"] else ""
    published = f"Published as of {facts['as_of']}{note}."
    console.print(f"\n[bold]{done}[/] in {facts['seconds']:.0f} s.\n{published}", highlight=False)
    console.print(_rows_and_totals(facts))
    console.print(_segments(facts["segments"]))
    if facts["quality"]:
        console.print(_quality(facts["quality"]))
    else:
        console.print("No snapshot has matured yet: predictions cannot be compared with outcomes.")
    for row in facts["abstentions"]:
        console.print(f"[yellow]Abstained[/] for {row['customers']:,} customers: {escape(row['reason'])}")
    _print_checks(console, facts)
    places = new_grid()
    places.add_row("Published file", escape(facts["published_file"]))
    places.add_row("Report", escape(facts["report_file"]))
    places.add_row("Dashboard", f"genome dashboard{escape(config_argument)}")
    places.add_row("Dagster UI", f"genome ui{escape(config_argument)}")
    console.print(places)


def _rows_and_totals(facts: dict[str, Any]) -> Table:
    currency, rows = facts["currency"], new_grid()
    rows.add_row("Rows in", f"{facts['raw_rows']:,}")
    rows.add_row("kept", f"{facts['validated_rows']:,}")
    rows.add_row("quarantined", f"{facts['quarantined_rows']:,}")
    if facts["pending_rows"]:
        rows.add_row("in periods not made", f"{facts['pending_rows']:,}")
    for row in facts["quarantine"]:
        rows.add_row(f"  {row['reason']}", f"{row['row_count']:,}")
    rows.add_row("Customers", f"{facts['customers']:,}")
    lower, upper = facts["expected_spend_interval"]
    interval = "" if lower is None else f", interval {amount(lower, currency)} to {amount(upper, currency)}"
    rows.add_row(
        f"Expected spend of today's customers, next {facts['horizon_days']} days",
        f"{amount(facts['expected_spend'], currency)}{interval}",
    )
    rows.add_row("Revenue at risk (medium or high)", amount(facts["revenue_at_risk"], currency))
    rows.add_row("Mean churn probability", percent(facts["churn_probability"]))
    rows.add_row("Mean confidence", number(facts["confidence"]))
    return rows


def _segments(found: list[dict[str, Any]]) -> Table:
    segments = Table("Segment", title="Segments", title_justify="left", box=None)
    for name in ("Customers", "Share", "Share of recent spend"):
        segments.add_column(name, justify="right")
    for row in found:
        shares = percent(row["customer_share"]), percent(row["spend_share"])
        segments.add_row(escape(row["segment_name"]), f"{row['customer_count']:,}", *shares)
    return segments


def _quality(found: list[dict[str, Any]]) -> Table:
    title = f"Predictions of {found[0]['as_of']}, whose horizon has passed, out of sample"
    quality = Table("Prediction", "Measure", title=title, title_justify="left", box=None)
    for name in ("Model", "Naive baseline"):
        quality.add_column(name, justify="right")
    for row in found:
        quality.add_row(row["target"], _metric(row["metric"]), number(row["model"]), number(row["naive"]))
    return quality


def _metric(name: str) -> str:
    metric = METRICS[name]
    return f"{metric.name} (higher is better)" if metric.lower_is_better is False else metric.name


def _print_checks(console: Console, facts: dict[str, Any]) -> None:
    passed, run = facts["checks"]["passed"], facts["checks"]["run"]
    checked = f"Checks passed: {passed:,} of {run:,}" if run else "Nothing was made again, so that nothing was checked."
    console.print(f"\n{checked}", highlight=False)
    if facts["forced_past"]:
        console.print(f"[red]Published by force[/], although {escape(facts['forced_past'])}", highlight=False)
    for row in facts["failed_checks"]:
        console.print(f"  [yellow]warning[/] {row['table_name']}: {escape(row['observed'])}", highlight=False)


def print_status(console: Console, facts: dict[str, Any]) -> None:
    """The state of the pipeline, from :func:`genome_pipeline.command.inspection.pipeline_status`."""
    console.print(facts_table(facts))


def _done(made: list[Any]) -> str:
    match made:
        case []:
            return "Everything is up to date"
        case [only]:
            return f"Made the snapshot of {only}"
        case [first, *_, last]:
            return f"Made {len(made)} snapshots, {first} to {last}"
    raise AssertionError
