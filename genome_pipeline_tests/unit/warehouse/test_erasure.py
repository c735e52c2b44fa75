"""Files written anew without some customers."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import duckdb
import pytest
from ibis.backends.duckdb import Backend

from genome_pipeline.warehouse.erasure import (
    LeftOut,
    databases_under,
    known_ids,
    rewrite_without,
    rows_of,
    text_without,
    without_numbers,
)
from genome_pipeline.warehouse.errors import WarehouseError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.duckdb"
    with duckdb.connect(path) as connection:
        for statement in (
            "CREATE TABLE customer_genome_history (as_of DATE NOT NULL, customer_id VARCHAR NOT NULL, n INTEGER)",
            "INSERT INTO customer_genome_history SELECT '2020-02-01', 'person-' || i, i FROM range(5) AS r(i)",
            "CREATE VIEW customer_genome AS SELECT * FROM customer_genome_history",
            "COMMENT ON TABLE customer_genome_history IS 'Everyone.'",
            "CREATE TABLE customer_neighbors (customer_id VARCHAR, neighbor_customer_id VARCHAR)",
            "INSERT INTO customer_neighbors VALUES ('person-1', 'person-2'), ('person-2', 'person-3'),"
            " ('person-3', 'person-4')",
            "CREATE TABLE raw_transactions (source_file VARCHAR, source_row BIGINT, raw_customer_id VARCHAR)",
            "INSERT INTO raw_transactions VALUES ('a', 1, ' person-2 '), ('a', 2, 'person-20'), ('a', 3, NULL)",
            "CREATE TABLE data_quality (check_name VARCHAR, observed VARCHAR)",
            "INSERT INTO data_quality VALUES ('a', 'broken by 2 rows, e.g. id=person-2; id=person-20')",
            "INSERT INTO data_quality VALUES ('b', 'all 3 rows')",
        ):
            connection.execute(statement)
    return path


def test_every_row_that_names_the_customer_goes_and_no_other(file: Path) -> None:
    expected = {"customer_genome_history": 1, "customer_neighbors": 2, "data_quality": 1, "raw_transactions": 1}
    assert rows_of(file, ["person-2"]) == expected
    assert rewrite_without(file, ["person-2"]) == expected
    assert rows_of(file, ["person-2"]) == {}
    with duckdb.connect(file) as connection:
        assert connection.execute("SELECT n FROM customer_genome").fetchall() == [(0,), (1,), (3,), (4,)]
        assert connection.execute("FROM customer_neighbors").fetchall() == [("person-3", "person-4")]
        assert connection.execute("FROM raw_transactions").fetchall() == [("a", 2, "person-20"), ("a", 3, None)]
        assert connection.execute("FROM data_quality").fetchall() == [
            ("a", "broken by \u2026 rows, e.g. id=[forgotten]; id=person-20"),
            ("b", "all \u2026 rows"),
        ]
        assert connection.execute("SELECT comment FROM duckdb_tables() WHERE comment IS NOT NULL").fetchall() == [
            ("Everyone.",)
        ]


def test_what_a_link_names_is_written_anew_and_the_link_stays(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "linked.duckdb"
    link.symlink_to(file)
    rewrite_without(link, ["person-2"])
    assert link.is_symlink()
    assert rows_of(file, ["person-2"]) == {}
    assert b"person-3" in file.read_bytes()
    assert b"person-2\0" not in file.read_bytes()


def test_databases_are_found_by_their_content_and_behind_links(file: Path, tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (home / "published").mkdir(parents=True)
    elsewhere.mkdir()
    for copy in (home / "warehouse.duckdb", home / "published" / "genome.duckdb.bak", elsewhere / "genome.duckdb"):
        copy.write_bytes(file.read_bytes())
    (home / ".warehouse.duckdb.part").write_bytes(file.read_bytes())
    (home / "empty.duckdb").touch()
    (home / "linked").symlink_to(elsewhere)
    (home / "loop").symlink_to(home)
    os.mkfifo(home / "pipe.duckdb")
    found = [str(path.relative_to(home)) for path in databases_under(home)]
    assert found == ["linked/genome.duckdb", "published/genome.duckdb.bak", "warehouse.duckdb"]


@pytest.fixture
def snapshots(tmp_path: Path) -> Path:
    """Two snapshots of a published file, the second of which holds person-2."""
    path = tmp_path / "genome.duckdb"
    with duckdb.connect(path) as connection:
        for statement in (
            "CREATE TABLE customer_features_history (as_of DATE, customer_id VARCHAR)",
            "INSERT INTO customer_features_history VALUES ('2020-02-01', 'person-1'), ('2020-03-01', 'person-1'),"
            " ('2020-03-01', 'person-2')",
            "CREATE TABLE segment_profiles_history (as_of DATE, segment_id INTEGER, customer_count BIGINT)",
            "INSERT INTO segment_profiles_history VALUES ('2020-02-01', 1, 1), ('2020-03-01', 1, 2)",
        ):
            connection.execute(statement)
    return path


def test_sums_that_held_the_customer_are_left_out_for_the_caller_to_make_again(snapshots: Path) -> None:
    told = {}

    def complete(copy: Backend, left_out: LeftOut) -> None:
        told["left"] = copy.con.execute("FROM segment_profiles_history").fetchall()
        told["since"], told["sums"] = left_out.since, left_out.sums["segment_profiles"].customer_count.tolist()
        copy.con.execute("INSERT INTO segment_profiles_history VALUES ('2020-03-01', 1, 1)")

    assert rewrite_without(snapshots, ["person-2"], complete) == {"customer_features_history": 1}
    assert told == {"left": [(date(2020, 2, 1), 1, 1)], "since": date(2020, 3, 1), "sums": [2]}
    with duckdb.connect(snapshots) as connection:
        assert connection.execute("SELECT customer_count FROM segment_profiles_history").fetchall() == [(1,), (1,)]


def test_what_a_check_found_is_told_without_numbers_but_for_the_rows_it_names() -> None:
    found = "raw 1,840 rows and 301,759 cents, e.g. id=person-20: 3 of 4"
    assert without_numbers(found) == "raw \u2026 rows and \u2026 cents, e.g. id=person-20: 3 of 4"


def test_no_byte_of_the_customer_is_left(file: Path) -> None:
    with duckdb.connect(file) as connection:
        connection.execute("CREATE TABLE t (customer_id VARCHAR USING COMPRESSION uncompressed)")
        connection.execute("INSERT INTO t VALUES ('someone-else'), ('the-one-who-goes')")
    assert b"the-one-who-goes" in file.read_bytes()
    with duckdb.connect(file) as connection:
        connection.execute("DELETE FROM t WHERE customer_id = 'the-one-who-goes'")
        connection.execute("CHECKPOINT")
    assert b"the-one-who-goes" in file.read_bytes(), "deleting would do, and the file need not be written anew"
    rewrite_without(file, ["the-one-who-goes"])
    assert b"the-one-who-goes" not in file.read_bytes()
    assert b"someone-else" in file.read_bytes()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_log_that_a_dead_process_left_is_brought_in_first(file: Path) -> None:
    child = os.fork()
    if child == 0:
        connection = duckdb.connect(file)
        connection.execute("INSERT INTO customer_neighbors VALUES ('person-8', 'person-9'), ('person-2', 'person-9')")
        os._exit(0)
    os.waitpid(child, 0)
    log = file.with_name(f"{file.name}.wal")
    assert log.exists()
    rewrite_without(file, ["person-2"])
    assert not log.exists()
    assert known_ids(file, ["person-2", "person-9"]) == {"person-9"}


def test_what_goes_wrong_leaves_the_old_file_whole(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def out_of_order(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", out_of_order)
    with pytest.raises(WarehouseError, match=r"as before: it could not be written anew \(no space left\)"):
        rewrite_without(file, ["person-2"])
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17 of 1,200 rows, e.g. customer_id=17; 17: bought 17.50", "17 of 1,200 rows, e.g. customer_id=[forgotten];"),
        ("no customer '17'", "no customer '[forgotten]'"),
        ("at 2017-01-17, 17.5 and 1,017", "at 2017-01-17, 17.5 and 1,017"),
        ("c17 and 17c", "c17 and 17c"),
        ("17.", "[forgotten]."),
    ],
)
def test_an_id_is_found_in_a_text_where_it_stands_alone(text: str, expected: str) -> None:
    assert text_without(text, ["17"]).startswith(expected)
