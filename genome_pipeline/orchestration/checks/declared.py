"""Every check of the code location, and the publication gate made from them."""

from __future__ import annotations

from typing import Any

import dagster as dg

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.tables import TABLE_STAGES
from genome_pipeline.orchestration.checks import (
    contacts,
    drift,
    experiments,
    input,
    performance,
    published,
    quarantine,
    segments,
    totals,
    volume,
)
from genome_pipeline.orchestration.checks.bridge import Check
from genome_pipeline.orchestration.checks.contract import contract_check
from genome_pipeline.orchestration.place import Place
from genome_pipeline.quality.gate import Gate

_CHECKS = (
    *input.CHECKS,
    *contacts.CHECKS,
    *quarantine.CHECKS,
    *volume.CHECKS,
    *drift.CHECKS,
    *segments.CHECKS,
    *totals.CHECKS,
    *performance.CHECKS,
    *experiments.CHECKS,
    *published.CHECKS,
)
"""Checks other than the contract checks, which every table has."""


def declared_checks(
    partitions: dg.PartitionsDefinition[Any] | None,
) -> list[tuple[Check, dg.PartitionsDefinition[Any] | None]]:
    """Every check of the code location, with the partitions of its asset, if it has any."""
    partitioned = {name for stage in TABLE_STAGES if stage.is_partitioned for name in stage.asset_names}
    contracts = [contract_check(TABLES[name]) for stage in TABLE_STAGES for name in stage.asset_names if name in TABLES]
    return [(check, partitions if check.asset in partitioned else None) for check in (*contracts, *_CHECKS)]


def gate() -> Gate:
    """The conditions of a publication: every blocking check of a table has passed, and snapshots are complete."""
    checks: dict[str, list[str]] = {}
    for check, _ in declared_checks(None):
        if check.is_blocking and check.asset in TABLES:
            checks.setdefault(check.asset, []).append(check.name)
    # Outcomes are about earlier snapshots and may be corrected without this one.
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


def build_checks(partitions: dg.PartitionsDefinition[Any], place: Place) -> list[dg.AssetChecksDefinition]:
    """The Dagster definitions of all checks at a place."""
    return [check.build(of_asset, place) for check, of_asset in declared_checks(partitions)]
