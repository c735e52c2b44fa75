"""A benchmark on the logs of the panel: chosen on the command line, measured log by log, kept where all were."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.panel.logs import ROWS, LogAbsent

RESULTS = Path(__file__).parents[1] / "results" / "accuracy"


def run(
    name: str,
    description: str | None,
    measure: Callable[[str], Iterable[dict[str, Any]]],
    summary: Callable[[list[dict[str, Any]]], str],
) -> None:
    """Print what is found on each log, and the summary; store both under ``name`` if all logs were measured."""
    logs = list(dict.fromkeys(row.log for row in ROWS))
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", nargs="+", choices=logs, default=logs)
    measure_each(name, parser.parse_args().logs, logs, measure, summary)


def measure_each(
    name: str,
    asked: list[str],
    known: list[str],
    measure: Callable[[str], Iterable[dict[str, Any]]],
    summary: Callable[[list[dict[str, Any]]], str],
    results: Path = RESULTS,
) -> None:
    """Print what is found on each of ``asked``, and the summary; store both if these are all ``known``."""
    found: list[dict[str, Any]] = []
    for one in asked:
        try:
            for row in measure(one):
                found.append(row)
                print(row, flush=True)
        except LogAbsent as reason:
            print(f"{one} skipped. {reason}", flush=True)
    if not found:
        return
    text = summary(found)
    print(text)
    if asked == known:
        results.mkdir(parents=True, exist_ok=True)
        (results / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (results / f"{name}.md").write_text(text, encoding="utf-8")
