"""The summary that ends `genome run`."""

import io
from typing import Any

from rich.console import Console

from genome_pipeline.command.terminal.cells import facts_table
from genome_pipeline.command.terminal.summary import print_summary
from genome_pipeline.published.summary import summarise
from genome_pipeline.settings import Settings


def test_paths_are_shown_as_they_are_whatever_is_in_them(shop_run: Settings) -> None:
    facts: dict[str, Any] = {**summarise(shop_run), "snapshots_made": (), "seconds": 0.0}
    facts |= {"published_file": "O'Neill [new]/genome.duckdb", "report_file": "[red]/report.html"}
    shown = io.StringIO()
    print_summary(Console(file=shown, width=200), facts, " --config '[bold].toml'")
    assert "O'Neill [new]/genome.duckdb" in shown.getvalue()
    assert "[red]/report.html" in shown.getvalue()
    assert "genome ui --config '[bold].toml'" in shown.getvalue()


def test_what_has_not_happened_yet_is_a_dash() -> None:
    shown = io.StringIO()
    Console(file=shown, width=80).print(facts_table({"last_ingested_at": None}))
    assert shown.getvalue().split() == ["Last", "ingested", "at", "-"]
