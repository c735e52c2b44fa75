"""Asset checks, made from contracts, rules and Great Expectations suites."""

from __future__ import annotations

from typing import Any

import dagster as dg

from genome_pipeline.assets import STAGES
from genome_pipeline.checks.contract import contract_check
from genome_pipeline.checks.drift import drift
from genome_pipeline.checks.input import (
    covers_period,
    files_differ,
    lines_in_bounds,
    nothing_lost,
    returns_within_purchases,
    rows_counted,
)
from genome_pipeline.checks.published import published_is_whole
from genome_pipeline.checks.quality import (
    beats_naive,
    churn_is_calibrated,
    confidence_means_something,
    error_is_steady,
    intervals_cover,
    neighbors_found,
)
from genome_pipeline.checks.segments import segments_hold, segments_last
from genome_pipeline.checks.volume import missing_share, volume
from genome_pipeline.contracts.tables import TABLES


def build_checks(partitions: dg.PartitionsDefinition[Any]) -> list[dg.AssetChecksDefinition]:
    """Every check of the code location."""
    contracts = [
        contract_check(TABLES[name], by_stage).build(by_stage)
        for stage in STAGES
        for by_stage in (partitions if stage.is_partitioned else None,)
        for name in stage.asset_names
        if name in TABLES
    ]
    others = [
        rows_counted.build(None),
        files_differ.build(None),
        nothing_lost.build(partitions),
        covers_period.build(partitions),
        lines_in_bounds.build(partitions),
        returns_within_purchases.build(partitions),
        volume.build(partitions),
        missing_share.build(partitions),
        drift.build(partitions),
        segments_hold.build(partitions),
        segments_last.build(partitions),
        beats_naive.build(partitions),
        churn_is_calibrated.build(partitions),
        confidence_means_something.build(partitions),
        error_is_steady.build(partitions),
        intervals_cover.build(partitions),
        neighbors_found.build(partitions),
        published_is_whole.build(None),
    ]
    return [*contracts, *others]
