from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.dashboard import queries
from genome_pipeline.dashboard.published import (
    PublishedFile,
    PublishedFileMissing,
    PublishedFileUnreadable,
    remembered_rows,
)
from genome_pipeline.errors import ConfigError
from genome_pipeline.summary import Published
from genome_pipeline.warehouse.publishing import is_current
from genome_pipeline_tests.dashboard.published_file import SNAPSHOTS, build_published_file


def _latest(connection: duckdb.DuckDBPyConnection) -> date:
    return queries.snapshots(connection)[0]


def test_a_file_that_is_not_there_is_said_to_be_missing_and_found_once_it_is(tmp_path: Path) -> None:
    published = PublishedFile(tmp_path / "genome.duckdb")
    with pytest.raises(PublishedFileMissing), published.connect():
        pass
    build_published_file(published.path, customer_count=20)
    with published.connect() as connection:
        assert _latest(connection) == SNAPSHOTS[-1]


def test_a_file_that_is_no_database_is_said_to_be_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    path.write_text("not a database, whatever its name says")
    with pytest.raises(PublishedFileUnreadable), PublishedFile(path).connect():
        pass


def test_a_replaced_file_is_seen_by_the_next_request_while_older_ones_keep_theirs(tmp_path: Path) -> None:
    published = PublishedFile(build_published_file(tmp_path / "genome.duckdb", customer_count=20, as_of=SNAPSHOTS[1]))
    newer = build_published_file(tmp_path / "building.duckdb", customer_count=20, as_of=SNAPSHOTS[3])
    with published.connect() as under_way:
        assert _latest(under_way) == SNAPSHOTS[1]
        os.replace(newer, published.path)
        with published.connect() as next_request:
            assert _latest(next_request) == SNAPSHOTS[3]
        assert _latest(under_way) == SNAPSHOTS[1]
    with published.connect() as later:
        assert _latest(later) == SNAPSHOTS[3]


def test_rows_are_asked_for_once_for_each_version_of_the_file(tmp_path: Path) -> None:
    published = PublishedFile(build_published_file(tmp_path / "genome.duckdb", customer_count=20))
    newer = build_published_file(tmp_path / "building.duckdb", customer_count=20)

    def draw(digits: int) -> list[float]:
        with published.connect() as connection:
            query = "SELECT round(random(), ?) AS value FROM range(3) ORDER BY value DESC"
            return list(remembered_rows(connection, query, [digits])["value"])

    first = draw(9)
    assert first == draw(9) == sorted(first, reverse=True)
    assert draw(8) != first
    os.replace(newer, published.path)
    assert draw(9) != first


def test_a_writer_can_publish_again_and_again_under_an_open_reader(tmp_path: Path) -> None:
    published = PublishedFile(build_published_file(tmp_path / "genome.duckdb", customer_count=10, as_of=SNAPSHOTS[0]))
    for turn in range(6):
        as_of = SNAPSHOTS[turn % len(SNAPSHOTS)]
        building = build_published_file(tmp_path / f"building-{turn}.duckdb", customer_count=10, as_of=as_of)
        os.replace(building, published.path)
        with published.connect() as connection:
            assert _latest(connection) == as_of


def test_nothing_can_be_written_and_no_other_file_read(published_path: Path) -> None:
    with PublishedFile(published_path).connect() as connection:
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM source_files")
        with pytest.raises(duckdb.Error, match="disabled"):
            connection.execute("SELECT * FROM read_text(?)", [__file__])
        with pytest.raises(duckdb.Error):
            connection.execute("SET enable_external_access = true")


def test_a_file_of_another_schema_is_named_and_not_read(tmp_path: Path) -> None:
    path = build_published_file(tmp_path / "genome.duckdb", customer_count=20)
    with duckdb.connect(path) as connection:
        connection.execute("ALTER TABLE pipeline_runs DROP COLUMN published_schema_version")
    older = "its schema is a version of before they were numbered, this program reads .* publish it anew"
    with pytest.raises(PublishedFileUnreadable, match=older), PublishedFile(path).connect():
        pass
    with pytest.raises(ConfigError, match=older):
        Published(path)
    assert not is_current(path)
    with duckdb.connect(path) as connection:
        connection.execute("ALTER TABLE pipeline_runs ADD COLUMN published_schema_version VARCHAR DEFAULT '99.0.0'")
    with pytest.raises(ConfigError, match=r"its schema is version 99\.0\.0, .* use the newer program"):
        Published(path)
