"""The resource that every asset gets: the settings, the warehouse, the stored models and the engine."""

from __future__ import annotations

from dataclasses import dataclass

from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.artifacts import Artifacts
from genome_pipeline.warehouse.database import LOCK_WAIT_SECONDS, Warehouse
from genome_pipeline.warehouse.engine import Engine, engine_of

PIPELINE = "pipeline"
"""Name of the resource."""


@dataclass(frozen=True)
class Pipeline:
    """The one resource of the code location."""

    settings: Settings
    warehouse: Warehouse
    artifacts: Artifacts
    engine: Engine

    @classmethod
    def of(cls, settings: Settings, wait_seconds: float = LOCK_WAIT_SECONDS) -> Pipeline:
        """The pipeline for ``settings``; it waits up to ``wait_seconds`` for its warehouse. Nothing is opened yet."""
        return cls(
            settings,
            Warehouse(
                settings.warehouse_path,
                settings.results_hash,
                settings.identity,
                wait_seconds,
                settings.warehouse.memory_limit,
            ),
            Artifacts(settings.artifacts_path),
            engine_of(settings),
        )
