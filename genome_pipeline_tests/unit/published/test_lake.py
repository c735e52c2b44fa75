"""The published tables in a bucket: a file for each snapshot, and only those sent again that have changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner

from genome_pipeline.command.cli import app
from genome_pipeline.errors import ConfigError
from genome_pipeline.published.lake import export_to_bucket
from genome_pipeline.settings import SourceSettings

LOCAL = SourceSettings(path="landing/*.csv")
URL = "counting://bucket/genome"


class Counting(MemoryFileSystem):  # type: ignore[misc]
    """A store that notes what is sent, and refuses or breaks off as it is told to."""

    protocol = "counting"
    store: dict[str, Any] = {}  # noqa: RUF012 - the store is the class's own, as MemoryFileSystem has it
    pseudo_dirs = [""]  # noqa: RUF012
    sent: list[str] = []  # noqa: RUF012
    left = 10_000
    error: Exception | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("counting://").strip("/")

    def put_file(self, lpath: str, rpath: str, **kwargs: Any) -> None:
        if self.error and len(self.sent) >= self.left:
            raise self.error
        self.sent.append(rpath.removeprefix("/bucket/genome/"))
        super().put_file(lpath, rpath, **kwargs)


@pytest.fixture(autouse=True)
def _store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fsspec.register_implementation("counting", Counting, clobber=True)
    for name, value in {"store": {}, "pseudo_dirs": [""], "sent": []}.items():
        monkeypatch.setattr(Counting, name, value)
    yield


@pytest.fixture
def published(published_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(published_path, tmp_path / "genome.duckdb"))


def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Counting().cat_file("/bucket/genome/_genome.json"))
    return found


def test_every_table_is_a_folder_with_a_file_for_each_snapshot(published: Path, tmp_path: Path) -> None:
    counts = export_to_bucket(published, f"{URL}/", LOCAL)
    files = {key.removeprefix("/bucket/genome/") for key in Counting.store}
    assert {*record()["files"], "_genome.json"} == files
    assert {"customer_genome/customer_genome.parquet", "pipeline_runs/pipeline_runs.parquet"} < files
    assert "customer_genome_history/as_of=2018-01-01/customer_genome_history.parquet" in files
    assert record()["is_complete"] is True
    assert record()["as_of"] == "2018-01-01"
    Counting().get("/bucket/genome/", str(tmp_path / "copy"), recursive=True)
    for name in ("customer_genome_history", "customer_activity", "customer_genome"):
        read = f"read_parquet('{tmp_path}/copy/{name}/**/*.parquet', hive_partitioning = true)"
        with duckdb.connect(published, read_only=True) as connection:
            columns = ", ".join(row[0] for row in connection.execute(f"DESCRIBE {name}").fetchall())
            ours, theirs = f"SELECT {columns} FROM {name}", f"SELECT {columns} FROM {read}"
            assert (
                connection.execute(f"({ours} EXCEPT ALL {theirs}) UNION ALL ({theirs} EXCEPT ALL {ours})").fetchall()
                == []
            )
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (counts[name],)


def test_only_files_whose_rows_have_changed_are_sent_again(published: Path) -> None:
    counts = export_to_bucket(published, URL, LOCAL)
    Counting.sent.clear()
    assert export_to_bucket(published, URL, LOCAL) == counts
    assert Counting.sent == []
    with duckdb.connect(published) as connection:
        connection.execute("UPDATE customer_risk_history SET p_alive = 0.5 WHERE as_of = '2017-11-01'")
        connection.execute("DELETE FROM customer_risk_history WHERE as_of = '2017-10-01'")
    Counting().rm_file("/bucket/genome/cohorts/cohorts.parquet")
    export_to_bucket(published, URL, LOCAL)
    changed = "customer_risk_history/as_of=2017-11-01/customer_risk_history.parquet"
    assert sorted(Counting.sent) == ["cohorts/cohorts.parquet", changed]
    assert "/bucket/genome/customer_risk_history/as_of=2017-10-01/customer_risk_history.parquet" not in Counting.store


def test_an_export_that_broke_off_says_so_and_is_completed_by_the_next(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_to_bucket(published, URL, LOCAL)
    with duckdb.connect(published) as connection:
        connection.execute("UPDATE customer_risk_history SET p_alive = 0.5")
    Counting.sent.clear()
    with monkeypatch.context() as broken:
        broken.setattr(Counting, "error", OSError("connection lost"))
        broken.setattr(Counting, "left", 2)
        with pytest.raises(
            ConfigError, match=r"was not written \(connection lost\): check the connection and run again"
        ):
            export_to_bucket(published, URL, LOCAL)
    assert record()["is_complete"] is False
    export_to_bucket(published, URL, LOCAL)
    assert record()["is_complete"] is True
    assert len(Counting.sent) == 2 + 5  # four snapshots and the latest, of which two were sent twice


@pytest.mark.parametrize(
    ("url", "source", "sentence"),
    [
        ("s3://b/sales/out", "s3://b/sales/", "--to s3://b/sales/out is where source.path takes files from"),
        ("s3://b/sales", "s3://b/sales/*.csv", "--to s3://b/sales is where source.path takes files from"),
        ("nowhere://b", "a.csv", "--to = 'nowhere://b': nowhere:// is not known"),
        ("s3://b/x?X-Signature=abc", "a.csv", "--to holds a query, such as a signature"),
    ],
)
def test_a_wrong_place_is_one_sentence(published: Path, url: str, source: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        export_to_bucket(published, url, SourceSettings(path=source))
    assert str(raised.value).startswith(sentence)


def test_a_store_that_refuses_is_told_with_what_to_do(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "error", PermissionError("Access Denied"))
    monkeypatch.setattr(Counting, "left", 0)
    with pytest.raises(
        ConfigError, match=r"may not be written \(Access Denied\): give credentials that may list, read, "
    ):
        export_to_bucket(published, URL, LOCAL)


def test_a_folder_of_others_is_left_alone(published: Path) -> None:
    Counting().pipe_file("/bucket/genome/_genome.json", b"[]")
    with pytest.raises(ConfigError, match=r"has a _genome\.json that `genome export` did not write"):
        export_to_bucket(published, URL, LOCAL)
    assert Counting.sent == []


def test_the_command_names_the_bucket(published: Path, tmp_path: Path) -> None:
    config = tmp_path / "genome.toml"
    config.write_text(
        'home = "home"\n[source]\npath = "log.csv"\n[source.columns]\ncustomer_id = "a"\nordered_at = "b"\n'
        "[calendar]\nstart = 2017-01-01\n",
        encoding="utf-8",
    )
    (tmp_path / "home" / "published").mkdir(parents=True)
    published.rename(tmp_path / "home" / "published" / "genome.duckdb")
    done = CliRunner().invoke(app, ["export", "--to", URL, "--config", str(config)])
    assert done.exit_code == 0, done.output
    assert done.output.endswith(f"rows written to {URL}\n")
    for wrong, sentence in (
        (["--to", URL, "--csv"], "--csv is for files on this machine: leave it out, or name a folder with --to"),
        (["--schema", "x"], "--schema is for a database: leave it out, or name one with --to postgresql://..."),
    ):
        assert str(CliRunner().invoke(app, ["export", *wrong, "--config", str(config)]).exception) == sentence
