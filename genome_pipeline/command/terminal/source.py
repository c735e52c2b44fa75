"""The source before a run, and the rows set aside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from genome_pipeline.command.terminal.cells import clean


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


def print_inspection(console: Console, facts: dict[str, Any], target: Path, config_argument: str) -> None:
    """A source before a run, from :func:`~genome_pipeline.command.inspection.inspect_source`; ``target``: config."""
    names = facts["files"]
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
    layout = f" ({facts['layout']})" if facts["layout"] else ""
    console.print(Text(f"{len(names):,} source file{'s' if len(names) > 1 else ''}: {clean(listed)}{layout}", "bold"))

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
        console.print(Text(f"Not mapped: {clean(', '.join(facts['unmapped']))}", "dim"))

    if not facts["missing"]:
        _print_sample(console, facts)
    for warning in facts["warnings"]:
        console.print(Text.assemble(("! ", "yellow"), clean(warning)))
    if facts["config"] is not None:
        what = "Save this, filled in," if facts["missing"] else "Save this"
        console.print(
            Text(
                f"\n{what} as {target} (or say --write); `genome run{config_argument}` then takes it from there:\n",
                "bold",
            )
        )
        # Not wrapped to the width of the terminal, as it is meant to be copied.
        console.print(Text(facts["config"]), soft_wrap=True)
    else:
        console.print(Text(f"✓ ready: `genome run{config_argument}` takes it from here", "green"))


def _print_sample(console: Console, facts: dict[str, Any]) -> None:
    """The first rows, each as a column, so that they fit into a narrow terminal."""
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
    shown = clean(text)
    return shown if len(shown) <= length else shown[: length - 1] + "…"
