"""The whole flow: the stages that write tables, and those that publish them."""

from __future__ import annotations

from genome_pipeline.orchestration.assets.publishing import published_genome
from genome_pipeline.orchestration.assets.report import genome_report
from genome_pipeline.orchestration.assets.stage import Stage
from genome_pipeline.orchestration.assets.tables import LINE_STAGES, SNAPSHOT_TABLE_STAGES, TABLE_STAGES

PUBLISHING_STAGES: tuple[Stage, ...] = (published_genome, genome_report)
"""The stages that publish what the others made."""

SNAPSHOT_STAGES: tuple[Stage, ...] = (*SNAPSHOT_TABLE_STAGES, *PUBLISHING_STAGES)
"""The stages in which a period also needs earlier periods, and the stages that need all periods."""

STAGES: tuple[Stage, ...] = (*TABLE_STAGES, *PUBLISHING_STAGES)
"""The flow, in the order of the data."""

__all__ = ["LINE_STAGES", "PUBLISHING_STAGES", "SNAPSHOT_STAGES", "STAGES"]
