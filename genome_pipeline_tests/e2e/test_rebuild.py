"""``genome rebuild`` that stops on the way: which warehouse stands aside."""

from pathlib import Path

import duckdb
import pytest

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.errors import ConfigError, RunFailed
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.orchestration.runs.rebuild import rebuild
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline_tests.e2e.test_server import small_shop
from genome_pipeline_tests.support.landing import HEADER, landing_settings


def warehouse_of(settings: Settings, mark: str, *, is_published: bool) -> None:
    """Make the warehouse, with ``mark`` in it, to know it by."""
    with Pipeline.of(settings).warehouse.open() as database:
        database.con.execute("INSERT INTO published_files VALUES (?, 'hash', 1)", [mark])
        if is_published:
            database.con.execute(
                "INSERT INTO pipeline_runs BY NAME SELECT 'run' AS run_id, '2020-02-01' AS as_of, '1' AS version,"
                " 'hash' AS settings_hash, '{}' AS parameters, '2020-02-01' AS published_at,"
                " '1' AS published_schema_version"
            )


def mark_of(path: Path) -> str:
    with duckdb.connect(path, read_only=True) as connection:
        return str(connection.execute("SELECT source_file FROM published_files").fetchall()[0][0])


@pytest.mark.parametrize(
    ("is_published", "kept"), [(True, "the present one"), (False, "one before a rebuild that stopped")]
)
def test_the_warehouse_that_was_published_last_stands_aside(tmp_path: Path, is_published: bool, kept: str) -> None:
    settings = landing_settings(tmp_path)  # there is no source, so that it stops at once
    aside = tmp_path / "warehouse-before-rebuild.duckdb"
    warehouse_of(settings, "one before a rebuild that stopped", is_published=True)
    settings.warehouse_path.rename(aside)
    warehouse_of(settings, "the present one", is_published=is_published)
    with pytest.raises(ConfigError, match="in"):
        rebuild(settings, lambda *_: None)
    assert mark_of(aside) == kept


@pytest.mark.parametrize("is_published", [True, False])
def test_of_a_link_the_file_that_it_names_stands_aside_and_the_link_stays(tmp_path: Path, is_published: bool) -> None:
    settings = landing_settings(tmp_path)
    aside, disk = tmp_path / "warehouse-before-rebuild.duckdb", tmp_path / "disk"
    disk.mkdir()
    settings.warehouse_path.symlink_to(disk / "shop.duckdb")
    for number, mark in enumerate(["the first", "the second"]):
        warehouse_of(settings, mark, is_published=is_published or number == 0)
        with pytest.raises(ConfigError, match="in"):
            rebuild(settings, lambda *_: None)
        assert mark_of(aside) == (mark if is_published else "the first")
        assert settings.warehouse_path.readlink() == disk / "shop.duckdb"
        assert {path.name for path in disk.iterdir()} <= {"shop.duckdb", "shop-before-rebuild.duckdb"}


@pytest.mark.slow
def test_when_a_rebuild_is_done_nothing_of_the_old_is_left_behind_a_link(tmp_path: Path) -> None:
    settings = load_settings(small_shop(tmp_path, "home", "start = 2020-01-01\nend = 2020-03-01"))
    disk = tmp_path / "disk"
    for folder in (disk, settings.home):
        folder.mkdir()
    settings.warehouse_path.symlink_to(disk / "shop.duckdb")
    warehouse_of(settings, "the old one", is_published=False)
    rebuild(settings, lambda *_: None)
    assert [path.name for path in disk.iterdir()] == ["shop.duckdb"]
    assert [path.name for path in settings.home.glob("warehouse*")] == ["warehouse.duckdb"]
    with duckdb.connect(disk / "shop.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM customer_genome").fetchall() == [(True,)]
        assert connection.execute("SELECT source_file FROM published_files").fetchall() == [("log.csv",)]


@pytest.fixture
def published(tmp_path: Path) -> Settings:
    """Of two files that were published one is left, whose rows are of before the calendar: no snapshot is made."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(HEADER + "7,A1,2019-02-03,1\n", encoding="utf-8")
    settings = landing_settings(tmp_path)
    settings.published_path.parent.mkdir()
    with duckdb.connect(settings.published_path) as connection:
        for name in ("pipeline_runs", "source_files"):
            connection.execute(TABLES[name].ddl())
        for name, rows in (("a.csv", 1), ("b.csv", 9)):
            connection.execute(
                "INSERT INTO source_files BY NAME SELECT ? AS source_file, ? AS content_hash, ? AS row_count,"
                " '{}' AS raw_types, '2020-02-01' AS ingested_at, 0 AS suppressed_row_count",
                [name, f"hash of {name}", rows],
            )
    return settings


def test_a_rebuild_misses_the_files_that_were_published_and_are_gone(published: Settings) -> None:
    with pytest.raises(
        RunFailed, match=r"files_remain of raw_transactions failed: .*b\.csv with 9 rows is gone: 90\.0%"
    ):
        rebuild(published, lambda *_: None)


def test_a_rebuild_from_another_place_does_not(published: Settings) -> None:
    with Pipeline.of(published).warehouse.open() as database:
        database.con.execute("INSERT INTO warehouse_identity VALUES ('source', '/elsewhere/*.csv')")
    with pytest.raises(ConfigError, match="is dated within the calendar"):
        rebuild(published, lambda *_: None)
