from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import duckdb
import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from genome_pipeline.settings import SourceSettings
from genome_pipeline.sources.source import SourceError, find_files, read_file, sniff
from genome_pipeline_tests.support.workbooks import write_workbook
from genome_pipeline_tests.unit.sources.conftest import COLUMNS, Landing

CSV = b"Customer ID,When,Paid\nc1,2020-01-01,1.50\n"


class Flaky(MemoryFileSystem):  # type: ignore[misc]
    """A store that fails as it is told to, and counts what is fetched."""

    protocol = "flaky"
    store: dict[str, Any] = {}  # noqa: RUF012 - the store is the class's own, as MemoryFileSystem has it
    pseudo_dirs = [""]  # noqa: RUF012
    listing_error: Exception | None = None
    fetch_error: Exception | None = None
    cut_off = 0
    fetched: list[str] = []  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("flaky://").strip("/")

    def info(self, path: str, **kwargs: Any) -> Any:
        if self.listing_error:
            raise self.listing_error
        return super().info(path, **kwargs)

    def get_file(self, rpath: str, lpath: str, **kwargs: Any) -> None:
        self.fetched.append(rpath)
        super().get_file(rpath, lpath, **kwargs)
        if self.cut_off:
            os.truncate(lpath, self.cut_off)
        if self.fetch_error:
            raise self.fetch_error


class Bucket(Landing):
    """A bucket instead of the folder."""

    def put(self, name: str, data: bytes | str) -> Any:
        Flaky().pipe_file(f"/bucket/{name}", data if isinstance(data, bytes) else data.encode())

    def source(self, pattern: str, **options: Any) -> SourceSettings:
        return SourceSettings(path=f"flaky://bucket/{pattern}", **{"columns": COLUMNS, **options})


@pytest.fixture
def bucket(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    for name, value in {"store": {}, "pseudo_dirs": [""], "fetched": []}.items():
        monkeypatch.setattr(Flaky, name, value)
    yield Bucket(landing.folder, landing.connection)


def test_the_memory_store_is_read(landing: Landing) -> None:
    fsspec.filesystem("memory").pipe_file("/genome-in/a.csv", CSV)
    source = SourceSettings(path="memory://genome-in/*.csv", columns=COLUMNS)
    (file,) = find_files(source)
    with read_file(landing.connection, file, source) as rows:
        assert rows.project("source_row, raw_customer_id").fetchall() == [(1, "c1")]


def test_a_file_a_folder_and_a_pattern_name_what_they_do_on_a_disk(bucket: Bucket) -> None:
    for name in ("in/b.csv", "in/a.csv", "in/notes.md", "in/.c.csv", "in/2020/d.csv", "in/2020/deep/e.csv", "f.csv"):
        bucket.put(name, CSV)
    assert bucket.names("in") == bucket.names("in/") == ["a.csv", "b.csv"]
    assert bucket.names("in/b.csv") == ["b.csv"]
    assert bucket.names("in/*.csv") == ["a.csv", "b.csv"]
    assert bucket.names("in/**/*.csv") == ["2020/d.csv", "2020/deep/e.csv", "a.csv", "b.csv"]
    assert bucket.names("in/2*/d.csv") == ["2020/d.csv"]


def test_a_file_is_known_by_its_version_and_not_fetched_to_tell(bucket: Bucket) -> None:
    bucket.put("a.csv", CSV)
    bucket.put("b.csv", CSV)
    first = find_files(bucket.source("*.csv"))
    assert find_files(bucket.source("*.csv")) == first
    bucket.put("b.csv", CSV.replace(b"1.50", b"2.50"))
    second = find_files(bucket.source("*.csv"))
    assert [file.content_hash == other.content_hash for file, other in zip(first, second, strict=True)] == [True, False]
    assert Flaky.fetched == []
    assert bucket.read("*.csv") == [(1, "c1", "2020-01-01", "1.50"), (1, "c1", "2020-01-01", "2.50")]
    assert Flaky.fetched == ["/bucket/a.csv", "/bucket/b.csv"]


def test_sheets_are_told_without_fetching_the_workbook(bucket: Bucket) -> None:
    sheets: dict[str, list[list[Any]]] = {"One": [["Customer ID", "When", "Paid"], ["c1", "2020-01-01", 1]], "None": []}
    bucket.put("book.xlsx", write_workbook(bucket.folder / "book.xlsx", sheets).read_bytes())
    assert bucket.names("") == ["book.xlsx#One"]
    assert Flaky.fetched == []
    assert bucket.read("book.xlsx") == [(1, "c1", "2020-01-01", "1")]


def test_partition_folders_are_columns(bucket: Bucket) -> None:
    part = bucket.folder / "part.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS \"Customer ID\", '2020-01-01' AS \"When\") TO '{part}'")
    for name in ("year=2020/month=01/part-0.parquet", "year=2020/month=02/part-0.parquet", "old/part-0.parquet"):
        bucket.put(f"sales/{name}", part.read_bytes())
    columns = COLUMNS.model_copy(update={"amount": "month"})
    assert len({file.content_hash for file in find_files(bucket.source("sales/"))}) == 2
    found = bucket.read_source(bucket.source("sales/", columns=columns), "raw_customer_id, raw_amount")
    assert found == [(1, 1, "01"), (1, 1, "02")]


