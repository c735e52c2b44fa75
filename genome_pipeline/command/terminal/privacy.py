"""The audit log, and forgotten customers."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_AUDIT_COLUMNS = ("at", "who", "address", "forwarded_for", "event")


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


def print_rows_to_forget(console: Console, facts: dict[str, Any]) -> None:
    """The rows that would be removed, from :func:`genome_pipeline.command.forgetting.rows_to_forget`."""
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
            f"{path} names them or may, and is left as it is: delete it, or write it again",
            highlight=False,
            markup=False,
        )


def print_forgotten(console: Console, facts: dict[str, Any]) -> None:
    """The rows that were removed, from :func:`genome_pipeline.command.forgetting.forget`."""
    rows = sum(sum(counts.values()) for counts in facts["files"].values())
    count = facts["log_text_count"]
    texts = f", {count:,} messages in Dagster's log changed" if count else ""
    console.print(
        f"{_customers(facts)} forgotten: {rows:,} rows removed{texts}. Not touched: the source, backups, and files and"
        " tables exported to other places.",
        highlight=False,
        soft_wrap=True,
    )
    _print_files_to_delete(console, facts)


def _customers(facts: dict[str, Any]) -> str:
    count = facts["customer_count"]
    return "1 customer" if count == 1 else f"{count:,} customers"
