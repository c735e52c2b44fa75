from __future__ import annotations

import errno
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from genome_pipeline.sources.source import SourceError, SourceFile, check_may_be_written, find_files
from genome_pipeline_tests.support.landing import landing_settings
from genome_pipeline_tests.support.workbooks import write_workbook
from genome_pipeline_tests.unit.sources.conftest import Landing

SUPPORTED = ".csv, .tsv, .txt, .ndjson, .jsonl, .json (each also with .gz or .zst), .parquet, .xlsx"


def test_a_single_file_is_named_by_its_name(landing: Landing) -> None:
    path = landing.put("2020/orders.csv", "a\n1\n")
    assert find_files(landing.source("2020/orders.csv")) == [
        SourceFile("orders.csv", path, None, hashlib.sha256(b"a\n1\n").hexdigest())
    ]


def test_a_folder_gives_its_supported_files_in_order(landing: Landing) -> None:
    for name in ("b.CSV", "a.parquet", "c.jsonl.gz", "d.tsv.zst", "README.md", ".e.csv", "~$f.xlsx", "sub/g.csv"):
        landing.put(name, "x")
    assert landing.names("") == ["a.parquet", "b.CSV", "c.jsonl.gz", "d.tsv.zst"]


def test_a_pattern_names_files_relative_to_its_fixed_part(landing: Landing) -> None:
    for name in ("in/2020/a.csv", "in/2021/deep/b.csv", "in/c.csv", "out/d.csv", "in/.f.csv"):
        landing.put(name, "x")
    assert landing.names("in/**/*.csv") == ["2020/a.csv", "2021/deep/b.csv", "c.csv"]
    assert landing.names("in/**") == ["2020/a.csv", "2021/deep/b.csv", "c.csv"]
    assert landing.names("in/202?/*.csv") == ["2020/a.csv"]


@pytest.mark.parametrize(
    ("source", "is_read", "is_not"),
    [
        ("in/a.csv", ["in/a.csv", "out/../in/a.csv"], ["in/b.csv", "a.csv"]),
        ("in", ["in/new.csv", "in/y=1/new.parquet"], ["in/old/new.csv", "in/notes.md", "new.csv"]),
        ("in/**/*.csv", ["in/new.csv", "in/2020/deep/new.csv"], ["in/new.parquet", "new.csv"]),
    ],
)
def test_what_is_written_must_not_be_taken_for_the_source(
    landing: Landing, source: str, is_read: list[str], is_not: list[str]
) -> None:
    folder = landing.put("in/a.csv", "a\n1\n").parent.parent
    settings = landing_settings(folder)
    settings = settings.model_copy(update={"source": landing.source(source)})
    for name in is_read:
        with pytest.raises(SourceError, match=r"is where source.path takes files from: it would be lost, or read"):
            check_may_be_written(folder / name, settings)
    for name in is_not:
        check_may_be_written(folder / name, settings)


def test_the_partition_folders_of_a_folder_are_part_of_it(landing: Landing) -> None:
    for name in (
        "year=2020/month=1/a.parquet",
        "year=2021/b.parquet",
        "c.parquet",
        "old/d.parquet",
        "old/y=1/e.parquet",
    ):
        landing.put(name, "x")
    assert landing.names("") == ["c.parquet", "year=2020/month=1/a.parquet", "year=2021/b.parquet"]


def test_a_name_with_pattern_characters_is_a_name_first(landing: Landing) -> None:
    landing.put("a[1].csv", "x")
    landing.put("a1.csv", "x")
    assert landing.names("a[1].csv") == ["a[1].csv"]


def test_a_folder_with_pattern_characters_is_a_folder_first(landing: Landing) -> None:
    for name in ("proj [2024]/in/a.csv", "proj [2024]/in/b.txt", "proj 2/in/c.csv"):
        landing.put(name, "x")
    assert landing.names("proj [2024]/in/*.csv") == ["a.csv"]
    assert landing.names("proj [2024]/*/*.csv") == ["in/a.csv"]
    assert landing.names("proj [24]/in/*.csv") == ["proj 2/in/c.csv"]
    with pytest.raises(SourceError, match=re.escape("no file or folder ") + ".*" + re.escape("[2024]/in/none.csv: ")):
        landing.names("proj [2024]/in/none.csv")