def test_the_copy_does_not_stay(bucket: Bucket) -> None:
    bucket.put("a.csv", CSV)
    source = bucket.source("a.csv")
    (file,) = find_files(source)
    assert sniff(file, source)[0] == ("Customer ID", "When", "Paid")
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("none.csv", "flaky://bucket/none.csv is not there: correct the bucket or the key in source.path"),
        ("none/*.csv", "flaky://bucket/none/*.csv is not there: correct the bucket or the key in source.path"),
        ("in/*.parquet", "no file matches flaky://bucket/in/*.parquet: correct source.path"),
        ("in/*.md", "notes.md has an ending that is not supported: use one of .csv"),
        ("bare", "no supported file in flaky://bucket/bare, which holds 'notes.md'; supported: .csv"),
    ],
)
def test_what_is_not_there_is_said(bucket: Bucket, pattern: str, message: str) -> None:
    bucket.put("in/notes.md", CSV)
    bucket.put("bare/notes.md", CSV)
    with pytest.raises(SourceError) as raised:
        bucket.names(pattern)
    assert str(raised.value).startswith(message)


class NoCredentialsError(Exception):
    """As a store's own package has it."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("Forbidden"), "may not be read (Forbidden): give credentials that may list and read it"),
        (NoCredentialsError("Unable to locate"), "may not be read (Unable to locate): give credentials that may list"),
        (ValueError("Must provide credentials!"), "may not be read (Must provide credentials!): give credentials that"),
        (OSError("no route to https://h/b?sig=s3cret"), "was not read (no route to https://h/b): check the connection"),
        (TimeoutError(), "was not read (TimeoutError): check the connection and run again"),
    ],
)
def test_a_store_that_refuses_or_fails_is_said(bucket: Bucket, error: Exception, message: str) -> None:
    bucket.put("a.csv", CSV)
    source = bucket.source("a.csv")
    (file,) = find_files(source)
    for attribute in ("listing_error", "fetch_error"):
        with pytest.MonkeyPatch.context() as broken, pytest.raises(SourceError) as raised:
            broken.setattr(Flaky, attribute, error)
            find_files(source) if attribute == "listing_error" else sniff(file, source)
        assert str(raised.value).startswith(f"flaky://bucket/a.csv {message}")


def test_a_file_that_came_over_in_part_is_said(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("a.csv", CSV)
    monkeypatch.setattr(Flaky, "cut_off", 30)
    with pytest.raises(SourceError) as raised:
        bucket.read("a.csv")
    assert str(raised.value) == (
        "flaky://bucket/a.csv came over with 30 of 41 bytes: it was replaced, or the connection was lost; run again"
    )


def test_a_store_whose_package_is_missing_or_unknown_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(SourceError) as raised:
        find_files(SourceSettings(path="s3://bucket/in/*.csv", columns=COLUMNS))
    assert str(raised.value) == (
        "source.path = 's3://bucket/in/*.csv' needs a package that is not installed: pip install 'genome-pipeline[s3]'"
    )
    with pytest.raises(
        SourceError, match=r"mysql:// is not known; use s3://, gs://, az:// or postgresql://, or a path"
    ):
        find_files(SourceSettings(path="mysql://host/shop", columns=COLUMNS))
