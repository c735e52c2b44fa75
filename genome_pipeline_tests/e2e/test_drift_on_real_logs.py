"""Drift and volume on two real logs: silent on steady months, and what they say of a Christmas trade."""

import os
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from genome_pipeline.definitions import build_definitions
from genome_pipeline.instance import prepare_home
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.e2e.test_real_logs import ONLINE_RETAIL, complete_journey, needs_online_retail
from genome_pipeline_tests.pipelines import EXAMPLES

MEASURED = (
    "raw_transactions",
    "validated_transactions",
    "quarantined_transactions",
    "customer_activity",
    "customer_features",
    "gene_drift",
)


def measure(name: str, home: Path, source: Path) -> Settings:
    """Run an example up to ``gene_drift``, over its whole calendar."""
    os.environ |= {"GENOME_HOME": str(home), "GENOME_SOURCE__PATH": str(source)}
    settings = load_settings(EXAMPLES / name)
    prepare_home(settings)
    calendar = settings.time
    assert calendar.end is not None
    result = (
        build_definitions(settings)
        .resolve_job_def("refresh")
        .execute_in_process(
            tags={
                "dagster/asset_partition_range_start": str(calendar.start),
                "dagster/asset_partition_range_end": str(calendar.period_start(calendar.end)),
            },
            asset_selection=[dg.AssetKey(asset) for asset in MEASURED],
        )
    )
    assert result.success
    return settings


def drifted(settings: Settings) -> dict[tuple[str, str], set[str]]:
    """Genes that drifted, by date of the snapshot and baseline."""
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        rows = connection.execute(
            "SELECT as_of::VARCHAR, baseline, list(gene) FROM gene_drift WHERE has_drifted GROUP BY ALL"
        ).fetchall()
    return {(as_of, baseline): set(genes) for as_of, baseline, genes in rows}


def failed(settings: Settings, check: str) -> dict[str, str]:
    """What the checks of that name said where they failed, by name."""
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        return dict(
            connection.execute(
                "SELECT check_name, observed FROM data_quality WHERE check_name LIKE ? AND NOT is_passed ORDER BY 1",
                [f"{check}%"],
            ).fetchall()
        )
