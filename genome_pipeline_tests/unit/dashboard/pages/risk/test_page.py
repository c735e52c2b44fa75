"""The Risk page."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from genome_pipeline_tests.support.published_file import SNAPSHOTS
from genome_pipeline_tests.support.shown import show


def test_the_cutoff_of_the_url_becomes_an_audience(published_path: Path) -> None:
    page, _ = show(published_path, "/risk", f"?cutoff=29&as_of={SNAPSHOTS[2]}")
    assert f'"href": "/audience?as_of={SNAPSHOTS[2]}&where=churn_probability%3Age%3A0.29"' in page
    for wrong in ("-1", "100", "x", "1e1", "٣"):
        assert "Churn probability of at least 50%" in show(published_path, "/risk", f"?cutoff={quote(wrong)}")[0]
