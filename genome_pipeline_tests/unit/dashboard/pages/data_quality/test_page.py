"""The Data quality page."""

from __future__ import annotations

from pathlib import Path

from genome_pipeline_tests.support.shown import show


def test_data_quality_shows_rows_drift_and_reconciliation(published_path: Path) -> None:
    page, _ = show(published_path, "/data-quality", "?reason=missing_customer&baseline=training")
    for text in ("<b>P1</b>", "Is every source row accounted for?", "the snapshot last learned from"):
        assert text in page
    assert '"href": "/data-docs/index.html"' in page
    assert "Run genome quarantine" in show(published_path, "/data-quality", "?reason=unreadable_date")[0]
