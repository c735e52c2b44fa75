"""The figures of the Data quality page."""

from __future__ import annotations

import pandas as pd

from genome_pipeline.dashboard.pages.data_quality import figures


def test_nothing_set_aside_over_time_is_an_empty_chart() -> None:
    empty = pd.DataFrame({"period_start_date": [], "reason": [], "row_count": [], "amount_sum": []})
    assert not figures.quarantine_by_period(empty).figure.data
