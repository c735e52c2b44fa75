"""Progress of a run, in a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

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
    "outlook_model": "Training further horizons",
    "customer_outlook": "Predicting every horizon",
    "customer_next_order": "Predicting next orders",
    "customer_lifetime_value": "Valuing later years",
    "totals": "Adding up forecasts",
    "cohorts_so_far": "Following cohorts",
    "taste": "Measuring taste",
    "next_category": "Finding next categories",
    "customer_drivers": "Explaining predictions",
    "similarity_index": "Indexing similarity",
    "customer_neighbors": "Finding similar customers",
    "matured_neighbors": "Asking what they did before",
    "customer_confidence": "Scoring confidence",
    "prediction_outcomes": "Comparing with outcomes",
    "model_performance": "Measuring performance",
    "outlook_performance": "Measuring the outlook",
    "experiment_record": "Reading experiments",
    "contacts": "Reading contacts",
    "experiment_results": "Looking at experiments",
    "rule_proofs": "Pooling experiments",
    "customer_actions": "Recommending actions",
    "action_audiences": "Summing up audiences",
    "customer_genome": "Assembling genomes",
    "published_genome": "Publishing",
    "genome_report": "Writing the report",
}


class StageProgress:
    """One line with its time per finished stage; in a terminal, the running stage is shown as well."""

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
        """Record that ``step`` has started, is done, has failed or was skipped."""
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
