"""The class of Dagster's instance named in ``dagster.yaml``: runs are recorded fast, and one that was stopped stays so.

Dagster intends the latter, too, with two exceptions. If a run's process dies or fails while the run is being stopped,
the run is recorded as failed and tried again. A run that is stopped just before it starts is started nevertheless.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus

from genome_pipeline.orchestration.internals import (
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterExecutionInterruptedError,
    EventLogEntry,
    InstanceRef,
    make_new_run_id,
    open_event_logs,
)

_STOPPED = (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED)
_NEWS = (DagsterEventType.RUN_STARTING, DagsterEventType.RUN_START, DagsterEventType.RUN_FAILURE)


class Instance(DagsterInstance):
    """Dagster's instance, except for how it records new runs, and events of a run after somebody has stopped it."""

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """An empty schema: there is nothing to configure."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """The defaults of Dagster's own instance."""
        return InstanceRef.config_defaults(base_dir)

    def create_run(self, *, run_id: str | None, **others: Any) -> DagsterRun:
        """Record a new run, with an event for each asset and period that it is to make: hundreds for a year."""
        run_id = run_id or make_new_run_id()
        with open_event_logs(self, run_id):
            return super().create_run(run_id=run_id, **others)

    def handle_new_event(
        self, event: EventLogEntry, *, batch_metadata: DagsterEventBatchMetadata | None = None
    ) -> None:
        """Record an event. When a stopped run begins to work, raises as if somebody stopped it then."""
        if event.dagster_event is not None and event.dagster_event.event_type in _NEWS:
            run = self.get_run_by_id(event.run_id)
            if run is not None and run.status in _STOPPED:
                self._handle_news_of_stopped(event, event.dagster_event)
                return
        super().handle_new_event(event, batch_metadata=batch_metadata)

    def _handle_news_of_stopped(self, event: EventLogEntry, news: DagsterEvent) -> None:
        if news.event_type is DagsterEventType.RUN_START:
            raise DagsterExecutionInterruptedError
        if news.event_type is DagsterEventType.RUN_FAILURE:
            canceled = DagsterEvent(DagsterEventType.RUN_CANCELED.value, news.job_name, message=news.message)
            super().handle_new_event(event._replace(dagster_event=canceled))
