"""A publication writes what has changed since the last one, and reads as though it had written the whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pytest
from ibis.backends.duckdb import Backend

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse import published_changes
from genome_pipeline.warehouse.database import Warehouse
from genome_pipeline.warehouse.published_changes import changed_slices, copy_file
from genome_pipeline.warehouse.publishing import publish
from genome_pipeline_tests.support.landing import landing_settings

JANUARY, FEBRUARY, MARCH = date(2020, 2, 1), date(2020, 3, 1), date(2020, 4, 1)
DEFAULTS = {"DATE": "DATE '2020-01-01'", "BOOLEAN": "true", "VARCHAR": "'x'", "TIMESTAMP": "TIMESTAMP '2020-01-01'"}
MARKED = "segment_name = 'as published before'"


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Backend, Warehouse]]:
    warehouse = Pipeline.of(settings).warehouse
    with warehouse.open() as database:
        yield database, warehouse


def write(settings: Settings, as_of: date, customers: int, *, table: str = "customer_genome") -> None:
    """Replace a slice by so many customers, of whom nothing is known but that there are so many."""
    contract = TABLES[table]
    told = {"as_of": f"DATE '{as_of}'", "customer_id": "format('c{}', number)", "segment_name": f"'{customers}'"}
    values = ", ".join(
        f"{told.get(column.name) or ('NULL' if column.name in contract.nullable else default(column.type))}"
        f' AS "{column.name}"'
        for column in contract.fields
    )
    with opened(settings) as (database, warehouse):
        rows = database.sql(f"SELECT {values} FROM range({customers}) AS numbers(number)")
        warehouse.replace_slices(database, contract, [as_of], rows, "run")


def default(type_: str) -> str:
    return DEFAULTS.get(type_, f"0::{type_}" if "[]" not in type_ else f"[]::{type_}")


def published(settings: Settings, run_id: str) -> dict[str, list[tuple[object, ...]]]:
    """Publish; every table and view of the file."""
    with opened(settings) as (database, warehouse):
        publish(database, warehouse, settings, run_id)
    return read(settings.published_path)


def read(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        return {name: connection.execute(f'FROM "{name}" ORDER BY ALL').fetchall() for (name,) in names}


def mark(settings: Settings, as_of: date) -> None:
    """Change a published slice by hand: whoever writes it anew removes the mark."""
    with duckdb.connect(str(settings.published_path)) as connection:
        connection.execute(f"UPDATE customer_genome_history SET {MARKED} WHERE as_of = ?", [as_of])


def marked(settings: Settings) -> list[date]:
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        query = f"SELECT DISTINCT as_of FROM customer_genome_history WHERE {MARKED} ORDER BY 1"
        return [day for (day,) in connection.execute(query).fetchall()]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A warehouse of two snapshots, published."""
    found = landing_settings(tmp_path)
    with opened(found) as (database, _):
        database.con.execute(TABLES["raw_transactions"].ddl())
    write(found, JANUARY, 2)
    write(found, FEBRUARY, 3)
    published(found, "first")
    return found


def test_a_month_more_leaves_the_others_and_reads_like_the_whole(settings: Settings) -> None:
    mark(settings, JANUARY)
    write(settings, FEBRUARY, 4)
    write(settings, MARCH, 5)
    published(settings, "second")
    assert marked(settings) == [JANUARY]
    with opened(settings) as (database, _):
        database.con.execute("DELETE FROM published_slices")
    published(settings, "third")
    assert marked(settings) == []
    with duckdb.connect(str(settings.published_path)) as connection:
        connection.execute("DELETE FROM pipeline_runs WHERE run_id = 'third'")
    whole = read(settings.published_path)
    assert [len(whole[name]) for name in ("customer_genome_history", "customer_genome")] == [2 + 4 + 5, 5]
    write(settings, MARCH, 5)
    changed = published(settings, "fourth")
    changed["pipeline_runs"] = [run for run in changed["pipeline_runs"] if run[0] not in ("third", "fourth")]
    assert changed == whole


def test_what_the_warehouse_no_longer_has_goes(settings: Settings) -> None:
    mark(settings, JANUARY)
    with opened(settings) as (database, _):
        database.con.execute("DELETE FROM customer_genome WHERE as_of = ?", [FEBRUARY])
        database.con.execute("DELETE FROM written_slices WHERE slice_key = ?", [str(FEBRUARY)])
        changed = changed_slices(database, settings.published_path)
        assert changed is not None
        assert {name: slices for name, slices in changed.items() if slices} == {"customer_genome": [FEBRUARY]}
    found = published(settings, "second")
    assert {row[0] for row in found["customer_genome_history"]} == {JANUARY}
    assert marked(settings) == [JANUARY]


def test_another_file_than_the_last_publication_is_written_whole(settings: Settings) -> None:
    mark(settings, JANUARY)
    with duckdb.connect(str(settings.published_path)) as connection:
        connection.execute("UPDATE pipeline_runs SET run_id = 'of another warehouse'")
    published(settings, "second")
    assert marked(settings) == []


def test_a_file_of_which_much_is_free_is_written_whole(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    mark(settings, JANUARY)
    monkeypatch.setattr(published_changes, "MOST_FREE", -1)
    published(settings, "second")
    assert marked(settings) == []


def test_a_copy_that_lacks_rows_is_given_up_and_the_whole_is_written(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with duckdb.connect(str(settings.published_path)) as connection:
        connection.execute("DELETE FROM customer_genome_history WHERE as_of = ?", [JANUARY])
    with caplog.at_level(logging.WARNING):
        found = published(settings, "second")
    assert len(found["customer_genome_history"]) == 2 + 3
    assert "lacks rows of customer_genome" in caplog.text
    assert [path.name for path in settings.published_path.parent.iterdir()] == ["genome.duckdb"]


@pytest.mark.parametrize("refused", [False, True], ids=["shared", "refused"])
def test_a_file_is_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool) -> None:
    (tmp_path / "from").write_bytes(bytes(range(256)) * 1000)
    if refused:
        monkeypatch.delattr("os.copy_file_range")
    copy_file(tmp_path / "from", tmp_path / "to")
    assert (tmp_path / "to").read_bytes() == (tmp_path / "from").read_bytes()
