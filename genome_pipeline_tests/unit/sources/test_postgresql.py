from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.resources import Pipeline
from genome_pipeline.settings import SourceSettings, load_settings
from genome_pipeline.sources.source import SourceError, find_files, read_file, sniff
from genome_pipeline.warehouse.ingestion import ingest
from genome_pipeline_tests.support.postgres import PASSWORD, Server, running_server
from genome_pipeline_tests.unit.sources.conftest import COLUMNS, Landing

LINES = """
CREATE TABLE sales."Lines" ("Customer ID" text, "When" timestamp, "Paid" numeric, price money, "Added" timestamptz);
INSERT INTO sales."Lines" VALUES
    ('c2', '2020-01-02 10:00', 90071992547409931234567.8900000001, 12.34, '2020-01-02 10:00+02'),
    ('c1', '2020-01-01', -0.05, NULL, NULL),
    (NULL, NULL, 'NaN', NULL, NULL)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as running:
        running.run("CREATE SCHEMA sales", *LINES.split(";"))
        running.run(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        yield running


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)


def source(server: Server, **options: Any) -> SourceSettings:
    return SourceSettings(**{"path": server.url, "columns": COLUMNS, **options})


def read(landing: Landing, source: SourceSettings) -> Any:
    return landing.read_source(source, "raw_customer_id, raw_ordered_at, raw_amount")


ROWS = [
    (1, "c2", datetime(2020, 1, 2, 10), "90071992547409931234567.8900000001"),
    (2, "c1", datetime(2020, 1, 1), "-0.05"),
    (3, None, None, "nan"),
]


def test_a_table_comes_as_it_is(server: Server, landing: Landing) -> None:
    (file,) = find_files(source(server, table="sales.Lines"))
    assert (file.name, file.content_hash) == ("postgresql:sales.Lines", None)
    assert sniff(file, source(server, table="sales.Lines")) == (
        ("Customer ID", "When", "Paid", "price", "Added"),
        ("VARCHAR", "TIMESTAMP", "VARCHAR", "BIGINT", "TIMESTAMP WITH TIME ZONE"),
    )
    assert read(landing, source(server, table="sales.Lines")) == ROWS


@pytest.mark.parametrize("end", ["", " ;\n", " -- by customer", " -- by customer\n;"])
def test_a_query_is_read_in_its_order(server: Server, landing: Landing, end: str) -> None:
    query = 'SELECT * FROM sales."Lines" WHERE "When" IS NOT NULL ORDER BY "Customer ID"' + end
    (file,) = find_files(source(server, query=query))
    assert file.name == "postgresql:query"
    assert read(landing, source(server, query=query)) == [(1, *ROWS[1][1:]), (2, *ROWS[0][1:])]


def test_a_password_in_the_url_is_used_and_not_shown(
    server: Server, landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    for written in (PASSWORD, "p%40ss%2Fw%3Ard"):
        given = source(server, path=server.url.replace("genome@", f"genome:{written}@"), table="sales.Lines")
        assert read(landing, given) == ROWS
        assert (given.path, given.password) == (server.url, PASSWORD)
        assert all(part not in f"{given!r} {given} {given.model_dump_json()}" for part in (PASSWORD, written))


def test_many_rows_keep_their_numbers(server: Server, landing: Landing) -> None:
    query = 'SELECT i AS "Customer ID", i AS "When", repeat(\'x\', 100) AS "Paid" FROM generate_series(1, 500000) AS i'
    given = source(server, query=query)
    (file,) = find_files(given)
    with read_file(landing.connection, file, given) as rows:
        rows.create_view("incoming")
        found = landing.connection.execute(
            "SELECT count(*), count(DISTINCT source_row), count(*) FILTER (raw_customer_id = source_row) FROM incoming"
        ).fetchone()
    assert found == (500_000, 500_000, 500_000)


def test_a_sample_leaves_the_rest_unread(server: Server, landing: Landing) -> None:
    query = 'SELECT i AS "Customer ID", i AS "When", repeat(\'x\', 100) AS "Paid" FROM generate_series(1, 1000000) AS i'
    given = source(server, query=query)
    (file,) = find_files(given)
    with read_file(landing.connection, file, given) as rows:
        rows.create_view("incoming")
        assert len(landing.connection.execute("SELECT * FROM incoming LIMIT 3").fetchall()) == 3


BROKEN = """SELECT i AS "Customer ID", repeat('x', 100) AS "When", {} AS "Paid" FROM generate_series(1, 400000) AS i"""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "sales.lines"}, r'postgresql:sales.lines: relation "sales.lines" does not exist in postgresql://'),
        ({"table": "sale.Lines"}, r'"sale.Lines" does not exist .*correct source.table; upper and'),
        ({"table": 'x"; DROP TABLE y; --'}, r"does not exist"),
        ({"query": 'SELECT nothing FROM sales."Lines"'}, r'column "nothing" does not exist\): correct source.query'),
        ({"query": "SELEC 1"}, r'postgresql:query: .* does not run it \(syntax error at or near "SELEC"\)'),
        ({"query": "SELECT 1; SELECT 2"}, r"cannot insert multiple commands into a prepared statement"),
        ({"query": 'DELETE FROM sales."Lines" RETURNING *'}, r"cannot execute DELETE in a read-only transaction"),
        ({"query": 'SELECT 1 AS "Customer"'}, r"has no column 'Customer ID' \(.*did you mean 'Customer'"),
        (
            {"query": 'SELECT "Customer ID", "When", price AS "Paid" FROM sales."Lines"'},
            r"column 'Paid' \(source.columns.amount\) is of type money, .* cast it to numeric in source.query",
        ),
        ({"query": BROKEN.format("1 / (300000 - i)")}, r"rows broke off after [\d,]+ \(division by zero\)"),
        (
            {"query": BROKEN.format("CASE i WHEN 300000 THEN pg_terminate_backend(pg_backend_pid())::int END")},
            r"query: the rows broke off after \d+,\d+ \((server closed|terminating) .*\): run again",
        ),
    ],
)  # fmt: skip
def test_a_statement_that_fails_is_said(server: Server, landing: Landing, options: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message) as raised:
        read(landing, source(server, **options))
    assert "\n" not in str(raised.value)
    server.run('SELECT 1 / count(*) FROM sales."Lines"')


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "genome@",
            "genome:wr/o@ng@",
            r'refuses the user \(password authentication failed for user "genome"\): set PG',
        ),
        ("127.0.0.1", "localhost.invalid", r'cannot be reached \(could not translate host name "localhost.invalid"'),
        ("/shop", "/shops", r'cannot be reached \(database "shops" does not exist\): check its host, port, user and'),
        ("genome@127.0.0.1", "genome:wr%zz@127.0.0.1", r"refuses the user"),
    ],
)
def test_no_connection_is_said(server: Server, landing: Landing, old: str, new: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as raised:
        read(landing, source(server, path=server.url.replace(old, new), table="sales.Lines"))
    assert "\n" not in str(raised.value)
    assert not any(part in str(raised.value) for part in ("wr/", "ng@", "wr%"))


def test_a_missing_password_and_a_missing_server_are_said(
    server: Server, landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(SourceError, match=r"refuses the user \(fe_sendauth: no password supplied\): set PGPASSWORD"):
        read(landing, source(server, table="sales.Lines"))
    with pytest.raises(SourceError, match=r"127.0.0.1:1/shop cannot be reached \(Connection refused\)"):
        read(landing, source(server, path="postgresql://genome@127.0.0.1:1/shop", table="sales.Lines"))


def test_a_table_one_may_not_read_is_said(server: Server, landing: Landing) -> None:
    path = server.url.replace("genome@", "reader@")
    with pytest.raises(SourceError, match=r"permission denied for schema sales"):
        read(landing, source(server, path=path, table="sales.Lines"))


CONFIG = """
home = "{home}"
[source]
path = "{path}"
{more}
[source.columns]
customer_id = "Customer ID"
ordered_at = "When"
amount = "Paid"
[calendar]
start = 2020-01-01
"""


def test_rows_are_taken_in_anew_at_every_run(server: Server, tmp_path: Path) -> None:
    server.run('CREATE TABLE log AS SELECT * FROM sales."Lines"')
    config = tmp_path / "genome.toml"
    config.write_text(CONFIG.format(home=tmp_path, path=server.url, more='table = "log"'))
    settings = load_settings(config)
    with Pipeline.of(settings).warehouse.open() as database:
        assert ingest(database, settings).row_count == 3
        again = ingest(database, settings)
        assert (again.row_count, again.changed_periods) == (3, set())
        server.run("DELETE FROM log WHERE \"Customer ID\" = 'c2'")
        assert ingest(database, settings).row_count == 2
        found = database.con.execute("SELECT raw_customer_id FROM raw_transactions ORDER BY source_row").fetchall()
        files = database.con.execute("SELECT source_file, content_hash FROM source_files").fetchall()
    assert (found, files) == ([("c1",), (None,)], [("postgresql:log", None)])


@pytest.mark.parametrize(
    ("path", "more", "message"),
    [
        ("postgresql://u@h/d", "", "a database needs either table or query; add one of them"),
        ("postgresql://u@h/d", 'table = "t"\nquery = "q"', "a database needs either table or query; take one out"),
        ("log.csv", 'table = "t"', "table is for a database, which path does not name; take it out"),
        ("postgresql://u@h/d?password=s3cret", 'table = "t"', "path holds a password; take it out, and set PGPASSWORD"),
        (
            "postgresql://u:s3cret@h/d",
            'table = "t"',
            "source.path holds a password; take it out, and set PGPASSWORD, or",
        ),
    ],
)
def test_a_database_set_up_wrongly_is_said(tmp_path: Path, path: str, more: str, message: str) -> None:
    config = tmp_path / "genome.toml"
    config.write_text(CONFIG.format(home=tmp_path, path=path, more=more))
    with pytest.raises(ConfigError) as raised:
        load_settings(config)
    assert message in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_the_password_may_come_in_the_url_of_the_environment(tmp_path: Path) -> None:
    config = tmp_path / "genome.toml"
    config.write_text(CONFIG.format(home=tmp_path, path="postgresql://u@h/d", more='table = "t"'))
    os.environ["GENOME_SOURCE__PATH"] = "postgresql://u:s3cret@h/d"
    settings = load_settings(config)
    assert (settings.source.path, settings.source.password) == ("postgresql://u@h/d", "s3cret")
    assert "s3cret" not in repr(settings)


def test_a_password_in_the_url_of_a_bucket_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "genome.toml"
    config.write_text(CONFIG.format(home=tmp_path, path="log.csv", more=""))
    os.environ["GENOME_SOURCE__PATH"] = "s3://key:s3cret@bucket/in"
    with pytest.raises(ConfigError, match=r"path holds a password; take it out, credentials of a bucket") as raised:
        load_settings(config)
    assert "s3cret" not in str(raised.value)
