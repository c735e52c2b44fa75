"""Verdicts in words, each with its numbers."""

from __future__ import annotations

from genome_pipeline.models.experiments.pooling import Pooled
from genome_pipeline.models.experiments.sequential import Verdict, VerdictName


def of_run(verdict: Verdict, outcome: str, currency: str) -> str:
    """What one experiment has shown, in one sentence.

    Args:
        verdict: after the looks so far, at least one.
        outcome: "orders" or "spend".
        currency: code to write after amounts; may be empty.
    """
    look = verdict.looks[-1 if verdict.decided_at is None else verdict.decided_at]
    said = f"{verdict.name}: {_effect(look.estimate, look.lower, look.upper, outcome, currency)}"
    if verdict.name is not VerdictName.NOT_PROVEN_YET:
        return said
    if verdict.remaining_share > 0:
        return f"{said}; {verdict.remaining_share:.0%} of the run is still to come"
    if verdict.reason:
        return f"{said}; {verdict.reason}"
    if verdict.more_customers is not None:
        return f"{said}; {verdict.more_customers:,} more customers would show the wished lift"
    return f"{said}; the run is over"


def of_rule(runs: Pooled, outcome: str, currency: str) -> str:
    """What all runs of a rule have shown together, in one sentence; arguments are as in :func:`of_run`."""
    count = "1 run" if runs.run_count == 1 else f"{runs.run_count} runs"
    return f"{runs.verdict}: {_effect(runs.estimate, runs.lower, runs.upper, outcome, currency)}, {count}"


def _effect(estimate: float, lower: float, upper: float, outcome: str, currency: str) -> str:
    if outcome == "orders":
        return f"{100 * estimate:+.2f} orders per 100 customers ({100 * lower:.2f} to {100 * upper:.2f})"
    unit = f" {currency}" if currency else ""
    return f"{estimate:+,.2f}{unit} of spend per customer ({lower:,.2f} to {upper:,.2f})"
