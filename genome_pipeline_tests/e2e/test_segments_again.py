"""Segments of a backfill, made again in any order: the same ids, names and events."""

import random
from datetime import date
from pathlib import Path

import pytest

from genome_pipeline.orchestration.assets.segments import segment_model, segments
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import (
    assert_same,
    materialise,
    measure,
    shop_config,
    tables,
    write_shop_log,
)

FIRST, LAST = date(2020, 1, 6), date(2020, 6, 15)
"""First days of the first and the last of 24 weeks."""


@pytest.mark.slow
def test_weeks_made_again_in_shuffled_order_give_the_same_segments(tmp_path: Path) -> None:
    write_shop_log(tmp_path / "log.csv")
    config = shop_config(tmp_path)
    weekly = config.read_text(encoding="utf-8").replace("start = 2020-01-01", f'period = "week"\nstart = {FIRST}')
    config.write_text(weekly.replace("end = 2020-08-01", "end = 2020-07-27"), encoding="utf-8")
    settings = load_settings(config)
    assert measure(settings, FIRST, LAST).success
    assert materialise(settings, (segment_model, segments), FIRST, LAST).success
    backfilled = tables(settings.warehouse_path)
    weeks = list(settings.time.periods(FIRST, LAST))
    assert len(weeks) == 24
    random.Random(5).shuffle(weeks)
    for week in weeks:
        assert materialise(settings, (segment_model, segments), week, week).success
    again = tables(settings.warehouse_path)
    assert_same(again, backfilled)
    assert again["customer_segments"]["segment_id"].nunique() > 1
    assert len(again["segment_events"]) > 0
