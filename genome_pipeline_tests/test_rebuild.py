"""``genome rebuild`` that stops on the way: which warehouse stands aside."""

from pathlib import Path

import duckdb
import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.resources import Pipeline
from genome_pipeline.running import rebuild
from genome_pipeline.settings import Settings
from genome_pipeline_tests.landing import landing_settings


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
