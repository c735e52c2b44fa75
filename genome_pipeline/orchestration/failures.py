"""Why a run of Dagster failed, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg
from dagster import DagsterEvent, DagsterEventType

from genome_pipeline.errors import ConfigError, RunFailed
from genome_pipeline.orchestration.assets.stage import REFUSED


def sendable(error: Exception) -> str:
    """The part of an error that may leave the machine: its sentence, or the type of an unexpected error."""
    match error:
        case RunFailed():
            return error.sentence
        case ConfigError():
            return str(error)
        case _:
            return f"it stopped unexpectedly ({type(error).__name__})"


def first_cause(events: Iterable[DagsterEvent]) -> Exception:
    """The first cause of a failed run, as the exception to raise."""
    failed_checks: dict[tuple[str, str], str] = {}
    for event in events:
        if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR:
                # A run over a range records an evaluation per period and, last, one for the whole range.
                asset = evaluation.asset_key.to_user_string()
                failed_checks[asset, evaluation.check_name] = (
                    f"check {evaluation.check_name} of {asset} failed: {evaluation.description}"
                )
        elif event.event_type is DagsterEventType.STEP_FAILURE and not failed_checks:
            data = event.step_failure_data
            failure = data.user_failure_data
            if failure is not None and failure.description:
                return (RunFailed if REFUSED in failure.metadata else ConfigError)(failure.description)
            error = data.error
            cause = error.cause if error and error.cause else error
            return RunFailed(
                f"step {event.step_key} stopped unexpectedly", cause.message.strip() if cause else "no reason given"
            )
    return RunFailed("; ".join(failed_checks.values()) or "the run stopped; `genome ui` shows its log")
