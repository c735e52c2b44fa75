"""How results look in a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from genome_pipeline.contracts.metrics import METRICS

_AUDIT_COLUMNS = ("at", "who", "address", "forwarded_for", "event")
_LABELS = {
    "raw_transactions": "Reading the source",
    "validation": "Validating transactions",
    "customer_activity": "Summing up activity",
    "customer_features": "Measuring genomes",
    "gene_drift": "Measuring drift",
    "segment_model": "Finding segments",
    "segments": "Assigning segments",
    "segment_profiles": "Describing segments",
    "value_model": "Training value models",
    "customer_value": "Predicting value",
    "risk_model": "Training risk models",
    "customer_risk": "Predicting risk",
    "customer_drivers": "Explaining predictions",
    "similarity_index": "Indexing similarity",
    "customer_neighbors": "Finding similar customers",
    "matured_neighbors": "Asking what they did before",
    "customer_confidence": "Scoring confidence",
    "prediction_outcomes": "Comparing with outcomes",
    "model_performance": "Measuring performance",
    "customer_actions": "Recommending actions",
    "action_audiences": "Summing up audiences",
    "customer_genome": "Assembling genomes",
    "published_genome": "Publishing",
    "genome_report": "Writing the report",
}
_PREDICTIONS = {
    "churn_probability": "churn probability",
    "expected_spend": "expected spend",
    "expected_orders": "expected orders",
}


class StageProgress:
    """One line per stage as it ends, with its time; in a terminal, the running one is shown as well."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
        )
        self._started: dict[str, float] = {}
        self._running: Any = None

    def __enter__(self) -> StageProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def report(self, step: str, state: str) -> None:
        """Take note that ``step`` has started, is done, has failed or was skipped."""
        label = _LABELS.get(step, f"Checking {step}")
        if state == "started":
            self._started[step] = time.monotonic()
            self._running = self._live.add_task(label)
            return
        if self._running is not None:
            self._live.remove_task(self._running)
            self._running = None
        if step in _LABELS or state == "failed":
            seconds = time.monotonic() - self._started.get(step, time.monotonic())
            mark = {"done": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[yellow]-[/]"}[state]
            self._live.console.print(f"{mark} {label:<28} {seconds:6.1f} s", highlight=False)


def print_summary(console: Console, facts: dict[str, Any], config_argument: str) -> None:
    """The summary of a run, from :func:`genome_pipeline.published.summary.summarise`."""
    done = _done(facts["snapshots_made"])
    currency = facts["currency"]
    note = " (provisional: the log does not reach the end of the period)" if facts["is_provisional"] else ""
    published = f"Published as of {facts['as_of']}{note}."
    console.print(f"\n[bold]{done}[/] in {facts['seconds']:.0f} s.\n{published}", highlight=False)

    rows = _grid()
    rows.add_row("Rows in", f"{facts['raw_rows']:,}")
    rows.add_row("kept", f"{facts['validated_rows']:,}")
    rows.add_row("quarantined", f"{facts['quarantined_rows']:,}")
    if facts["pending_rows"]:
        rows.add_row("in periods not made", f"{facts['pending_rows']:,}")
    for row in facts["quarantine"]:
        rows.add_row(f"  {row['reason']}", f"{row['row_count']:,}")
    rows.add_row("Customers", f"{facts['customers']:,}")
    rows.add_row(f"Expected spend, next {facts['horizon_days']} days", _amount(facts["expected_spend"], currency))
    rows.add_row("Revenue at risk (medium or high)", _amount(facts["revenue_at_risk"], currency))
    rows.add_row("Mean churn probability", _percent(facts["churn_probability"]))
    rows.add_row("Mean confidence", _number(facts["confidence"]))
    console.print(rows)

    segments = Table("Segment", title="Segments", title_justify="left", box=None)
    for name in ("Customers", "Share", "Share of recent spend"):
        segments.add_column(name, justify="right")
    for row in facts["segments"]:
        segments.add_row(
            escape(row["segment_name"]),
            f"{row['customer_count']:,}",
            _percent(row["customer_share"]),
            _percent(row["spend_share"]),
        )
    console.print(segments)

    if facts["quality"]:
        matured = facts["quality"][0]["as_of"]
        quality = Table(
            "Prediction",
            "Measure",
            title=f"Predictions of {matured}, whose horizon has passed, out of sample",
            title_justify="left",
            box=None,
        )
        for name in ("Model", "Naive baseline"):
            quality.add_column(name, justify="right")
        for row in facts["quality"]:
            quality.add_row(row["target"], _metric_words(row["metric"]), _number(row["model"]), _number(row["naive"]))
        console.print(quality)
    else:
        console.print("No snapshot has matured yet: predictions cannot be compared with outcomes.")
    for row in facts["abstentions"]:
        console.print(f"[yellow]Abstained[/] for {row['customers']:,} customers: {escape(row['reason'])}")

    passed, run = facts["checks"]["passed"], facts["checks"]["run"]
    checked = f"Checks passed: {passed:,} of {run:,}" if run else "Nothing was made again, so that nothing was checked."
    console.print(f"\n{checked}", highlight=False)
    if facts["forced_past"]:
        console.print(f"[red]Published by force[/], although {escape(facts['forced_past'])}", highlight=False)
    for row in facts["failed_checks"]:
        console.print(f"  [yellow]warning[/] {row['table_name']}: {escape(row['observed'])}", highlight=False)
    places = _grid()
    places.add_row("Published file", escape(facts["published_file"]))
    places.add_row("Report", escape(facts["report_file"]))
    places.add_row("Dashboard", f"genome dashboard{escape(config_argument)}")
    places.add_row("Dagster UI", f"genome ui{escape(config_argument)}")
    console.print(places)


def print_status(console: Console, facts: dict[str, Any]) -> None:
    """The state of the pipeline, from :func:`genome_pipeline.command.inspection.pipeline_status`."""
    console.print(_facts(facts))


def print_quarantine(console: Console, facts: dict[str, Any]) -> None:
    """The rows set aside, from :func:`genome_pipeline.command.quarantine.quarantine_summary`."""
    console.print(f"{facts['quarantined_rows']:,} source rows are quarantined.", highlight=False)
    if not facts["reasons"]:
        return
    amount = f"Amount, {facts['currency']}" if facts["currency"] else "Amount"
    table = Table("Reason", "Meaning", box=None)
    for name in ("Rows", amount, "From", "To"):
        table.add_column(name, justify="right")
    for row in facts["reasons"]:
        table.add_row(
            row["reason"],
            escape(row["description"]),
            f"{row['row_count']:,}",
            "unknown" if row["amount"] is None else f"{row['amount']:,.2f}",
            str(row["first_period"] or "undated"),
            str(row["last_period"] or "undated"),
        )
    console.print(table)
    console.print(
        "A row with two reasons counts under both. `genome quarantine --to rows.csv` writes them out; repair them in"
        " their source files, and the next run takes them in.",
        highlight=False,
    )


def print_audit(console: Console, facts: dict[str, Any], limit: int | None) -> None:
    """The audit log, of :func:`~genome_pipeline.dashboard.audit.audit_entries`: all, or the last ``limit`` entries."""
    entries = facts["entries"]
    shown = entries[-limit:] if limit else entries
    console.print(f"{len(entries):,} entries in {facts['folder']}", markup=False, highlight=False)
    if len(shown) < len(entries):
        console.print(f"The last {len(shown)}; --since DATE shows more.")
    if not shown:
        return
    table = Table("At (UTC)", "Who", "From", "What", "About", box=None)
    for entry in shown:
        about = {name: value for name, value in entry.items() if name not in _AUDIT_COLUMNS}
        table.add_row(
            *(escape(str(entry.get(name, ""))) for name in ("at", "who")),
            escape(" for ".join(str(entry[name]) for name in ("address", "forwarded_for") if name in entry)),
            *(
                escape(text)
                for text in (entry["event"], ", ".join(f"{name} {_in_words(about[name])}" for name in about))
            ),
        )
    console.print(table)


def _in_words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def print_inspection(console: Console, facts: dict[str, Any], target: Path, config_argument: str) -> None:
    """What a run would meet, of :func:`~genome_pipeline.command.inspection.inspect_source`; ``target`` its config."""
    names = facts["files"]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    layout = f" ({facts['layout']})" if facts["layout"] else ""
    console.print(Text(f"{len(names):,} source file{'s' if len(names) > 1 else ''}: {_clean(listed)}{layout}", "bold"))

    mapping = Table(box=None, pad_edge=False)
    has_guesses = any(row["guessed_by"] for row in facts["columns"])
    for title in ("Ours", "In the file", "Type", *(["Guessed by"] if has_guesses else [])):
        mapping.add_column(title, no_wrap=True)
    mapping.add_column("First values", overflow="fold")
    for row in facts["columns"]:
        guess = [Text(row["guessed_by"] or "", "yellow")] if has_guesses else []
        examples = Text(_short(", ".join(row["examples"]), 40))
        mapping.add_row(row["ours"], Text(_short(row["theirs"], 24)), row["type"], *guess, examples)
    console.print(mapping)
    if facts["unmapped"]:
        console.print(Text(f"Not mapped: {_clean(', '.join(facts['unmapped']))}", "dim"))

    if not facts["missing"]:
        _print_sample(console, facts)
    for warning in facts["warnings"]:
        console.print(Text.assemble(("! ", "yellow"), _clean(warning)))
    if facts["config"] is not None:
        what = "Save this, filled in," if facts["missing"] else "Save this"
        console.print(Text(f"\n{what} as {target}; `genome run{config_argument}` then takes it from there:\n", "bold"))
        # As it is, whatever the width of the terminal: it is to be copied.
        console.print(Text(facts["config"]), soft_wrap=True)
    else:
        console.print(Text(f"✓ ready: `genome run{config_argument}` takes it from here", "green"))


def _print_sample(console: Console, facts: dict[str, Any]) -> None:
    """The first rows, each a column of its own: so that they fit into a narrow terminal."""
    rows = facts["first_rows"]
    table = Table(box=None, pad_edge=False)
    table.add_column("As read", no_wrap=True)
    for number in range(1, len(rows) + 1):
        table.add_column(f"row {number}", overflow="fold")
    for name in rows[0] if rows else ():
        if name != "reasons":
            table.add_row(name, *(Text("-" if row[name] is None else _short(str(row[name]), 36)) for row in rows))
    if any(row["reasons"] for row in rows):
        table.add_row("quarantined", *(Text("\n".join(row["reasons"]), "yellow") for row in rows))
    console.print(table)
    scope = f" of the first {facts['dated_rows']:,} rows" if facts["is_dated_in_part"] else ""
    console.print(
        f"Dates{scope} from {facts['first_ordered_at']} to {facts['last_ordered_at']}. Of the first"
        f" {facts['sample_rows']:,} rows, {facts['quarantined_rows']:,} would be quarantined.",
        highlight=False,
    )
    reasons = Table("Quarantined", "Rows", "First such row", box=None, pad_edge=False)
    reasons.columns[1].justify = "right"
    for row in facts["quarantine"]:
        example = row["example"]
        values = ", ".join(f"{name} = {_quoted(value)}" for name, value in example["values"].items())
        reasons.add_row(
            row["reason"], f"{row['row_count']:,}", Text(f"row {example['source_row']:,}: {_short(values, 80)}")
        )
    if facts["quarantine"]:
        console.print(reasons)


def _quoted(value: Any) -> str:
    return "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)


def _short(text: str, length: int) -> str:
    clean = _clean(text)
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def _clean(text: str) -> str:
    """The text without what would command the terminal."""
    return "".join(mark if mark.isprintable() else " " if mark.isspace() else "\ufffd" for mark in text)


def print_card(console: Console, card: dict[str, Any]) -> None:
    """One customer's genome, from :func:`genome_pipeline.published.summary.customer_card`."""
    genome, currency = card["genome"], card["currency"]
    horizon = f"next {card['horizon_days']} days"
    console.print(
        f"\n[bold]Customer {escape(genome['customer_id'])}[/] as of {genome['as_of']}: {escape(genome['segment_name'])}"
        f" ({_percent(genome['membership_probability'])} sure)",
        highlight=False,
    )
    rows = _grid()
    rows.add_row(f"Expected spend, {horizon}", _interval(genome, "expected_spend", lambda v: _amount(v, currency)))
    rows.add_row(f"Expected orders, {horizon}", _interval(genome, "expected_orders", _number))
    if genome["value_abstain_reason"]:
        rows.add_row("", f"[yellow]{escape(genome['value_abstain_reason'])}[/]")
    rows.add_row(f"Churn probability, {horizon}", _interval(genome, "churn_probability", _percent))
    if genome["risk_abstain_reason"]:
        rows.add_row("", f"[yellow]{escape(genome['risk_abstain_reason'])}[/]")
    parts = ", ".join(f"{name} {_number(genome[f'{name}_confidence'])}" for name in ("churn", "orders", "spend"))
    rows.add_row("Confidence", f"{_number(genome['confidence'])} ({parts})")
    rows.add_row("Action", f"{escape(genome['action'])}: {escape(genome['action_reason'])}")
    rows.add_row(
        "Orders",
        f"{genome['order_count']:,}, first {genome['first_order_date']}, last"
        f" {genome['last_order_date']} ({genome['days_since_last_order']} days ago)",
    )
    rows.add_row("Days between orders", _number(genome["order_gap_mean_days"]))
    rows.add_row("Spend so far", _amount(genome["spend_amount"], currency))
    rows.add_row("Average order", _amount(genome["average_order_value_amount"], currency))
    console.print(rows)
    for prediction, name in _PREDICTIONS.items():
        drivers = [row for row in card["drivers"] if row["prediction"] == prediction]
        if drivers:
            unit = f" {currency}" if prediction == "expected_spend" and currency else ""
            console.print(_reasons(f"Why {name}", drivers, unit))
    neighbors = Table("Similar customers", "Similarity", "Alike in", box=None)
    for row in card["neighbors"][:5]:
        neighbors.add_row(escape(row["neighbor_customer_id"]), f"{row['similarity']:.2f}", escape(row["shared_traits"]))
    console.print(neighbors)


def print_similar(console: Console, facts: dict[str, Any]) -> None:
    """Whom a customer resembles, from :func:`genome_pipeline.published.similar.similar_customers`."""
    currency, estimate = facts["currency"], facts["estimate"]
    who = escape(facts["customer_id"])
    now = Table("Rank", "Customer", "Similarity", "Segment", "Alike in", "Differs by", box=None, title_justify="left")
    now.title = f"Customers like {who} as of {facts['as_of']}"
    for row in facts["neighbors"]:
        now.add_row(*_neighbor(row), escape(row["segment_name"]), escape(row["shared_traits"]), row["different_traits"])
    console.print(now)
    if not facts["matured_neighbors"]:
        console.print(f"[yellow]{escape(estimate['abstain_reason'] or '')}[/]")
        return
    before = Table("Rank", "Customer", "Similarity", "Orders", "Spent", "Alike in", box=None, title_justify="left")
    before.title = (
        f"Customers who were so at {facts['matured_neighbors'][0]['neighbor_as_of']}, and what they did in the"
        f" {facts['horizon_days']} days after"
    )
    for row in facts["matured_neighbors"]:
        did = ("none: stopped", "-") if row["has_churned"] else (_number(row["actual_orders"]), None)
        spent = did[1] or _amount(None if row["actual_spend"] is None else float(row["actual_spend"]), currency)
        before.add_row(*_neighbor(row), did[0], spent, escape(row["shared_traits"]))
    console.print(before)
    opinions = Table("Within the horizon", f"Mean of {estimate['neighbor_count']} such customers", "Model", box=None)
    opinions.add_row(
        "Spend", _amount(estimate["neighbor_expected_spend"], currency), _amount(estimate["expected_spend"], currency)
    )
    opinions.add_row("Orders", _number(estimate["neighbor_expected_orders"]), _number(estimate["expected_orders"]))
    opinions.add_row(
        "Stopped", _percent(estimate["neighbor_churn_probability"]), _percent(estimate["churn_probability"])
    )
    console.print(opinions)


def _neighbor(row: dict[str, Any]) -> tuple[str, str, str]:
    return str(row["neighbor_rank"]), escape(row["neighbor_customer_id"]), f"{row['similarity']:.3f}"


def print_lookalikes(console: Console, facts: dict[str, Any]) -> None:
    """Who is nearest to a group, from :func:`genome_pipeline.published.similar.lookalikes`."""
    table = Table("Rank", "Customer", "Similarity", "Alike in", "Differs by", box=None, title_justify="left")
    table.title = f"Customers nearest to the group of {facts['group_size']:,} as of {facts['as_of']}"
    for rank, row in enumerate(facts["lookalikes"], start=1):
        traits = (escape(row["shared_traits"]), escape(row["different_traits"]))
        table.add_row(str(rank), escape(row["customer_id"]), f"{row['similarity']:.3f}", *traits)
    console.print(table)


def print_audiences(console: Console, facts: dict[str, Any]) -> None:
    """The playbook's audiences, from :func:`genome_pipeline.published.audience.audience_summary`."""
    table = Table(box=None, title=f"Audiences as of {facts['as_of']}", title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("Rule", no_wrap=True)
    stake = f"At stake, {facts['currency']}"
    for name in ("Customers", "To review", stake, "Confidence", "Left before", "Lift", "That season"):
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in facts["audiences"]:
        stake, lift = row["revenue_at_stake_amount"], row["churn_lift_ratio"]
        table.add_row(
            row["action_rule"],
            f"{row['customer_count']:,}",
            f"{row['review_customer_count']:,}",
            "-" if stake is None else f"{stake:,.0f}",
            _percent(row["mean_confidence"]),
            _percent(row["actual_churn_share"]),
            "-" if lift is None else f"{lift:.2f}",
            _percent(row["concurrent_churn_share"]),
        )
    console.print(table)
    average = next((row["average_churn_share"] for row in facts["audiences"] if row["average_churn_share"]), None)
    console.print(
        "Left before: of the customers whom the rule picked at the snapshots that have matured, those who bought"
        f" nothing in the horizon. Lift: that over the average of all customers, {_percent(average)}. That season: the"
        " average, weighted by when the rule picked. `genome audience RULE --to FILE` writes an audience out.",
        highlight=False,
    )


def _reasons(title: str, drivers: Sequence[dict[str, Any]], unit: str) -> Table:
    """What adds up to a prediction, from the average customer's on, and how much of it is new."""
    table = Table(title, box=None)
    table.add_column("Adds", justify="right")
    has_changes = drivers[0]["contribution_change"] is not None
    if has_changes:
        table.add_column("Since last snapshot", justify="right")
    # Without the minus of what rounds to nothing.
    form = "z,.2f" if unit else "z,.3f"
    average, *others = drivers
    table.add_row(escape(average["explanation"]), f"{average['contribution']:{form}}{unit}")
    for row in others:
        amounts = [row["contribution"], *([row["contribution_change"]] if has_changes else [])]
        table.add_row(escape(row["explanation"]), *(f"{amount:+{form}}{unit}" for amount in amounts))
    total = f"{sum(row['contribution'] for row in drivers):{form}}{unit}"
    change = [f"{sum(row['contribution_change'] for row in drivers):+{form}}{unit}"] if has_changes else []
    table.add_row("this customer", total, *change, style="bold")
    return table


def _done(made: list[Any]) -> str:
    match made:
        case []:
            return "Everything is up to date"
        case [only]:
            return f"Made the snapshot of {only}"
        case [first, *_, last]:
            return f"Made {len(made)} snapshots, {first} to {last}"
    raise AssertionError


def _grid() -> Table:
    grid = Table(show_header=False, box=None, pad_edge=False)
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    return grid


def _facts(facts: dict[str, Any]) -> Table:
    grid = _grid()
    for name, value in facts.items():
        text = "\n".join(map(_text, value)) if isinstance(value, list) else _text(value)
        grid.add_row(name.replace("_", " ").capitalize(), escape(text))
    return grid


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _interval(genome: dict[str, Any], name: str, form: Any) -> str:
    point, lower, upper = (genome[key] for key in (name, f"{name}_lower", f"{name}_upper"))
    if point is None:
        return "-"
    return form(point) if lower is None else f"{form(point)}  ({form(lower)} to {form(upper)})"


def _amount(value: float | None, currency: str) -> str:
    return "-" if value is None else f"{value:,.2f} {currency}".strip()


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _metric_words(name: str) -> str:
    metric = METRICS[name]
    return f"{metric.name} (higher is better)" if metric.lower_is_better is False else metric.name


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def print_rows_to_forget(console: Console, facts: dict[str, Any]) -> None:
    """What would be removed, from :func:`genome_pipeline.command.forgetting.rows_to_forget`."""
    table = Table("File", "Table", box=None, title=f"{_customers(facts)} in:", title_justify="left")
    table.add_column("Rows", justify="right")
    for file, rows in facts["files"].items():
        for name, count in rows.items():
            table.add_row(file, name, f"{count:,}")
    console.print(table)
    _print_files_to_delete(console, facts)


def _print_files_to_delete(console: Console, facts: dict[str, Any]) -> None:
    for path in facts["files_to_delete"]:
        console.print(
            f"{path} names them, and is left as it is: delete it, or write it again", highlight=False, markup=False
        )


def print_forgotten(console: Console, facts: dict[str, Any]) -> None:
    """What was removed, from :func:`genome_pipeline.command.forgetting.forget`."""
    rows = sum(sum(counts.values()) for counts in facts["files"].values())
    texts = f" and {facts['log_text_count']:,} messages in Dagster's log" if facts["log_text_count"] else ""
    console.print(
        f"{_customers(facts)} forgotten: {rows:,} rows{texts}. Not touched: the source, backups, and files and tables"
        " exported to other places.",
        highlight=False,
        soft_wrap=True,
    )
    _print_files_to_delete(console, facts)


def _customers(facts: dict[str, Any]) -> str:
    count = facts["customer_count"]
    return "1 customer" if count == 1 else f"{count:,} customers"
