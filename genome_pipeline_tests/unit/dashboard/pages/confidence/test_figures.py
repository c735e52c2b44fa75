"""The figures of the Confidence page."""

from __future__ import annotations

import pandas as pd

from genome_pipeline.dashboard.pages.confidence import figures
from genome_pipeline_tests.support.published_file import SNAPSHOTS


def test_a_slice_beyond_chance_has_a_mark_of_its_own() -> None:
    slices = pd.DataFrame(
        {
            "coverage": [0.8, 0.6],
            "coverage_lower": [0.75, 0.75],
            "coverage_upper": [0.85, 0.85],
            "customer_count": [200, 200],
        }
    )
    figure = figures.coverage(slices, ["A", "B"], "by group", 0.8, SNAPSHOTS[0]).figure
    marks = {trace.name: (list(trace.y), trace.marker.symbol) for trace in figure.data[1:]}
    assert marks == {"As promised": (["A"], "circle"), "Beyond chance": (["B"], "diamond")}
