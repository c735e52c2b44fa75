"""The figures of the Segments page."""

from __future__ import annotations

import duckdb

from genome_pipeline.dashboard.pages.segments import figures, queries
from genome_pipeline_tests.support.published_file import LATEST, SNAPSHOTS


def test_the_heat_map_shows_the_medians_themselves(connection: duckdb.DuckDBPyConnection) -> None:
    profiles = queries.segment_profiles(connection, LATEST)
    figure = figures.segment_profile_heatmap(profiles, "USD").figure
    median = profiles["median_days_since_last_order"].iloc[-1]
    column = figures.PROFILE_COLUMNS.index("median_days_since_last_order")
    # The last segment stands at the bottom, where the first row of a heat map is.
    assert figure.data[0].text[0][column] == f"{median:,.0f} days"


def test_the_flow_carries_every_customer(connection: duckdb.DuckDBPyConnection) -> None:
    migrations = queries.segment_migrations(connection, LATEST)
    flow = figures.segment_migrations(migrations, SNAPSHOTS[2]).figure.data[0]
    assert sum(flow.link.value) == migrations["customer_count"].sum()
    assert max(flow.link.source) < min(flow.link.target)
