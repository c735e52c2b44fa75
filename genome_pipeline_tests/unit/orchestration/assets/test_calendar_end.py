"""The calendar's end set to a day before snapshots that exist: what is left is what a new home has."""

from datetime import date
from pathlib import Path

import pytest

from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.staleness import Span, find_stale
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import assert_same, measure, shop, shop_config, tables


@pytest.mark.slow
def test_an_earlier_end_leaves_what_a_new_home_has(tmp_path: Path) -> None:
    config = shop(tmp_path)
    january, february, march = (date(2020, month, 1) for month in (1, 2, 3))
    assert measure(load_settings(config), january, march).success

    for home in ("home", "fresh"):
        text = shop_config(tmp_path, home=home).read_text(encoding="utf-8")
        (tmp_path / f"{home}.toml").write_text(text.replace("end = 2020-08-01", "end = 2020-03-01"), encoding="utf-8")
    shrunk, fresh = (load_settings(tmp_path / f"{home}.toml") for home in ("home", "fresh"))
    assert find_stale(Pipeline.of(shrunk), Span()).snapshots == [january, february]
    for settings in (shrunk, fresh):
        assert measure(settings, january, february).success
    found = tables(shrunk.warehouse_path)
    assert set(found["customer_features"].as_of.dt.date) == {february, march}
    assert_same(found, tables(fresh.warehouse_path))
