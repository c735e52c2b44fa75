"""Segments build on those of the period before, of which Dagster is not told: they agree however a range is cut."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from genome_pipeline.definitions import build_definitions
from genome_pipeline.orchestration.assets.segments import segment_model, segments
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.support.pipelines import assert_same, materialise, measure, shop, shop_config, tables

MONTHS = [date(2020, month, 1) for month in range(1, 4)]
STAGES = (segment_model, segments)


def measured(config: Path) -> Settings:
    settings = load_settings(config)
    assert measure(settings, MONTHS[0], MONTHS[-1]).success
    return settings


@pytest.mark.slow
def test_one_range_singles_in_order_and_months_made_again_agree(tmp_path: Path) -> None:
    whole = measured(shop(tmp_path))
    assert materialise(whole, STAGES, MONTHS[0], MONTHS[-1]).success
    in_one_range = tables(whole.warehouse_path)
    assert in_one_range["customer_segments"]["segment_id"].nunique() > 1
    assert len(in_one_range["segment_migrations"]) > 0

    single = measured(shop_config(tmp_path, home="single"))
    for month in MONTHS:
        assert materialise(single, STAGES, month, month).success
    assert_same(tables(single.warehouse_path), in_one_range)
    for first, last in ((MONTHS[1], MONTHS[2]), (MONTHS[0], MONTHS[0])):
        assert materialise(single, STAGES, first, last).success
    assert_same(tables(single.warehouse_path), in_one_range)


def test_no_asset_depends_on_itself_so_that_a_range_is_one_run(tmp_path: Path) -> None:
    graph = build_definitions(load_settings(shop_config(tmp_path))).resolve_asset_graph()
    assert [key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).has_self_dependency] == []
    partitioned = [graph.get(key) for key in graph.get_all_asset_keys() if graph.get(key).is_partitioned]
    assert {node.backfill_policy for node in partitioned} == {dg.BackfillPolicy.single_run()}
