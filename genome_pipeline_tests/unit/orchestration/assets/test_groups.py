"""The groups of assets, which the UI draws as boxes: few, and in one direction."""

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

import pytest

from genome_pipeline.orchestration.assets.flow import STAGES
from genome_pipeline.orchestration.assets.stage import Stage

IN_ORDER = ["source", "customers", "forecast", "outcomes", "actions", "genome"]


def order_of_groups(stages: Iterable[Stage], regrouped: dict[str, str] | None = None) -> list[str]:
    """The groups, each after those it reads. Raises ``CycleError`` if two read each other."""
    group = {str(spec.key.path[-1]): str(spec.group_name) for stage in stages for spec in stage.specs}
    group |= regrouped or {}
    reads: dict[str, set[str]] = {name: set() for name in group.values()}
    for stage in stages:
        for name in stage.asset_names:
            reads[group[name]] |= {group[upstream] for upstream in stage.reads} - {group[name]}
    return list(TopologicalSorter(reads).static_order())


def test_there_are_six_groups_and_each_reads_those_before_it_alone() -> None:
    assert order_of_groups(STAGES) == IN_ORDER


def test_an_asset_in_a_group_before_those_it_reads_makes_a_cycle() -> None:
    with pytest.raises(CycleError):
        order_of_groups(STAGES, {"segment_profiles": "customers"})
