"""The Overview page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from genome_pipeline.dashboard.pages.overview.page import year_before
from genome_pipeline_tests.support.published_file import SNAPSHOTS
from genome_pipeline_tests.support.shown import show


def test_a_year_before_is_the_same_day_or_the_same_week() -> None:
    def found(*days: str) -> object:
        row = year_before(pd.DataFrame({"as_of": pd.to_datetime(list(days))}))
        return None if row is None else row["as_of"].date().isoformat()

    assert found("2016-12-01", "2017-01-01", "2017-02-01", "2018-01-01") == "2017-01-01"
    assert found("2017-01-02", "2017-01-09", "2018-01-08") == "2017-01-02"
    assert found("2017-02-01", "2018-01-01") is None
    assert found("2018-01-01") is None


def test_overview_says_what_moved(published_path: Path) -> None:
    page, _ = show(published_path, "/")
    for text in ("What moved most since 1 Dec 2017", "gene, drifted", "Orders, median", "since 1 Dec 2017"):
        assert text in page
    assert "Movements appear from the second snapshot on." in show(published_path, "/", f"?as_of={SNAPSHOTS[0]}")[0]
