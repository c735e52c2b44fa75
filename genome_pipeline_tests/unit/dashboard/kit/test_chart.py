"""Charts on a page, and their data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genome_pipeline_tests.support.shown import changed, show


def _components(node: Any, kind: str) -> Iterator[dict[str, Any]]:
    """Properties of every component of a kind within the JSON of a page."""
    if isinstance(node, list):
        for child in node:
            yield from _components(child, kind)
    elif isinstance(node, dict) and "props" in node:
        if node["type"] == kind:
            yield node["props"]
        yield from _components(node["props"].get("children"), kind)


def test_the_data_of_a_chart_is_a_table_and_a_file_without_formulas(tmp_path: Path, published_path: Path) -> None:
    path = changed(
        tmp_path / "genome.duckdb",
        published_path,
        "UPDATE segment_profiles_history SET segment_name = '=1+1' WHERE segment_id = 1",
    )
    shown = json.loads(show(path, "/segments")[0])
    stores = [properties["data"] for properties in _components(shown, "Store")]
    charts = list(_components(shown, "Graph"))
    assert len(stores) == len(charts) > 5
    sizes = next(store for store in stores if store["file"] == "share-of-customers-beside-share-of-spend.csv")
    assert sizes["headings"][:2] == ["Segment", "Customers"]
    assert "=1+1" in [row[0] for row in sizes["rows"]]
    lines = sizes["csv"].splitlines()
    assert lines[0] == '"segment_name","customer_count","customer_share","recent_spend_amount","spend_share"'
    assert len([line for line in lines if line.startswith('"\'=1+1",')]) == 1
    assert len(lines) == 5
