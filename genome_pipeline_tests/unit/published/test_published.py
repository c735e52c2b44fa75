from __future__ import annotations

import os
import tempfile
import threading
from datetime import date
from pathlib import Path

import duckdb
import pytest

from genome_pipeline.dashboard.app import PAGES, render
from genome_pipeline.dashboard.kit.request import PageRequest
from genome_pipeline.dashboard.kit.snapshots import all_snapshots
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.reader import Published, PublishedFileMissing, PublishedFileUnreadable
from genome_pipeline.published.versions import PublishedFile, remembered_rows
from genome_pipeline.warehouse.published_changes import is_current
from genome_pipeline_tests.support.published_file import SNAPSHOTS, build_published_file


def _latest(connection: duckdb.DuckDBPyConnection) -> date:
    return all_snapshots(connection)[0]


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


@pytest.mark.slow
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


def test_a_connection_alone_writes_into_its_folder_and_nowhere_else(tmp_path: Path, published_path: Path) -> None:
    with PublishedFile(published_path).connect_alone(60, "100MB") as (connection, folder):
        connection.execute(f"COPY (SELECT 1) TO '{folder}/one.csv'")
        assert (folder / "one.csv").read_text() == "1\n1\n"
        assert folder.stat().st_mode & 0o777 == 0o700
        for other in (tmp_path, f"{folder}-other", f"{folder}/..", folder.parent):
            with pytest.raises(duckdb.PermissionException, match="disabled"):
                connection.execute(f"COPY (SELECT 1) TO '{other}/two.csv'")
        with pytest.raises(duckdb.Error, match="disabled"):
            connection.execute("SELECT * FROM read_text(?)", [__file__])
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM source_files")
        with pytest.raises(duckdb.Error):
            connection.execute("SET enable_external_access = true")
    assert not folder.exists()


def test_each_version_puts_rows_aside_in_a_folder_of_its_own(
    tmp_path: Path, published_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spill))
    published = PublishedFile(build_published_file(tmp_path / "genome.duckdb", customer_count=20))
    newer = build_published_file(tmp_path / "building.duckdb", customer_count=20)
    with published.connect() as under_way:
        os.replace(newer, published.path)
        with published.connect() as next_request, PublishedFile(published_path).connect() as other_process:
            with published.connect_alone(60, "100MB") as (alone, _), published.connect_alone(60, "1GB") as (other, _):
                readers = (under_way, next_request, other_process, alone, other)
                folders = [_spilled(connection) for connection in readers]
                limits = [_setting(connection, "memory_limit") for connection in (next_request, alone)]
                assert _latest(alone) == _latest(next_request)
                assert all(folder.parent.stat().st_mode & 0o777 == 0o700 for folder in folders)
            assert limits == ["190.7 MiB", "95.3 MiB"]
            assert len(set(folders)) == 5
            assert all(folder.is_relative_to(spill) for folder in folders)
    del published
    assert list(spill.iterdir()) == []


def test_the_readers_of_commands_put_rows_aside_in_folders_of_their_own(published_path: Path) -> None:
    with Published(published_path) as one, Published(published_path) as other:
        folders = {_spilled(one.connection), _spilled(other.connection)}
        assert len(folders) == 2
        assert {folder.parent.stat().st_mode & 0o777 for folder in folders} == {0o700}
    assert not any(folder.parent.exists() for folder in folders)


def _spilled(connection: duckdb.DuckDBPyConnection) -> Path:
    return Path(_setting(connection, "temp_directory"))


def _setting(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    return str(connection.execute("SELECT current_setting(?)", [name]).fetchall()[0][0])


_ENDLESS = "SELECT count(*) FROM range(1000000) AS a, range(1000000) AS b WHERE hash(a.range, b.range) = 1"


def test_a_query_that_takes_too_long_is_ended_and_the_next_one_is_not(published_path: Path) -> None:
    published = PublishedFile(published_path)
    with pytest.raises(duckdb.InterruptException), published.connect(seconds=0.2) as connection:
        connection.execute(_ENDLESS).fetchall()
    with published.connect() as connection:
        assert _latest(connection) == SNAPSHOTS[-1]


def test_closing_ends_the_queries_that_run(published_path: Path) -> None:
    published = PublishedFile(published_path)
    has_begun, ended = threading.Event(), threading.Event()

    def read() -> None:
        with pytest.raises(duckdb.InterruptException), published.connect() as connection:
            has_begun.set()
            connection.execute(_ENDLESS).fetchall()
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert has_begun.wait(60)
    published.close()
    assert ended.wait(10)
    reader.join()


def test_a_page_that_took_too_long_says_so(published_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def take_long(request: PageRequest) -> None:
        request.connection.execute(_ENDLESS).fetchall()

    monkeypatch.setattr(PublishedFile.connect.__wrapped__, "__defaults__", (0.2,))  # type: ignore[attr-defined]
    monkeypatch.setattr(PAGES["/value"], "layout", take_long)
    assert render(PublishedFile(published_path), "/value", "", None)[3] == "Took too long"


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
