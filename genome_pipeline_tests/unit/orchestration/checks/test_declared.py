"""Every check that is written is one of the code location, with the partitions of its asset."""

from __future__ import annotations

import importlib
import pkgutil

import dagster as dg

from genome_pipeline.orchestration import checks
from genome_pipeline.orchestration.checks.bridge import Check
from genome_pipeline.orchestration.checks.declared import declared_checks

MONTHS = dg.MonthlyPartitionsDefinition("2020-01-01")


def test_no_check_is_left_out() -> None:
    """A check that its module's ``CHECKS`` does not name would pass for ever."""
    modules = [
        importlib.import_module(f"{checks.__name__}.{module.name}") for module in pkgutil.iter_modules(checks.__path__)
    ]
    written = {found for module in modules for found in vars(module).values() if isinstance(found, Check)}
    assert len(written) > 20
    assert written - {check for check, _ in declared_checks(MONTHS)} == set()


def test_a_check_is_by_period_where_its_asset_is() -> None:
    partitions = {check.asset: of_asset for check, of_asset in declared_checks(MONTHS)}
    assert partitions["raw_transactions"] is None
    assert partitions["published_genome"] is None
    assert partitions["customer_activity"] is MONTHS
    assert partitions["model_performance"] is MONTHS
