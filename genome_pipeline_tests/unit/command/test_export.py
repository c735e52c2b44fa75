"""What is published, in files and in PostgreSQL."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from genome_pipeline.contracts.published import published_schema
from genome_pipeline.errors import ConfigError
from genome_pipeline.published import export
from genome_pipeline.published.export import export_tables
from genome_pipeline.published.push import push_tables
from genome_pipeline.sources import SourceError
from genome_pipeline_tests.support.postgres import PASSWORD, Server, running_server
from genome_pipeline_tests.support.published_file import build_published_file


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = build_published_file(tmp_path_factory.mktemp("published") / "genome.duckdb", customer_count=20)
    with duckdb.connect(path) as connection:
        connection.execute("UPDATE customer_actions_history SET action_reason = '=1+1'")
    return path


def names(published: Path) -> set[str]:
    with duckdb.connect(published, read_only=True) as connection:
        return {name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()}


def test_every_table_and_view_becomes_a_parquet_file_of_the_same_rows(published: Path, tmp_path: Path) -> None:
    counts = export_tables(published, tmp_path / "out", ".parquet")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{name}.parquet" for name in names(published)}
    with duckdb.connect(published, read_only=True) as connection:
        for name in ("customer_genome", "customer_activity", "customer_genome_history"):
            file = f"read_parquet('{tmp_path}/out/{name}.parquet')"
            for one, other in ((name, file), (file, name)):
                assert connection.execute(f"FROM {one} EXCEPT ALL FROM {other}").fetchall() == [], name
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (counts[name],)


def test_csv_files_hold_no_formula(published: Path, tmp_path: Path) -> None:
    export_tables(published, tmp_path, ".csv")
    with (tmp_path / "customer_actions.csv").open(newline="", encoding="utf-8") as file:
        assert {row["action_reason"] for row in csv.DictReader(file)} == {"'=1+1"}


def test_who_is_forgotten_during_an_export_is_not_in_it(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, without = tmp_path / "genome.duckdb", tmp_path / "without.duckdb"
    shutil.copyfile(published, path)
    shutil.copyfile(published, without)
    with duckdb.connect(without) as connection:
        (gone,) = connection.execute("SELECT min(customer_id) FROM customer_risk_history").fetchone() or ()
        connection.execute("DELETE FROM customer_risk_history WHERE customer_id = ?", [gone])
    write = export.write_rows

    def forgotten_meanwhile(connection: duckdb.DuckDBPyConnection, query: str, *others: Any) -> dict[str, Any]:
        if without.exists() and query.endswith('"customer_risk_history"'):
            without.replace(path)
        return write(connection, query, *others)

    monkeypatch.setattr(export, "write_rows", forgotten_meanwhile)
    export_tables(path, tmp_path / "out", ".parquet")
    with duckdb.connect() as connection:
        left = connection.execute(
            f"SELECT count(*) FROM '{tmp_path}/out/customer_risk_history.parquet' WHERE customer_id = ?", [gone]
        ).fetchone()
    assert left == (0,)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)


def asked(server: Server, query: str) -> list[Any]:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[Any] = cursor.fetchall()
        return rows


def test_postgresql_holds_the_same_rows_however_often_they_are_pushed(published: Path, server: Server) -> None:
    first = push_tables(published, server.url)
    server.run("CREATE VIEW theirs AS SELECT * FROM genome.customer_genome")
    assert push_tables(published, server.url) == first
    assert first.keys() == names(published)
    columns = "customer_id, spend_amount::text, frequency_count, churn_probability, first_order_date"
    with duckdb.connect(published, read_only=True) as connection:
        ours = connection.execute(f"SELECT {columns} FROM customer_genome ORDER BY customer_id").fetchall()
    assert asked(server, f'SELECT {columns} FROM theirs ORDER BY customer_id COLLATE "C"') == ours
    types = asked(
        server,
        "SELECT column_name, data_type, numeric_precision, numeric_scale FROM information_schema.columns WHERE"
        " table_name = 'customer_activity' AND column_name IN ('gross_amount', 'categories') ORDER BY 1",
    )
    assert types == [("categories", "ARRAY", None, None), ("gross_amount", "numeric", 18, 2)]


def test_only_what_has_changed_is_sent_again_and_what_is_gone_is_removed(
    published: Path, server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "genome.duckdb"
    shutil.copyfile(published, path)
    push_tables(path, server.url, "shop's own")
    rows = """SELECT as_of::text, xmin::text FROM "shop's own".customer_risk_history GROUP BY 1, 2 ORDER BY 1"""
    before = dict(asked(server, rows))
    with duckdb.connect(path) as connection:
        first, second, third, last = (
            day
            for (day,) in connection.execute("SELECT DISTINCT as_of FROM customer_risk_history ORDER BY 1").fetchall()
        )
        connection.execute("DELETE FROM customer_risk_history WHERE as_of = ?", [first])
        connection.execute("UPDATE customer_risk_history SET p_alive = 0.5 WHERE as_of = ?", [second])
    counts = push_tables(path, server.url, "shop's own")
    after = dict(asked(server, rows))
    assert str(first) not in after
    assert after[str(second)] != before[str(second)]
    assert [after[str(day)] for day in (third, last)] == [before[str(day)] for day in (third, last)]
    assert counts["customer_risk_history"] == 60
    server.run("""DELETE FROM "shop's own".customer_risk_history WHERE as_of = '2018-01-01'""")
    push_tables(path, server.url, "shop's own")
    assert asked(server, """SELECT count(*) FROM "shop's own".customer_risk_history""") == [(60,)]


def test_a_schema_that_is_there_need_not_be_made(
    published: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.run(
        f"CREATE ROLE pusher LOGIN PASSWORD '{PASSWORD}'",
        "REVOKE CREATE ON DATABASE shop FROM PUBLIC",
        "CREATE SCHEMA theirs AUTHORIZATION pusher",
    )
    url = server.url.replace("genome@", "pusher@")
    assert push_tables(published, url, "theirs").keys() == names(published)
    with pytest.raises(ConfigError, match=r"permission denied for database shop; see that the user may make schema no"):
        push_tables(published, url, "no")
    with pytest.raises(ConfigError, match=r"--schema '' must have 1 to 63 characters"):
        push_tables(published, url, "")


def test_a_reader_sees_the_old_rows_until_all_new_ones_are_there(published: Path, server: Server) -> None:
    push_tables(published, server.url)
    server.run("ALTER TABLE genome.value_model_history RENAME COLUMN candidate TO renamed")
    try:
        with pytest.raises(ConfigError, match=r"table genome.value_model_history of .* has other columns"):
            push_tables(published, server.url)
        count = asked(server, "SELECT count(*) FROM genome.customer_genome")
        assert count == [(20,)]
    finally:
        server.run("ALTER TABLE genome.value_model_history RENAME COLUMN renamed TO candidate")


def test_a_server_that_refuses_is_named(published: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(SourceError, match=r"refuses the user.*set PGPASSWORD"):
        push_tables(published, server.url)
    with pytest.raises(ConfigError, match="that is no database"):
        push_tables(published, "s3://there")


def test_all_tables_can_be_pushed() -> None:
    known = {"VARCHAR", "VARCHAR[]", "DOUBLE", "BIGINT", "INTEGER", "BOOLEAN", "DATE", "TIMESTAMP"}
    types = {type_ for columns in published_schema()["tables"].values() for type_ in columns.values()}
    assert {type_ for type_ in types - known if not type_.startswith("DECIMAL(")} == set()


@pytest.mark.parametrize("query", ["password=hunter2", "pass%77ord=hunter2", "sslpassword=hunter2"])
def test_a_password_in_the_query_of_a_url_is_refused_and_not_told(published: Path, query: str) -> None:
    with pytest.raises(ConfigError) as raised:
        push_tables(published, f"postgresql://user@localhost/db?{query}")
    assert str(raised.value) == "path holds a password; take it out, and set PGPASSWORD"