def test_a_workbook_with_hidden_sheets_only_is_empty(landing: Landing) -> None:
    write_workbook(landing.folder / "book.xlsx", {"Old": [["id"]]}, hidden={"Old"})
    with pytest.raises(SourceError, match=r"book.xlsx is empty: .* of a sheet that is not hidden"):
        landing.names("*.xlsx")


def test_each_sheet_that_holds_anything_is_a_file(landing: Landing) -> None:
    write_workbook(landing.folder / "book.xlsx", {"Year 1": [["id"]], "Empty": [[None]], "None": [], "Ümlaut": [[1]]})
    found = find_files(landing.source("*.xlsx"))
    assert [(file.name, file.sheet) for file in found] == [
        ("book.xlsx#Year 1", "Year 1"),
        ("book.xlsx#Ümlaut", "Ümlaut"),
    ]
    assert found[0].content_hash == found[1].content_hash


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("none.csv", "no file or folder {0}/none.csv: {0} holds 'in', 'notes.md'; correct source.path"),
        ("no/where/x.csv", "no file or folder {0}/no/where/x.csv: {0} holds 'in', 'notes.md'; correct source.path"),
        ("none/*.csv", "no folder {0}/none: {0} holds 'in', 'notes.md'; correct source.path"),
        ("in/*.parquet", "no file matches '*.parquet' in {0}/in, which holds 'a.csv', 'b.csv'; correct source.path"),
        ("", "no supported file in {0}, which holds 'in', 'notes.md'; supported: " + SUPPORTED),
        ("notes.md", "{0}/notes.md has an ending that is not supported: use one of " + SUPPORTED),
        ("*.md", "{0}/notes.md has an ending that is not supported: use one of " + SUPPORTED),
        ("in/b.csv", "{0}/in/b.csv is a folder named like a file: name the files in it, such as '{0}/in/b.csv/*.csv'"),
        ("in/*.csv", "{0}/in/b.csv is a folder named like a file: name the files in it, such as '{0}/in/b.csv/*.csv'"),
        ("in", "{0}/in/b.csv is a folder named like a file: name the files in it, such as '{0}/in/b.csv/*.csv'"),
    ],
)
def test_what_cannot_be_found_is_said(landing: Landing, pattern: str, message: str) -> None:
    landing.put("in/a.csv", "x")
    landing.put("notes.md", "x")
    (landing.folder / "in" / "b.csv").mkdir()
    with pytest.raises(SourceError) as raised:
        landing.names(pattern)
    assert str(raised.value) == message.format(landing.folder)


def test_an_unreadable_file_is_named(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    path = landing.put("orders.csv", "x")

    def refuse(self: Path, *_: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceError) as raised:
        landing.names("orders.csv")
    assert str(raised.value) == f"{path} cannot be read (permission denied): check it and its permissions"


def test_a_dangling_link_is_named(landing: Landing) -> None:
    path = landing.folder / "orders.csv"
    path.symlink_to(landing.folder / "gone.csv")
    with pytest.raises(SourceError) as raised:
        landing.names("*.csv")
    assert str(raised.value) == f"{path} cannot be read (no such file or directory): check it and its permissions"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"id,when\n",
            "book.xlsx is not a whole .xlsx workbook: it was cut off, or is something else; copy or save it again",
        ),
        (b"", "book.xlsx is not a whole .xlsx workbook: it was cut off, or is something else; copy or save it again"),
        (
            bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600),
            "book.xlsx is protected by a password, or an old .xls workbook: save it as .xlsx without a password",
        ),
    ],
)
def test_what_is_no_workbook_is_said(landing: Landing, data: bytes, message: str) -> None:
    landing.put("book.xlsx", data)
    with pytest.raises(SourceError) as raised:
        landing.names("book.xlsx")
    assert str(raised.value) == message


def test_a_workbook_cut_off_is_said(landing: Landing) -> None:
    path = write_workbook(landing.folder / "book.xlsx", {"One": [["id"]]})
    landing.put("book.xlsx", path.read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"book.xlsx is not a whole .xlsx workbook"):
        landing.names("book.xlsx")
