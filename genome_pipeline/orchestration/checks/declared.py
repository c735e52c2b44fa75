"""Every check of the code location, and the gate that they make."""

from __future__ import annotations

from typing import Any

import dagster as dg

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.tables import TABLE_STAGES
from genome_pipeline.orchestration.checks.bridge import Check
from genome_pipeline.orchestration.checks.contract import contract_check
from genome_pipeline.orchestration.checks.drift import drift
from genome_pipeline.orchestration.checks.input import (
    covers_period,
    files_differ,
    files_remain,
    lines_in_bounds,
    names_as_written,
    no_long_silence,
    nothing_lost,
    returns_within_purchases,
    rows_counted,
)
from genome_pipeline.orchestration.checks.published import published_is_whole
from genome_pipeline.orchestration.checks.quality import (
    beats_naive,
    churn_is_calibrated,
    confidence_means_something,
    error_is_steady,
    forecast_is_offered,
    intervals_cover,
    neighbors_found,
)
from genome_pipeline.orchestration.checks.quarantine import quarantine_is_steady, quarantined_share
from genome_pipeline.orchestration.checks.segments import segments_hold, segments_last
from genome_pipeline.orchestration.checks.totals import total_is_plausible
from genome_pipeline.orchestration.checks.volume import missing_share, volume
from genome_pipeline.quality.gate import Gate


def declared_checks(
    partitions: dg.PartitionsDefinition[Any] | None,
) -> list[tuple[Check, dg.PartitionsDefinition[Any] | None]]:
    """Every check of the code location, with the partitions of its asset, where that has any."""
    contracts = [
        (contract_check(TABLES[name]), by_stage)
        for stage in TABLE_STAGES
        for by_stage in (partitions if stage.is_partitioned else None,)
        for name in stage.asset_names
        if name in TABLES
    ]
    whole = (rows_counted, files_differ, files_remain, names_as_written, published_is_whole)
    by_period = (
        nothing_lost,
        quarantined_share,
        quarantine_is_steady,
        covers_period,
        no_long_silence,
        lines_in_bounds,
        returns_within_purchases,
        volume,
        missing_share,
        drift,
        segments_hold,
        segments_last,
        forecast_is_offered,
        total_is_plausible,
        beats_naive,
        churn_is_calibrated,
        confidence_means_something,
        error_is_steady,
        intervals_cover,
        neighbors_found,
    )
    return [*contracts, *((check, None) for check in whole), *((check, partitions) for check in by_period)]


def gate() -> Gate:
    """What has to be so before anything is published: every blocking check of a table, and whole snapshots."""
    checks: dict[str, list[str]] = {}
    for check, _ in declared_checks(None):
        if check.is_blocking and check.asset in TABLES:
            checks.setdefault(check.asset, []).append(check.name)
    # Outcomes are of earlier snapshots: they may be put right without this one.
    snapshots = [name for name, table in TABLES.items() if table.slice_by == "as_of"]
    published_lines = [
        name for name, table in TABLES.items() if table.slice_by == "period_start_date" and table.is_published
    ]
    made_from = {
        name: [
            upstream
            for upstream, reads in stage.reads.items()
            if upstream in (*snapshots, *published_lines)
            and upstream not in stage.asset_names
            and reads.includes_own_period
        ]
        for stage in TABLE_STAGES
        for name in stage.asset_names
        if name in snapshots
    }
    return Gate(checks, made_from)


def build_checks(partitions: dg.PartitionsDefinition[Any]) -> list[dg.AssetChecksDefinition]:
    """Their Dagster definitions."""
    return [check.build(of_asset) for check, of_asset in declared_checks(partitions)]
