"""Dagster's instance as ``dagster.yaml`` names it: a run that somebody stopped stays stopped.

Dagster means it so, too, but for some moments: a run whose process dies, or cannot go on, while it is being stopped is
recorded as failed, and tried again; one that is stopped just before it starts, starts all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus

from genome_pipeline.orchestration.internals import (
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterExecutionInterruptedError,
    EventLogEntry,
    InstanceRef,
)

_STOPPED = (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED)
_NEWS = (DagsterEventType.RUN_STARTING, DagsterEventType.RUN_START, DagsterEventType.RUN_FAILURE)


class Instance(DagsterInstance):
    """As Dagster's, with other records of what becomes of a run after somebody has stopped it."""

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """Nothing is to be set."""
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, Any]:
        """Those of Dagster's own instance."""
        return InstanceRef.config_defaults(base_dir)

    def handle_new_event(
        self, event: EventLogEntry, *, batch_metadata: DagsterEventBatchMetadata | None = None
    ) -> None:
        """Record an event. Raises as if somebody stopped the run where a stopped one begins to work."""
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
