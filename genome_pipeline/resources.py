"""What every asset is handed: the settings, the warehouse and the stored models."""

from __future__ import annotations

from dataclasses import dataclass

from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.artifacts import Artifacts
from genome_pipeline.warehouse.database import Warehouse


@dataclass(frozen=True)
class Pipeline:
    """The one resource of the code location."""

    settings: Settings
    warehouse: Warehouse
    artifacts: Artifacts

    @classmethod
    def of(cls, settings: Settings) -> Pipeline:
        """The pipeline that ``settings`` describe. Opens nothing."""
        return cls(
            settings,
            Warehouse(settings.warehouse_path, settings.results_hash, settings.identity),
            Artifacts(settings.artifacts_path),
        )
